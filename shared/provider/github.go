package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// gitHub is an OAuth app at GitHub (docs.github.com, "Authorizing OAuth apps").
type gitHub struct {
	oauth
	site, api string
	sleep     func(context.Context, time.Duration) error
}

// gitHubRegistration registers GitHub.
func gitHubRegistration() Registration {
	return Registration{
		Name: GitHub,
		Origins: []Origin{
			{"BINDERY_GITHUB_URL", "GitHub", "https://github.com"},
			{"BINDERY_GITHUB_API_URL", "GitHub's API", "https://api.github.com"},
		},
		New: func(e Environment) Platform {
			return newGitHub(e.trusted(gitHubDialect()), e.Origins[0], e.Origins[1], e.Sleep)
		},
	}
}

// gitHubDialect is what GitHub's API answers.
//
// Source: GitHub's docs, "Troubleshooting the REST API", and replies that users have published.
func gitHubDialect() dialect {
	return dialect{
		title: "GitHub",
		needs: "repo",
		rules: []rule{
			{401, "", "bad credentials*", problem.TokenRejected, ""},
			{403, "", "*secondary rate limit*", problem.PlatformRateLimited, ""},
			{403, "", "*rate limit exceeded*", problem.PlatformRateLimited, ""},
			{403, "", "*abuse detection*", problem.PlatformRateLimited, ""},
			{403, "", "*login attempts exceeded*", problem.PlatformRateLimited, ""},
			{403, "", "*ip allow list*", problem.AddressNotListed, ""},
			{403, "", "*account was suspended*", problem.UserBlocked, "suspended"},
			{403, "", "*email address must be verified*", problem.UserBlocked, "unconfirmed_email"},
			{403, "", "*saml*", problem.PermissionMissing, "single_sign_on"},
			{403, "", "*oauth app access restrictions*", problem.PermissionMissing, "not_approved"},
			{403, "", "*not accessible by integration*", problem.ClientRefused, "github_app"},
			{403, "", "*administrative rules*", problem.PlatformError, "user_agent"},
		},
	}
}

// newGitHub returns GitHub with the origins of its pages and of its API.
func newGitHub(
	c *client, site, api string, sleep func(context.Context, time.Duration) error,
) *gitHub {
	return &gitHub{
		oauth: oauth{
			client:    c,
			authorize: site + "/login/oauth/authorize",
			token:     site + "/login/oauth/access_token",
			// Otherwise GitHub picks the account that the browser is signed in to, and a user
			// with two accounts could never bind the other.
			parameters: map[string]string{"prompt": "select_account"},
			asked:      []string{"repo"},
			life:       gitHubLife,
			// repo is the only scope that reads private code, and it includes hooks. GitHub's page
			// has no boxes to tick.
			scopes: scopeRule{needed: []string{"repo"}, reason: "whole_consent"},
		},
		site: site, api: api, sleep: sleep,
	}
}

// gitHubLife returns 8 hours for an app whose tokens expire, which come with a refresh token, and
// 0 for other apps, whose tokens don't expire.
func gitHubLife(refreshable bool) time.Duration {
	if refreshable {
		return 8 * time.Hour
	}
	return 0
}

// Describe implements [Platform].
func (g *gitHub) Describe() Description {
	return Description{
		Name: GitHub, Title: g.title, Method: ByOAuth, Scopes: g.scopes.all(), Revocable: true,
	}
}

// gitHubHeader pins the API's version, since replies may differ in another one.
var gitHubHeader = map[string]string{
	"Accept":               "application/vnd.github+json",
	"X-GitHub-Api-Version": "2022-11-28",
}

// Check implements [Platform]. The scopes are those that GitHub reports now, since users can remove
// some later; the token reply's scopes count only if the header is missing.
func (g *gitHub) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	var user struct {
		ID        loose `json:"id"`
		Login     loose `json:"login"`
		Name      loose `json:"name"`
		Type      loose `json:"type"`
		AvatarURL loose `json:"avatar_url"`
		HTMLURL   loose `json:"html_url"`
	}
	k := call{address: g.api + "/user", header: gitHubHeader}
	r, err := g.askAgain(ctx, k, cred, &user)
	if err != nil {
		return CheckResult{}, err
	}
	identity := identityOf(user.ID, user.Login, user.Name, user.AvatarURL, user.HTMLURL)
	if !numeric(identity.ID) || identity.Username == "" || user.Type == "" {
		return CheckResult{}, g.unexpected(r)
	}
	if user.Type != "User" {
		return CheckResult{}, g.problem(problem.NotAPersonalAccount).With("type", word(user.Type))
	}
	if strings.HasPrefix(cred.Access.Reveal(), gitHubAppToken) {
		return CheckResult{}, g.problem(problem.ClientRefused).Because("github_app")
	}
	granted, told := headerScopes(r)
	if !told {
		granted, told = cred.Scopes, len(cred.Scopes) > 0
	}
	warnings, err := g.checkScopes(granted, told)
	if err != nil {
		return CheckResult{}, err
	}
	return CheckResult{
		Identity: identity, GitUsername: "x-access-token", Scopes: granted, Warnings: warnings,
	}, nil
}

// gitHubAppToken begins the tokens of a GitHub App's users. Such a token has no scopes: its app's
// permissions and installations count. The operator registered a GitHub App in place of an OAuth
// app.
const gitHubAppToken = "ghu_"

// word returns text if it is one short word of letters, which is safe to show, else "unknown".
func word(text loose) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if len(text) > 40 || strings.Trim(string(text), letters) != "" {
		return "unknown"
	}
	return string(text)
}

// replicaLagBackoff is the wait before the second try: GitHub's replicas learn of a new token late.
const replicaLagBackoff = time.Second

// askAgain is [oauth.askAs] with a second try after a 401: right after a refresh GitHub may refuse
// the new token for a moment.
func (g *gitHub) askAgain(
	ctx context.Context, k call, cred Credential, into any,
) (reply, error) {
	r, err := g.askAs(ctx, k, cred, into)
	if r.status != http.StatusUnauthorized {
		return r, err
	}
	if err := g.sleep(ctx, replicaLagBackoff); err != nil {
		return reply{}, netguard.Problem(err, g.title)
	}
	return g.askAs(ctx, k, cred, into)
}

// Revoke implements [Platform] by "Delete an app token". The call that deletes the grant would
// revoke every token that the user has with this app, also those of other bindings.
func (g *gitHub) Revoke(ctx context.Context, app App, cred Credential) error {
	body, err := json.Marshal(map[string]string{"access_token": cred.Access.Reveal()})
	if err != nil {
		return fmt.Errorf("provider: encode a token to revoke: %w", err)
	}
	k := call{
		method:  http.MethodDelete,
		address: g.api + "/applications/" + url.PathEscape(app.ClientID) + "/token",
		header:  gitHubHeader,
	}.withJSON(secret.New(string(body)))
	refused := g.problem(problem.ClientRefused).From(errNoSecret)
	for _, clientSecret := range app.ClientSecrets {
		k.auth = basic(app.ClientID, clientSecret)
		r, err := g.do(ctx, k)
		switch {
		case err != nil:
			return err
		case alreadyInvalid(r):
			return nil
		}
		p := g.judge(r)
		if p == nil || p.Code != problem.TokenRejected {
			return asError(p)
		}
		refused = g.means(problem.ClientRefused, r) // it is the app that has bad credentials here
	}
	return refused
}

// alreadyInvalid reports whether GitHub's API, and not a gateway, doesn't know the token.
func alreadyInvalid(r reply) bool {
	e, isJSON := r.apiError()
	return isJSON && e.text != "" &&
		(r.status == http.StatusNotFound || r.status == http.StatusUnprocessableEntity)
}

// asError returns p as an error, which is nil if p is nil.
func asError(p *problem.Problem) error {
	if p == nil {
		return nil
	}
	return p
}

// RevokeURL implements [Platform].
func (g *gitHub) RevokeURL(string) string { return g.site + "/settings/applications" }
