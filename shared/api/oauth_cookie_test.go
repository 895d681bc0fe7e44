package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

func TestA13_OnlyTheBrowserHasTheCookieUntilTheAttemptEnds(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		w.clock.Advance(5 * time.Minute)
		address := b.authorizeURL(a)
		c, err := http.ParseSetCookie(b.given[0])
		if err != nil {
			t.Fatal("the cookie can't be read")
		}
		if !regexp.MustCompile(`^__Host-bindery-[0-5]$`).MatchString(c.Name) {
			t.Errorf("the cookie's name is %s", c.Name)
		}
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" ||
			c.Domain != "" || c.MaxAge != 600 || len(c.Unparsed) != 0 {
			t.Errorf("the cookie is Secure %v, HttpOnly %v, SameSite %v, Path %q, Domain %q, "+
				"Max-Age %d", c.Secure, c.HttpOnly, c.SameSite, c.Path, c.Domain, c.MaxAge)
		}
		if len(b.cookies()) != 1 {
			t.Fatal("a strict browser doesn't keep the cookie")
		}
		b.callback(w.grant(a.platform, "alice", address, nil)).consented()
		if len(b.cookies()) != 0 || len(b.given) != 2 {
			t.Errorf("%d cookies are kept of %d given, want 0 of 2", len(b.cookies()), len(b.given))
		}
		cleared, err := http.ParseSetCookie(b.given[1])
		if err != nil || cleared.Name != c.Name || cleared.MaxAge >= 0 || !cleared.Secure ||
			cleared.Path != "/" {
			t.Error("the cookie isn't cleared as it was set")
		}
	}
}

func TestA13_TwoTabsDontDisturbEachOther(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	one, other := w.start(sandbox.GitHub), w.start(sandbox.GitHub, "instance", atShanghai)
	back := w.grant("github", "alice", b.authorizeURL(one), nil)
	otherBack := w.grant("github", "bob", b.authorizeURL(other), nil)
	if len(b.cookies()) != 2 {
		t.Fatalf("the browser has %d cookies, want 2", len(b.cookies()))
	}
	second := b.callback(otherBack).consented()
	if len(b.cookies()) != 1 {
		t.Errorf("the browser has %d cookies, want 1", len(b.cookies()))
	}
	first := b.callback(back).consented()
	w.confirm(one.id, first.confirmationCode).ok()
	w.confirm(other.id, second.confirmationCode, "instance", atShanghai).ok()
	w.boundTo(home, sandbox.GitHub, "alice")
	w.boundTo(shanghaiPath, sandbox.GitHub, "bob")
}

func TestA13_AGarbageCallbackClearsClaimsAndEndsNothing(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a, other := w.start(sandbox.GitHub), w.start(sandbox.GitHub)
	back := w.grant("github", "alice", b.authorizeURL(a), nil)
	state := queryOf(back).Get("state")
	foreign := queryOf(newBrowser(w).authorizeURL(other)).Get("state")
	flipped := []byte(state)
	flipped[len(flipped)-1] ^= 1
	unknown := strings.Repeat("0", 32) + "." + strings.Repeat("0", 64)
	_, random, _ := strings.Cut(foreign, ".")
	with := func(state string) string { return callbackOf("github", "code", "x", "state", state) }
	for name, address := range map[string]string{
		"no state":                      callbackOf("github", "code", "x"),
		"an unknown state":              with(unknown),
		"half a state":                  with(a.id),
		"another random part":           with(string(flipped)),
		"the random part of another":    with(a.id + "." + random),
		"bytes":                         with("\xff\x00\r\n;"),
		"100 KB":                        with(strings.Repeat("a", 100<<10)),
		"a consent refused, no state":   callbackOf("github", "error", "access_denied"),
		"a consent refused, half of it": callbackOf("github", "error", "access_denied", "state", a.id),
	} {
		for _, who := range []*browser{b, newBrowser(w)} {
			t.Run(name, func(t *testing.T) {
				given := len(who.given)
				who.callback(address).refused(problem.AuthorizationUnknown, "")
				if len(who.given) != given {
					t.Error("a cookie was touched")
				}
			})
		}
	}
	w.stage(a.id, "redirected")
	w.stage(other.id, "redirected")
	b.callback(back).consented()
}

func TestABrowserWithoutCookiesGetsCookiesBlocked(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	b.off = true
	a := w.start(sandbox.GitHub)
	address := b.authorizeURL(a)
	// It can't open the startUrl again: without the cookie it is another browser.
	b.openRefused(a).refused(problem.AnotherBrowser, a.id)
	b.callback(w.grant("github", "alice", address, nil)).refused(problem.CookiesBlocked, a.id)
	b.openRefused(a).refused(problem.AuthorizationDone, a.id)
}

func TestTheStartURLAgainInTheSameBrowserKeepsTheHandshake(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		first := b.authorizeURL(a)
		w.clock.Advance(time.Minute)
		reload := b.authorizeURL(a)
		if first != reload {
			t.Fatalf("%s: a reload goes elsewhere", platform)
		}
		if len(b.cookies()) != 1 {
			t.Errorf("%s: %d cookies, want 1", platform, len(b.cookies()))
		}
		b.callback(w.grant(a.platform, "alice", reload, nil)).consented()
	}
}

func TestTheStartURLAcceptsOnlyNavigations(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	for _, mode := range []string{"cors", "no-cors", "same-origin", "websocket", "NAVIGATE", "x"} {
		for lang, want := range map[string]string{"en": "Open this in the", "zh-CN": "浏览器"} {
			r := b.open(a, func(r *request) {
				r.header["Sec-Fetch-Mode"], r.header["Accept-Language"] = mode, lang
			})
			r.refused(problem.NotANavigation, "")
			if !strings.Contains(r.text("title"), want) {
				t.Errorf("%s: %s", lang, r.body)
			}
		}
	}
	for _, method := range []string{"HEAD", "POST", "PUT"} {
		r := b.open(a, odd, func(r *request) { r.method = method })
		if r.status != http.StatusMethodNotAllowed || !strings.Contains(r.header.Get("Allow"), "GET") {
			t.Errorf("%s: got %d, Allow %q", method, r.status, r.header.Get("Allow"))
		}
	}
	if len(b.given) != 0 {
		t.Error("a cookie was given")
	}
	w.stage(a.id, "started") // none of the requests has used the authorization up
	old := b.open(a, func(r *request) { r.header["Sec-Fetch-Mode"] = "" })
	if old.status != http.StatusFound {
		t.Errorf("a browser that says no mode: got %d, want 302", old.status)
	}
}

func TestTheStartURLOfAnUnknownAttempt(t *testing.T) {
	w := newConsentWorld(t)
	for _, id := range []string{
		strings.Repeat("0", 32), "x", strings.Repeat("x", 32), "%ff%00", "..%2f..",
		strings.Repeat("a", 5000),
	} {
		a := attempt{startURL: publicURL + "/v1/authorizations/" + id + "/start"}
		r := newBrowser(w).open(a, odd)
		if r.status != http.StatusSeeOther {
			t.Fatalf("%q: got %d, want 303", id, r.status)
		}
		w.consoleRedirect(r.header.Get("Location")).refused(problem.AuthorizationUnknown, "")
	}
}

func TestNoRedirectIsCachedOrSendsAReferrer(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	start := b.open(a)
	back := w.grant("github", "alice", start.header.Get("Location"), nil)
	callback := b.visit(back, true)
	garbage := newBrowser(w).visit(back, true)
	for name, r := range map[string]reply{"go": start, "callback": callback, "garbage": garbage} {
		if r.header.Get("Cache-Control") != "no-store" ||
			r.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: Cache-Control %q, Referrer-Policy %q", name,
				r.header.Get("Cache-Control"), r.header.Get("Referrer-Policy"))
		}
	}
	// The confirmation code is in the fragment, which is sent to no server.
	if u := mustParse(callback.header.Get("Location")); u.RawQuery != "" || u.Path != "/" {
		t.Errorf("the console's address has the path %q and a query of %d bytes",
			u.Path, len(u.RawQuery))
	}
}

// cookieBudget is what the cookies of Bindery may take of the 4 KB that Function Compute allows for
// all headers of a request: a third, which leaves the rest to the browser's own.
const cookieBudget = 4096 / 3

func TestA21_ManyStartsTakeAFewCookies(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	var attempts []attempt
	var backs []string
	for range 100 {
		w.clock.Advance(3 * time.Second) // otherwise too_many_calls
		a := w.start(sandbox.GitHub)
		attempts = append(attempts, a)
		backs = append(backs, w.grant("github", "alice", b.authorizeURL(a), nil))
		if got := len("Cookie: " + b.show(mustParse(publicURL+"/"), true)); got > cookieBudget {
			t.Fatalf("after %d starts the cookies take %d bytes, want %d at most", len(attempts), got,
				cookieBudget)
		}
	}
	if got := len(b.cookies()); got != 6 {
		t.Errorf("%d cookies, want 6", got)
	}
	// The newest six still work, and each callback clears its own cookie.
	for i := 94; i < 100; i++ {
		b.callback(backs[i]).consented()
		if got, want := len(b.cookies()), 99-i; got != want {
			t.Errorf("after %d callbacks there are %d cookies, want %d", i-93, got, want)
		}
	}
}

func TestA21_AnAttemptWhoseCookieWasOverwrittenSaysToStartAgain(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	first := w.start(sandbox.GitHub)
	back := w.grant("github", "alice", b.authorizeURL(first), nil)
	for range 6 {
		w.clock.Advance(time.Second)
		b.authorizeURL(w.start(sandbox.GitHub))
	}
	b.openRefused(first).refused(problem.AnotherBrowser, first.id)
	given := len(b.given)
	b.callback(back).refused(problem.AnotherBrowser, first.id)
	if len(b.given) != given || len(b.cookies()) != 6 {
		t.Error("another attempt's cookie was cleared")
	}
	w.wantFailed(first, problem.AnotherBrowser, "")
	// A new start works, also in a browser whose slots are full.
	again := w.start(sandbox.GitHub)
	b.callback(w.grant("github", "alice", b.authorizeURL(again), nil)).consented()
}

// A slot that holds something else than a handshake is free. Nothing in it harms a callback.
func TestA21_SlotsWithGarbage(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	var all []string // the cookies
	for i, value := range []string{"", "x", "1.2", "9999999999..", "a.b.c", "\"q\""} {
		all = append(all, fmt.Sprintf("__Host-bindery-%d=%s", i, value))
	}
	r := b.open(a, func(r *request) { r.header["Cookie"] = strings.Join(all, "; ") })
	if r.status != http.StatusFound || len(b.given) != 1 {
		t.Fatalf("go: got %d with %d cookies", r.status, len(b.given))
	}
	back := w.grant("github", "alice", r.header.Get("Location"), nil)
	own := b.cookies()[0] + "=" + b.value()
	all = slices.DeleteFunc(all, func(cookie string) bool {
		return strings.HasPrefix(cookie, b.cookies()[0]+"=")
	})
	b.callback(back, func(r *request) {
		r.header["Cookie"] = strings.Join(append(all, own), "; ")
	}).consented()
}

func TestA22_AFrameOrAPrefetchUsesNoStartUp(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	for header, values := range map[string][]string{
		"Sec-Fetch-Dest": {"iframe", "frame", "embed", "object", "fencedframe", "empty", "image", "x"},
		"Sec-Purpose":    {"prefetch", "prefetch;prerender", "prefetch; anonymous-client-ip", "Prefetch"},
		"Purpose":        {"prefetch"}, "X-Moz": {"prefetch"},
	} {
		for _, value := range values {
			for lang, want := range map[string]string{"en": "a frame or a prefetch", "zh-CN": "预加载"} {
				r := b.open(a, func(r *request) {
					r.header["Sec-Fetch-Dest"] = "document"
					r.header[header], r.header["Accept-Language"] = value, lang
				})
				r.refused(problem.NotANavigation, "")
				if !strings.Contains(r.text("detail"), want) {
					t.Errorf("%s in %s: %s", header, lang, r.body)
				}
			}
		}
	}
	if len(b.given) != 0 {
		t.Error("a cookie was given")
	}
	w.stage(a.id, "started")
	first := b.open(a, func(r *request) { r.header["Sec-Fetch-Dest"] = "document" })
	if first.status != http.StatusFound {
		t.Errorf("a window: got %d, want 302", first.status)
	}
	old := newBrowser(w).open(w.start(sandbox.GitHub), func(r *request) {
		r.header["Sec-Fetch-Mode"] = ""
	})
	if old.status != http.StatusFound {
		t.Errorf("a browser that says nothing: got %d, want 302", old.status)
	}
}

func TestA20_EveryResultReturnsToTheConsolesPage(t *testing.T) {
	w := newConsentWorld(t)
	for name, change := range map[string]func(back string) string{
		"consent": func(back string) string { return back },
		"refusal": func(back string) string {
			return callbackOf("github", "error", "access_denied", "state", queryOf(back).Get("state"))
		},
		"two codes": func(back string) string { return back + "&code=x" },
		"garbage":   func(string) string { return callbackOf("github", "state", "x") },
	} {
		b := newBrowser(w)
		a := w.start(sandbox.GitHub, "returnTo", "/login?next=//evil.example")
		back := w.grant("github", "alice", b.authorizeURL(a), nil)
		end := b.visit(change(back), true, odd)
		location := end.header.Get("Location")
		if end.status != http.StatusSeeOther || !strings.HasPrefix(location, consoleURL+"/#") {
			t.Errorf("%s: got %d, not to the console's page", name, end.status)
		}
		if name == "consent" {
			w.consoleRedirect(location).consented()
		}
		if got := w.shown(a.id, "").ok().text("returnTo"); got != "/login?next=//evil.example" {
			t.Errorf("%s: the attempt returns to %q", name, got)
		}
	}
	a := w.start(sandbox.GitHub)
	if got, there := w.shown(a.id, "").ok().json()["returnTo"]; got != nil || !there {
		t.Errorf("without a returnTo it is %v, want null", got)
	}
}
