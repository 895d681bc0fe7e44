package sandbox

// newPlatforms makes the five, in the order of the console.
func (s *Sandbox) newPlatforms() []platform {
	s.codeup = newCodeup(s)
	s.gitlab = newGitLab(s)
	return []platform{s.codeup, newGitee(s), newGitHub(s), s.gitlab, newBitbucket(s)}
}
