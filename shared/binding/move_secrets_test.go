package binding_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/transition"
	"bindery/shared/vault/vaulttest"
)

// sealedVault returns an envelope vault with the laptop's key. before is called before each call to
// the rows and to the key service.
func (b *harness) sealedVault(rows envelope.Store, before vault.Hook) vault.Vault {
	b.Helper()
	v, err := sealedVault(b.dir, rows, b.clock().Now, before)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (b *harness) sealedInMemory() vault.Vault {
	b.Helper()
	return b.sealedVault(new(vaulttest.Rows), unhooked)
}

// movesTo makes the service store new secrets in one vault and read those of the other.
func (b *harness) movesTo(to, from vault.Vault, before vault.Hook) {
	b.serve(b.table, transition.New(transition.Options{
		To: vault.WithBeforeCall(to, before), From: vault.WithBeforeCall(from, before),
	}))
}

func unhooked(context.Context, string) (func(), error) { return nil, nil }

// moved runs the task to its end.
func (b *harness) moved(act bool) (sum maintenance.MoveSecretsResult) {
	b.Helper()
	for {
		out, err := b.Maintenance.MoveSecrets(context.Background(), maintenance.MoveSecretsRequest{
			Act: act, Cursor: sum.Cursor,
		})
		if err != nil {
			b.Fatal(err)
		}
		testkit.Want(b, "acted", out.Acted, act)
		sum.Unmoved += out.Unmoved
		sum.Read += out.Read
		sum.Moved += out.Moved
		sum.Failed += out.Failed
		if sum.Cursor = out.Cursor; sum.Cursor == "" {
			return sum
		}
	}
}

// threeSecrets binds GitLab and GitHub and subscribes to a repository.
func (b *harness) threeSecrets() binding.Subscription {
	b.Helper()
	b.bound("i-1", provider.GitLab)
	b.bound("i-2", provider.GitHub)
	return b.subscribed("i-2", "1", binding.SubscriptionActive)
}

// wantThree expects that the secrets are read.
func (b *harness) wantThree(sub binding.Subscription) {
	b.Helper()
	b.accessOf(b.row("i-1", provider.GitLab))
	b.accessOf(b.row("i-2", provider.GitHub))
	ctx := b.Ledger.StartInvocation(context.Background())
	got, err := b.Ledger.WebhookSecret(ctx, sub)
	if err != nil || got.Reveal() != webhookCanary {
		b.Errorf("the webhook's secret is another one, or %v", err)
	}
}

func (b *harness) wantEmpty(v vault.Vault) {
	b.Helper()
	if names, err := vaulttest.Names(context.Background(), v); err != nil || len(names) > 0 {
		b.Errorf("left over: %v, %v", names, err)
	}
}

func TestSecretsMoveToAnotherVaultAndBack(t *testing.T) {
	b := newHarness(t)
	sub := b.threeSecrets()
	sealed := b.sealedInMemory()
	for _, c := range []struct{ to, from vault.Vault }{{sealed, b.vault}, {b.vault, sealed}} {
		b.clock().Advance(2 * time.Minute) // the last claim is over
		b.movesTo(c.to, c.from, unhooked)
		testkit.Want(t, "unmoved", b.moved(false), maintenance.MoveSecretsResult{Unmoved: 3})
		testkit.Want(t, "moved", b.moved(true), maintenance.MoveSecretsResult{Read: 3, Moved: 3})
		b.wantThree(sub)
		b.wantEmpty(c.from)
		b.serve(b.table, c.to)
		b.wantThree(sub)
		b.clock().Advance(2 * time.Minute)
	}
	testkit.Want(t, "with one vault", b.moved(true), maintenance.MoveSecretsResult{})
	_, err := b.Maintenance.MoveSecrets(t.Context(), maintenance.MoveSecretsRequest{Act: true})
	testkit.Want(t, "no error", err == nil, true)
}

var errMoveCrash = errors.New("crashed")

// The task crashes before any call to one of the vaults. The next one completes its work.
func TestD7_AMoveOfAllSecretsThatCrashesIsCompleted(t *testing.T) {
	for n := 0; ; n++ {
		b := newHarness(t)
		sub := b.threeSecrets()
		sealed := b.sealedInMemory()
		var calls atomic.Int64 // of several goroutines
		b.movesTo(sealed, b.vault, func(context.Context, string) (func(), error) {
			if calls.Add(1) > int64(n) {
				return nil, errMoveCrash
			}
			return nil, nil
		})
		out, err := b.Maintenance.MoveSecrets(t.Context(), maintenance.MoveSecretsRequest{Act: true})
		if err != nil {
			t.Fatal(err)
		}
		b.movesTo(sealed, b.vault, unhooked)
		b.wantThree(sub)
		b.clock().Advance(2 * time.Minute)
		testkit.Want(t, "failed", b.moved(true).Failed, 0)
		b.wantThree(sub)
		b.wantEmpty(b.vault)
		if out.Cursor == "" && out.Failed == 0 {
			return
		}
	}
}

// An end of a subscription waits with its secret until a move must be over.
func TestASubscriptionIsClaimedWhileItsSecretMoves(t *testing.T) {
	b := newHarness(t)
	sub := b.threeSecrets()
	b.movesTo(b.sealedInMemory(), b.vault, unhooked)
	out := b.moved(true)
	testkit.Want(t, "moved", out.Moved, 3)
	row, err := b.table.Subscription(t.Context(), sub.ID)
	if err != nil || !row.Claim.After(b.Ledger.Now()) {
		t.Errorf("the claim is until %v, %v, want one that is under way", row.Claim, err)
	}
	testkit.Want(t, "failed while another has the claim", b.moved(true).Failed, 1)
}

func TestMoveSecretsRefusesAnotherListsCursor(t *testing.T) {
	b := newHarness(t)
	b.threeSecrets()
	b.movesTo(b.sealedInMemory(), b.vault, unhooked)
	for _, act := range []bool{true, false} {
		for _, cursor := range []string{"subscriptions:x", "x", "vault:%"} {
			_, err := b.Maintenance.MoveSecrets(t.Context(), maintenance.MoveSecretsRequest{
				Act: act, Cursor: cursor,
			})
			if !problem.Is(err, problem.InputMalformed) {
				t.Errorf("act %v, cursor %s: got %v, want input_malformed", act, cursor, err)
			}
		}
	}
}
