// Package gitlab is the sandbox's GitLab: users, projects and personal access tokens, in several
// versions. It answers at the root and, like an install under a relative URL, under /gitlab.
package gitlab

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// User is a user of GitLab.
type User struct {
	ID       int64 // 0: the next free one
	Username string
	Name     string
	// State is "active", "blocked" or "deactivated"; empty is active. The token of a blocked or
	// deactivated user is refused.
	State string
	// Bot marks the user of a project's or a group's token.
	Bot bool
	// Projects are those in which the user has the maintainer's role, as namespace/name.
	Projects []string
	// Reads are those in which the user has the reporter's role.
	Reads []string
}

// Token is a personal access token.
type Token struct {
	Value    secret.Text // empty: a random one is made
	Username string      // of the token's user
	Scopes   []string
	// ExpiresAt is the day at whose first moment, in UTC, the token expires. Its time of day is
	// ignored. Zero: never.
	ExpiresAt time.Time
}

// token is a token with its state.
type token struct {
	Token
	id        int64
	family    int64 // the id of the first token, which a rotation passes on
	revoked   bool
	createdAt time.Time
}

// Server is a GitLab. Its methods may be called by several goroutines at once.
type Server struct {
	http.Handler
	*platform.Env
	*platform.Switches
	platform.Merges
	hooks platform.Hooks[hook]

	mu       sync.Mutex // guards what follows
	users    map[string]User
	tokens   map[string]*token
	lastUser int64
	lastID   int64
	version  version
	tests    map[string][]time.Time // of webhooks in the last minute, by project and user
}

// version is a version of GitLab.
type version struct{ major, minor int }

// before reports whether the version is older than the other.
func (v version) before(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

// New returns a GitLab with its users and tokens.
func New(env *platform.Env) *Server {
	s := &Server{
		Env: env,
		Switches: platform.NewSwitches(
			platform.Switch{Name: Old, Text: platform.Text("15.4 版：不能查询令牌自身，查询时返回 401",
				"version 15.4: a token can't be asked about itself, and answers 401 to that")},
			platform.Switch{Name: Ancient, Text: platform.Text("14.10 版：令牌也不能吊销自身",
				"version 14.10: nor can a token revoke itself")},
			platform.Switch{Name: BeforeSigning, Text: platform.Text("18.11 版：Webhook 不签名",
				"version 18.11: webhooks are not signed")},
			platform.Switch{Name: RequireDPoP, Text: platform.Text("要求令牌附带持有证明（DPoP）",
				"tokens need proof of possession (DPoP)")},
			platform.ManySwitch(),
		),
		users:   map[string]User{},
		tokens:  map[string]*token{},
		tests:   map[string][]time.Time{},
		version: version{19, 1},
	}
	s.seed()
	s.Handler = s.routes()
	return s
}

// Name returns the platform's name.
func (s *Server) Name() platform.Name { return platform.GitLab }

// Serves reports whether a path is one of the platform's.
func (s *Server) Serves(path string) bool {
	return strings.HasPrefix(path, "/api/v4/") || strings.HasPrefix(path, "/-/") ||
		strings.HasPrefix(path, "/gitlab/") || path == "/gitlab"
}

// CloneURL returns the address of a repository of the seeded users.
func (s *Server) CloneURL(origin string) string { return origin + "/gitlab/alice/hello.git" }

// The switches of GitLab.
const (
	Old     = "version-15.4"
	Ancient = "version-14.10"
	// BeforeSigning ignores the signing token of a webhook silently.
	BeforeSigning = "version-18.11"
	// RequireDPoP is the setting of a user who requires proof of possession with the tokens.
	RequireDPoP = "require-dpop"
)

// SetVersion sets the server's version, which at first is 19.1. Before 15.5 a token can't be asked
// about itself: before 15.1 the reply is 404, then 401. Before 15.0 it can't revoke itself, before
// 16.10 it can't rotate itself. Before 19.0 webhooks have no signing token.
func (s *Server) SetVersion(major, minor int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version{major, minor}
}

// currentVersion returns the version that was set, or an older one by a switch. Hold mu.
func (s *Server) currentVersion() version {
	switch {
	case s.On(Ancient):
		return version{14, 10}
	case s.On(Old):
		return version{15, 4}
	case s.On(BeforeSigning):
		return version{18, 11}
	}
	return s.version
}

// AddUser adds a user, or replaces the one with this name, and returns its id.
func (s *Server) AddUser(u User) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == 0 {
		u.ID = s.lastUser + 1
	}
	s.lastUser = max(s.lastUser, u.ID)
	if u.State == "" {
		u.State = "active"
	}
	if u.Name == "" {
		u.Name = u.Username
	}
	s.users[u.Username] = u
	return u.ID
}

// AddToken adds a token, or replaces the one with this value, and returns the value.
func (s *Server) AddToken(t Token) secret.Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addToken(t, 0).Value
}

// addToken adds a token to a family or, with 0, to a new one. Hold mu.
func (s *Server) addToken(t Token, family int64) *token {
	if t.Value.Empty() {
		t.Value = s.NewSecret("glpat-sandbox-", 16)
	}
	t.Scopes = slices.Clone(t.Scopes)
	s.lastID++
	if family == 0 {
		family = s.lastID
	}
	added := &token{Token: t, id: s.lastID, family: family, createdAt: s.Now()}
	s.tokens[t.Value.Reveal()] = added
	return added
}

// RevokeToken revokes a token, as a user does on the web page. It may be called twice.
func (s *Server) RevokeToken(value secret.Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[value.Reveal()]; t != nil {
		t.revoked = true
	}
}

// SetScopes changes a token's scopes. The real GitLab can't; here it stands for a user who has
// lost a right.
func (s *Server) SetScopes(value secret.Text, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[value.Reveal()]; t != nil {
		t.Scopes = slices.Clone(scopes)
	}
}

// BlockUser sets a user's state to blocked.
func (s *Server) BlockUser(username string) { s.setState(username, "blocked") }

// UnblockUser sets a user's state to active.
func (s *Server) UnblockUser(username string) { s.setState(username, "active") }

func (s *Server) setState(username, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.users[username]; ok {
		u.State = state
		s.users[username] = u
	}
}

// TokenChanges lists all changes.
func (s *Server) TokenChanges() []platform.TokenChange { return platform.TokenChanges() }

// ChangeToken changes a token, and reports whether the token and the change exist. Revoking always
// succeeds; only a token that is there from the start can be restored.
func (s *Server) ChangeToken(value secret.Text, change string) bool {
	if change == platform.RevokeToken {
		s.RevokeToken(value)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[value.Reveal()]
	if t == nil {
		return false
	}
	switch change {
	case platform.ExpireToken:
		t.ExpiresAt = s.Now()
	case platform.ExpireTokenSoon:
		t.ExpiresAt = s.Now().Add(platform.SoonExpiryPeriod)
	case platform.NarrowToken:
		t.Scopes = []string{"read_api"}
	case platform.RestoreToken:
		seeds := s.seeds()
		i := slices.IndexFunc(seeds, func(seed seed) bool { return seed.token.Value.Equal(value) })
		if i < 0 {
			return false
		}
		t.Token, t.revoked = seeds[i].token, seeds[i].revoked
	default:
		return false
	}
	return true
}

// expired reports whether the token has expired.
func (t *token) expired(now time.Time) bool {
	if t.ExpiresAt.IsZero() {
		return false
	}
	year, month, day := t.ExpiresAt.UTC().Date()
	return !now.Before(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// apiError is an error reply.
type apiError struct {
	status int
	body   platform.Object
}

// unauthorized is the reply to an unknown token.
func unauthorized() *apiError {
	return &apiError{http.StatusUnauthorized, platform.Object{"message": "401 Unauthorized"}}
}

// invalidToken is the reply to a token that was valid once.
func invalidToken(description string) *apiError {
	return &apiError{http.StatusUnauthorized, platform.Object{
		"error": "invalid_token", "error_description": description,
	}}
}

// authenticate finds a token by its value, and its user. With an error other than for an unknown
// token it returns them too. Hold mu.
func (s *Server) authenticate(value string) (*token, User, *apiError) {
	t := s.tokens[value]
	if t == nil {
		return nil, User{}, unauthorized()
	}
	u := s.users[t.Username]
	switch {
	case t.revoked:
		return t, u, invalidToken(
			"Token was revoked. You have to re-authorize from the user.")
	case t.expired(s.Now()):
		return t, u, invalidToken(
			"Token is expired. You can either do re-authorization or token refresh.")
	case s.On(RequireDPoP):
		return t, u, &apiError{http.StatusUnauthorized, platform.Object{
			"error": "dpop_error", "error_description": "DPoP validation error",
		}}
	case u.State != "active":
		return t, u, &apiError{http.StatusForbidden, platform.Object{
			"message": fmt.Sprintf("403 Forbidden - Your account has been %s.", u.State),
		}}
	}
	return t, u, nil
}

// checkScope checks that a token has one of the scopes.
func (t *token) checkScope(scopes ...string) *apiError {
	for _, scope := range scopes {
		if slices.Contains(t.Scopes, scope) {
			return nil
		}
	}
	return &apiError{http.StatusForbidden, platform.Object{
		"error": "insufficient_scope",
		"error_description": "The request requires higher privileges than provided by the " +
			"access token.",
		"scope": strings.Join(scopes, " "),
	}}
}
