package subscription

import (
	"slices"
	"strconv"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

const (
	// MaxPatterns is how many patterns of branches a subscription may have.
	MaxPatterns = 20
	// MaxPattern is the length in bytes of the longest pattern.
	MaxPattern = 200
)

// PutRequest asks for a subscription.
type PutRequest struct {
	Target
	Kinds    []binding.SourceKind // at least one
	Branches []string             // empty for all
}

// check returns [problem.InputMalformed] with the field as the API names it.
func (in PutRequest) check() error {
	wrong := func(field, reason string) *problem.Problem {
		return problem.New(problem.InputMalformed).Because(reason).With("field", field)
	}
	switch {
	case in.Kinds == nil:
		return wrong("events", "required")
	case len(in.Kinds) == 0:
		return wrong("events", "empty").With("allowed", allowed())
	case repeats(in.Kinds):
		return wrong("events", "doubled")
	case len(in.Branches) > MaxPatterns:
		return wrong("branches", "too_many").With("limit", strconv.Itoa(MaxPatterns))
	case repeats(in.Branches):
		return wrong("branches", "doubled")
	}
	for _, kind := range in.Kinds {
		if !slices.Contains(binding.SourceKinds(), kind) {
			return wrong("events", "value").With("allowed", allowed())
		}
	}
	for _, pattern := range in.Branches {
		switch {
		case len(pattern) > MaxPattern:
			return wrong("branches", "pattern_too_long").With("limit", strconv.Itoa(MaxPattern))
		case isRef(pattern):
			return wrong("branches", "ref")
		case !canMatch(pattern):
			return wrong("branches", "branch")
		}
	}
	return nil
}

// isRef reports whether a pattern begins as the refs of git and of the API do, and not as a branch.
func isRef(pattern string) bool {
	kind, _, more := strings.Cut(pattern, "/")
	return more && (kind == "refs" || kind == "heads" || kind == "tags")
}

// canMatch reports whether git allows a branch that a pattern matches, whatever its stars stand for
// (git-check-ref-format, --branch).
func canMatch(pattern string) bool {
	return provider.ValidRefName(strings.ReplaceAll(pattern, "*", "x")) &&
		pattern != "@" && pattern != "HEAD" && !strings.HasPrefix(pattern, "-")
}

// allowed returns the kinds of changes as a text.
func allowed() string {
	var words []string
	for _, kind := range binding.SourceKinds() {
		words = append(words, string(kind))
	}
	return strings.Join(words, ", ")
}

func repeats[T comparable](list []T) bool {
	for i, item := range list {
		if slices.Contains(list[:i], item) {
			return true
		}
	}
	return false
}
