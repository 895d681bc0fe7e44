package subscription

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// ensureWebhook finds out whether the webhook of a claimed row is what it should be, and makes it
// that: it creates one that is gone, repairs one that differs, and revives one that the platform
// has disabled. It returns the row, which has another secret if the vault had lost the old one.
func (s *Service) ensureWebhook(
	ctx context.Context, at site, sub binding.Subscription,
) (_ binding.Subscription, hook provider.Webhook, repaired bool, err error) {
	hook, found, err := s.findWebhook(ctx, at, sub, sub.HookID)
	if err != nil {
		return sub, hook, false, err
	}
	sub, key, err := s.webhookSecret(ctx, sub)
	if err != nil {
		return sub, hook, false, err
	}
	want := s.params(sub, key)
	enabled := hook
	enabled.Active = enabled.Active || enabled.NeedsTest // a repair does not enable it
	switch {
	case !found:
		repaired = true
		if hook, err = s.makeWebhook(ctx, at, sub, key, false); err != nil && !isPermanent(err) {
			err = s.problem(at, problem.WebhookLost).From(err)
		}
	case sub.HookID == "" || !enabled.Matches(want):
		repaired = true
		hook, err = s.repairWebhook(ctx, at, sub, hook.ID, want)
	}
	if err != nil || hook.Active || !hook.NeedsTest {
		return sub, hook, repaired, err
	}
	hook, err = s.reviveWebhook(ctx, at, sub, hook)
	return sub, hook, true, err
}

// webhookSecret reads the secret of a subscription's webhook, and returns the row with its hash. One that the vault has lost is
// replaced by a new one; the row then has no HookID, and the webhook must be repaired.
func (s *Service) webhookSecret(
	ctx context.Context, sub binding.Subscription,
) (_ binding.Subscription, key secret.Text, err error) {
	key, err = s.ledger.WebhookSecret(ctx, sub)
	if err == nil {
		sub.SecretHash = binding.HashSecret(key)
		return sub, key, nil
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return sub, key, ledger.Unavailable("reading a webhook's secret", err)
	}
	lost := sub.Secret
	name := vault.SecretName(s.ledger.Random(16))
	sub, err = s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if row.Secret == lost {
			row.Secret = name
			row.HookID, row.SecretHash = "", "" // until the webhook has the new one
		}
		return true
	})
	if err == nil {
		key, err = s.makeSecret(ctx, sub)
	}
	if err == nil {
		sub.SecretHash = binding.HashSecret(key)
	}
	return sub, key, err
}

// reviveWebhook asks for a test delivery to a webhook that the platform has disabled, and looks at
// it again. [problem.WebhookDisabled].
func (s *Service) reviveWebhook(
	ctx context.Context, at site, sub binding.Subscription, hook provider.Webhook,
) (provider.Webhook, error) {
	_, err := ask(ctx, s, at, "TestWebhook", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, at.TestWebhook(ctx, at.credential, sub.Repository.ID, hook.ID)
	})
	if err != nil && !errors.Is(err, provider.ErrNoTest) {
		return hook, err
	}
	again, found, err := s.findWebhook(ctx, at, sub, hook.ID)
	if err != nil {
		return hook, err
	}
	if !found || !again.Active {
		return hook, s.problem(at, problem.WebhookDisabled)
	}
	return again, nil
}

// deleteWebhook deletes a webhook by the platform's id of it.
func (s *Service) deleteWebhook(
	ctx context.Context, at site, sub binding.Subscription, id string,
) (struct{}, error) {
	return ask(ctx, s, at, "DeleteWebhook", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, at.DeleteWebhook(ctx, at.credential, sub.Repository.ID, id)
	})
}

// maxRemovals is how many webhooks with the address of one subscription its end removes at a time,
// after the one whose id it knows.
const maxRemovals = 5

// errMoreWebhooks means that there are more.
var errMoreWebhooks = errors.New("subscription: more webhooks have the address than are removed")

// removeWebhook deletes the webhook of a subscription, and any other one that has its address.
func (s *Service) removeWebhook(ctx context.Context, at site, sub binding.Subscription) error {
	if sub.HookID != "" {
		if _, err := s.deleteWebhook(ctx, at, sub, sub.HookID); err != nil {
			return err
		}
	}
	for removed := 0; ; removed++ {
		hook, found, err := s.findWebhook(ctx, at, sub, "")
		if err != nil || !found {
			return err
		}
		if removed == maxRemovals {
			return errMoreWebhooks
		}
		if _, err := s.deleteWebhook(ctx, at, sub, hook.ID); err != nil {
			return err
		}
	}
}
