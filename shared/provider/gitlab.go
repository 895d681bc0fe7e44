package provider

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
)

// gitLab is any GitLab, gitlab.com or self-managed, at an address that a user entered.
//
// Source: GitLab's doc/api/personal_access_tokens.md and doc/api/users.md.
type gitLab struct{ *client }

// gitLabRegistration registers GitLab. It has no origins, for the user enters the address.
func gitLabRegistration() Registration {
	return Registration{
		Name: GitLab,
		New:  func(e Environment) Platform { return &gitLab{e.guarded(gitLabDialect)} },
	}
}

// gitLabDialect is what a GitLab's API answers.
//
// Source: GitLab's doc/api/personal_access_tokens.md and its replies.
var gitLabDialect = dialect{
	title:       "GitLab",
	needs:       "api",
	userAddress: true,
	rules: []rule{
		{401, "token is expired", problem.TokenExpired, ""},
		{401, "token was revoked", problem.TokenRejected, "revoked"},
		{401, "", problem.TokenRejected, ""},
		{403, "insufficient_scope", problem.PermissionMissing, ""},
		{403, "blocked", problem.UserBlocked, ""},
		{403, "deactivated", problem.UserBlocked, ""},
		{403, "pending approval", problem.UserBlocked, ""},
		{404, "", problem.PlatformError, "not_the_platform"},
	},
}

// gitLabScope may read code and install webhooks; read_api and read_repository together can't
// install webhooks.
const gitLabScope = "api"

// Describe implements [Platform]: GitLab needs an address, a user name and a token.
func (g *gitLab) Describe() Description {
	return Description{
		Name:      GitLab,
		Title:     g.title,
		Method:    ByToken,
		Fields:    []string{"address", "username", "token"},
		Scopes:    []string{gitLabScope},
		Revocable: true,
	}
}

// Verify implements [TokenPlatform]. A successful one makes two calls, one after the other: the
// token is first sent in a single call, since GitLab counts refusals by the caller's address and
// parallel calls would have a wrong token refused twice.
func (g *gitLab) Verify(ctx context.Context, s Submission) (CheckResult, error) {
	address := strings.TrimSpace(s.Address)
	if err := checkField("address", address, netguard.MaxAddressLength); err != nil {
		return CheckResult{}, err
	}
	address, err := g.guard.Address(address)
	if err != nil {
		return CheckResult{}, err
	}
	username, err := cleanUsername(s.Username)
	if err != nil {
		return CheckResult{}, err
	}
	token, err := cleanToken(s.Token)
	if err != nil {
		return CheckResult{}, err
	}
	if err := checkExpiry(s.ExpiresAt, g.now()); err != nil {
		return CheckResult{}, err
	}
	result, err := g.check(ctx, Credential{Access: token, Address: address, ExpiresAt: s.ExpiresAt})
	if err != nil {
		return CheckResult{}, err
	}
	// GitLab's git server ignores the user name that comes with a token, so it is compared here.
	// GitLab compares user names without regard to case.
	if !strings.EqualFold(username, result.Identity.Username) {
		return CheckResult{}, g.problem(problem.UsernameMismatch)
	}
	result.Token = token
	return result, nil
}

// Check implements [Platform].
func (g *gitLab) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	return g.check(ctx, cred)
}

func (g *gitLab) check(ctx context.Context, cred Credential) (CheckResult, error) {
	result := CheckResult{Address: cred.Address, ExpiresAt: cred.ExpiresAt}
	if strings.HasPrefix(cred.Address, "http://") {
		result.Warnings = append(result.Warnings, g.problem(problem.TokenInTheClear))
	}
	if err := g.checkToken(ctx, cred, &result); err != nil {
		return CheckResult{}, err
	}
	if err := g.checkUser(ctx, cred, &result); err != nil {
		return CheckResult{}, err
	}
	return result, nil
}

// gitLabToken is the reply of GET /personal_access_tokens/self, available since 15.5. It covers
// project and group access tokens too; they belong to a bot user, which is treated like any user.
type gitLabToken struct {
	ID        loose    `json:"id"`
	Revoked   bool     `json:"revoked"`
	Active    *bool    `json:"active"`
	Scopes    []string `json:"scopes"`
	ExpiresAt *string  `json:"expires_at"` // a date, null for never
}

func (g *gitLab) checkToken(ctx context.Context, cred Credential, result *CheckResult) error {
	var t gitLabToken
	r, err := g.ask(ctx, g.get(cred, "personal_access_tokens/self"), &t)
	if tooOld(r) {
		// Whether the token may write can't be tested without writing.
		result.Warnings = append(result.Warnings, g.problem(problem.PermissionNotProvable).
			Because("no_answer").With("permission", gitLabScope))
		if result.ExpiresAt.IsZero() {
			result.Warnings = append(result.Warnings, g.problem(problem.ExpiryUnknown))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if t.ID == "" {
		return g.unexpected(r)
	}
	return g.evaluate(t, result)
}

// tooOld reports whether this GitLab lacks the endpoint. An HTML page isn't a reply of GitLab's API.
func tooOld(r reply) bool {
	return !r.html() &&
		(r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed)
}

// evaluate reads the token's state. Whether it is active is decided by the server's clock.
func (g *gitLab) evaluate(t gitLabToken, result *CheckResult) error {
	result.ExpiresAt = time.Time{}
	if t.ExpiresAt != nil {
		at, known := gitLabDate(*t.ExpiresAt)
		if !known {
			result.Warnings = append(result.Warnings, g.problem(problem.ExpiryUnknown))
		}
		result.ExpiresAt = at
	}
	over := !result.ExpiresAt.IsZero() && !result.ExpiresAt.After(g.now())
	switch {
	case t.Revoked:
		return g.problem(problem.TokenRejected).Because("revoked")
	case t.Active != nil && !*t.Active && over:
		return g.problem(problem.TokenExpired)
	case t.Active != nil && !*t.Active:
		return g.problem(problem.TokenRejected)
	case !slices.Contains(t.Scopes, gitLabScope):
		return g.problem(problem.PermissionMissing).With("missing", gitLabScope)
	}
	result.Scopes = scopesToKeep(t.Scopes)
	return nil
}

// scopesToKeep limits the scopes that are stored in a record, since the server isn't trusted.
func scopesToKeep(told []string) []string {
	const most = 32 // GitLab knows about twenty
	var kept []string
	for _, scope := range told {
		if len(kept) < most && len(scope) <= maxLabelLength && printable(scope) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// gitLabDate parses an expiry: a token expires when its date begins, in UTC.
func gitLabDate(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

type gitLabUser struct {
	ID        loose `json:"id"`
	Username  loose `json:"username"`
	Name      loose `json:"name"`
	State     loose `json:"state"`
	AvatarURL loose `json:"avatar_url"`
	WebURL    loose `json:"web_url"`
}

func (g *gitLab) checkUser(ctx context.Context, cred Credential, result *CheckResult) error {
	var u gitLabUser
	r, err := g.ask(ctx, g.get(cred, "user"), &u)
	if err != nil {
		return err
	}
	id := identityOf(u.ID, u.Username, u.Name, u.AvatarURL, u.WebURL)
	// The name goes into git's credentials, so a name that a user couldn't have entered is refused.
	name, err := cleanUsername(string(u.Username))
	if err != nil || id.ID == "" {
		return g.unexpected(r)
	}
	if u.State != "" && u.State != "active" {
		return g.problem(problem.UserBlocked)
	}
	result.GitUsername, result.Identity = name, id
	return nil
}

// Revoke implements [Platform]. The token revokes itself, which any token may do since 15.4; older
// servers have no such call.
func (g *gitLab) Revoke(ctx context.Context, _ App, cred Credential) error {
	k := g.get(cred, "personal_access_tokens/self")
	k.method = http.MethodDelete
	r, err := g.ask(ctx, k, nil)
	if tooOld(r) {
		return ErrNoRevoke
	}
	if alreadyRevoked(err) {
		return nil
	}
	return err
}

// alreadyRevoked reports whether a refusal means that the token is no longer valid.
func alreadyRevoked(err error) bool {
	return problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
}

// RevokeURL implements [Platform]: the page of the user's own tokens.
func (g *gitLab) RevokeURL(address string) string {
	return address + "/-/user_settings/personal_access_tokens"
}

func (g *gitLab) get(cred Credential, path string) call {
	return call{
		address: cred.Address + "/api/v4/" + path,
		auth:    authHeader{"PRIVATE-TOKEN", cred.Access},
	}
}
