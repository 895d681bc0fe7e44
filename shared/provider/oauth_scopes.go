package provider

import (
	"slices"
	"strings"

	"bindery/shared/problem"
)

// scopeRule is which scopes a platform's token needs.
type scopeRule struct {
	needed []string
	// wished for, but a binding works without.
	optional []string
	// includedIn lists, for a needed scope, others that grant it too.
	includedIn map[string][]string
	// reason is that of a missing scope: it tells who can mend it.
	reason string
}

// all is what is asked for.
func (s scopeRule) all() []string { return append(slices.Clone(s.needed), s.optional...) }

// lacking are those of wanted that weren't granted.
func (s scopeRule) lacking(wanted, granted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(scope string) bool {
		return slices.ContainsFunc(granted, func(g string) bool {
			return g == scope || slices.Contains(s.includedIn[scope], g)
		})
	})
}

// checkScopes holds the granted scopes against the platform's rule. A needed one that is missing
// is [problem.PermissionMissing] and names it; a wished one is a warning. If the platform told none
// at all, that is a warning too: nothing is known then, not even that something is missing.
func (o *oauth) checkScopes(granted []string, told bool) ([]*problem.Problem, error) {
	if !told {
		return []*problem.Problem{
			o.problem(problem.PermissionNotProvable).Because("no_answer").
				With("permission", strings.Join(o.scopes.needed, ", ")),
		}, nil
	}
	if missing := o.scopes.lacking(o.scopes.needed, granted); len(missing) > 0 {
		return nil, o.lacks(missing, o.scopes.reason)
	}
	if missing := o.scopes.lacking(o.scopes.optional, granted); len(missing) > 0 {
		return []*problem.Problem{o.lacks(missing, "optional")}, nil
	}
	return nil, nil
}

func (o *oauth) lacks(missing []string, reason string) *problem.Problem {
	return o.problem(problem.PermissionMissing).Because(reason).
		With("missing", strings.Join(missing, ", "))
}

// headerScopes are the scopes of the reply's X-OAuth-Scopes, and whether the platform sent one. It
// may be there and empty: no scope is granted then.
func headerScopes(r reply) ([]string, bool) {
	values := r.header.Values("X-OAuth-Scopes")
	return splitScopes(strings.Join(values, ",")), len(values) > 0
}
