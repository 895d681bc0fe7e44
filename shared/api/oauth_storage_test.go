package api_test

import (
	"net/http"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

// failing makes storage fail: one call, or all from one on.
type failing struct {
	name  string
	fails func(n, k int) bool
}

var failures = []failing{
	{"one call", func(n, k int) bool { return n == k }},
	{"all from one on", func(n, k int) bool { return n >= k }},
}

// stores are the two kinds of storage.
func (w *world) stores() map[string]*watched {
	return map[string]*watched{"table": w.table, "vault": w.vault}
}

// eachFailure does something with storage failing at the k-th call, for k = 1 to the last. Prepare
// makes a world ready and returns what is done; it returns whether that has worked.
func eachFailure(t *testing.T, prepare func(w *world) func() bool, after func(w *world, ok bool)) {
	t.Helper()
	for _, f := range failures {
		for store := range (&world{}).stores() {
			for k := 1; ; k++ {
				w := newConsentWorld(t)
				do := prepare(w)
				watch := w.stores()[store]
				watch.reset(func(n int, _ string) error {
					if f.fails(n, k) {
						return errStorage
					}
					return nil
				})
				ok := do()
				hit := len(watch.made()) >= k
				watch.reset(nil)
				if !hit {
					if !ok {
						t.Errorf("nothing of the %s failed, and it did not work", store)
					}
					break
				}
				after(w, ok)
				if t.Failed() {
					t.Fatalf("with %s of the %s failing, from call %d", f.name, store, k)
				}
			}
		}
	}
}

// eachLostReply does the same, losing the reply of a save that was made.
func eachLostReply(t *testing.T, prepare func(w *world) func() bool, after func(w *world, ok bool)) {
	t.Helper()
	for k := 1; ; k++ {
		w := newConsentWorld(t)
		do := prepare(w)
		met := 0
		w.lost.set(func(n int) bool { met = max(met, n); return n == k })
		ok := do()
		w.lost.set(nil)
		if met < k {
			return
		}
		after(w, ok)
		if t.Failed() {
			t.Fatalf("with the reply to save %d lost", k)
		}
	}
}

func TestGoWithStorageFailing(t *testing.T) {
	var a attempt
	var b *browser
	prepare := func(w *world) func() bool {
		a, b = w.start(sandbox.GitHub), newBrowser(w)
		return func() bool {
			r := b.open(a)
			if r.status == http.StatusFound {
				return true
			}
			w.arrived(r.header.Get("Location")).refused(problem.StorageUnavailable, a.id)
			return false
		}
	}
	eachFailure(t, prepare, func(w *world, _ bool) {
		b.arrive(w.says("github", "alice", b.depart(a), nil)).consented()
	})
	eachLostReply(t, prepare, func(w *world, ok bool) {
		if !ok {
			w.t.Error("what is there doesn't count")
		}
		b.arrive(w.says("github", "alice", b.depart(a), nil)).consented()
	})
}

func TestACallbackWithStorageFailing(t *testing.T) {
	for _, platform := range byConsent {
		var a attempt
		var b *browser
		var back, finish string
		prepare := func(w *world) func() bool {
			a, b = w.start(platform), newBrowser(w)
			back = w.says(a.platform, "alice", b.depart(a), nil)
			return func() bool {
				end := b.arrive(back)
				if finish = end.finish; finish != "" {
					return true
				}
				end.refused(problem.StorageUnavailable, end.id)
				return false
			}
		}
		after := func(w *world, ok bool) {
			if ok {
				w.confirm(a.id, finish).ok()
			} else if w.shown(a.id, "").ok().text("stage") == "redirected" {
				// Nothing was claimed: the browser may come again.
				w.confirm(a.id, b.arrive(back).consented().finish).ok()
			} else {
				w.unbound(home, platform)
				w.bindBy(platform, "alice") // a new attempt works
			}
			w.wholeAfterTheSweep()
			w.boundTo(home, platform, "alice")
			if live := w.box.LiveTokens(platform, "alice"); platform == sandbox.GitHub && live != 1 {
				w.t.Errorf("%d tokens live, want the binding's", live)
			}
		}
		eachFailure(t, prepare, after)
		eachLostReply(t, prepare, after)
	}
}

func TestAConfirmWithStorageFailing(t *testing.T) {
	for _, platform := range byConsent {
		var a attempt
		var finish string
		prepare := func(w *world) func() bool {
			w.bindBy(platform, "bob")
			a = w.start(platform)
			finish = newBrowser(w).finish(a, "alice")
			return func() bool {
				r := w.confirm(a.id, finish)
				if r.status == http.StatusOK {
					return true
				}
				if r.refused(problem.StorageUnavailable, ""); r.header.Get("Retry-After") == "" {
					w.t.Error("no Retry-After")
				}
				return false
			}
		}
		after := func(w *world, _ bool) {
			w.confirm(a.id, finish).ok() // the same call again
			w.boundTo(home, platform, "alice")
			w.told(platform, 2, "binding.rebound", "alice", "bob")
			w.wholeAfterTheSweep()
			bobs := w.box.LiveTokens(platform, "bob")
			if platform == sandbox.GitHub && bobs != 0 {
				w.t.Errorf("%d of bob's tokens live", bobs)
			}
		}
		eachFailure(t, prepare, after)
		eachLostReply(t, prepare, after)
	}
}

func TestARefusalOfAnotherUserWithStorageFailing(t *testing.T) {
	var a attempt
	var finish string
	prepare := func(w *world) func() bool {
		a = w.start(sandbox.GitHub)
		finish = newBrowser(w).finish(a, "alice")
		return func() bool {
			r := w.do(confirmation(a.id, finish).by(w.as("bea")))
			if r.status == http.StatusForbidden {
				r.refused(problem.AnotherUser, "")
				return true
			}
			r.refused(problem.StorageUnavailable, "")
			return false
		}
	}
	eachFailure(t, prepare, func(w *world, _ bool) {
		w.do(confirmation(a.id, finish).by(w.as("bea"))).refused(problem.AnotherUser, "")
		w.confirm(a.id, finish).refused(problem.AuthorizationDone, "")
		w.wholeAfterTheSweep()
		w.unbound(home, sandbox.GitHub)
		if w.box.LiveTokens(sandbox.GitHub, "alice") != 0 {
			w.t.Error("the token lives on")
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
	w.clock.forward(time.Minute)
	w.start(sandbox.GitHub)
}
