package github

import (
	"slices"
	"strings"

	"bindery/shared/sandbox/oauth"
)

// included returns the scopes that another scope includes, and that are dropped if it is there.
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
func included(scope string) []string {
	return map[string][]string{
		"repo": {
			"repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events",
		},
		"admin:repo_hook": {"write:repo_hook", "read:repo_hook"},
		"write:repo_hook": {"read:repo_hook"},
		"admin:org":       {"write:org", "read:org"},
		"write:org":       {"read:org"},
		"user":            {"read:user", "user:email", "user:follow"},
	}[scope]
}

// scopes returns the scopes of GitHub that an app like Bindery might ask for.
func scopes() []string {
	all := []string{"repo", "admin:repo_hook", "admin:org", "user", "gist", "workflow", "delete_repo"}
	for _, scope := range all {
		all = append(all, included(scope)...)
	}
	return all
}

// normalize drops the scopes that are unknown or that another one includes, and sorts the rest.
func normalize(asked []string) []string {
	var kept []string
	for _, scope := range scopes() {
		implied := slices.ContainsFunc(asked, func(other string) bool {
			return slices.Contains(included(other), scope)
		})
		if slices.Contains(asked, scope) && !implied {
			kept = append(kept, scope)
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
