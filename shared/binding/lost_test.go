package binding_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

var errLost = errors.New("the reply was lost")

// losing is called after each call that has changed something. If it returns an error, the caller
// gets that in place of the reply.
type losing func(conditional bool) error

// reply is the reply of a call that was made.
func (l losing) reply(conditional bool, err error) error {
	if err != nil {
		return err
	}
	return l(conditional)
}

// losingTable is a table that does each call, and loses some replies.
type losingTable struct {
	ledger.Table
	losing
}

func (l losingTable) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	saved, err := l.Table.SaveBinding(ctx, b)
	if err := l.reply(true, err); err != nil {
		return binding.Record{}, err
	}
	return saved, nil
}

func (l losingTable) DeleteBinding(ctx context.Context, b binding.Record) error {
	return l.reply(true, l.Table.DeleteBinding(ctx, b))
}

func (l losingTable) SaveAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, error) {
	saved, err := l.Table.SaveAuthorization(ctx, a)
	if err := l.reply(true, err); err != nil {
		return binding.Authorization{}, err
	}
	return saved, nil
}

func (l losingTable) DeleteAuthorization(ctx context.Context, a binding.Authorization) error {
	return l.reply(true, l.Table.DeleteAuthorization(ctx, a))
}

func (l losingTable) SaveIdentityEntry(ctx context.Context, h binding.IdentityEntry) error {
	return l.reply(false, l.Table.SaveIdentityEntry(ctx, h))
}

func (l losingTable) DeleteIdentityEntry(ctx context.Context, h binding.IdentityEntry) error {
	return l.reply(false, l.Table.DeleteIdentityEntry(ctx, h))
}

func (l losingTable) AppendHistory(ctx context.Context, k binding.Key, e []binding.Event) error {
	return l.reply(false, l.Table.AppendHistory(ctx, k, e))
}

// losingVault is a vault that does each call, and loses some replies.
type losingVault struct {
	vault.Vault
	losing
}

func (l losingVault) Put(
	ctx context.Context, n vault.SecretName, generation int, v secret.Text,
) error {
	return l.reply(false, l.Vault.Put(ctx, n, generation, v))
}

func (l losingVault) Delete(ctx context.Context, n vault.SecretName) error {
	return l.reply(false, l.Vault.Delete(ctx, n))
}

// TestALostReplyLeavesTheOldOrTheNewBinding loses the reply of each call of each operation that
// changes something. With conflict, a call that is conditional says that its condition didn't hold,
// as it does when a client has repeated it unasked.
func TestALostReplyLeavesTheOldOrTheNewBinding(t *testing.T) {
	for _, op := range withSealed(append(operations(), sweepOfAll())) {
		for _, conflict := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/conflict=%v", op.title(), conflict), func(t *testing.T) {
				t.Parallel()
				for k := int64(1); op.loseCallReply(t, k, conflict); k++ {
				}
			})
		}
	}
}

// loseCallReply does an operation whose k-th reply is lost, and reports whether there was one.
func (op operation) loseCallReply(t *testing.T, k int64, conflict bool) bool {
	b := op.setUp(t)
	var calls atomic.Int64
	lost := losing(func(conditional bool) error {
		switch {
		case calls.Add(1) != k:
			return nil
		case conflict && conditional:
			return table.ErrConflict
		}
		return errLost
	})
	if op.sealed {
		b.serve(b.store.table, b.sealedVault(losingRows{b.store.rows, lost}, unhooked))
	} else {
		b.serve(losingTable{b.store.table, lost}, losingVault{b.store.vault, lost})
	}
	err := op.do(context.Background(), b.services, b.input)
	b.serve(b.store.table, b.store.vault)
	if calls.Load() < k {
		testkit.Want(t, "error without a loss", err, nil)
		testkit.Want(t, "replies lost", op.sealed || k > 1, true)
		return false
	}
	when := fmt.Sprintf("the reply of call %d was lost", k)
	op.wantNothingLost(b, when, op.ended(b, when, err))
	return true
}

// TestALostReplyOfTheSaveItselfIsNoFailure: the row is read again, and what is there counts.
func TestALostReplyOfTheSaveItselfIsNoFailure(t *testing.T) {
	for _, reply := range []error{errLost, table.ErrConflict} {
		b := newHarness(t)
		lost := false
		b.serve(losingSaves{b.store.table, func(bool) error {
			if lost = !lost; lost {
				return reply
			}
			return nil
		}}, b.store.vault)
		b.mustBind("i-1", aliceToken)
		lost = false
		v := b.mustBind("i-1", bobToken)
		testkit.Want(t, "identity of the reply", v.Record.Identity.Username, "bob")
		lost = false
		out := b.mustUnbind("i-1", true)
		testkit.Want(t, "the token was revoked", out.Revoked, true)
		testkit.Want(t, "events", len(b.history("i-1")), 3)
		b.serve(b.store.table, b.store.vault)
		b.settled()
	}
}

// losingSaves loses only the replies of saved bindings.
type losingSaves struct {
	ledger.Table
	losing
}

func (l losingSaves) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	return losingTable(l).SaveBinding(ctx, b)
}

// TestAFailedCallLeavesTheOldOrTheNewBinding lets each call of each operation fail before it has
// done anything, reads too.
func TestAFailedCallLeavesTheOldOrTheNewBinding(t *testing.T) {
	for _, op := range withSealed(append(operations(), sweepOfAll())) {
		t.Run(op.title(), func(t *testing.T) {
			t.Parallel()
			for k := int64(1); ; k++ {
				b := op.setUp(t)
				var calls atomic.Int64
				fail := func(context.Context, string) (func(), error) {
					if calls.Add(1) == k {
						return nil, errDown
					}
					return nil, nil
				}
				if op.sealed {
					b.serve(b.store.table, b.sealedVault(b.store.rows, fail))
				} else {
					b.inside.set(fail)
				}
				err := op.do(context.Background(), b.services, b.input)
				b.inside.clear()
				b.serve(b.store.table, b.store.vault)
				if calls.Load() < k {
					testkit.Want(t, "error without a failure", err, nil)
					return
				}
				when := fmt.Sprintf("call %d failed", k)
				op.wantNothingLost(b, when, op.ended(b, when, err))
			}
		})
	}
}
