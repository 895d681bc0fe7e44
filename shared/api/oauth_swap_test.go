package api_test

import (
	"net/http"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

// In the tests of A19 the thief starts an attempt, opens it in the thief's own browser, and sends
// the platform's address to the victim, who consents there.

// swapped returns the thief's attempt and browser, and the callback that the victim's browser gets.
func (w *world) swapped(platform sandbox.Platform) (a attempt, thief *browser, back string) {
	w.t.Helper()
	a, thief = w.start(platform), newBrowser(w)
	return a, thief, w.grant(a.platform, "alice", thief.authorizeURL(a), nil)
}

// wantNothingStolen opens the callback in the thief's browser, and expects no exchange.
func (w *world) wantNothingStolen(a attempt, thief *browser, back string) {
	w.t.Helper()
	thief.callback(back).refused(problem.AuthorizationDone, a.id)
	thief.openRefused(a).refused(problem.AuthorizationDone, a.id)
	if got := w.box.Exchanges(sandbox.Platform(a.platform)); got != 0 {
		w.t.Errorf("%s: %d exchanges, want 0", a.platform, got)
	}
	w.unbound(home, sandbox.Platform(a.platform))
}

func TestA19_ACallbackFromAnotherBrowserEndsTheAttempt(t *testing.T) {
	for _, platform := range byConsent {
		for name, c := range map[string]struct {
			cookie func(victim, thief *browser) string
			want   problem.Code
		}{
			"no cookie": {
				func(*browser, *browser) string { return "" }, problem.CookiesBlocked,
			},
			"a cookie of the victim's own attempt": {
				func(v, _ *browser) string { return v.cookies()[0] + "=" + v.value() },
				problem.AnotherBrowser,
			},
			"the right state and another verifier": {
				func(_, thief *browser) string {
					whole := thief.value()
					return thief.cookies()[0] + "=" + whole[:len(whole)-64] + strings.Repeat("0", 64)
				},
				problem.AnotherBrowser,
			},
		} {
			t.Run(string(platform)+", "+name, func(t *testing.T) {
				w := newConsentWorld(t)
				a, thief, back := w.swapped(platform)
				victim, own := newBrowser(w), w.start(platform)
				ownAddress := victim.authorizeURL(own)
				cookie := c.cookie(victim, thief)
				victim.callback(back, func(r *request) { r.header["Cookie"] = cookie }).
					refused(c.want, a.id)
				w.wantNothingStolen(a, thief, back)
				w.wantFailed(a, c.want, "")
				if lines := w.audited("callback"); len(lines) != 1 ||
					lines[0]["outcome"] != string(c.want) {
					t.Errorf("the audit lines are %v", lines)
				}
				victim.callback(w.grant(own.platform, "alice", ownAddress, nil)).consented()
			})
		}
	}
}

// The state decides, whatever else the callback says.
func TestA19_AnyCallbackWithTheStateEndsTheAttempt(t *testing.T) {
	for name, change := range map[string]func(back, state string) string{
		"a refusal": func(_, state string) string {
			return callbackOf("github", "error", "access_denied", "state", state)
		},
		"no code":        func(_, state string) string { return callbackOf("github", "state", state) },
		"another issuer": func(back, _ string) string { return back + "&iss=https%3A%2F%2Fevil.example" },
		"two codes":      func(back, _ string) string { return back + "&code=x" },
		"at another platform's callback": func(back, _ string) string {
			return strings.Replace(back, "/callback/github", "/callback/gitee", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsentWorld(t)
			a, thief, back := w.swapped(sandbox.GitHub)
			newBrowser(w).callback(change(back, queryOf(back).Get("state")), odd).
				refused(problem.CookiesBlocked, a.id)
			w.wantNothingStolen(a, thief, back)
			w.wantFailed(a, problem.CookiesBlocked, "")
		})
	}
}

// The attempt's own browser ends it too, whichever way the consent went.
func TestA19_TheRightBrowserEndsTheAttemptWithARefusalAndAnotherIssuer(t *testing.T) {
	for end, want := range map[string]problem.Code{
		"error=access_denied":                   problem.ConsentRefused,
		"iss=https%3A%2F%2Fevil.example&code=x": problem.PlatformError,
		"code=":                                 problem.PlatformError,
	} {
		w := newConsentWorld(t)
		a, thief, back := w.swapped(sandbox.GitHub)
		state := queryOf(back).Get("state")
		thief.callback(callbackOf("github", "state", state)+"&"+end).refused(want, a.id)
		w.wantNothingStolen(a, thief, back)
	}
}

func TestA19_AConsentThatIsCompleteIsNotEnded(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	b := newBrowser(w)
	back := w.grant("github", "alice", b.authorizeURL(a), nil)
	code := b.callback(back).consented().confirmationCode
	newBrowser(w).callback(back).refused(problem.AuthorizationDone, a.id)
	w.confirm(a.id, code).ok()
}

// Of the victim's callback and one of the thief's with a code of the thief's own, the first counts.
func TestA19_TwoBrowsersAtOnce(t *testing.T) {
	for _, first := range []string{"the victim", "the thief"} {
		w := newConsentWorld(t)
		a, thief, back := w.swapped(sandbox.GitHub)
		own := callbackOf("github", "state", queryOf(back).Get("state"), "code",
			queryOf(w.grant("github", "bob", thief.authorizeURL(a), nil)).Get("code"))
		victims := func() { newBrowser(w).callback(back).refused(problem.CookiesBlocked, a.id) }
		if first == "the victim" {
			w.table.reset(during("SaveAuthorization", 1, victims))
			thief.callback(own).refused(problem.AuthorizationDone, a.id)
			w.table.reset(nil)
			w.wantNothingStolen(a, thief, back)
			continue
		}
		var code string
		w.table.reset(during("SaveAuthorization", 1, func() {
			code = thief.callback(own).consented().confirmationCode
		}))
		victims()
		w.table.reset(nil)
		w.confirm(a.id, code).ok()
		w.boundTo(home, sandbox.GitHub, "bob")
	}
}

func TestA19_WithStorageFailing(t *testing.T) {
	try := func(w *world) (func() bool, func(bool)) {
		a, thief, back := w.swapped(sandbox.GitHub)
		victims := func() bool {
			end := newBrowser(w).callback(back)
			if end.problem != string(problem.StorageUnavailable) {
				end.refused(problem.CookiesBlocked, a.id)
				return true
			}
			return false
		}
		return victims, func(ok bool) {
			if !ok { // the browser is told to try again
				r := newBrowser(w).visit(back, true)
				if r.status != http.StatusSeeOther {
					w.t.Errorf("got %d, want 303", r.status)
				}
			}
			w.wantNothingStolen(a, thief, back)
		}
	}
	eachFailure(t, try)
	eachLostReply(t, try)
}
