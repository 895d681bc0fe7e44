package binding_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// deed is something that a service does to the instance i-1, with what must be there before it.
type deed struct {
	name   string
	before func(b *harness)
	do     func(ctx context.Context, s *services, e errand) error
	// was and becomes are the user names that the binding's token goes with before and after.
	was, becomes string
	platform     string // "" is GitLab
	// loses is how many deaths there are that lose a token which the platform has just issued, -1 if
	// one was lost before.
	loses int
	// again says that the deed is done again after its end, and must succeed then.
	again bool
}

// errand is what a deed is told: where the platforms are, and what a browser has brought.
type errand struct {
	origin string
	papers []secret.Text
}

type doing = func(context.Context, *services, errand) error

func bindDeed(with token, revoke bool) doing {
	return func(ctx context.Context, s *services, e errand) error {
		in := gitLab(e.origin, "i-1", with)
		in.Revoke = revoke
		_, err := s.Connect.BindToken(ctx, in)
		return err
	}
}

func unbindDeed(revoke bool) doing {
	return func(ctx context.Context, s *services, _ errand) error {
		_, err := s.Connect.Unbind(ctx, gitLabEnd("i-1", revoke))
		return err
	}
}

func sweepDeed(ctx context.Context, s *services, _ errand) error {
	_, err := s.Maintenance.Sweep(ctx)
	return err
}

// deeds are what the tests of death, delay and lost replies go through, call by call.
func deeds() []deed { return append(tokenDeeds(), consentDeeds()...) }

func tokenDeeds() []deed {
	var all []deed
	add := func(name string, before func(*harness), do doing, was, becomes string) {
		all = append(all, deed{name: name, before: before, do: do, was: was, becomes: becomes})
	}
	bound := func(b *harness) {
		b.mustBind("i-1", aliceToken)
		b.settled()
	}
	add("Bind", func(*harness) {}, bindDeed(bobToken, false), "", "bob")
	add("ReBind", bound, bindDeed(bobToken, false), "alice", "bob")
	add("ReBindAndRevoke", bound, bindDeed(bobToken, true), "alice", "bob")
	add("ReBindWithoutRoomForEvents", func(b *harness) {
		for range binding.MaxEvents {
			b.mustBind("i-1", aliceOther)
		}
	}, bindDeed(bobToken, false), "alice", "bob")
	add("Unbind", bound, unbindDeed(false), "alice", "")
	add("UnbindAndRevoke", bound, unbindDeed(true), "alice", "")
	add("SweepOfEvents", func(b *harness) {
		b.mustBind("i-1", aliceToken)
	}, sweepDeed, "alice", "alice")
	add("SweepOfAReplacedSecret", func(b *harness) {
		b.mustBind("i-1", bobToken)
		b.mustBind("i-1", aliceToken)
		b.mustSweep()
		b.clock().move(ledger.OrphanGracePeriod)
	}, sweepDeed, "alice", "alice")
	add("SweepOfALeftSecret", func(b *harness) {
		b.left("i-2") // with a token to revoke
		b.mustSweep()
		b.clock().move(ledger.OrphanGracePeriod)
	}, sweepDeed, "", "")
	add("SweepOfAnUnboundRow", func(b *harness) {
		b.mustBind("i-1", aliceToken)
		b.mustUnbind("i-1", false)
		b.mustSweep()
		b.dropSecrets("i-1", provider.GitLab)
		b.clock().move(ledger.OrphanGracePeriod)
	}, sweepDeed, "", "")
	add("Check", func(b *harness) {
		bound(b)
		b.clock().move(ledger.CheckInterval)
	}, sweepDeed, "alice", "alice")
	return all
}

// sweepOfAll is a sweep that works on several entries side by side.
func sweepOfAll() deed {
	return deed{name: "SweepOfAll", before: func(b *harness) {
		b.mustBind("i-1", bobToken)
		b.settled()
		b.clock().move(ledger.CheckInterval)
		b.left("i-2")
		b.mustBind("i-3", aliceOther)
		b.mustUnbind("i-3", false)
		b.clock().move(ledger.OrphanGracePeriod)
	}, do: sweepDeed, was: "bob", becomes: "bob"}
}

// dropSecrets takes all secrets that a record lists away, and empties its list.
func (b *harness) dropSecrets(id, platform string) {
	b.Helper()
	ctx := context.Background()
	rec := b.row(id, platform)
	for _, o := range rec.Secrets {
		if err := b.store.vault.Delete(ctx, o.Name); err != nil {
			b.Fatal(err)
		}
	}
	rec.Secrets = nil
	rec.DueAt = b.Ledger.Due(rec)
	if _, err := b.store.table.SaveBinding(ctx, rec); err != nil {
		b.Fatal(err)
	}
}

// ready is a harness in the state before a deed.
func (d deed) ready(t testing.TB) *harness {
	b := newHarness(t)
	d.before(b)
	b.errand.origin = b.url
	want(t, "before the deed", b.holds(d), d.was)
	return b
}

// holds is the user name that the token of the deed's binding goes with, "" if it is unbound.
func (b *harness) holds(d deed) string {
	b.Helper()
	rec := b.row("i-1", d.at())
	if !rec.Bound() {
		return ""
	}
	if err := usable(context.Background(), rec, b.store.vault); err != nil {
		b.Errorf("the record of i-1: %v", err)
	}
	return rec.Identity.Username
}

// ended checks a binding after a deed that may have failed, at once and when all has settled. It
// says how many tokens live at the platform that nobody has.
func (d deed) ended(b *harness, when string, err error) (lost int) {
	b.Helper()
	lost = d.unknown(b)
	if d.again {
		b.clock().move(credential.RefreshLeaseTTL + time.Second)
		err = d.do(context.Background(), b.services, b.errand)
		if err != nil && !d.excused(err, lost) {
			b.Errorf("%s, and done again: %v", when, err)
		}
	}
	now := b.holds(d)
	switch {
	case err == nil && now != d.becomes:
		b.Errorf("%s: got the binding of %q after a success, want %q", when, now, d.becomes)
	case now != d.was && now != d.becomes:
		b.Errorf("%s: got the binding of %q, want %q or %q", when, now, d.was, d.becomes)
	case err != nil && !problem.Is(err, problem.StorageUnavailable) &&
		!problem.Is(err, problem.Conflict) && !d.excused(err, lost):
		b.Errorf("%s: got the error %v, want a problem of the storage", when, err)
	}
	b.settled()
	want(b, when+", in the end", b.holds(d), now)
	if err := told(b.store.table, b.row("i-1", d.at())); err != nil {
		b.Errorf("%s: %v", when, err)
	}
	d.settled(b, when, lost)
	return lost
}

// TestNoCallBeginsLaterThanTwoMinutes lets time jump before and after each call of each deed, as it
// does for a process that is frozen between two calls. Calls that were under way may end.
func TestNoCallBeginsLaterThanTwoMinutes(t *testing.T) {
	for _, d := range deeds() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for k := int64(1); ; k++ {
				last := d.late(t, k, true)
				d.late(t, k, false)
				if last {
					want(t, "calls seen", k > 2, true)
					return
				}
			}
		})
	}
}

// late lets more than two minutes pass before or after the k-th call of a deed, and expects that no
// call to table, vault or platform begins from then on. It reports whether there was no k-th call.
func (d deed) late(t *testing.T, k int64, before bool) (last bool) {
	b := d.ready(t)
	var calls, tooLate atomic.Int64
	var over atomic.Bool
	jump := func() {
		b.clock().move(ledger.CallDeadline + time.Millisecond)
		over.Store(true)
	}
	b.before.set(func(context.Context, string) (func(), error) {
		if calls.Add(1) != k {
			return nil, nil
		}
		if before {
			jump()
			return nil, nil
		}
		return jump, nil
	})
	seen := func() {
		if over.Load() {
			tooLate.Add(1)
		}
	}
	b.inside.set(func(context.Context, string) (func(), error) { seen(); return nil, nil })
	asked := func(sandbox.Request) { seen() }
	b.asked.Store(&asked)
	err := d.do(context.Background(), b.services, b.errand)
	b.before.clear()
	b.inside.clear()
	b.asked.Store(nil)
	when := fmt.Sprintf("time jumps at call %d, before it: %v", k, before)
	want(t, when+", calls that began too late", tooLate.Load(), 0)
	d.ended(b, when, err)
	return calls.Load() < k
}

func TestACallTwoMinutesAfterTheBeginningIsStillMade(t *testing.T) {
	b := newHarness(t)
	b.at("SaveBinding", func() { b.clock().move(ledger.CallDeadline) })
	b.mustBind("i-1", aliceToken)
}

func TestACallWithoutABeginningIsRefused(t *testing.T) {
	b := newHarness(t)
	_, err := b.services.Ledger.Table.Binding(context.Background(), key("i-1", provider.GitLab))
	if err == nil {
		t.Error("a call to the table was made although nobody noted when the work began")
	}
}
