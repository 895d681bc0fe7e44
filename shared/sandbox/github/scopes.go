package github

import (
	"slices"
	"strings"

	"bindery/shared/sandbox/oauth"
)

// scope is a scope of GitHub with the scopes that it includes. Beside it those are dropped.
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
type scope struct {
	name     string
	includes []string
}

// scopes are the scopes of GitHub that an app like Bindery might ask for.
func scopes() []scope {
	return []scope{
		{"repo", []string{
			"repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events",
		}},
		{"repo:status", nil},
		{"repo_deployment", nil},
		{"public_repo", nil},
		{"repo:invite", nil},
		{"security_events", nil},
		{"admin:repo_hook", []string{"write:repo_hook", "read:repo_hook"}},
		{"write:repo_hook", []string{"read:repo_hook"}},
		{"read:repo_hook", nil},
		{"admin:org", []string{"write:org", "read:org"}},
		{"write:org", []string{"read:org"}},
		{"read:org", nil},
		{"user", []string{"read:user", "user:email", "user:follow"}},
		{"read:user", nil},
		{"user:email", nil},
		{"user:follow", nil},
		{"gist", nil},
		{"workflow", nil},
		{"delete_repo", nil},
	}
}

// normalize drops the scopes that are unknown or that another one includes, and sorts the rest.
func normalize(asked []string) []string {
	var kept []string
	for _, s := range scopes() {
		included := slices.ContainsFunc(scopes(), func(other scope) bool {
			return slices.Contains(other.includes, s.name) && slices.Contains(asked, other.name)
		})
		if slices.Contains(asked, s.name) && !included {
			kept = append(kept, s.name)
		}
	}
	slices.Sort(kept)
	return kept
}

// requestedScopes returns the scopes of a request. A request for none gets those granted before.
func requestedScopes(_ oauth.App, param string, before []string) ([]string, bool) {
	asked := strings.Fields(strings.ReplaceAll(param, ",", " "))
	if len(asked) == 0 {
		return before, true
	}
	return normalize(asked), true
}

// addScopes adds a new consent to an earlier one.
func addScopes(before, ticked []string) []string {
	return normalize(slices.Concat(before, ticked))
}
