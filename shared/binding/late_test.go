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
	"bindery/shared/testkit"
)

// operation is something that a service does to the instance i-1, with the state that it needs.
type operation struct {
	name   string
	before func(b *harness)
	do     func(ctx context.Context, s *services, in operationInput) error
	// was and becomes are the usernames of the binding's token before and after.
	was, becomes string
	platform     string // "" is GitLab
	// loses is at how many calls a kill loses a token that the platform has just issued, -1 if one
	// was lost before.
	loses int
	// again says that the operation is repeated after its end, and must succeed then.
	again bool
	// sealed says that the vault is the envelope vault.
	sealed bool
}

// operationInput is the origin of the platforms, and the values that a browser has sent.
type operationInput struct {
	origin string
	values []secret.Text
}

type operationFunc = func(context.Context, *services, operationInput) error

func bindOperation(with token, revoke bool) operationFunc {
	return func(ctx context.Context, s *services, in operationInput) error {
		request := gitLab(in.origin, "i-1", with)
		request.Revoke = revoke
		_, err := s.Connect.BindToken(ctx, request)
		return err
	}
}

func unbindOperation(revoke bool) operationFunc {
	return func(ctx context.Context, s *services, _ operationInput) error {
		_, err := s.Connect.Unbind(ctx, gitLabEnd("i-1", revoke))
		return err
	}
}

func sweep(ctx context.Context, s *services, _ operationInput) error {
	_, err := s.Maintenance.Run(ctx)
	return err
}

// operations returns the operations that the tests of crashes, delays and lost replies go through,
// call by call.
func operations() []operation { return append(tokenOperations(), consentOperations()...) }

func tokenOperations() []operation {
	var all []operation
	add := func(name string, before func(*harness), do operationFunc, was, becomes string) {
		all = append(all, operation{name: name, before: before, do: do, was: was, becomes: becomes})
	}
	bound := func(b *harness) {
		b.mustBind("i-1", aliceToken)
		b.settled()
	}
	add("Bind", func(*harness) {}, bindOperation(bobToken, false), "", "bob")
	add("ReBind", bound, bindOperation(bobToken, false), "alice", "bob")
	add("ReBindAndRevoke", bound, bindOperation(bobToken, true), "alice", "bob")
	add("ReBindWithoutRoomForEvents", func(b *harness) {
		for range binding.MaxEvents {
			b.mustBind("i-1", aliceOther)
		}
	}, bindOperation(bobToken, false), "alice", "bob")
	add("Unbind", bound, unbindOperation(false), "alice", "")
	add("UnbindAndRevoke", bound, unbindOperation(true), "alice", "")
	add("SweepOfEvents", func(b *harness) {
		b.mustBind("i-1", aliceToken)
	}, sweep, "alice", "alice")
	add("SweepOfAReplacedSecret", func(b *harness) {
		b.mustBind("i-1", bobToken)
		b.mustBind("i-1", aliceToken)
		b.mustRun()
		b.clock().Advance(ledger.OrphanGracePeriod)
	}, sweep, "alice", "alice")
	add("SweepOfALeftSecret", func(b *harness) {
		b.left("i-2") // with a token to revoke
		b.mustRun()
		b.clock().Advance(ledger.OrphanGracePeriod)
	}, sweep, "", "")
	add("SweepOfAnUnboundRow", func(b *harness) {
		b.mustBind("i-1", aliceToken)
		b.mustUnbind("i-1", false)
		b.mustRun()
		b.dropSecrets("i-1", provider.GitLab)
		b.clock().Advance(ledger.OrphanGracePeriod)
	}, sweep, "", "")
	add("Check", func(b *harness) {
		bound(b)
		b.clock().Advance(ledger.CheckInterval)
	}, sweep, "alice", "alice")
	return all
}

// sweepOfAll is a sweep that works on several entries side by side.
func sweepOfAll() operation {
	return operation{name: "SweepOfAll", before: func(b *harness) {
		b.mustBind("i-1", bobToken)
		b.settled()
		b.clock().Advance(ledger.CheckInterval)
		b.left("i-2")
		b.mustBind("i-3", aliceOther)
		b.mustUnbind("i-3", false)
		b.clock().Advance(ledger.OrphanGracePeriod)
	}, do: sweep, was: "bob", becomes: "bob"}
}

// dropSecrets deletes all secrets that a record lists, and empties its list.
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

// setUp returns a harness in the state before an operation.
func (op operation) setUp(t testing.TB) *harness {
	b := newHarness(t)
	if op.sealed {
		b.seal(unhooked)
	}
	op.before(b)
	b.input.origin = b.url
	testkit.Want(t, "before the operation", b.holds(op), op.was)
	return b
}

// holds returns the username of the token of the operation's binding, "" if it is unbound.
func (b *harness) holds(op operation) string {
	b.Helper()
	rec := b.row("i-1", op.at())
	if !rec.Bound() {
		return ""
	}
	if err := checkSecret(context.Background(), rec, b.store.vault); err != nil {
		b.Errorf("the record of i-1: %v", err)
	}
	return rec.Identity.Username
}

// ended checks a binding after an operation that may have failed, at once and when everything is
// swept. It returns how many valid tokens are in no secret.
func (op operation) ended(b *harness, when string, err error) (lost int) {
	b.Helper()
	lost = op.lostTokens(b)
	if op.again {
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		err = op.do(context.Background(), b.services, b.input)
		if err != nil && !op.allows(err, lost) {
			b.Errorf("%s, and repeated: %v", when, err)
		}
	}
	now := b.holds(op)
	switch {
	case err == nil && now != op.becomes:
		b.Errorf("%s: got the binding of %q after a success, want %q", when, now, op.becomes)
	case now != op.was && now != op.becomes:
		b.Errorf("%s: got the binding of %q, want %q or %q", when, now, op.was, op.becomes)
	case err != nil && !problem.Is(err, problem.StorageUnavailable) &&
		!problem.Is(err, problem.Conflict) && !op.allows(err, lost):
		b.Errorf("%s: got the error %v, want a problem of the storage", when, err)
	}
	b.settled()
	testkit.Want(b, when+", in the end", b.holds(op), now)
	if err := checkHistory(b.store.table, b.row("i-1", op.at())); err != nil {
		b.Errorf("%s: %v", when, err)
	}
	op.settled(b, when, lost)
	return lost
}

// TestNoCallBeginsLaterThanTwoMinutes lets time jump before and after each call of each operation,
// as it does for a process that is frozen between two calls. Calls that were under way may end.
func TestNoCallBeginsLaterThanTwoMinutes(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			for k := int64(1); ; k++ {
				last := op.late(t, k, true)
				op.late(t, k, false)
				if last {
					testkit.Want(t, "calls seen", k > 2, true)
					return
				}
			}
		})
	}
}

// late lets more than two minutes pass before or after the k-th call of an operation, and expects
// that no call to table, vault or platform begins from then on. It reports whether there was no
// k-th call.
func (op operation) late(t *testing.T, k int64, before bool) (last bool) {
	b := op.setUp(t)
	var calls, tooLate atomic.Int64
	var over atomic.Bool
	jump := func() {
		b.clock().Advance(ledger.CallDeadline + time.Millisecond)
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
	err := op.do(context.Background(), b.services, b.input)
	b.before.clear()
	b.inside.clear()
	b.asked.Store(nil)
	when := fmt.Sprintf("time jumps at call %d, before it: %v", k, before)
	testkit.Want(t, when+", calls that began too late", tooLate.Load(), 0)
	op.ended(b, when, err)
	return calls.Load() < k
}

func TestACallTwoMinutesAfterTheBeginningIsStillMade(t *testing.T) {
	b := newHarness(t)
	b.at("SaveBinding", func() { b.clock().Advance(ledger.CallDeadline) })
	b.mustBind("i-1", aliceToken)
}

func TestACallWithoutABeginningIsRefused(t *testing.T) {
	b := newHarness(t)
	_, err := b.services.Ledger.Table.Binding(context.Background(), key("i-1", provider.GitLab))
	if err == nil {
		t.Error("a call to the table was made although the invocation's start isn't known")
	}
}
