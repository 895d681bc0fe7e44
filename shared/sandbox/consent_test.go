package sandbox

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox/github"
	"bindery/shared/testkit"
)

func TestAPersonSignsInAndConsents(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w, b := newOAuthWorld(t), oauthBrowser(t)
			address := w.authorizeURL(p, nil)
			login := open(t, b, address)
			testkit.Want(t, "sign-in page", strings.Contains(login.text, `id="login-alice"`), true)
			testkit.Want(t, "says it is a sandbox", strings.Contains(login.text, "SANDBOX"), true)
			consent := press(t, b, address, "login:alice")
			for _, part := range []string{`id="authorize"`, `id="refuse"`, `id="switch"`, "alice"} {
				testkit.Want(t, "consent page has "+part, strings.Contains(consent.text, part), true)
			}
			back := press(t, b, address, "authorize", w.oauthScopes(p)...).back
			testkit.Want(t, "state", query(t, back).Get("state"), "s1")
			reply := w.exchange(p, query(t, back).Get("code"), nil)
			testkit.Want(t, "status", w.me(p, reply.get("access_token")).status, 200)

			again := open(t, b, address).back
			testkit.Want(t, "second time without a page", query(t, again).Has("code"), true)
		})
	}
}

func TestAPersonRefuses(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w, b := newOAuthWorld(t), oauthBrowser(t)
			address := w.authorizeURL(p, nil)
			press(t, b, address, "login:alice")
			q := query(t, press(t, b, address, "refuse").back)
			testkit.Want(t, "error", q.Get("error"), "access_denied")
			testkit.Want(t, "described", q.Get("error_description") != "", true)
			testkit.Want(t, "state", q.Get("state"), "s1")
			testkit.Want(t, "code", q.Has("code"), false)
		})
	}
}

func TestAPersonSwitchesAccount(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	address := w.authorizeURL(Gitee, nil)
	press(t, b, address, "login:alice")
	login := press(t, b, address, "switch").text
	testkit.Want(t, "sign-in page", strings.Contains(login, "login-bob"), true)
	press(t, b, address, "login:bob")
	back := press(t, b, address, "authorize", "user_info", "projects", "hook").back
	a, _ := w.Authorized(Gitee, secretOf(query(t, back).Get("code")))
	testkit.Want(t, "user", a.User, "bob")
}

func TestASessionIsValidAtOnePlatformOnly(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	press(t, b, w.authorizeURL(Gitee, nil), "login:alice")
	other := open(t, b, w.authorizeURL(GitHub, nil))
	testkit.Want(t, "sign-in page", strings.Contains(other.text, "login-alice"), true)
}

func TestAConsentNeedsASession(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	p := press(t, b, w.authorizeURL(GitHub, nil), "authorize", "repo")
	testkit.Want(t, "sign-in page", strings.Contains(p.text, "login-alice"), true)
}

func TestGitHubShowsTheAccountPickerForThePrompt(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	address := w.authorizeURL(GitHub, url.Values{"prompt": {"select_account"}})
	press(t, b, address, "login:alice")
	picker := open(t, b, address).text
	testkit.Want(t, "who is signed in", strings.Contains(picker, `id="continue"`), true)
	testkit.Want(t, "another", strings.Contains(picker, "login-bob"), true)
	testkit.Want(t, "the same twice", strings.Contains(picker, "login-alice"), false)
	after := press(t, b, address, "login:bob")
	testkit.Want(t, "then consent", strings.Contains(after.text, `id="authorize"`), true)
}

func TestScopesCanBeUntickedButNotAtBitbucket(t *testing.T) {
	for _, c := range []struct {
		platform Platform
		field    string
		granted  string
	}{
		{Gitee, "scope", "user_info"},
		{GitHub, "scope", ""},
		{Bitbucket, "scopes", "account pullrequest repository webhook"},
	} {
		t.Run(string(c.platform), func(t *testing.T) {
			w, b := newOAuthWorld(t), oauthBrowser(t)
			address := w.authorizeURL(c.platform, nil)
			press(t, b, address, "login:alice")
			back := press(t, b, address, "authorize", "user_info").back
			reply := w.exchange(c.platform, query(t, back).Get("code"), nil)
			testkit.Want(t, "granted", sorted(reply.get(c.field)), c.granted)
			shown := strings.Contains(open(t, b, address).text, `id="authorize"`)
			testkit.Want(t, "asked again", shown, c.platform != Bitbucket)
		})
	}
}

func TestGiteeSkipsThePageOnlyForTheSameScopes(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	press(t, b, w.authorizeURL(Gitee, nil), "login:alice")
	w.code(Gitee, nil) // alice grants user_info, projects and hook
	for scope, skipped := range map[string]bool{
		"hook projects user_info":        true,
		"user_info projects":             false,
		"user_info projects hook groups": false,
	} {
		p := open(t, b, w.authorizeURL(Gitee, url.Values{"scope": {scope}}))
		testkit.Want(t, "skipped for "+scope, p.back != "", skipped)
	}
}

func TestGitHubSkipsThePageForWhatWasGranted(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	press(t, b, w.authorizeURL(GitHub, nil), "login:alice")
	w.code(GitHub, url.Values{"scope": {"repo"}})
	w.code(GitHub, url.Values{"scope": {"gist"}})
	for scope, skipped := range map[string]bool{
		"repo": true, "public_repo": true, "repo gist": true, "repo read:org": false,
	} {
		p := open(t, b, w.authorizeURL(GitHub, url.Values{"scope": {scope}}))
		testkit.Want(t, "skipped for "+scope, p.back != "", skipped)
	}
	p := open(t, b, w.authorizeURL(GitHub, url.Values{"scope": nil}))
	reply := w.exchange(GitHub, query(t, p.back).Get("code"), nil)
	testkit.Want(t, "no scope means all of before", reply.get("scope"), "gist,repo")
}

func TestAUserRevokesAConsentOnTheSettingsPage(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w, b := newOAuthWorld(t), oauthBrowser(t)
			token := w.bind(p).get("access_token")
			settings := w.server.URL + w.Platforms[p].SettingsPath
			id := w.Apps()[p].ClientID
			login := open(t, b, settings).text
			testkit.Want(t, "sign-in page", strings.Contains(login, "login-alice"), true)
			list := press(t, b, settings, "login:alice").text
			testkit.Want(t, "app is listed", strings.Contains(list, `id="revoke-`+id), true)
			press(t, b, settings, "expire")
			testkit.Want(t, "ended", w.LiveTokens(p, "alice"), 0)
			press(t, b, settings, "revoke:"+id)
			testkit.Want(t, "status", w.me(p, token).status, 401)
			testkit.Want(t, "tokens", w.LiveTokens(p, "alice"), 0)
			testkit.Want(t, "refresh tokens", w.LiveRefreshTokens(p, "alice"), 0)
			page := open(t, b, w.authorizeURL(p, nil)).text
			testkit.Want(t, "asked again", strings.Contains(page, `id="authorize"`), true)
		})
	}
}

func TestAUserRemovesScopesOnGitHubsSettingsPage(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	code := w.code(GitHub, url.Values{"scope": {"repo gist"}})
	token := w.exchange(GitHub, code, nil).get("access_token")
	settings := w.server.URL + w.Platforms[GitHub].SettingsPath
	page := press(t, b, settings, "login:alice").text
	testkit.Want(t, "tick box", strings.Contains(page, `name="scope" value="repo"`), true)
	press(t, b, settings, "narrow", "gist")
	testkit.Want(t, "scopes", w.me(GitHub, token).header.Get("X-OAuth-Scopes"), "gist")
}

func TestRedirectAddresses(t *testing.T) {
	const page, told = "page", "redirect_uri_mismatch"
	for _, c := range []struct {
		platform Platform
		sent     string
		outcome  string // "" fits
	}{
		{GitHub, oauthCallback, ""},
		{GitHub, oauthCallback + "/github", ""},
		{GitHub, oauthCallback + "/../evil", told},
		{GitHub, oauthCallback + "evil", told},
		{GitHub, "http://bindery.example/v1/callback", told},
		{GitHub, "https://evil.example/v1/callback", told},
		{GitHub, "https://bindery.example@evil.example/v1/callback", told},
		{GitHub, "", ""},
		{Gitee, oauthCallback, ""},
		{Gitee, oauthCallback + "/gitee", page},
		{Gitee, "", page},
		{Bitbucket, oauthCallback, ""},
		{Bitbucket, oauthCallback + "/bitbucket", ""},
		{Bitbucket, "https://evil.example/", page},
		{Bitbucket, "", ""},
	} {
		w := newOAuthWorld(t)
		more := url.Values{"redirect_uri": nil}
		if c.sent != "" {
			more.Set("redirect_uri", c.sent)
		}
		back, err := w.Consent(c.platform, "alice", w.authorizeURL(c.platform, more), nil)
		outcome := ""
		if err != nil {
			outcome = page
		} else if e := query(t, back).Get("error"); e != "" {
			outcome = e
			registered := strings.HasPrefix(back, oauthCallback+"?")
			testkit.Want(t, "told to the registered address", registered, true)
		}
		testkit.Want(t, string(c.platform)+" "+c.sent, outcome, c.outcome)
	}
}

func TestAnInvalidAuthorizationRequestIsRefused(t *testing.T) {
	w := newOAuthWorld(t)
	for _, c := range []struct {
		platform Platform
		more     url.Values
		want     string
	}{
		{Gitee, url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{Gitee, url.Values{"scope": {"user_info everything"}}, "invalid_scope"},
		{GitHub, url.Values{
			"code_challenge": {"x"}, "code_challenge_method": {"plain"},
		}, "invalid_request"},
		{GitHub, url.Values{"code_challenge": {"x"}}, "invalid_request"},
	} {
		back, err := w.Consent(c.platform, "alice", w.authorizeURL(c.platform, c.more), nil)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, string(c.platform), query(t, back).Get("error"), c.want)
		testkit.Want(t, "state", query(t, back).Get("state"), "s1")
	}
	unknown := w.authorizeURL(GitHub, url.Values{"client_id": {"nobody"}})
	if _, err := w.Consent(GitHub, "alice", unknown, nil); err == nil {
		t.Error("an unknown client got a consent")
	}
	if _, err := w.Consent(GitHub, "mallory", w.authorizeURL(GitHub, nil), nil); err == nil {
		t.Error("an unknown user consented")
	}
	if _, err := w.Consent(GitHub, "alice", w.authorizeURL(Gitee, nil), nil); err == nil {
		t.Error("another platform's address was taken")
	}
}

func TestConsentAndRefuseActAsTheUser(t *testing.T) {
	w := newOAuthWorld(t)
	back, err := w.Consent(Gitee, "carol", w.authorizeURL(Gitee, nil), []string{"user_info"})
	if err != nil {
		t.Fatal(err)
	}
	code := query(t, back).Get("code")
	a, _ := w.Authorized(Gitee, secretOf(code))
	testkit.Want(t, "user", a.User, "carol")
	testkit.Want(t, "scopes", strings.Join(a.Scopes, " "), "user_info")
	testkit.Want(t, "redeemed", a.Redeemed, false)
	w.exchange(Gitee, code, nil)
	a, _ = w.Authorized(Gitee, secretOf(code))
	testkit.Want(t, "redeemed after", a.Redeemed, true)

	back, err = w.Refuse(Gitee, "carol", w.authorizeURL(Gitee, nil))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "refusal", query(t, back).Get("error"), "access_denied")
}

func TestTheHourlyLimitShowsTheConsentPageAgain(t *testing.T) {
	w, b := newOAuthWorld(t), oauthBrowser(t)
	w.SetSwitch(GitHub, github.HourlyLimit, true)
	address := w.authorizeURL(GitHub, nil)
	first := w.bind(GitHub).get("access_token")
	for range 9 {
		w.bind(GitHub)
	}
	press(t, b, address, "login:alice")
	testkit.Want(t, "asked again", strings.Contains(open(t, b, address).text, `id="authorize"`), true)
	w.bind(GitHub)
	testkit.Want(t, "the oldest stays valid", w.me(GitHub, first).status, 200)
	w.clock.Advance(time.Hour)
	testkit.Want(t, "not asked an hour later", open(t, b, address).back != "", true)
}

// oauthScopes returns the scopes that [oauthWorld.authorizeURL] asks for.
func (w *oauthWorld) oauthScopes(p Platform) []string {
	return map[Platform][]string{
		Gitee: {"user_info", "projects", "hook"}, GitHub: {"repo"}, Bitbucket: nil,
	}[p]
}

func TestAvatarRequestsAreNotCounted(t *testing.T) {
	w := newOAuthWorld(t)
	address := w.me(GitHub, w.bind(GitHub).get("access_token")).get("avatar_url")
	before := w.Count(GitHub)
	gitLab := w.request("GET", "/gitlab/api/v4/user", "")
	gitLab.Header.Set("Private-Token", "glpat-sandbox-alice-good")
	testkit.Want(t, "GitLab's", w.send(gitLab).get("avatar_url"), address)
	reply := w.send(w.request("GET", strings.TrimPrefix(address, w.server.URL), ""))
	testkit.Want(t, "status", reply.status, 200)
	testkit.Want(t, "kind", reply.header.Get("Content-Type"), "image/svg+xml")
	testkit.Want(t, "initial", strings.Contains(reply.text, ">A</text>"), true)
	testkit.Want(t, "requests", w.Count(GitHub), before)
}
