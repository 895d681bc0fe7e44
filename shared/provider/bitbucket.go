package provider

import (
	"context"
	"time"

	"bindery/shared/problem"
)

// bitbucket is an OAuth consumer at Bitbucket Cloud (developer.atlassian.com/cloud/bitbucket/
// oauth-2). Neither support for PKCE nor a way to
// revoke a token is known.
type bitbucket struct {
	oauth
	site, api string
}

// bitbucketRegistration registers Bitbucket.
func bitbucketRegistration() Registration {
	return Registration{
		Name: Bitbucket,
		Origins: []Origin{
			{"BINDERY_BITBUCKET_URL", "Bitbucket", "https://bitbucket.org"},
			{"BINDERY_BITBUCKET_API_URL", "Bitbucket's API", "https://api.bitbucket.org"},
		},
		New: func(e Environment) Platform {
			return newBitbucket(e.trusted(bitbucketDialect()), e.Origins[0], e.Origins[1])
		},
	}
}

// bitbucketDialect is what Bitbucket's API answers.
//
// Source: recorded replies. Bitbucket's error objects are told from a gateway's by their type. The
// words for a user who may not sign in are assumed.
func bitbucketDialect() dialect {
	return dialect{
		title: "Bitbucket",
		needs: "account repository webhook",
		rules: []rule{
			{401, bitbucketShape, "*account has been deactivated*", problem.UserBlocked, "deactivated"},
			{401, bitbucketShape, "*does not support*", problem.PlatformError, "gone"},
			{401, bitbucketShape, "*token expired*", problem.TokenExpired, ""},
			{401, bitbucketShape, "*token has expired*", problem.TokenExpired, ""},
			{401, bitbucketShape, "", problem.TokenRejected, ""},
			{403, "", "*whitelist your ip*", problem.AddressNotListed, ""},
			{403, "", "*ip allowlist*", problem.AddressNotListed, ""},
			{403, "", "*two-step verification*", problem.UserBlocked, "two_step"},
			{403, "", "*account has been deactivated*", problem.UserBlocked, "deactivated"},
			{403, "", "*required privilege scopes*", problem.PermissionMissing, ""},
			{403, bitbucketShape, "*lacks a scope*", problem.PermissionMissing, ""},
			{403, "insufficient_scope", "", problem.PermissionMissing, ""},
			{410, "", "", problem.PlatformError, "gone"}, // CHANGE-2770 removed cross-workspace calls
		},
	}
}

// newBitbucket returns Bitbucket with the origins of its pages and of its API.
func newBitbucket(c *client, site, api string) *bitbucket {
	return &bitbucket{
		oauth: oauth{
			client:    c,
			authorize: site + "/site/oauth2/authorize",
			token:     site + "/site/oauth2/access_token",
			basic:     true,
			life:      always(2 * time.Hour),
			scopes: scopeRule{
				needed: []string{"account", "repository", "webhook"},
				// repository:admin is not one of them: it gives no access to the contents.
				includedIn: map[string][]string{
					"account": {"account:write"},
					"repository": {
						"repository:write", "pullrequest", "pullrequest:write", "project",
					},
				},
				// The operator selects the scopes in the consumer; the user can't choose any.
				reason: "consumer",
			},
		},
		site: site, api: api,
	}
}

// Describe implements [Platform].
func (b *bitbucket) Describe() Description {
	return Description{
		Name: Bitbucket, Title: b.title, Method: ByOAuth, Scopes: b.scopes.all(),
	}
}

// Check implements [Platform]. The identity is the uuid with its braces: there is no numeric id,
// and the nickname may change. Before 2019 accounts had a username in place of the nickname.
func (b *bitbucket) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	type link struct {
		Href loose `json:"href"`
	}
	var user struct {
		UUID     loose `json:"uuid"`
		Nickname loose `json:"nickname"`
		Username loose `json:"username"`
		Name     loose `json:"display_name"`
		Links    struct {
			Avatar link `json:"avatar"`
			HTML   link `json:"html"`
		} `json:"links"`
	}
	r, err := b.askAs(ctx, call{address: b.api + "/2.0/user"}, cred, &user)
	if err != nil {
		return CheckResult{}, err
	}
	if user.Nickname == "" {
		user.Nickname = user.Username
	}
	identity := identityOf(
		user.UUID, user.Nickname, user.Name, user.Links.Avatar.Href, user.Links.HTML.Href,
	)
	if identity.ID == "" || identity.Username == "" {
		return CheckResult{}, b.unexpected(r)
	}
	granted, told := cred.Scopes, len(cred.Scopes) > 0
	if !told {
		granted, told = headerScopes(r)
	}
	warnings, err := b.checkScopes(granted, told)
	if err != nil {
		return CheckResult{}, err
	}
	return CheckResult{
		Identity: identity, GitUsername: "x-token-auth", Scopes: granted, Warnings: warnings,
	}, nil
}

// Revoke implements [Platform]: no way is known.
func (b *bitbucket) Revoke(context.Context, App, Credential) error { return ErrNoRevoke }

// RevokeURL implements [Platform].
func (b *bitbucket) RevokeURL(string) string {
	return b.site + "/account/settings/app-authorizations/"
}
