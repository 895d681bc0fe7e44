package sandbox

import (
	"slices"
	"strings"
)

// offlineAccess asks GitHub for a token that ends and can be renewed, whatever the app's setting.
const offlineAccess = "offline_access"

// asksOffline reports whether a scope parameter holds [offlineAccess].
func asksOffline(param string) bool { return slices.Contains(strings.Fields(param), offlineAccess) }

// githubScope is a scope of GitHub with those that it includes, which are dropped beside it.
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
type githubScope struct {
	name     string
	includes []string
}

// githubScopes are the scopes that GitHub knows, as far as an app like Bindery might ask for them.
func githubScopes() []githubScope {
	return []githubScope{
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

// normalGitHub drops the scopes that aren't known or that another one includes, and sorts.
func normalGitHub(asked []string) []string {
	var kept []string
	for _, scope := range githubScopes() {
		included := slices.ContainsFunc(githubScopes(), func(other githubScope) bool {
			return slices.Contains(other.includes, scope.name) && slices.Contains(asked, other.name)
		})
		if slices.Contains(asked, scope.name) && !included {
			kept = append(kept, scope.name)
		}
	}
	slices.Sort(kept)
	return kept
}

// askedGitHub normalises what is asked for. Who asks for nothing gets what was granted before.
func askedGitHub(_ App, param string, before []string) ([]string, bool) {
	asked := strings.Fields(strings.ReplaceAll(param, ",", " "))
	if len(asked) == 0 {
		return before, true
	}
	return normalGitHub(asked), true
}

// withinBefore is GitHub's rule: nothing is asked for that wasn't granted before.
func withinBefore(before, asked []string) bool {
	return slices.Equal(before, allGranted(before, asked))
}

// allGranted is GitHub's rule: a consent adds to the earlier ones.
func allGranted(before, ticked []string) []string {
	return normalGitHub(slices.Concat(before, ticked))
}

// askedGitee takes what is asked for; user_info if that is nothing.
func askedGitee(_ App, param string, _ []string) ([]string, bool) {
	known := []string{
		"user_info", "projects", "pull_requests", "issues", "notes", "keys", "hook", "groups",
		"gists",
	}
	asked := slices.Compact(slices.Sorted(strings.FieldsSeq(param)))
	if len(asked) == 0 {
		asked = []string{"user_info"}
	}
	for _, scope := range asked {
		if !slices.Contains(known, scope) {
			return nil, false
		}
	}
	return asked, true
}

// fromConsumer is Bitbucket's rule: the scopes are the consumer's, whatever the request says.
func fromConsumer(app App, _ string, _ []string) ([]string, bool) {
	return slices.Sorted(slices.Values(app.Scopes)), true
}

// asBefore is the rule of Gitee and Bitbucket: exactly what was granted before is asked for.
func asBefore(before, asked []string) bool { return slices.Equal(before, asked) }

// asTicked is the same two platforms' rule: a consent takes the place of an earlier one.
func asTicked(_, ticked []string) []string { return ticked }
