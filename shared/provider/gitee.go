package provider

import (
	"context"
	"time"

	"bindery/shared/problem"
)

// gitee is an OAuth app at Gitee (gitee.com/api/v5/oauth_doc). Neither support for PKCE nor
// a way to revoke a token is known.
type gitee struct {
	oauth
	site, api string
}

// giteeRegistration registers Gitee.
func giteeRegistration() Registration {
	return Registration{
		Name: Gitee,
		Origins: []Origin{
			{"BINDERY_GITEE_URL", "Gitee", "https://gitee.com"},
			{"BINDERY_GITEE_API_URL", "Gitee's API", "https://gitee.com"},
		},
		New: func(e Environment) Platform {
			return newGitee(e.trusted(giteeDialect()), e.Origins[0], e.Origins[1])
		},
	}
}

// giteeDialect is what Gitee's API answers.
//
// Source: recorded replies. Gitee's token endpoint behaves like Doorkeeper, whose words for a token
// of the API are accepted too. The words for a user who is locked are assumed.
func giteeDialect() dialect {
	return dialect{
		title: "Gitee",
		needs: "user_info projects hook",
		// Source: Gitee's oauth_doc, for calls without a User-Agent.
		forbiddenReason: "user_agent",
		rules: []rule{
			{401, "", "401 unauthorized: access token is expired*", problem.TokenExpired, ""},
			{401, "", "401 unauthorized: access token*", problem.TokenRejected, ""},
			{401, onlyMessage, "401 unauthorized", problem.TokenRejected, ""},
			{401, "invalid_token", "the access token expired*", problem.TokenExpired, ""},
			{401, "invalid_token", "the access token*", problem.TokenRejected, ""},
			{403, "insufficient_scope", "", problem.PermissionMissing, ""},
			{403, "", "*scope*", problem.PermissionMissing, ""},
			{403, "", "*锁定*", problem.UserBlocked, "blocked"},
			{403, "", "*封禁*", problem.UserBlocked, "blocked"},
			{403, "", "*account is locked*", problem.UserBlocked, "blocked"},
			{403, "", "*account is blocked*", problem.UserBlocked, "blocked"},
		},
	}
}

// newGitee returns Gitee with the origins of its pages and of its API.
func newGitee(c *client, site, api string) *gitee {
	scopes := scopeRule{
		needed:   []string{"user_info", "projects", "hook"},
		optional: []string{"groups"}, // repositories of organizations
		reason:   "consent",
	}
	return &gitee{
		oauth: oauth{
			client:    c,
			authorize: site + "/oauth/authorize",
			token:     site + "/oauth/token",
			asked:     scopes.all(),
			life:      always(24 * time.Hour),
			scopes:    scopes,
		},
		site: site, api: api,
	}
}

// Describe implements [Platform].
func (g *gitee) Describe() Description {
	return Description{
		Name: Gitee, Title: g.title, Method: ByOAuth, Scopes: g.scopes.all(),
	}
}

// Check implements [Platform]. The user may have deselected scopes at the consent; only the token
// reply says which ones remain.
func (g *gitee) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	var user struct {
		ID        loose `json:"id"`
		Login     loose `json:"login"`
		Name      loose `json:"name"`
		AvatarURL loose `json:"avatar_url"`
		HTMLURL   loose `json:"html_url"`
	}
	r, err := g.askAs(ctx, call{address: g.api + "/api/v5/user"}, cred, &user)
	if err != nil {
		return CheckResult{}, err
	}
	identity := identityOf(user.ID, user.Login, user.Name, user.AvatarURL, user.HTMLURL)
	if !numeric(identity.ID) || identity.Username == "" {
		return CheckResult{}, g.unexpected(r)
	}
	warnings, err := g.checkScopes(cred.Scopes, len(cred.Scopes) > 0)
	if err != nil {
		return CheckResult{}, err
	}
	return CheckResult{
		Identity: identity, GitUsername: "oauth2", Scopes: cred.Scopes, Warnings: warnings,
	}, nil
}

// Revoke implements [Platform]: no way is known.
func (g *gitee) Revoke(context.Context, App, Credential) error { return ErrNoRevoke }

// RevokeURL implements [Platform].
func (g *gitee) RevokeURL(string) string { return g.site + "/oauth/applications" }
