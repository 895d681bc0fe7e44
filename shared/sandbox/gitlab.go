package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/secret"
)

// GitLabUser is a user of GitLab.
type GitLabUser struct {
	ID       int64 // 0: the next free one
	Username string
	Name     string
	// State is "active", "blocked" or "deactivated"; empty is active. A blocked or deactivated
	// user's token is refused.
	State string
	// Projects are the ones the user has the maintainer's role in, as namespace/name.
	Projects []string
}

// GitLabToken is a personal access token.
type GitLabToken struct {
	Value    secret.Text // empty: a random one is made
	Username string      // whose it is
	Scopes   []string
	// ExpiresAt is the day at whose first moment, in UTC, the token ends. The time of day is not
	// looked at. Zero: never.
	ExpiresAt time.Time
}

// gitlabToken is a token with what became of it.
type gitlabToken struct {
	GitLabToken
	id        int64
	family    int64 // the id of the first token, which rotating passes on
	revoked   bool
	createdAt time.Time
}

// gitlab is the pretend GitLab. It answers at the root and, as a sub-path install, under /gitlab.
type gitlab struct {
	http.Handler
	sandbox *Sandbox

	mu       sync.Mutex // guards what follows
	users    map[string]GitLabUser
	tokens   map[string]*gitlabToken
	lastUser int64
	lastID   int64
	version  gitlabVersion
}

// gitlabVersion is major and minor.
type gitlabVersion struct{ major, minor int }

// before reports whether the version is older than the other.
func (v gitlabVersion) before(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

// newGitLab returns a GitLab with its users and tokens.
func newGitLab(s *Sandbox) *gitlab {
	g := &gitlab{
		sandbox: s,
		users:   map[string]GitLabUser{},
		tokens:  map[string]*gitlabToken{},
		version: gitlabVersion{17, 5},
	}
	g.seed()
	g.Handler = g.routes()
	return g
}

func (g *gitlab) name() Platform { return GitLab }

func (g *gitlab) serves(path string) bool {
	return strings.HasPrefix(path, "/api/v4/") || strings.HasPrefix(path, "/-/") ||
		strings.HasPrefix(path, "/gitlab/") || path == "/gitlab"
}

// The switches of GitLab.
const (
	GitLabOld     = "version-15.4"
	GitLabAncient = "version-14.10"
)

func (g *gitlab) switches() []Switch {
	return []Switch{
		{Name: GitLabOld, Text: Words{
			"15.4 版：不能查询令牌自身", "version 15.4: a token can't be asked about itself",
		}},
		{Name: GitLabAncient, Text: Words{
			"14.10 版：令牌也不能吊销自身", "version 14.10: nor can a token revoke itself",
		}},
	}
}

// SetGitLabVersion makes the server be of a version, 17.5 at first. Before 15.5 a token can't be
// asked about itself, before 15.0 it can't revoke itself, before 16.10 it can't rotate itself.
func (s *Sandbox) SetGitLabVersion(major, minor int) {
	s.gitlab.mu.Lock()
	defer s.gitlab.mu.Unlock()
	s.gitlab.version = gitlabVersion{major, minor}
}

// serverVersion is the one that was set, or an older one by a switch. The lock is held.
func (g *gitlab) serverVersion() gitlabVersion {
	switch {
	case g.sandbox.on(GitLab, GitLabAncient):
		return gitlabVersion{14, 10}
	case g.sandbox.on(GitLab, GitLabOld):
		return gitlabVersion{15, 4}
	}
	return g.version
}

// AddGitLabUser adds a user, or replaces the one with this name, and returns its id.
func (s *Sandbox) AddGitLabUser(u GitLabUser) int64 {
	s.gitlab.mu.Lock()
	defer s.gitlab.mu.Unlock()
	return s.gitlab.addUser(u)
}

// AddGitLabToken adds a token, or replaces the one with this value, and returns the value.
func (s *Sandbox) AddGitLabToken(t GitLabToken) secret.Text {
	s.gitlab.mu.Lock()
	defer s.gitlab.mu.Unlock()
	return s.gitlab.addToken(t, 0).Value
}

// RevokeGitLabToken revokes a token, as a user does on the web page. Twice is once.
func (s *Sandbox) RevokeGitLabToken(value secret.Text) {
	s.gitlab.revoke(value)
}

func (g *gitlab) revoke(value secret.Text) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.tokens[value.Reveal()]; t != nil {
		t.revoked = true
	}
}

// SetGitLabScopes changes what a token may do. The real GitLab can't; here it stands for a user
// who lost a right.
func (s *Sandbox) SetGitLabScopes(value secret.Text, scopes ...string) {
	s.gitlab.mu.Lock()
	defer s.gitlab.mu.Unlock()
	if t := s.gitlab.tokens[value.Reveal()]; t != nil {
		t.Scopes = slices.Clone(scopes)
	}
}

// BlockGitLabUser sets a user's state to blocked.
func (s *Sandbox) BlockGitLabUser(username string) { s.setGitLabState(username, "blocked") }

// UnblockGitLabUser sets a user's state to active.
func (s *Sandbox) UnblockGitLabUser(username string) { s.setGitLabState(username, "active") }

func (s *Sandbox) setGitLabState(username, state string) {
	s.gitlab.mu.Lock()
	defer s.gitlab.mu.Unlock()
	if u, ok := s.gitlab.users[username]; ok {
		u.State = state
		s.gitlab.users[username] = u
	}
}

// addUser adds a user. The lock is held.
func (g *gitlab) addUser(u GitLabUser) int64 {
	if u.ID == 0 {
		u.ID = g.lastUser + 1
	}
	g.lastUser = max(g.lastUser, u.ID)
	if u.State == "" {
		u.State = "active"
	}
	if u.Name == "" {
		u.Name = u.Username
	}
	g.users[u.Username] = u
	return u.ID
}

// addToken adds a token, of a family or, with 0, of its own. The lock is held.
func (g *gitlab) addToken(t GitLabToken, family int64) *gitlabToken {
	if t.Value.Empty() {
		t.Value = g.sandbox.random("glpat-sandbox-", 16)
	}
	t.Scopes = slices.Clone(t.Scopes)
	g.lastID++
	if family == 0 {
		family = g.lastID
	}
	added := &gitlabToken{
		GitLabToken: t, id: g.lastID, family: family, createdAt: g.sandbox.options.Now(),
	}
	g.tokens[t.Value.Reveal()] = added
	return added
}

// expired reports whether the token's last day is over.
func (t *gitlabToken) expired(now time.Time) bool {
	if t.ExpiresAt.IsZero() {
		return false
	}
	year, month, day := t.ExpiresAt.UTC().Date()
	return !now.Before(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// gitlabRefusal is an error reply.
type gitlabRefusal struct {
	status int
	body   object
}

// unauthorized is the reply to a token that is not known, or to none.
func unauthorized() *gitlabRefusal {
	return &gitlabRefusal{http.StatusUnauthorized, object{"message": "401 Unauthorized"}}
}

// invalidToken is the reply to a token that was good once.
func invalidToken(description string) *gitlabRefusal {
	return &gitlabRefusal{http.StatusUnauthorized, object{
		"error": "invalid_token", "error_description": description,
	}}
}

// authenticate finds the token and its user. The lock is held.
func (g *gitlab) authenticate(r *http.Request) (*gitlabToken, GitLabUser, *gitlabRefusal) {
	value := r.Header.Get("Private-Token")
	if value == "" {
		value = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	t := g.tokens[value]
	if t == nil {
		return nil, GitLabUser{}, unauthorized()
	}
	u := g.users[t.Username]
	switch {
	case t.revoked:
		return t, u, invalidToken(
			"Token was revoked. You have to re-authorize from the user.")
	case t.expired(g.sandbox.options.Now()):
		return t, u, invalidToken(
			"Token is expired. You can either do re-authorization or token refresh.")
	case u.State != "active":
		return t, u, &gitlabRefusal{http.StatusForbidden, object{
			"message": fmt.Sprintf("403 Forbidden - Your account has been %s.", u.State),
		}}
	}
	return t, u, nil
}

// allow checks that a token has one of the scopes.
func (t *gitlabToken) allow(scopes ...string) *gitlabRefusal {
	for _, s := range scopes {
		if slices.Contains(t.Scopes, s) {
			return nil
		}
	}
	return &gitlabRefusal{http.StatusForbidden, object{
		"error": "insufficient_scope",
		"error_description": "The request requires higher privileges than provided by the " +
			"access token.",
		"scope": strings.Join(scopes, " "),
	}}
}

// sees reports whether the user has a part in a project.
func (u GitLabUser) sees(project string) bool { return slices.Contains(u.Projects, project) }
