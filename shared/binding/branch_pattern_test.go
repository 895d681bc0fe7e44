package binding_test

import (
	"strings"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/testkit"
)

func TestMatchBranch(t *testing.T) {
	for _, c := range []struct {
		patterns, branch string
		matches          bool
	}{
		{"", "main", true},
		{"main", "main", true},
		{"main", "main2", false},
		{"main", "a/main", false},
		{"release/*", "release/1.0", true},
		{"release/*", "release/", true},
		{"release/*", "release/1/2", false},
		{"release/**", "release/1/2", true},
		{"**", "any/thing", true},
		{"*", "any/thing", false},
		{"*-fix", "a-fix-fix", true},
		{"**/x", "a/b/x", true},
		{"**/x", "x", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a/b-c", false},
		{"***", "a/b", true},
		{"main,dev", "dev", true},
		{"main,dev", "test", false},
		{"功能/*", "功能/登录", true},
		{"[a-z]", "b", false},
		{".", "a", false},
	} {
		var patterns []string
		if c.patterns != "" {
			patterns = strings.Split(c.patterns, ",")
		}
		testkit.Want(t, c.patterns+" of "+c.branch,
			binding.MatchBranch(patterns, c.branch), c.matches)
	}
}

// TestE11_APatternOfStarsTakesNoLongTime: the time grows with the lengths, not with the number of
// ways to match.
func TestE11_APatternOfStarsTakesNoLongTime(t *testing.T) {
	pattern := strings.Repeat("*a", 100)
	testkit.Want(t, "matches", binding.MatchBranch([]string{pattern},
		strings.Repeat("a", 1000)+"b"), false)
}
