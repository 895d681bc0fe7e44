package api_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault/vaulttest"
)

func TestA4_NothingEqualsNothing(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub) // no browser was redirected yet: the record has no state
	empty := newBrowser(w)
	none := []string{
		"", ".", a.id, a.id + ".", "." + strings.Repeat("0", 64),
		a.id + "." + strings.Repeat("0", 64),
		a.id + "." + strings.Repeat("0", 63), strings.Repeat("0", 97),
	}
	for _, state := range none {
		for _, cookie := range []string{"", "__Host-bindery-=", "__Host-bindery-=.", "=", "; ;"} {
			empty.callback(callbackOf("github", "state", state, "code", "any"), func(r *request) {
				r.header["Cookie"] = cookie
			}).refused(problem.AuthorizationUnknown, "")
		}
	}
	empty.callback(callbackOf("github")).refused(problem.AuthorizationUnknown, "")
	w.stage(a.id, "started")
	newBrowser(w).confirmationCode(a, "alice")
	// With the right state, a cookie with the right name that holds nothing, or only one half.
	for _, c := range []struct {
		value func(state, verifier string) string
		want  problem.Code
	}{
		{func(string, string) string { return "" }, problem.CookiesBlocked},
		{func(string, string) string { return "." }, problem.CookiesBlocked},
		{func(string, string) string { return ".." }, problem.CookiesBlocked},
		{func(_, v string) string { return "." + v }, problem.CookiesBlocked},
		{func(_, v string) string { return ".." + v }, problem.CookiesBlocked},
		{func(s, _ string) string { return s }, problem.AnotherBrowser},
		{func(s, _ string) string { return s + "." }, problem.AnotherBrowser},
		{func(s, v string) string { return s + "." + v[1:] }, problem.AnotherBrowser},
		{func(s, v string) string { return s + "." + v + "0" }, problem.AnotherBrowser},
		{func(s, _ string) string { return s + "." + strings.Repeat("0", 64) }, problem.AnotherBrowser},
	} {
		b := newBrowser(w)
		a := w.start(sandbox.GitHub)
		back := w.grant("github", "alice", b.authorizeURL(a), nil)
		whole := b.value()
		value := c.value(whole[:len(whole)-65], whole[len(whole)-64:])
		b.callback(back, func(r *request) { r.header["Cookie"] = b.cookies()[0] + "=" + value }).
			refused(c.want, a.id)
	}
	if w.box.Exchanges(sandbox.GitHub) != 1 {
		t.Error("a code was redeemed")
	}
}

func TestA5_OfFiftyCallbacksAtOnceOneExchanges(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			b := newBrowser(w)
			a := w.start(platform)
			back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
			shown := b.cookies()[0] + "=" + b.value()
			ends := make([]consoleRedirect, 50)
			var all sync.WaitGroup
			for i := range ends {
				all.Go(func() {
					ends[i] = newBrowser(w).callback(back, func(r *request) { r.header["Cookie"] = shown })
				})
			}
			all.Wait()
			won := 0
			for _, end := range ends {
				if end.confirmationCode != "" {
					won++
					w.confirm(a.id, end.confirmationCode).ok()
					continue
				}
				end.refused(problem.AuthorizationDone, a.id)
			}
			if won != 1 || w.box.Exchanges(platform) != 1 {
				t.Errorf("%d callbacks won with %d exchanges, want 1 and 1",
					won, w.box.Exchanges(platform))
			}
		})
	}
}

func TestA5_TheSameCallbackTwice(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
		shown := b.cookies()[0] + "=" + b.value()
		end := b.callback(back).consented()
		again := func(r *request) { r.header["Cookie"] = shown } // as the back button may do
		b.callback(back, again).refused(problem.AuthorizationDone, a.id)
		w.confirm(a.id, end.confirmationCode).ok()
		b.callback(back, again).refused(problem.AuthorizationDone, a.id)
		if got := w.box.Exchanges(platform); got != 1 {
			t.Errorf("%s: %d exchanges, want 1", platform, got)
		}
		w.boundTo(home, platform, "alice")
	}
}

func TestA6_AnAttemptEndsByTheClock(t *testing.T) {
	w := newConsentWorld(t)
	life := 15 * time.Minute
	b := newBrowser(w)
	unopened, redirected := w.start(sandbox.GitHub), w.start(sandbox.GitHub)
	consented := w.start(sandbox.GitHub)
	confirmationCode := b.confirmationCode(consented, "alice")
	address := b.authorizeURL(redirected)
	value := b.cookies()[0] + "=" + b.value()

	w.clock.Advance(life - time.Millisecond)
	if w.shown(redirected.id, "").ok().json()["problem"] != nil {
		t.Error("an attempt has expired before its time")
	}
	w.clock.Advance(time.Millisecond)
	b.openRefused(unopened).refused(problem.AuthorizationExpired, unopened.id)
	b.openRefused(redirected).refused(problem.AuthorizationExpired, redirected.id)
	// The browser has deleted the cookie; one that has kept it is refused too.
	if len(b.show(mustParse(publicURL+"/"), true)) != 0 {
		t.Error("the cookie outlives the attempt")
	}
	b.callback(w.grant("github", "alice", address, nil), func(r *request) {
		r.header["Cookie"] = value
	}).refused(problem.AuthorizationExpired, redirected.id)
	w.confirm(consented.id, confirmationCode).refused(problem.AuthorizationExpired, "")
	p, _ := w.shown(consented.id, confirmationCode).ok().json()["problem"].(map[string]any)
	if p["code"] != "authorization_expired" {
		t.Errorf("the attempt shows the problem %v", p["code"])
	}
	w.unbound(home, sandbox.GitHub)
	if got := w.box.Exchanges(sandbox.GitHub); got != 1 {
		t.Errorf("%d exchanges, want the one in time", got)
	}
}

func mustParse(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		panic("not an address")
	}
	return u
}

func TestA7_AStateOfOnePlatformAtAnothersCallback(t *testing.T) {
	w := newConsentWorld(t)
	for _, platform := range byConsent {
		b := newBrowser(w)
		a := w.start(platform)
		back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
		for _, other := range []string{"gitee", "github", "bitbucket", "gitlab", "codeup"} {
			if other == a.platform {
				continue
			}
			mixed := strings.Replace(back, "/callback/"+a.platform, "/callback/"+other, 1)
			b.callback(mixed).refused(problem.AuthorizationUnknown, "")
		}
		for _, other := range []string{"GITHUB", "gitea", "%67ithub%20"} {
			mixed := strings.Replace(back, "/callback/"+a.platform, "/callback/"+other, 1)
			b.callback(mixed, odd).refused(problem.AuthorizationUnknown, "")
		}
		if got := w.box.Exchanges(platform); got != 0 {
			t.Errorf("%s: %d exchanges, want 0", platform, got)
		}
		if len(b.cookies()) != 1 {
			t.Error("a mixed-up callback has cleared the cookie")
		}
		b.callback(back).consented()
	}
}

func TestA8_AnIssuerThatIsntThePlatform(t *testing.T) {
	for _, c := range []struct {
		name string
		iss  func(own string) []string
		ok   bool
	}{
		{"absent", func(string) []string { return nil }, true},
		{"the platform's", func(own string) []string { return []string{"iss", own} }, true},
		{"below it", func(own string) []string { return []string{"iss", own + "/oauth"} }, true},
		{"another's", func(string) []string { return []string{"iss", "https://evil.example"} }, false},
		{"another scheme", func(own string) []string {
			return []string{"iss", strings.Replace(own, "http://", "https://", 1)}
		}, false},
		{"another port", func(own string) []string { return []string{"iss", own + "1"} }, false},
		{"in front of it", func(own string) []string {
			return []string{"iss", own + "@evil.example"}
		}, false},
		{"no address", func(string) []string { return []string{"iss", "%zz"} }, false},
	} {
		for _, platform := range byConsent {
			w := newConsentWorld(t)
			b := newBrowser(w)
			a := w.start(platform)
			address := b.authorizeURL(a)
			u := mustParse(address)
			back := w.grant(a.platform, "alice", address, nil)
			if params := c.iss(u.Scheme + "://" + u.Host); params != nil {
				back += "&iss=" + url.QueryEscape(params[1])
			}
			end := b.callback(back)
			if c.ok {
				end.consented()
				continue
			}
			end.refused(problem.PlatformError, a.id)
			if got := w.box.Exchanges(platform); got != 0 {
				t.Errorf("%s, %s: %d exchanges, want 0", platform, c.name, got)
			}
			p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
			if p["reason"] != "issuer" {
				t.Errorf("%s, %s: the reason is %v, want issuer", platform, c.name, p["reason"])
			}
		}
	}
}

func TestA9_AStolenCodeInTheThiefsOwnAttempt(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		address := newBrowser(w).authorizeURL(w.start(platform))
		stolen := queryOf(w.grant(string(platform), "alice", address, nil)).Get("code")
		thief := newBrowser(w)
		a := w.start(platform)
		state := queryOf(thief.authorizeURL(a)).Get("state")
		end := thief.callback(callbackOf(string(platform), "code", stolen, "state", state))
		if platform == sandbox.GitHub {
			end.refused(problem.TokenRejected, a.id)
			if w.box.LiveTokens(platform, "alice") != 0 {
				t.Error("GitHub has issued a token to the thief")
			}
			continue
		}
		// These two are not known to check the verifier, which is sent to them too: there the
		// code is protected by its single use, the exact redirect address and no-referrer.
		end.consented()
		if got, _ := w.box.Authorized(platform, secret.New(stolen)); !got.Challenged || got.Proved {
			t.Errorf("%s: challenged %v, proved %v; want true, false",
				platform, got.Challenged, got.Proved)
		}
	}
}

func TestA9_EveryExchangeProvesItsVerifier(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		address := b.authorizeURL(a)
		q := queryOf(address)
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
			t.Errorf("%s: the challenge isn't one of S256", platform)
		}
		back := w.grant(a.platform, "alice", address, nil)
		b.callback(back).consented()
		got, _ := w.box.Authorized(platform, secret.New(queryOf(back).Get("code")))
		if !got.Proved || !got.Redeemed {
			t.Errorf("%s: proved %v, redeemed %v", platform, got.Proved, got.Redeemed)
		}
	}
}

func TestA10_APlatformsErrorTextIsNeverReflected(t *testing.T) {
	const mark = "attackers_own_words"
	for name, said := range map[string]string{
		"html": "<script>" + mark + "</script>", "lines": mark + "\r\nSet-Cookie: evil=1\r\n\r\n<b>",
		"long": strings.Repeat(mark, 100<<10/len(mark)), "binary": mark + "\x00\xff\xfe\u2028",
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsentWorld(t)
			w.minted.add(mark)
			for _, code := range []string{"access_denied", said} {
				b := newBrowser(w)
				a := w.start(sandbox.GitHub)
				state := queryOf(b.authorizeURL(a)).Get("state")
				want := problem.PlatformError
				if code == "access_denied" {
					want = problem.ConsentRefused
				}
				back := callbackOf("github", "error", code, "state", state,
					"error_description", said, "error_uri", "https://evil.example/"+said)
				b.callback(back).refused(want, a.id)
				if bytes.Contains(w.shown(a.id, "").ok().body, []byte(mark)) {
					t.Error("the attempt shows it")
				}
				if len(b.cookies()) != 0 {
					t.Error("the ended attempt's cookie is still there")
				}
			}
			// The log and the files are scanned for the marker at the end.
		})
	}
}

// TestAnErrorOfTheConsentSaysWhoMustAct: what the operator must correct is an alarm, what passes is
// not, and no text speaks of an address that the user didn't type.
func TestAnErrorOfTheConsentSaysWhoMustAct(t *testing.T) {
	for code, want := range map[string]problem.Code{
		"access_denied":             problem.ConsentRefused,
		"application_suspended":     problem.ClientRefused,
		"redirect_uri_mismatch":     problem.ClientRefused,
		"unauthorized_client":       problem.ClientRefused,
		"invalid_scope":             problem.ClientRefused,
		"server_error":              problem.PlatformError,
		"temporarily_unavailable":   problem.PlatformError,
		"an_error_of_the_year_2030": problem.PlatformError,
	} {
		t.Run(code, func(t *testing.T) {
			w := newConsentWorld(t)
			for _, platform := range byConsent {
				b := newBrowser(w)
				a := w.start(platform)
				state := queryOf(b.authorizeURL(a)).Get("state")
				b.callback(callbackOf(string(platform), "error", code, "state", state)).
					refused(want, a.id)
				shown := strings.ToLower(string(w.shown(a.id, "").ok().body))
				if strings.Contains(shown, "check the address") {
					t.Errorf("%s: an address that the user didn't type is to blame: %s", platform, shown)
				}
			}
			alarm := strings.Contains(w.log.String(), `"alarm":"client_refused"`)
			if alarm != (want == problem.ClientRefused) {
				t.Errorf("an alarm: %v", alarm)
			}
		})
	}
}

func TestA11_NoReturnToLeadsAway(t *testing.T) {
	w := newConsentWorld(t)
	for _, to := range []string{
		"//evil.example", "///evil.example", `/\evil.example`, `\evil.example`, `\\evil.example`,
		"/%09/evil.example", "/\t//evil.example", "/\t/evil.example", "\t//evil.example",
		"/\n//evil.example", "/\r\n//evil.example", "/%0a/evil.example", "/%5cevil.example",
		"https:evil.example", "https://evil.example", "https:///evil.example", "http://evil.example/",
		"javascript:alert(1)", "data:text/html,x", "evil.example", "@evil.example", ".evil.example",
		":443/x", "?tab=1", "#x", "/x#y", "/x#", "/x#confirmationCode=1", " /x", "/x y", "/x\x00",
		"/x\x7f", "/x%7f", "/x?a b", `/x?\`,
		"/%2f%2fevil.example", "/%", "https://console.example.com/", "//console.example.com/",
		"/" + strings.Repeat("x", 2048),
	} {
		w.clock.Advance(time.Minute) // otherwise too_many_calls
		r := w.do(request{
			method: "POST", path: "/v1/authorizations", odd: true,
			body: map[string]any{"platform": "github", "returnTo": to},
		})
		if r.refused(problem.InputMalformed, ""); !strings.Contains(string(r.body), "returnTo") {
			t.Errorf("%q: the field isn't named: %s", to, r.body)
		}
	}
	for _, to := range []string{"", "/", "/a", "/a?b=c&d=%20", "/a/../b", "/a//b", "/a?//b", "/镜像"} {
		a := w.start(sandbox.GitHub, "returnTo", to)
		if got := w.shown(a.id, "").ok().text("returnTo"); got != to {
			t.Errorf("%q: the attempt returns to %q", to, got)
		}
	}
}

func TestA12_DoubledParametersClaimNothing(t *testing.T) {
	w := newConsentWorld(t)
	for _, platform := range byConsent {
		b := newBrowser(w)
		a := w.start(platform)
		back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
		for _, more := range []string{
			"&code=b", "&state=x", "&error=a&error=b", "&iss=a&iss=b", "&code=",
			"&state=" + url.QueryEscape(queryOf(back).Get("state")),
		} {
			b.callback(back+more, odd).refused(problem.InputMalformed, "")
		}
		if got := w.box.Exchanges(platform); got != 0 {
			t.Errorf("%s: %d exchanges, want 0", platform, got)
		}
		w.stage(a.id, "redirected")
		b.callback(back).consented()
	}
}

func TestA17_FewerScopesThanAskedAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		platform sandbox.Platform
		granted  []string
		missing  []string
	}{
		{sandbox.GitHub, []string{}, []string{"repo"}},
		{sandbox.GitHub, []string{"gist"}, []string{"repo"}},
		{sandbox.Gitee, []string{"user_info", "projects"}, []string{"hook"}},
		{sandbox.Gitee, []string{"user_info"}, []string{"projects", "hook"}},
	} {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(c.platform)
		b.callback(w.grant(a.platform, "alice", b.authorizeURL(a), c.granted)).
			refused(problem.PermissionMissing, a.id)
		p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
		detail, _ := p["detail"].(string)
		for _, name := range c.missing {
			if !strings.Contains(detail, "("+name+")") {
				t.Errorf("%s without %s: %v", c.platform, name, p)
			}
		}
		if live := w.box.LiveTokens(c.platform, "alice"); c.platform == sandbox.GitHub && live != 0 {
			t.Error("the token with too few scopes lives on")
		}
		w.unbound(home, c.platform)
	}
	// A missing optional scope is a warning.
	w := newConsentWorld(t)
	a := w.start(sandbox.Gitee)
	b := newBrowser(w)
	needed := []string{"user_info", "projects", "hook"}
	end := b.callback(w.grant(a.platform, "alice", b.authorizeURL(a), needed))
	warnings := w.confirm(a.id, end.consented().confirmationCode).ok().list("warnings")
	if len(warnings) != 1 || warnings[0]["code"] != "permission_missing" {
		t.Errorf("the warnings are %v", warnings)
	}
}

func TestA17_GitHubsErrorWith200IsNoToken(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	b.callback(w.grant(a.platform, "newcomer", b.authorizeURL(a), nil)).
		refused(problem.TokenRejected, a.id)
	p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
	if p["reason"] != "unverified_email" {
		t.Errorf("the reason is %v, want unverified_email", p["reason"])
	}
	if names, _ := vaulttest.Names(t.Context(), w.secrets); len(names) != 0 {
		t.Errorf("%d secrets were stored", len(names))
	}
}

func TestBitbucketsConsumerWithTooFewScopes(t *testing.T) {
	w := newConsentWorld(t)
	app := w.box.Apps()[sandbox.Bitbucket]
	app.Scopes = []string{"account", "repository"}
	w.box.AddApp(sandbox.Bitbucket, app)
	a := w.start(sandbox.Bitbucket)
	b := newBrowser(w)
	b.callback(w.grant(a.platform, "alice", b.authorizeURL(a), nil)).
		refused(problem.PermissionMissing, a.id)
	p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
	if p["reason"] != "consumer" || !strings.Contains(p["detail"].(string), "webhook") {
		t.Errorf("the problem is %v", p)
	}
}

func TestTheCallbackAcceptsOnlyGet(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		r := b.visit(back, true, odd, func(r *request) { r.method = method })
		if r.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d, want 405", method, r.status)
		}
	}
	r := b.visit(back, true, odd, func(r *request) { r.method = "HEAD" })
	if r.status != http.StatusSeeOther ||
		strings.Contains(r.header.Get("Location"), "confirmationCode") {
		t.Errorf("HEAD: got %d", r.status)
	}
	w.stage(a.id, "redirected")
	if len(b.cookies()) != 1 {
		t.Error("the cookie was cleared")
	}
	b.callback(back).consented()
}
