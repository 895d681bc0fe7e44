package provider

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"bindery/shared/problem"
)

// gitLab is any GitLab, gitlab.com or somebody's own, under an address that a user typed.
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
	title:    "GitLab",
	needs:    "api",
	anywhere: true,
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

// gitLabScope is the one that may read code and install webhooks; read_api and read_repository
// together may not do the latter.
const gitLabScope = "api"

// Describe says that a GitLab needs an address, a user name and a token.
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

// Verify is described at [TokenPlatform]. A good one makes two calls, one after the other: the
// token is first sent once and alone, since GitLab counts refusals by the caller's address and a
// wrong token would be refused twice.
func (g *gitLab) Verify(ctx context.Context, s Submission) (CheckResult, error) {
	if err := checkField("address", strings.TrimSpace(s.Address), longestToken); err != nil {
		return CheckResult{}, err
	}
	address, err := g.guard.Address(strings.TrimSpace(s.Address))
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
	result, err := g.look(ctx, Credential{Access: token, Address: address, ExpiresAt: s.ExpiresAt})
	if err != nil {
		return CheckResult{}, err
	}
	// GitLab's git server looks at no user name beside a token, so the comparison is ours. GitLab
	// itself tells names apart without regard to case.
	if !strings.EqualFold(username, result.Identity.Username) {
		return CheckResult{}, g.problem(problem.UsernameMismatch)
	}
	result.Token = token
	return result, nil
}

// Check is described at [Platform].
func (g *gitLab) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	return g.look(ctx, cred)
}

func (g *gitLab) look(ctx context.Context, cred Credential) (CheckResult, error) {
	result := CheckResult{Address: cred.Address, ExpiresAt: cred.ExpiresAt}
	if strings.HasPrefix(cred.Address, "http://") {
		result.Warnings = append(result.Warnings, g.problem(problem.TokenInTheClear))
	}
	if err := g.lookAtToken(ctx, cred, &result); err != nil {
		return CheckResult{}, err
	}
	if err := g.lookAtUser(ctx, cred, &result); err != nil {
		return CheckResult{}, err
	}
	return result, nil
}

// gitLabToken is what GET /personal_access_tokens/self tells, since 15.5. Project and group access
// tokens are in the same table and belong to a bot user, which is a user like any other here.
type gitLabToken struct {
	ID        loose    `json:"id"`
	Revoked   bool     `json:"revoked"`
	Active    *bool    `json:"active"`
	Scopes    []string `json:"scopes"`
	ExpiresAt *string  `json:"expires_at"` // a date, null for never
}

func (g *gitLab) lookAtToken(ctx context.Context, cred Credential, result *CheckResult) error {
	var t gitLabToken
	r, err := g.ask(ctx, g.get(cred, "personal_access_tokens/self"), &t)
	if tooOld(r) {
		// Whether the token may write can't be found out without writing.
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
		return g.strange(r)
	}
	return g.weigh(t, result)
}

// tooOld reports whether a GitLab doesn't know the endpoint. A page in HTML is no GitLab's answer.
func tooOld(r reply) bool {
	return !r.html() &&
		(r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed)
}

// weigh reads the token's state. The server's clock decides what is active, not ours.
func (g *gitLab) weigh(t gitLabToken, result *CheckResult) error {
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

// scopesToKeep bounds what goes into a record: the server is anybody's.
func scopesToKeep(told []string) []string {
	const most = 32 // GitLab knows about twenty
	var kept []string
	for _, scope := range told {
		if len(kept) < most && len(scope) <= longestLabel && printable(scope) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// gitLabDate reads an expiry: a token ends as its date begins, in UTC.
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

func (g *gitLab) lookAtUser(ctx context.Context, cred Credential, result *CheckResult) error {
	var u gitLabUser
	r, err := g.ask(ctx, g.get(cred, "user"), &u)
	if err != nil {
		return err
	}
	id := identityOf(u.ID, u.Username, u.Name, u.AvatarURL, u.WebURL)
	// A name that no user could have typed comes from no GitLab, and goes into git's credentials.
	name, err := cleanUsername(string(u.Username))
	if err != nil || id.ID == "" {
		return g.strange(r)
	}
	if u.State != "" && u.State != "active" {
		return g.problem(problem.UserBlocked)
	}
	result.GitUsername, result.Identity = name, id
	return nil
}

// Revoke is described at [Platform]. The token ends itself, which any token may do since 15.4;
// older servers can't.
func (g *gitLab) Revoke(ctx context.Context, _ App, cred Credential) error {
	k := g.get(cred, "personal_access_tokens/self")
	k.method = http.MethodDelete
	r, err := g.ask(ctx, k, nil)
	if tooOld(r) {
		return ErrNoRevoke
	}
	if deadAlready(err) {
		return nil
	}
	return err
}

// deadAlready reports whether a platform's refusal means that there is nothing left to revoke.
func deadAlready(err error) bool {
	return problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
}

// RevokeURL is the page of a user's own tokens.
func (g *gitLab) RevokeURL(address string) string {
	return address + "/-/user_settings/personal_access_tokens"
}

func (g *gitLab) get(cred Credential, path string) call {
	return call{
		address: cred.Address + "/api/v4/" + path,
		auth:    authHeader{"PRIVATE-TOKEN", cred.Access},
	}
}
