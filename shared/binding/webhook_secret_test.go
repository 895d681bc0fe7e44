package binding_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// webhookCanary is a webhook's secret.
const webhookCanary = "canary-webhook-8sVq3mRt5yZx1aBc4dEf7gHj9kLn2pQ"

// subscribed writes the row of a subscription of an instance's GitHub and puts its secret into the
// vault.
func (b *harness) subscribed(
	id, repository string, stage binding.SubscriptionStage,
) binding.Subscription {
	b.Helper()
	ctx := b.Ledger.StartInvocation(context.Background())
	sub, err := b.store.table.SaveSubscription(ctx, binding.Subscription{
		ID: fmt.Sprintf("%032s", repository), Binding: key(id, provider.GitHub), Stage: stage,
		Repository: binding.SubscribedRepository{ID: repository, Name: "team/" + repository},
		Secret:     b.Ledger.NewSecretName(),
	})
	if err == nil {
		err = b.Ledger.PutWebhookSecret(ctx, sub, secret.New(webhookCanary))
	}
	if err != nil {
		b.Fatal(err)
	}
	return sub
}

func TestAWebhooksSecretIsReadByItsSubscription(t *testing.T) {
	b := newHarness(t)
	ctx := b.Ledger.StartInvocation(t.Context())
	sub := b.subscribed("i-1", "1", binding.SubscriptionActive)
	got, err := b.Ledger.WebhookSecret(ctx, sub)
	if err != nil || got.Reveal() != webhookCanary {
		t.Errorf("got another secret, or %v", err)
	}
	if err := b.Ledger.PutWebhookSecret(ctx, sub, secret.New(webhookCanary)); err != nil {
		t.Errorf("the same secret again: %v", err)
	}
	err = b.Ledger.PutWebhookSecret(ctx, sub, secret.New("another"))
	if !errors.Is(err, vault.ErrExists) || !problem.Is(err, problem.StorageUnavailable) {
		t.Errorf("another secret: %v, want storage_unavailable by %v", err, vault.ErrExists)
	}
	if err := b.store.vault.Delete(ctx, sub.Secret); err != nil {
		t.Fatal(err)
	}
	if _, err = b.Ledger.WebhookSecret(ctx, sub); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a deleted secret: %v, want %v", err, vault.ErrNotFound)
	}
	testkit.Want(t, "the secret is in the log", strings.Contains(b.log.String(), "canary"), false)
}

// TestE5_ASubscriptionGetsNoSecretOfAnother: a row that names the secret of another subscription,
// of another binding or of a token is refused with the alarm, or as no webhook's secret.
func TestE5_ASubscriptionGetsNoSecretOfAnother(t *testing.T) {
	b := newHarness(t)
	ctx := b.Ledger.StartInvocation(t.Context())
	mine := b.subscribed("i-1", "1", binding.SubscriptionActive)
	for what, forge := range map[string]func(*binding.Subscription){
		"another subscription": func(s *binding.Subscription) { s.ID = "2" },
		"another account":      func(s *binding.Subscription) { s.Binding = thiefKey(provider.GitHub) },
		"another platform":     func(s *binding.Subscription) { s.Binding.Platform = provider.Gitee },
		"another instance":     func(s *binding.Subscription) { s.Binding.Instance = "i-2" },
	} {
		forged, before := mine, b.mismatches()
		forge(&forged)
		got, err := b.Ledger.WebhookSecret(ctx, forged)
		testkit.Want(t, what, problem.Of(err).Code, problem.TokenMismatch)
		testkit.Want(t, what+": alarms", b.mismatches(), before+1)
		testkit.Want(t, what+": a secret", got.Empty(), true)
	}
	rec := b.bound("i-1", provider.GitHub)
	forged := mine
	forged.Secret = rec.Token.Secret
	got, err := b.Ledger.WebhookSecret(ctx, forged)
	testkit.Want(t, "a token", err != nil && got.Empty(), true)
	testkit.Want(t, "a secret is in the log or the error",
		strings.Contains(b.log.String()+fmt.Sprint(err), "canary"), false)
}

func TestTheSecretOfASubscriptionIsNoOrphan(t *testing.T) {
	for _, stage := range []binding.SubscriptionStage{
		binding.SubscriptionCreating, binding.SubscriptionActive, binding.SubscriptionEnding,
	} {
		b, _ := newOrphanHarness(t, 100)
		sub := b.subscribed("i-1", "1", stage)
		b.clock().Advance(time.Hour)
		b.wantOrphans(string(stage), true, 0, 0, 0)
		if _, err := b.Ledger.WebhookSecret(b.Ledger.StartInvocation(t.Context()), sub); err != nil {
			t.Errorf("%s: the secret after the task: %v", stage, err)
		}
	}
}

// A subscription is made between any two calls of the task, in a vault whose list makes every
// secret old.
func TestTheSecretOfANewSubscriptionIsNoOrphan(t *testing.T) {
	for moment := range 8 {
		b, dated := newOrphanHarness(t, 100)
		b.subscribed("i-1", "1", binding.SubscriptionActive)
		b.serve(b.store.table, oldVault{dated})
		calls := 0
		b.inside.set(func(context.Context, string) (func(), error) {
			if calls++; calls == moment+1 {
				b.inside.clear()
				b.subscribed("i-1", "2", binding.SubscriptionCreating)
			}
			return nil, nil
		})
		b.wantOrphans(fmt.Sprint("before call ", moment), true, 0, 0, 0)
		b.inside.clear()
		if calls <= moment && moment < 6 {
			t.Errorf("the task made only %d calls", calls)
		}
	}
}

func TestAWebhooksSecretWithoutARecordIsDeletedWithoutAskingAPlatform(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	b.subscribed("i-1", "1", binding.SubscriptionActive)
	lost := b.subscribed("i-1", "2", binding.SubscriptionActive)
	if err := b.store.table.DeleteSubscription(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	b.clock().Advance(time.Hour)
	for _, name := range provider.Names() {
		b.fault(name, sandbox.Fault{Kind: sandbox.Fault500})
	}
	b.wantOrphans("told to", true, 1, 1, 0)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	testkit.Want(t, "the secret is in the log", strings.Contains(b.log.String(), "canary"), false)
}

func TestTheReportNamesSubscriptionsWithoutASecret(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	b.bound("i-1", provider.GitHub)
	b.subscribed("i-1", "1", binding.SubscriptionActive)
	var gone []binding.Subscription
	for _, stage := range []binding.SubscriptionStage{
		binding.SubscriptionActive, binding.SubscriptionCreating, binding.SubscriptionEnding,
	} {
		sub := b.subscribed("i-1", "of-"+string(stage), stage)
		if err := b.store.vault.Delete(t.Context(), sub.Secret); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, sub)
	}
	for _, act := range []bool{false, true} {
		out := b.lostSecrets(act, "")
		testkit.Want(t, "read", out.Read, 3)
		testkit.Want(t, "missing", out.Missing, 1)
		testkit.Want(t, "failed", out.Failed, 0)
		testkit.Want(t, "name", strings.Join(out.Names, " "),
			binding.Describe(key("i-1", provider.GitHub))+`/"team/of-active"`)
		sub, err := b.store.table.Subscription(t.Context(), gone[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, fmt.Sprintf("due, told to %v", act),
			sub.DueAt.Equal(b.clock().Now()) && sub.SyncAt.Equal(b.clock().Now()), act)
	}
	due, err := b.store.table.DueSubscriptions(t.Context(), b.clock().Now(), "", 10)
	if err != nil || len(due.Items) != 1 || due.Items[0] != gone[0].ID {
		t.Errorf("due: got %v, error %v, want the one without a secret", due.Items, err)
	}
}
