//go:build !aws && !alibaba

package trigger

// stores names the cloud whose table and vault this binary is built with. It is empty for a local
// file, which a cloud's runtime would lose with every instance.
const stores = ""

// clouds returns the servers of both clouds, for the tests.
func clouds() map[runtime]server {
	return map[runtime]server{lambda: onLambda, functionCompute: onFunctionCompute}
}
