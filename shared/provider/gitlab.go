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
		New:  func(e Environment) Platform { return &gitLab{e.guarded(gitLabDialect())} },
	}
}

// gitLabDialect is what a GitLab's API answers.
//
// Source: gitlabhq's lib/api/api_guard.rb and lib/api/helpers.rb for 401 and the scopes, and its
// lib/gitlab/auth/user_access_denied_reason.rb for what follows "403 Forbidden - ". GitLab's web
// pages answer 401 in JSON as well, in the user's language ("You need to sign in or sign up before
// continuing."): that is not the API.
func gitLabDialect() dialect {
	return dialect{
		title:       "GitLab",
		needs:       "api",
		userAddress: true,
		rules: []rule{
			{401, "invalid_token", "token is expired*", problem.TokenExpired, ""},
			{401, "invalid_token", "token was revoked*", problem.TokenRejected, "revoked"},
			{401, "invalid_token", "bad access token*", problem.TokenRejected, ""},
			{401, "invalid_token", "*impersonation*", problem.PermissionMissing, "impersonation"},
			{401, onlyMessage, "401 unauthorized", problem.TokenRejected, ""},
			{401, "dpop_error", "", problem.PermissionMissing, "dpop"},
			{403, "insufficient_granular_scope", "", problem.PermissionMissing, "fine_grained"},
			{403, "insufficient_scope", "", problem.PermissionMissing, ""},
			{403, "", "*must accept the terms of service*", problem.UserBlocked, "terms"},
			{403, "", "*password expired*", problem.UserBlocked, "password_expired"},
			{403, "", "*password has expired*", problem.UserBlocked, "password_expired"},
			{403, "", "*email address is not confirmed*", problem.UserBlocked, "unconfirmed_email"},
			{403, "", "*pending approval*", problem.UserBlocked, "pending_approval"},
			{403, "", "*account has been deactivated*", problem.UserBlocked, "deactivated"},
			{403, "", "*performed by internal users*", problem.UserBlocked, "internal_user"},
			{403, "", "*account has been banned*", problem.UserBlocked, "banned"},
			{403, "", "*blocked by ldap*", problem.UserBlocked, "ldap_blocked"},
			{403, "", "*account has been blocked*", problem.UserBlocked, "blocked"},
			{403, onlyMessage, "403 forbidden - *", problem.UserBlocked, ""}, // translated, or newer
		},
	}
}

// gitLabStates are the reasons for the states of a user that is not active.
//
// Source: gitlabhq's app/models/user.rb.
var gitLabStates = map[loose]string{
	"blocked":                  "blocked",
	"ldap_blocked":             "ldap_blocked",
	"deactivated":              "deactivated",
	"banned":                   "banned",
	"blocked_pending_approval": "pending_approval",
}

// gitLabScope may read code and install webhooks; read_api and read_repository together can't
// install webhooks.
const gitLabScope = "api"

// Describe implements [Platform]: GitLab needs an address, a user name and a token. Only servers
// before 15.5, which can't be asked for a token's expiry, need that from the user.
func (g *gitLab) Describe() Description {
	return Description{
		Name:      GitLab,
		Title:     g.title,
		Method:    ByToken,
		Fields:    []string{"address", "username", "token", "expiresAt"},
		Optional:  []string{"expiresAt"},
		Scopes:    []string{gitLabScope},
		Revocable: true,
	}
}

// Verify implements [TokenPlatform]. A successful one makes two calls, one after the other: the
// token is first sent in a single call, since GitLab counts refusals by the caller's address and
// parallel calls would have a wrong token refused twice.
func (g *gitLab) Verify(ctx context.Context, s Submission) (CheckResult, error) {
	cred, err := g.clean(s)
	if err != nil {
		return CheckResult{}, err
	}
	result, bot, err := g.check(ctx, cred)
	if err != nil {
		return CheckResult{}, err
	}
	// GitLab's git server ignores the user name that comes with a token, so it is compared here.
	// GitLab compares user names without regard to case.
	if !strings.EqualFold(cred.Username, result.Identity.Username) {
		mismatch := g.problem(problem.UsernameMismatch)
		if bot {
			// GitLab made this name up for the token of a project or group.
			mismatch = mismatch.Because("bot").With("username", result.Identity.Username)
		}
		return CheckResult{}, mismatch
	}
	result.Token = cred.Access
	return result, nil
}

func (g *gitLab) clean(s Submission) (Credential, error) {
	address := strings.TrimSpace(s.Address)
	if err := checkField("address", address, netguard.MaxAddressLength); err != nil {
		return Credential{}, err
	}
	address, err := g.guard.Address(address)
	if err != nil {
		return Credential{}, err
	}
	username, err := cleanUsername(s.Username)
	if err != nil {
		return Credential{}, err
	}
	token, err := cleanToken(s.Token)
	if err != nil {
		return Credential{}, err
	}
	if err := checkExpiry(s.ExpiresAt, g.now()); err != nil {
		return Credential{}, err
	}
	return Credential{
		Access: token, Address: address, Username: username, ExpiresAt: s.ExpiresAt,
	}, nil
}

// Check implements [Platform].
func (g *gitLab) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	result, _, err := g.check(ctx, cred)
	return result, err
}

// check asks for the user first: that call has existed in every version, and its refusal is about
// the token. It also reports whether the user is the bot of a project or group token. Both calls
// are made over one connection.
func (g *gitLab) check(ctx context.Context, cred Credential) (CheckResult, bool, error) {
	session, end := g.session()
	defer end()
	g = &gitLab{session}
	result := CheckResult{Address: cred.Address, ExpiresAt: cred.ExpiresAt}
	if strings.HasPrefix(cred.Address, "http://") {
		result.Warnings = append(result.Warnings, g.problem(problem.TokenInTheClear))
	}
	bot, err := g.checkUser(ctx, cred, &result)
	if err != nil {
		return CheckResult{}, false, err
	}
	if err := g.checkToken(ctx, cred, &result); err != nil {
		return CheckResult{}, false, err
	}
	return result, bot, nil
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

// checkToken asks for the token's state and scopes, after the same token was accepted by
// [gitLab.checkUser].
func (g *gitLab) checkToken(ctx context.Context, cred Credential, result *CheckResult) error {
	var t gitLabToken
	r, err := g.ask(ctx, g.get(cred, "personal_access_tokens/self"), &t)
	if tooOld(r) || readAsID(r, err) {
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

// tooOld reports whether this GitLab lacks the endpoint. An HTML page isn't a reply of GitLab's
// API.
func tooOld(r reply) bool {
	return !r.html() &&
		(r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed)
}

// readAsID reports whether this is the refusal of GitLab 15.1 to 15.4, which take "self" for a
// token's id and answer 401, or 404 to an administrator. A token that has been
// revoked since is told apart by its own words, or by the next check.
//
// Source: gitlabhq's lib/api/personal_access_tokens.rb at 15.1.
func readAsID(r reply, err error) bool {
	p := problem.Of(err)
	return r.status == http.StatusUnauthorized && p.Code == problem.TokenRejected && p.Reason == ""
}

// evaluate reads the token's state. The server decides by its own clock and time zone whether the
// token is active: an expiry that is over by this machine's clock is then not known.
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
	case slices.Equal(t.Scopes, []string{"granular"}):
		return g.problem(problem.PermissionMissing).Because("fine_grained")
	case !slices.Contains(t.Scopes, gitLabScope):
		return g.problem(problem.PermissionMissing).With("missing", gitLabScope)
	}
	if t.Active != nil && over {
		result.ExpiresAt = time.Time{}
		result.Warnings = append(result.Warnings, g.problem(problem.ExpiryUnknown))
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
	Bot       loose `json:"bot"`
}

func (g *gitLab) checkUser(
	ctx context.Context, cred Credential, result *CheckResult,
) (bot bool, err error) {
	var u gitLabUser
	r, err := g.ask(ctx, g.get(cred, "user"), &u)
	if err != nil {
		return false, err
	}
	id := identityOf(u.ID, u.Username, u.Name, u.AvatarURL, u.WebURL)
	// The name goes into git's credentials, so a name that a user couldn't have entered is refused.
	name, err := cleanUsername(string(u.Username))
	if err != nil || id.ID == "" {
		return false, g.unexpected(r)
	}
	if u.State != "" && u.State != "active" {
		return false, g.problem(problem.UserBlocked).Because(gitLabStates[u.State])
	}
	result.GitUsername, result.Identity = name, id
	return u.Bot == "true" || gitLabBot(name), nil
}

// gitLabBot reports whether a user name is one that GitLab gives to the bot of a project or group
// token, such as project_7_bot: older versions don't say "bot" in their reply.
func gitLabBot(name string) bool {
	ofToken := strings.HasPrefix(name, "project_") || strings.HasPrefix(name, "group_")
	return ofToken && strings.Contains(name, "_bot")
}

// Revoke implements [Platform]. The token revokes itself: since 15.0 with the scope api, since 15.4
// with any. Older servers have no such call.
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
