//go:build alibaba

package trigger

// stores names the cloud whose table and vault this binary is built with.
const stores = "alibaba"
