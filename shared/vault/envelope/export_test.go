package envelope

// MaxOpened is the limit of the data keys in memory.
const MaxOpened = maxOpened

// DataKeys returns how many data keys are in memory, not counting twice the one that seals.
func (v *Vault) DataKeys() int {
	v.keys.mu.Lock()
	defer v.keys.mu.Unlock()
	n := len(v.keys.opened)
	if s := v.keys.sealing; s != nil && v.keys.opened[keyID{s.wrappedBy, string(s.wrapped)}] != s {
		n++
	}
	return n
}
