package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

// failing makes storage fail: one call, or all calls from one on.
type failing struct {
	name  string
	fails func(n, k int) bool
}

var failures = []failing{
	{"one call", func(n, k int) bool { return n == k }},
	{"all from one on", func(n, k int) bool { return n >= k }},
}

// stores returns the two kinds of storage.
func (w *world) stores() map[string]*watched {
	return map[string]*watched{"table": w.table, "vault": w.vault}
}

// sideBySide runs a test for k = 1 to the last in parallel, since some wait for a second.
func sideBySide(t *testing.T, name string, last int, do func(t *testing.T, k int)) {
	t.Helper()
	var all sync.WaitGroup
	for k := 1; k <= last; k++ {
		all.Go(func() {
			t.Run(fmt.Sprintf("%s %d", name, k), func(t *testing.T) { do(t, k) })
		})
	}
	all.Wait()
}

// trial prepares a world. It returns an action, which reports whether it succeeded, and a check of
// what must hold afterwards.
type trial func(w *world) (do func() bool, after func(ok bool))

// eachFailure makes storage fail at the k-th call, for k = 1 to the last.
func eachFailure(t *testing.T, try trial) {
	t.Helper()
	w := newConsentWorld(t)
	do, _ := try(w)
	w.table.reset(nil)
	w.vault.reset(nil)
	if !do() {
		t.Error("nothing fails, and it does not work")
	}
	for store, watch := range w.stores() {
		for _, f := range failures {
			name := f.name + " of the " + store
			sideBySide(t, name, len(watch.made()), func(t *testing.T, k int) {
				w := newConsentWorld(t)
				do, after := try(w)
				w.stores()[store].reset(func(n int, _ string) error {
					if f.fails(n, k) {
						return errStorage
					}
					return nil
				})
				ok := do()
				w.stores()[store].reset(nil)
				after(ok)
			})
		}
	}
}

// eachLostReply loses the reply to the k-th save, for k = 1 to the last.
func eachLostReply(t *testing.T, try trial) {
	t.Helper()
	lose := func(t *testing.T, k int) int {
		w := newConsentWorld(t)
		do, after := try(w)
		met := 0
		w.lost.set(func(n int) bool { met = max(met, n); return n == k })
		ok := do()
		w.lost.set(nil)
		if k > 0 {
			after(ok)
		}
		return met
	}
	sideBySide(t, "lost reply", lose(t, 0), func(t *testing.T, k int) { lose(t, k) })
}

func TestTheStartURLWithStorageFailing(t *testing.T) {
	try := func(w *world) (func() bool, func(bool)) {
		a, b := w.start(sandbox.GitHub), newBrowser(w)
		return func() bool {
				r := b.open(a)
				if r.status == http.StatusFound {
					return true
				}
				w.consoleRedirect(r.header.Get("Location")).refused(problem.StorageUnavailable, a.id)
				return false
			}, func(bool) {
				b.callback(w.grant("github", "alice", b.authorizeURL(a), nil)).consented()
			}
	}
	eachFailure(t, try)
	eachLostReply(t, func(w *world) (func() bool, func(bool)) {
		do, after := try(w)
		return do, func(ok bool) {
			if !ok {
				w.t.Error("what is there doesn't count")
			}
			after(ok)
		}
	})
}

func TestACallbackWithStorageFailing(t *testing.T) {
	for _, platform := range byConsent {
		try := func(w *world) (func() bool, func(bool)) {
			a, b := w.start(platform), newBrowser(w)
			back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
			var confirmationCode string
			return func() bool {
					end := b.callback(back)
					if confirmationCode = end.confirmationCode; confirmationCode != "" {
						return true
					}
					end.refused(problem.StorageUnavailable, end.id)
					return false
				}, func(ok bool) {
					if ok {
						w.confirm(a.id, confirmationCode).ok()
					} else if w.shown(a.id, "").ok().text("stage") == "redirected" {
						// Nothing was claimed: the browser may repeat the callback.
						w.confirm(a.id, b.callback(back).consented().confirmationCode).ok()
					} else {
						w.unbound(home, platform)
						w.bindBy(platform, "alice") // a new attempt works
					}
					w.wantConsistentAfterSweep()
					w.boundTo(home, platform, "alice")
					live := w.box.LiveTokens(platform, "alice")
					if platform == sandbox.GitHub && live != 1 {
						w.t.Errorf("%d tokens live, want the binding's", live)
					}
				}
		}
		eachFailure(t, try)
		eachLostReply(t, try)
	}
}

func TestAConfirmWithStorageFailing(t *testing.T) {
	for _, platform := range byConsent {
		try := func(w *world) (func() bool, func(bool)) {
			w.bindBy(platform, "bob")
			a := w.start(platform)
			confirmationCode := newBrowser(w).confirmationCode(a, "alice")
			return func() bool {
					r := w.confirm(a.id, confirmationCode)
					if r.status == http.StatusOK {
						return true
					}
					r.refused(problem.StorageUnavailable, "")
					if r.header.Get("Retry-After") == "" {
						w.t.Error("no Retry-After")
					}
					return false
				}, func(bool) {
					w.confirm(a.id, confirmationCode).ok() // the same call again
					w.boundTo(home, platform, "alice")
					w.wantHistory(platform, 2, "binding.rebound", "alice", "bob")
					w.wantConsistentAfterSweep()
					bobs := w.box.LiveTokens(platform, "bob")
					if platform == sandbox.GitHub && bobs != 0 {
						w.t.Errorf("%d of bob's tokens live", bobs)
					}
				}
		}
		eachFailure(t, try)
		eachLostReply(t, try)
	}
}

func TestARefusalOfAnotherUserWithStorageFailing(t *testing.T) {
	eachFailure(t, func(w *world) (func() bool, func(bool)) {
		a := w.start(sandbox.GitHub)
		confirmationCode := newBrowser(w).confirmationCode(a, "alice")
		bea := func() reply { return w.do(confirmation(a.id, confirmationCode).by(w.as("bea"))) }
		return func() bool {
				r := bea()
				if r.status == http.StatusForbidden {
					r.refused(problem.AnotherUser, "")
					return true
				}
				r.refused(problem.StorageUnavailable, "")
				return false
			}, func(bool) {
				bea().refused(problem.AnotherUser, "")
				w.confirm(a.id, confirmationCode).refused(problem.AuthorizationDone, "")
				w.wantConsistentAfterSweep()
				w.unbound(home, sandbox.GitHub)
				if w.box.LiveTokens(sandbox.GitHub, "alice") != 0 {
					w.t.Error("the token lives on")
				}
			}
	})
}

func TestStartWithStorageFailing(t *testing.T) {
	w := newConsentWorld(t)
	w.table.reset(func(int, string) error { return errStorage })
	r := w.do(request{method: "POST", path: "/v1/authorizations", body: map[string]any{
		"platform": "github",
	}}).refused(problem.StorageUnavailable, "")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.table.reset(nil)
	w.clock.Advance(time.Minute)
	w.start(sandbox.GitHub)
}
