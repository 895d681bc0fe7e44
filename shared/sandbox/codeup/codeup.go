// Package codeup is the sandbox's Codeup: the central edition's API for users, organizations,
// repositories and webhooks with personal access tokens, and git over HTTPS with a clone account.
package codeup

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// Permission is a permission of a personal access token.
type Permission string

// The permissions. A registry asks for the first six; UserInfo and Organizations are not among
// them, although the calls for the user and its organizations are documented to need them.
const (
	Members       Permission = "组织成员：只读"
	Departments   Permission = "组织部门：只读"
	Repositories  Permission = "代码仓库：只读"
	Branches      Permission = "分支：只读"
	Tags          Permission = "标签：只读"
	Hooks         Permission = "WebHook：读写"
	UserInfo      Permission = "用户：只读"
	Organizations Permission = "组织：只读"
	Roles         Permission = "组织角色：只读"
	HooksRead     Permission = "WebHook：只读" // included in [Hooks]
	Commits       Permission = "提交：只读"
	Files         Permission = "文件：只读"
	MergeRequests Permission = "合并请求：只读"
)

// Minimal lists the six permissions that a registry asks for.
func Minimal() []Permission {
	return []Permission{Members, Departments, Repositories, Branches, Tags, Hooks}
}

// User is a user of Codeup.
type User struct {
	// CloneAccount is the name for git over HTTPS. It is not the login name.
	CloneAccount string
	ID           string
	Username     string // the login name
	Name         string
	Email        string
	// LastOrganization is the organization that the user last opened in the browser.
	LastOrganization string
}

// Organization is an organization with its repositories.
type Organization struct {
	ID, Name     string
	Repositories []Repository
}

// Repository is a repository. Its first branch is the default one.
type Repository struct {
	ID             int64
	Path           string // without the organization
	Branches, Tags []string
	Annotated      []string // tags that are objects of their own
	Archived       bool
}

// Token is a personal access token.
type Token struct {
	Value        secret.Text // empty: a random one is made
	CloneAccount string      // of the token's user
	Permissions  []Permission
	ExpiresAt    time.Time // zero: never
}

// Server is a Codeup. Its methods may be called by several goroutines at once.
type Server struct {
	http.Handler
	*platform.Env
	*platform.Switches
	platform.Merges
	hooks platform.Hooks[hook]

	mu             sync.Mutex // guards what follows
	users          map[string]User
	organizations  map[string]Organization
	members        map[string]map[string]bool // organization -> clone account -> administrator
	tokens         map[string]Token
	wrongPasswords map[string]int
	requests       int
}

// New returns a Codeup with its users, organizations and tokens.
func New(env *platform.Env) *Server {
	s := &Server{
		Env:            env,
		Switches:       newSwitches(),
		users:          map[string]User{},
		organizations:  map[string]Organization{},
		members:        map[string]map[string]bool{},
		tokens:         map[string]Token{},
		wrongPasswords: map[string]int{},
	}
	s.seed()
	s.Handler = s.routes()
	return s
}

// Name returns the platform's name.
func (s *Server) Name() platform.Name { return platform.Codeup }

// Serves reports whether a path is one of the API, of git or of the page. It includes the git paths
// of the other platforms, which therefore come first.
func (s *Server) Serves(path string) bool {
	return strings.HasPrefix(path, "/oapi/") || path == tokenPath || git.IsPath(path)
}

// CloneURL returns the address of a repository of the seeded users.
func (s *Server) CloneURL(origin string) string { return origin + "/" + mainOrg + "/hello.git" }

// The switches of Codeup.
const (
	CheckName   = "check-clone-name"
	OpenUser    = "open-user"
	PlainErrors = "plain-text-errors"
	AllowList   = "ip-allow-list"
)

func newSwitches() *platform.Switches {
	return platform.NewSwitches(
		platform.Switch{Name: CheckName, On: true, Text: platform.Text("git 服务校验克隆账号",
			"git's server checks the clone account's name")},
		platform.Switch{Name: OpenUser, Text: platform.Text("查询当前用户不需要“用户”权限",
			"any token may ask for its user")},
		platform.Switch{Name: PlainErrors, Text: platform.Text("错误以纯文本返回，但声明为 JSON",
			"errors are plain text under a JSON content type")},
		platform.Switch{Name: AllowList, Text: platform.Text("组织开启 IP 白名单，拒绝本机",
			"the organization's address allow-list refuses this caller")},
		platform.ManySwitch(),
	)
}

// AddUser adds a user, or replaces the one with this clone account.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.CloneAccount] = u
}

// AddOrganization adds an organization, or replaces the one with this id. Its members stay.
func (s *Server) AddOrganization(o Organization) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.organizations[o.ID] = o
}

// Join makes a user a member of an organization, or changes whether it is an administrator.
func (s *Server) Join(organization, cloneAccount string, administrator bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[organization] == nil {
		s.members[organization] = map[string]bool{}
	}
	s.members[organization][cloneAccount] = administrator
}

// Leave ends a membership.
func (s *Server) Leave(organization, cloneAccount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members[organization], cloneAccount)
}

// AddToken adds a token, or replaces the one with this value, and returns the value.
func (s *Server) AddToken(t Token) secret.Text {
	if t.Value.Empty() {
		t.Value = s.NewSecret("pt-sandbox-", 16)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Permissions = slices.Clone(t.Permissions)
	s.tokens[t.Value.Reveal()] = t
	return t.Value
}

// RevokeToken deletes a token, as a user does on the web page. It may be called twice.
func (s *Server) RevokeToken(value secret.Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, value.Reveal())
}

// TokenChanges lists all changes but one: the API doesn't tell when a token expires, so a token
// that expires soon can't be seen.
func (s *Server) TokenChanges() []platform.TokenChange {
	return slices.DeleteFunc(platform.TokenChanges(), func(c platform.TokenChange) bool {
		return c.Name == platform.ExpireTokenSoon
	})
}

// ChangeToken changes a token, and reports whether the token and the change exist. Revoking always
// succeeds; only a token that is there from the start can be restored.
func (s *Server) ChangeToken(value secret.Text, change string) bool {
	if change == platform.RevokeToken {
		s.RevokeToken(value)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, found := s.tokens[value.Reveal()]
	switch change {
	case platform.RestoreToken:
		seeds := s.seeds()
		i := slices.IndexFunc(seeds, func(seed seed) bool { return seed.token.Value.Equal(value) })
		if found = i >= 0 && seeds[i].token.CloneAccount != ""; found {
			t = seeds[i].token
		}
	case platform.ExpireToken:
		t.ExpiresAt = s.Now()
	case platform.NarrowToken:
		t.Permissions = slices.DeleteFunc(slices.Clone(t.Permissions),
			func(p Permission) bool { return p == Repositories })
	default:
		return false
	}
	if found {
		s.tokens[value.Reveal()] = t
	}
	return found
}

// WrongPasswords counts the wrong passwords that git was given for a clone account. At five the
// account is locked: git then refuses the right password, too.
func (s *Server) WrongPasswords(cloneAccount string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrongPasswords[cloneAccount]
}

// maxWrongPasswords is how many wrong passwords lock an account.
const maxWrongPasswords = 5

// apiError is an error in Codeup's form.
type apiError struct {
	status        int
	code, message string
}

// authenticate finds a token by its value. Hold mu.
func (s *Server) authenticate(value string) (Token, *apiError) {
	token, ok := s.tokens[value]
	switch {
	case value == "":
		return token, &apiError{http.StatusUnauthorized, "Unauthorized", "Unauthorized"}
	case !ok:
		return token, &apiError{
			http.StatusUnauthorized, "InvalidTokenError", "Token is invalid",
		}
	case !token.ExpiresAt.IsZero() && !s.Now().Before(token.ExpiresAt):
		return token, &apiError{
			http.StatusUnauthorized, "ExpiredTokenError", "Token has expired",
		}
	}
	return token, nil
}

// checkMember checks that the token's user may act in an organization from an address. Hold mu.
func (s *Server) checkMember(organization string, token Token, address string) *apiError {
	if _, member := s.members[organization][token.CloneAccount]; !member {
		return &apiError{
			http.StatusForbidden, "Forbidden.InvalidUser.UserNotInCurrentOrganization",
			"The user is not in the current organization",
		}
	}
	if s.On(AllowList) {
		return &apiError{http.StatusForbidden, "SYSTEM_FORBIDDEN_ERROR", fmt.Sprintf(
			"禁止访问!当前企业设置了开启白名单验证,您的IP %s 不在设置白名单范围内", address,
		)}
	}
	return nil
}

// checkPermission checks that a token has a permission.
func checkPermission(token Token, wanted Permission) *apiError {
	if slices.Contains(token.Permissions, wanted) ||
		wanted == HooksRead && slices.Contains(token.Permissions, Hooks) {
		return nil
	}
	return &apiError{http.StatusForbidden, "Forbidden", "No permission: " + string(wanted)}
}
