package binding

import "strings"

// MatchBranch reports whether a branch matches one of the patterns, or there are none. In a pattern
// "*" stands for any characters but "/", "**" for any.
func MatchBranch(patterns []string, branch string) bool {
	for _, pattern := range patterns {
		if matchBranch(pattern, branch) {
			return true
		}
	}
	return len(patterns) == 0
}

// matchBranch matches one pattern. Its time grows with the product of the lengths, whatever the
// pattern: at[i] reports whether the pattern so far matches the first i bytes of the branch.
func matchBranch(pattern, branch string) bool {
	at := make([]bool, len(branch)+1)
	at[0] = true
	for pattern != "" {
		literal, stars, rest := cutStars(pattern)
		next := make([]bool, len(branch)+1)
		for i, reached := range at {
			if reached && strings.HasPrefix(branch[i:], literal) {
				next[i+len(literal)] = true
			}
		}
		for i := range len(branch) {
			if next[i] && (stars > 1 || stars == 1 && branch[i] != '/') {
				next[i+1] = true
			}
		}
		at, pattern = next, rest
	}
	return at[len(branch)]
}

// cutStars cuts a pattern behind its first run of stars.
func cutStars(pattern string) (literal string, stars int, rest string) {
	i := strings.IndexByte(pattern, '*')
	if i < 0 {
		return pattern, 0, ""
	}
	rest = strings.TrimLeft(pattern[i:], "*")
	return pattern[:i], len(pattern) - i - len(rest), rest
}
