//go:build alibaba

package trigger

// stores names the cloud whose table and vault this binary is built with.
const stores = "alibaba"

// clouds returns the server of that cloud.
func clouds() map[runtime]server {
	return map[runtime]server{functionCompute: onFunctionCompute}
}
