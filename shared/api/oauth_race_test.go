package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/vault/vaulttest"
)

// during calls do once, right before the n-th call by a name.
func during(call string, n int, do func()) func(int, string) error {
	var met atomic.Int64
	return func(_ int, name string) error {
		if name == call && met.Add(1) == int64(n) {
			do()
		}
		return nil
	}
}

func (w *world) unbind(platform sandbox.Platform) reply {
	w.t.Helper()
	return w.do(request{method: "DELETE", path: home + "/" + string(platform)}).ok()
}

func TestA18_UnbindDuringACallback(t *testing.T) {
	for _, platform := range byConsent {
		for n, call := range []string{"Authorization", "SaveAuthorization", "SaveAuthorization"} {
			w := newConsentWorld(t)
			w.bindBy(platform, "alice")
			b := newBrowser(w)
			a := w.start(platform)
			back := w.grant(a.platform, "bob", b.authorizeURL(a), nil)
			w.table.reset(during(call, max(n, 1), func() { w.unbind(platform) }))
			end := b.callback(back).consented()
			w.table.reset(nil)
			w.unbound(home, platform)
			// The consent is still valid for a binding that is made after the unbind.
			w.confirm(a.id, end.confirmationCode).ok()
			w.boundTo(home, platform, "bob")
			w.wantHistory(platform, 3, "binding.bound", "bob", "")
		}
	}
}

// At whatever point of a confirm an unbind comes, the binding that it ended stays unbound: the
// confirm ends as if it came later, or with a conflict.
func TestA18_UnbindDuringAConfirm(t *testing.T) {
	for _, platform := range byConsent {
		if last := unbindDuringConfirm(t, platform, 0); last < 5 {
			t.Errorf("%s: a confirm makes %d calls only", platform, last)
		} else {
			sideBySide(t, string(platform), last, func(t *testing.T, n int) {
				unbindDuringConfirm(t, platform, n)
			})
		}
	}
}

// unbindDuringConfirm unbinds right before the n-th call, and returns how many calls the confirm
// has made to the table.
func unbindDuringConfirm(t *testing.T, platform sandbox.Platform, n int) int {
	w := newConsentWorld(t)
	w.bindBy(platform, "alice")
	a := w.start(platform)
	confirmationCode := newBrowser(w).confirmationCode(a, "bob")
	var ended atomic.Bool
	w.table.reset(func(i int, _ string) error {
		if i == n && ended.CompareAndSwap(false, true) {
			w.unbind(platform)
		}
		return nil
	})
	r := w.confirm(a.id, confirmationCode)
	calls := len(w.table.made())
	w.table.reset(nil)
	if r.status != http.StatusOK {
		r.refused(problem.Conflict, "")
		w.unbound(home, platform)
	} else if w.binding(home, string(platform))["status"] == "bound" { // the unbind came first
		w.boundTo(home, platform, "bob")
	}
	if live := w.box.LiveTokens(platform, "alice"); platform == sandbox.GitHub && live != 0 {
		t.Errorf("%d tokens of alice's live on", live)
	}
	w.wantConsistentAfterSweep()
	return calls
}

// wantConsistentAfterSweep lets time pass and sweeps. Bindings must then be usable, and nothing
// else may be left.
func (w *world) wantConsistentAfterSweep() {
	w.t.Helper()
	for range 3 {
		w.clock.Advance(16 * time.Minute)
		w.sweep()
	}
	page, err := w.lost.AllBindings(w.t.Context(), "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	bound := 0
	for _, rec := range page.Items {
		if !rec.Bound() {
			continue
		}
		bound++
		if w.kept(rec.Token).Empty() {
			w.t.Error("a binding's token is not in the vault")
		}
	}
	names, err := vaulttest.Names(w.t.Context(), w.secrets)
	if err != nil || len(names) != bound {
		w.t.Errorf("%d secrets for %d bindings: %v", len(names), bound, err)
	}
	due, err := w.lost.DueBefore(w.t.Context(), w.clock.Now().Add(24*time.Hour), "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range due.Items {
		if entry.Authorization != "" {
			w.t.Error("an attempt is left")
		}
	}
}

func TestA18_ARebindAndAConfirmAtOnce(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice")
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "bob")
	w.table.reset(during("SaveBinding", 1, func() { w.bindBy(sandbox.GitHub, "carol") }))
	w.confirm(a.id, confirmationCode).refused(problem.Conflict, "")
	w.table.reset(nil)
	w.boundTo(home, sandbox.GitHub, "carol")
	// The sweep removes the token that lost, at the platform too.
	w.wantConsistentAfterSweep()
	if w.box.LiveTokens(sandbox.GitHub, "bob") != 0 || w.box.LiveTokens(sandbox.GitHub, "carol") != 1 {
		t.Error("the token that lost must be dead, the other alive")
	}
}

// TestA5_ACallbackThatLosesTheClaimRedeemsNothing lets a second callback run between the checks of
// a first one and its claim.
func TestA5_ACallbackThatLosesTheClaimRedeemsNothing(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
		cookie := b.cookies()[0] + "=" + b.value()
		shown := func(r *request) { r.header["Cookie"] = cookie }
		var won consoleRedirect
		w.table.reset(during("SaveAuthorization", 1, func() {
			won = newBrowser(w).callback(back, shown).consented()
		}))
		b.callback(back, shown).refused(problem.AuthorizationDone, a.id)
		w.table.reset(nil)
		if got := w.box.Exchanges(platform); got != 1 {
			t.Errorf("%s: %d exchanges, want 1", platform, got)
		}
		w.confirm(a.id, won.confirmationCode).ok()
		w.boundTo(home, platform, "alice")
	}
}

func TestTwoBrowsersOpenTheStartURLAtOnce(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	one, other := newBrowser(w), newBrowser(w)
	var address string
	w.table.reset(during("SaveAuthorization", 1, func() { address = other.authorizeURL(a) }))
	one.openRefused(a).refused(problem.AnotherBrowser, a.id)
	w.table.reset(nil)
	other.callback(w.grant("github", "alice", address, nil)).consented()
}

// A browser that disconnects during a callback loses no token: Bindery has it.
func TestAClosedTabLosesNoToken(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	back := w.grant("github", "alice", b.authorizeURL(a), nil)
	cookie := b.cookies()[0] + "=" + b.value()
	ctx, closeTab := context.WithCancel(t.Context())
	done := make(chan struct{}, 1)
	w.table.reset(func(_ int, call string) error {
		switch call {
		case "SaveAuthorization": // the claim, right before the exchange
			closeTab()
		case "SaveIdentityEntry": // after two replies of the platform
			done <- struct{}{}
		}
		return nil
	})
	address := w.url + mustParse(back).RequestURI()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal("no request")
	}
	req.Header.Set("Cookie", cookie)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the callback has ended with its tab")
	}
	w.table.reset(nil)
	w.waitForCallback(a.id)
	w.wantConsistentAfterSweep()
	if live := w.box.LiveTokens(sandbox.GitHub, "alice"); live != 0 {
		t.Errorf("%d tokens are valid at GitHub that Bindery doesn't have", live)
	}
}

// waitForCallback waits until a callback whose client has gone has changed the stage of its
// attempt.
func (w *world) waitForCallback(id string) {
	w.t.Helper()
	for range 10_000 {
		if w.shown(id, "").ok().text("stage") != "claimed" {
			return
		}
	}
	w.t.Fatal("the callback never ends")
}
