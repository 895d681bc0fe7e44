package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"bindery/shared/secret"
)

// github is GitHub as an OAuth app sees it: a token endpoint that answers 200 to everything, in a
// form unless JSON is asked for; scopes with commas; PKCE by S256; tokens that end after 8 hours
// if the app says so, with a refresh token for one use; ten tokens a user, app and set of scopes.
type github struct{ *oauthPlatform }

// The switches of GitHub.
const (
	GitHubLongTokens  = "long-tokens"
	GitHubHourlyLimit = "hourly-limit"
)

// newGitHub makes the platform.
func newGitHub(s *Sandbox) *github {
	g := &github{}
	people := append(everybody(1000),
		oauthPerson{login: "acme-org", name: "Acme", id: 1011, kind: "Organization", expect: Words{
			"组织账号，只能绑定个人账号。", "An organization; only personal accounts can be bound.",
		}},
		oauthPerson{login: "acme-bot", name: "Acme Bot", id: 1012, kind: "Bot", expect: Words{
			"机器人账号，只能绑定个人账号。", "A bot; only personal accounts can be bound.",
		}},
		oauthPerson{
			login: "newcomer", name: "New", id: 1013, kind: "User", unverified: true,
			expect: Words{
				"邮箱未验证，GitHub 不签发令牌。",
				"Has no verified e-mail address: GitHub issues no token.",
			},
		},
	)
	g.oauthPlatform = newOAuthPlatform(s, oauthRules{
		platform:  GitHub,
		title:     "GitHub",
		paths:     []string{"/login/oauth/", "/user", "/applications/"},
		settings:  "/settings/applications",
		authorize: "/login/oauth/authorize",
		ticks:     true, edits: true, checksPKCE: true, reportsMismatch: true,
		redirectFits: below,
		scopes:       askedGitHub,
		settled:      withinBefore,
		merge:        allGranted,
		mint:         g.mintTokens,
		accessLife:   8 * time.Hour,
		refreshLife:  15811200 * time.Second,
		most:         10,
	}, seededApp(GitHub), people)
	g.mux.HandleFunc("POST /login/oauth/access_token", g.token)
	g.mux.HandleFunc("GET /user", g.user)
	g.mux.HandleFunc("POST /applications/{client}/token", g.checkToken)
	g.mux.HandleFunc("DELETE /applications/{client}/token", g.deleteToken)
	g.mux.HandleFunc("DELETE /applications/{client}/grant", g.deleteGrant)
	return g
}

// switches are GitHub's.
func (g *github) switches() []Switch {
	return []Switch{
		{Name: GitHubLongTokens, Text: Words{
			"签发约 520 个字符、含点和连字符的令牌。", "Issues tokens of 520 characters, with dots and dashes.",
		}},
		{Name: GitHubHourlyLimit, Text: Words{
			"一小时内签发十个令牌后，再次显示授权页面。",
			"After ten tokens in an hour the consent page is shown again.",
		}},
	}
}

// mintTokens makes a token's values with GitHub's prefixes.
func (g *github) mintTokens() (access, refresh secret.Text) {
	refresh = g.sandbox.random("ghr_", 38)
	if !g.sandbox.on(GitHub, GitHubLongTokens) {
		return g.sandbox.random("gho_", 18), refresh
	}
	// Like the signed tokens that GitHub brought in for apps: three parts, 520 characters.
	long := g.sandbox.random("gho_", 18).Reveal() + "." + g.sandbox.random("", 190).Reveal() + "-" +
		g.sandbox.random("", 20).Reveal() + "." + g.sandbox.random("", 28).Reveal()
	return secret.New(long + "x"), refresh
}

// below is GitHub's rule for a redirect_uri: the registered address or one below its path.
func below(registered, sent string) bool {
	want, err := url.Parse(registered)
	if err != nil {
		return false
	}
	got, err := url.Parse(sent)
	if err != nil || got.Scheme != want.Scheme || got.Host != want.Host ||
		got.User != nil || got.Fragment != "" {
		return false
	}
	directory := strings.TrimSuffix(want.Path, "/") + "/"
	return got.Path == want.Path || strings.HasPrefix(path.Clean(got.Path)+"/", directory)
}

// token is the token endpoint: client id and secret in the body, and 200 whatever happens.
func (g *github) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	form := r.PostForm
	reply, failure := g.tokenReply(form)
	if failure != "" {
		reply = object{
			"error":             failure,
			"error_description": githubErrors()[failure],
			"error_uri": "https://docs.github.com/apps/managing-oauth-apps/" +
				"troubleshooting-oauth-app-access-token-request-errors/#" +
				strings.ReplaceAll(failure, "_", "-"),
		}
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, reply)
		return
	}
	values := url.Values{}
	for name, value := range reply {
		values.Set(name, fmt.Sprint(value))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = fmt.Fprint(w, values.Encode())
}

// githubErrors are the token endpoint's.
func githubErrors() map[string]string {
	return map[string]string{
		"incorrect_client_credentials": "The client_id or the client_secret is incorrect.",
		"bad_verification_code":        "The code is incorrect or has expired.",
		"redirect_uri_mismatch":        "The redirect_uri is not the one of the authorization.",
		"unverified_user_email":        "The user has no verified primary e-mail address.",
		"bad_refresh_token":            "The refresh token is incorrect or has expired.",
		"unsupported_grant_type":       "The grant type is not supported.",
	}
}

// tokenReply does what is asked, or names the error.
func (g *github) tokenReply(form url.Values) (object, string) {
	grant := form.Get("grant_type")
	g.mu.Lock()
	defer g.mu.Unlock()
	switch grant {
	case "", "authorization_code":
		g.exchanges++
	case "refresh_token":
		g.refreshes++
	default:
		return nil, "unsupported_grant_type"
	}
	app, ok := g.apps[form.Get("client_id")]
	if !ok || !app.knows(form.Get("client_secret")) {
		return nil, "incorrect_client_credentials"
	}
	if grant == "refresh_token" {
		return g.renew(app, form.Get("refresh_token"))
	}
	return g.exchange(app, form)
}

// exchange redeems a code. Hold mu.
func (g *github) exchange(app App, form url.Values) (object, string) {
	a, fault := g.redeem(app.ClientID, form)
	switch fault {
	case codeBad:
		return nil, "bad_verification_code"
	case codeElsewhere:
		return nil, "redirect_uri_mismatch"
	case codeGood:
	}
	if person, _ := g.person(a.User); person.unverified {
		return nil, "unverified_user_email"
	}
	who := oauthPair{a.User, app.ClientID}
	if !g.tooMany(who, a.Scopes) {
		for alike := g.alike(who, a.Scopes); len(alike) >= g.most; alike = alike[1:] {
			g.end(alike[0])
		}
	}
	return g.reply(g.issue(who, a.Scopes, app.ExpiringTokens || a.offline)), ""
}

// renew uses up a refresh token and the access token that came with it. Hold mu.
func (g *github) renew(app App, value string) (object, string) {
	r, ok := g.findRefresh(app.ClientID, value)
	if !ok {
		return nil, "bad_refresh_token"
	}
	old := digestOf(value)
	for d, a := range g.access {
		if a.refresh == old {
			delete(g.access, d)
		}
	}
	delete(g.refresh, old)
	issued := g.issue(r.oauthPair, r.scopes, true)
	g.access[digestOf(issued.access.Reveal())].lag = g.lag
	return g.reply(issued), ""
}

// reply is the token endpoint's.
func (g *github) reply(t oauthIssued) object {
	o := object{
		"access_token": t.access.Reveal(),
		"token_type":   "bearer",
		"scope":        strings.Join(t.scopes, ","),
	}
	if !t.refresh.Empty() {
		o["expires_in"] = int(g.accessLife / time.Second)
		o["refresh_token"] = t.refresh.Reveal()
		o["refresh_token_expires_in"] = int(g.refreshLife / time.Second)
	}
	return o
}
