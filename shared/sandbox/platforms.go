package sandbox

// newPlatforms makes the five, in the order of the console.
func (s *Sandbox) newPlatforms() []platform {
	return []platform{}
}
