//go:build !aws && !alibaba

package trigger

// stores names the cloud whose table and vault this binary is built with. None: a local file,
// which on a cloud's runtime would be lost with every instance.
const stores = ""
