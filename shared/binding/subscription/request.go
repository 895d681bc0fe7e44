package subscription

import (
	"slices"
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
	case len(in.Kinds) == 0:
		return wrong("events", "required")
	case repeats(in.Kinds):
		return wrong("events", "doubled")
	case len(in.Branches) > MaxPatterns:
		return wrong("branches", "too_long")
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
			return wrong("branches", "too_long")
		case strings.HasPrefix(pattern, "refs/"):
			return wrong("branches", "ref")
		case !provider.ValidRefName(strings.ReplaceAll(pattern, "*", "x")):
			return wrong("branches", "branch") // whatever the stars stand for
		}
	}
	return nil
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
