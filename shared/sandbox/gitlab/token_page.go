package gitlab

import (
	"net/http"
	"time"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

const tokenPath = "/-/user_settings/personal_access_tokens"

// TokenPath returns the path of the page where users create tokens.
func (s *Server) TokenPath() string { return "/gitlab" + tokenPath }

// tokenPage returns the page.
//
// Source: gitlabhq's doc/user/profile/personal_access_tokens.md.
func (s *Server) tokenPage() *platform.TokenPage {
	p := &platform.TokenPage{
		Title: "GitLab", Users: []string{"alice", "bob"}, Now: s.Now, Revoke: s.RevokeToken,
		Describe: func(r *http.Request, _ string) (address, organization string) {
			return s.base(r), ""
		},
		Create: func(user string, scopes []string, expiresAt time.Time) secret.Text {
			return s.AddToken(Token{Username: user, Scopes: scopes, ExpiresAt: expiresAt})
		},
	}
	for _, scope := range []string{
		"api", "read_api", "read_user", "read_repository", "write_repository",
	} {
		p.Permissions = append(p.Permissions, platform.Permission{Name: scope})
	}
	return p
}
