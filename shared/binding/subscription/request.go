package subscription

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bindery/shared/binding"
	"bindery/shared/problem"
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
	wrong := func(field, reason string) error {
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
			return wrong("events", "")
		}
	}
	for _, pattern := range in.Branches {
		switch {
		case pattern == "":
			return wrong("branches", "required")
		case len(pattern) > MaxPattern:
			return wrong("branches", "too_long")
		case !isPattern(pattern):
			return wrong("branches", "characters")
		}
	}
	return nil
}

// isPattern reports whether a branch could match: git-check-ref-format(1) excludes these characters
// from every name.
func isPattern(pattern string) bool {
	return utf8.ValidString(pattern) && !strings.ContainsAny(pattern, ` ~^:?[\`) &&
		!strings.Contains(pattern, "..") && !strings.ContainsFunc(pattern, unicode.IsControl)
}

func repeats[T comparable](list []T) bool {
	for i, item := range list {
		if slices.Contains(list[:i], item) {
			return true
		}
	}
	return false
}
