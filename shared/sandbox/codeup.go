package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bindery/shared/secret"
)

// CodeupPermission is a box that can be ticked for a personal access token of Codeup.
type CodeupPermission string

// The permissions. The first six are what a registry asks for; its list has neither of the next
// two, although the calls for "who am I" and "where am I" are documented to need them.
const (
	CodeupMembers       CodeupPermission = "组织成员：只读"
	CodeupDepartments   CodeupPermission = "组织部门：只读"
	CodeupRepositories  CodeupPermission = "代码仓库：只读"
	CodeupBranches      CodeupPermission = "分支：只读"
	CodeupTags          CodeupPermission = "标签：只读"
	CodeupHooks         CodeupPermission = "WebHook：读写"
	CodeupUserInfo      CodeupPermission = "用户：只读"
	CodeupOrganizations CodeupPermission = "组织：只读"
	CodeupRoles         CodeupPermission = "组织角色：只读"
	CodeupHooksRead     CodeupPermission = "WebHook：只读" // included in [CodeupHooks]
)

// CodeupMinimal lists the six permissions that a registry asks for.
func CodeupMinimal() []CodeupPermission {
	return []CodeupPermission{
		CodeupMembers, CodeupDepartments, CodeupRepositories, CodeupBranches, CodeupTags,
		CodeupHooks,
	}
}

// CodeupUser is a user of Codeup.
type CodeupUser struct {
	// CloneAccount is the name for git over HTTPS. It is not the login name.
	CloneAccount string
	ID           string
	Username     string // the login name
	Name         string
	Email        string
	// LastOrganization is the one that the user looked at last, in the browser.
	LastOrganization string
}

// CodeupOrganization is an organization with its repositories.
type CodeupOrganization struct {
	ID, Name     string
	Repositories []CodeupRepository
}

// CodeupRepository is a repository. Its first branch is the default one.
type CodeupRepository struct {
	ID             int64
	Path           string // without the organization
	Branches, Tags []string
}

// CodeupToken is a personal access token.
type CodeupToken struct {
	Value        secret.Text // empty: a random one is made
	CloneAccount string      // whose it is
	Permissions  []CodeupPermission
	ExpiresAt    time.Time // zero: never
}

// codeup is the pretend Codeup.
type codeup struct {
	http.Handler
	sandbox *Sandbox

	mu             sync.Mutex // guards what follows
	users          map[string]CodeupUser
	organizations  map[string]CodeupOrganization
	members        map[string]map[string]bool // organization -> clone account -> administrator
	tokens         map[string]CodeupToken
	hooks          map[int64][]codeupHook // by repository
	wrongPasswords map[string]int
	requests       int
	lastHook       int64
}

// newCodeup returns a Codeup with its users, organizations and tokens.
func newCodeup(s *Sandbox) *codeup {
	c := &codeup{
		sandbox:        s,
		users:          map[string]CodeupUser{},
		organizations:  map[string]CodeupOrganization{},
		members:        map[string]map[string]bool{},
		tokens:         map[string]CodeupToken{},
		hooks:          map[int64][]codeupHook{},
		wrongPasswords: map[string]int{},
	}
	c.seed()
	c.Handler = c.routes()
	return c
}

func (c *codeup) name() Platform { return Codeup }

// serves knows the API's prefix and git's addresses.
func (c *codeup) serves(path string) bool {
	for _, other := range []string{
		"/gitlab/", gitOf(Gitee), gitOf(GitHub), gitOf(Bitbucket),
	} {
		if strings.HasPrefix(path, other) {
			return false
		}
	}
	return strings.HasPrefix(path, "/oapi/") || isGit(path)
}

func (c *codeup) switches() []Switch {
	return []Switch{
		{Name: CodeupCheckName, On: true, Text: Words{
			"git 服务校验克隆账号", "git's server checks the clone account's name",
		}},
		{Name: CodeupOpenUser, Text: Words{
			"查询当前用户不需要“用户”权限", "any token may ask for its user",
		}},
		{Name: CodeupPlainErrors, Text: Words{
			"错误以纯文本返回，但声明为 JSON", "errors are plain text under a JSON content type",
		}},
		{Name: CodeupAllowList, Text: Words{
			"组织开启 IP 白名单，拒绝本机", "the organization's address allow-list refuses this caller",
		}},
	}
}

// The switches of Codeup.
const (
	CodeupCheckName   = "check-clone-name"
	CodeupOpenUser    = "open-user"
	CodeupPlainErrors = "plain-text-errors"
	CodeupAllowList   = "ip-allow-list"
)

// AddCodeupUser adds a user, or replaces the one with this clone account.
func (s *Sandbox) AddCodeupUser(u CodeupUser) {
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	s.codeup.users[u.CloneAccount] = u
}

// AddCodeupOrganization adds an organization, or replaces the one with this id. Members stay.
func (s *Sandbox) AddCodeupOrganization(o CodeupOrganization) {
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	s.codeup.organizations[o.ID] = o
}

// JoinCodeup makes a user a member of an organization, or changes whether it is an administrator.
func (s *Sandbox) JoinCodeup(organization, cloneAccount string, administrator bool) {
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	s.codeup.join(organization, cloneAccount, administrator)
}

// LeaveCodeup ends a membership.
func (s *Sandbox) LeaveCodeup(organization, cloneAccount string) {
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	delete(s.codeup.members[organization], cloneAccount)
}

// AddCodeupToken adds a token, or replaces the one with this value, and returns the value.
func (s *Sandbox) AddCodeupToken(t CodeupToken) secret.Text {
	if t.Value.Empty() {
		t.Value = s.random("pt-sandbox-", 16)
	}
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	t.Permissions = slices.Clone(t.Permissions)
	s.codeup.tokens[t.Value.Reveal()] = t
	return t.Value
}

// RevokeCodeupToken deletes a token, as a user does on the web page. Twice is once.
func (s *Sandbox) RevokeCodeupToken(value secret.Text) {
	s.codeup.revoke(value)
}

func (c *codeup) revoke(value secret.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, value.Reveal())
}

// CodeupWrongPasswords is how often git was given a wrong password for a clone account. At five
// the account is locked: git then refuses the right password, too.
func (s *Sandbox) CodeupWrongPasswords(cloneAccount string) int {
	s.codeup.mu.Lock()
	defer s.codeup.mu.Unlock()
	return s.codeup.wrongPasswords[cloneAccount]
}

// maxWrongPasswords is how many wrong passwords lock an account.
const maxWrongPasswords = 5

// join adds a member. The lock is held.
func (c *codeup) join(organization, cloneAccount string, administrator bool) {
	if c.members[organization] == nil {
		c.members[organization] = map[string]bool{}
	}
	c.members[organization][cloneAccount] = administrator
}

// repository finds one by its id or by its path with the organization. The lock is held.
func (c *codeup) repository(organization, idOrPath string) (CodeupRepository, bool) {
	for _, r := range c.organizations[organization].Repositories {
		if strconv.FormatInt(r.ID, 10) == idOrPath || organization+"/"+r.Path == idOrPath {
			return r, true
		}
	}
	return CodeupRepository{}, false
}

// codeupError is a refusal in Codeup's words.
type codeupError struct {
	status        int
	code, message string
}

func (e *codeupError) Error() string { return e.code + ": " + e.message }

// authenticate finds the token's owner. The lock is held.
func (c *codeup) authenticate(value string) (CodeupToken, *codeupError) {
	token, ok := c.tokens[value]
	switch {
	case value == "":
		return token, &codeupError{http.StatusUnauthorized, "Unauthorized", "Unauthorized"}
	case !ok:
		return token, &codeupError{
			http.StatusUnauthorized, "InvalidTokenError", "Token is invalid",
		}
	case !token.ExpiresAt.IsZero() && !c.sandbox.options.Now().Before(token.ExpiresAt):
		return token, &codeupError{
			http.StatusUnauthorized, "ExpiredTokenError", "Token has expired",
		}
	}
	return token, nil
}

// enter checks that the token's owner may act in an organization. The lock is held.
func (c *codeup) enter(organization string, token CodeupToken, address string) *codeupError {
	if _, member := c.members[organization][token.CloneAccount]; !member {
		return &codeupError{
			http.StatusForbidden, "Forbidden.InvalidUser.UserNotInCurrentOrganization",
			"The user is not in the current organization",
		}
	}
	if c.sandbox.on(Codeup, CodeupAllowList) {
		return &codeupError{http.StatusForbidden, "SYSTEM_FORBIDDEN_ERROR", fmt.Sprintf(
			"禁止访问!当前企业设置了开启白名单验证,您的IP %s 不在设置白名单范围内", address,
		)}
	}
	return nil
}

// permit checks that a token has a permission.
func permit(token CodeupToken, wanted CodeupPermission) *codeupError {
	if slices.Contains(token.Permissions, wanted) ||
		wanted == CodeupHooksRead && slices.Contains(token.Permissions, CodeupHooks) {
		return nil
	}
	return &codeupError{http.StatusForbidden, "Forbidden", "No permission: " + string(wanted)}
}
