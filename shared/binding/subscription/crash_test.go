package subscription_test

import (
	"fmt"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// scenario is an operation that is ended at each of its calls.
type scenario struct {
	name   string
	before func(h *harness)
	do     func(h *harness) error
	// again does it once more when everything is settled, and checks the result.
	again func(h *harness, when string)
}

func put(h *harness) error { _, _, err := h.put(all); return err }

// subscribed expects that a Put works and leaves one subscription.
func subscribed(h *harness, when string) {
	h.Helper()
	testkit.Want(h, when+", error of a put", put(h), nil)
	testkit.Want(h, when+", rows", len(h.list()), 1)
	h.settled(when + ", and put again")
	testkit.Want(h, when+", health", h.row().Health, binding.SubscriptionGood)
}

func scenarios() []scenario {
	sync := func(h *harness) error {
		_, err := h.Sync(h.Context(), h.target("i-1", "1"))
		return err
	}
	loseHook := func(h *harness) {
		h.mustPut()
		h.forge.set("1", func(r *repository) { clear(r.hooks); r.refs["heads/main"] = "c2" })
	}
	caughtUp := func(h *harness, when string) {
		h.Helper()
		subscribed(h, when)
		testkit.Want(h, when+", events", h.events(), "heads/main c1>c2 caught up")
		testkit.Want(h, when+", taken", h.sent > 0, true)
	}
	del := func(h *harness) error {
		_, err := h.Delete(h.Context(), h.target("i-1", "1"))
		return err
	}
	gone := func(h *harness, when string) {
		h.Helper()
		testkit.Want(h, when+", error of a delete", del(h), nil)
		h.settled(when + ", deleted again")
		testkit.Want(h, when+", rows", len(h.list()), 0)
		subscribed(h, when)
	}
	return []scenario{
		{"Put", func(*harness) {}, put, subscribed},
		{"PutThatChanges", func(h *harness) {
			if _, _, err := h.put([]binding.SourceKind{binding.TagKind}); err != nil {
				h.Fatal(err)
			}
		}, put, subscribed},
		{"Sync", loseHook, sync, caughtUp},
		{"SyncByTheRun", loseHook, func(h *harness) error {
			h.clock.Advance(25 * time.Hour)
			_, err := h.Run(h.Context())
			return err
		}, caughtUp},
		{"SyncWithALostSecret", func(h *harness) {
			h.mustPut()
			if err := h.secrets.Delete(h.Context(), h.row().Secret); err != nil {
				h.Fatal(err)
			}
		}, sync, func(h *harness, when string) {
			h.Helper()
			if err := sync(h); err != nil {
				h.Fatal(err)
			}
			subscribed(h, when)
		}},
		{"Delete", func(h *harness) { h.mustPut() }, del, gone},
		{"Unbind", func(h *harness) { h.mustPut() }, func(h *harness) error {
			_, err := h.unbind("i-1")
			return err
		}, func(h *harness, when string) {
			h.Helper()
			if _, err := h.unbind("i-1"); err != nil {
				h.Fatal(err)
			}
			h.settled(when + ", unbound again")
			testkit.Want(h, when+", rows", len(h.list()), 0)
			h.bind("i-1", "alice")
			subscribed(h, when)
		}},
		{"Rebind", func(h *harness) {
			h.mustPut()
			h.forge.set("1", func(r *repository) { r.admins = []string{"alice", "bob"} })
		}, func(h *harness) error { return h.rebind("bob") }, func(h *harness, when string) {
			h.Helper()
			if err := h.rebind("bob"); err != nil {
				h.Fatal(err)
			}
			subscribed(h, when)
			testkit.Want(h, when+", seen with", h.row().IdentityID, "bob")
			testkit.Want(h, when+", held", h.row().Held, false)
		}},
	}
}

var errDead = fmt.Errorf("%w: the process is dead", ledger.ErrLate)

// TestACrashAtAnyCallLeavesNothingBehind ends each operation before its first call to table, vault
// or platform, its second and so on: that call and all later ones fail. The runs then finish or
// undo it, and it can be done again.
func TestACrashAtAnyCallLeavesNothingBehind(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for k := 1; ; k++ {
				h := newHarness(t)
				s.before(h)
				n := 0
				call := func(string) error {
					if n++; n >= k {
						return errDead
					}
					return nil
				}
				h.setHook(call)
				h.forge.before = func(name string) (error, error) { return nil, call(name) }
				_ = s.do(h)
				when := fmt.Sprint("dead at call ", k)
				h.setHook(nil)
				h.forge.before = nil
				h.clock.Advance(2 * time.Minute)
				h.settled(when)
				s.again(h, when)
				if n < k {
					testkit.Want(t, "calls", k > 4, true)
					return
				}
			}
		})
	}
}

// TestALostReplyOfThePlatformLeavesNothingBehind loses each reply of the platform in turn: it has
// done what was asked, and the process does not know.
func TestALostReplyOfThePlatformLeavesNothingBehind(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for k := 1; ; k++ {
				h := newHarness(t)
				s.before(h)
				n := 0
				h.forge.before = func(string) (error, error) {
					if n++; n == k {
						return problem.New(problem.PlatformUnreachable), nil
					}
					return nil, nil
				}
				_ = s.do(h)
				when := fmt.Sprint("reply lost of call ", k)
				h.forge.before = nil
				h.clock.Advance(2 * time.Minute)
				if s.name != "Unbind" { // whose webhook stays if that isn't clear, and is reported
					h.settled(when)
					s.again(h, when)
				}
				if n < k {
					return
				}
			}
		})
	}
}

// TestAConflictAtAnySaveLeavesNothingBehind has each save of a row refused once.
func TestAConflictAtAnySaveLeavesNothingBehind(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for k := 1; ; k++ {
				h := newHarness(t)
				s.before(h)
				n := 0
				h.setHook(func(call string) error {
					if call != "SaveSubscription" {
						return nil
					}
					if n++; n == k {
						return errDown
					}
					return nil
				})
				_ = s.do(h)
				h.setHook(nil)
				when := fmt.Sprint("save ", k, " failed")
				h.clock.Advance(2 * time.Minute)
				h.settled(when)
				s.again(h, when)
				if n < k {
					return
				}
			}
		})
	}
}
