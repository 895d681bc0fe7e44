package provider

import (
	"slices"
	"strings"

	"bindery/shared/problem"
)

// scopeRule says which scopes a platform's token needs.
type scopeRule struct {
	needed []string
	// optional scopes are requested, but a binding works without them.
	optional []string
	// includedIn lists, for a needed scope, others that grant it too.
	includedIn map[string][]string
	// reason is the problem's reason for a missing scope: it says who can grant it.
	reason string
}

// all returns the scopes that are requested.
func (s scopeRule) all() []string { return append(slices.Clone(s.needed), s.optional...) }

// lacking returns the scopes of wanted that weren't granted.
func (s scopeRule) lacking(wanted, granted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(scope string) bool {
		return slices.ContainsFunc(granted, func(g string) bool {
			return g == scope || slices.Contains(s.includedIn[scope], g)
		})
	})
}

// checkScopes compares the granted scopes with the platform's rule. A missing needed scope is
// [problem.PermissionMissing], which names it; a missing optional one is a warning. If the platform
// reported no scopes, which told says, that is a warning too, since it isn't known what is missing.
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

// headerScopes returns the scopes of the reply's X-OAuth-Scopes, and whether the platform sent that
// header. The header may be present and empty: then no scope is granted.
func headerScopes(r reply) ([]string, bool) {
	values := r.header.Values("X-OAuth-Scopes")
	return splitScopes(strings.Join(values, ",")), len(values) > 0
}
