package codeup

import (
	"net/http"
	"slices"
	"time"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// tokenPath is the page where users create their tokens, which at the real Codeup is on a host of
// its own.
const tokenPath = "/settings/personalAccessToken"

// TokenPath returns the path of the page where users create tokens.
func (s *Server) TokenPath() string { return tokenPath }

// tokenPage returns the page. The permissions that a registry asks for are ticked.
func (s *Server) tokenPage() *platform.TokenPage {
	p := &platform.TokenPage{
		Title: "Codeup", Users: []string{"alice", "bob@sandbox.invalid", "carol"}, Now: s.Now,
		Revoke: s.RevokeToken,
		Describe: func(_ *http.Request, account string) (address, organization string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return "", s.users[account].LastOrganization
		},
		Create: func(account string, names []string, expiresAt time.Time) secret.Text {
			t := Token{CloneAccount: account, ExpiresAt: expiresAt}
			for _, name := range names {
				t.Permissions = append(t.Permissions, Permission(name))
			}
			return s.AddToken(t)
		},
	}
	for _, offered := range []struct {
		name    Permission
		english string
	}{
		{Members, "members, read"},
		{Departments, "departments, read"},
		{Repositories, "repositories, read"},
		{Branches, "branches, read"},
		{Tags, "tags, read"},
		{Hooks, "webhooks, read and write"},
		{HooksRead, "webhooks, read"},
		{UserInfo, "user, read"},
		{Organizations, "organizations, read"},
		{Commits, "commits, read"},
		{Files, "files, read"},
		{MergeRequests, "merge requests, read"},
	} {
		p.Permissions = append(p.Permissions, platform.Permission{
			Name: string(offered.name), English: offered.english,
			Ticked: slices.Contains(Minimal(), offered.name),
		})
	}
	return p
}
