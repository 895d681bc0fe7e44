package subscription

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// finishCreation makes the secret and the webhook of a claimed row in the stage creating, and takes
// the heads of the repository's refs as the baseline. again says that an earlier invocation may
// have made some of it.
func (s *Service) finishCreation(
	ctx context.Context, at site, sub binding.Subscription, again bool,
) (binding.Subscription, error) {
	key, err := s.makeSecret(ctx, sub)
	if err != nil {
		return sub, err
	}
	hook, err := s.makeWebhook(ctx, at, sub, key, again)
	if err != nil {
		return sub, s.abandon(ctx, at, sub, again, err)
	}
	sub, err = s.activate(ctx, at, sub, hook, key)
	if err != nil {
		return sub, err
	}
	return s.finishBaseline(ctx, at, sub)
}

// makeSecret stores a new secret under the row's name, unless there is one.
func (s *Service) makeSecret(
	ctx context.Context, sub binding.Subscription,
) (secret.Text, error) {
	random := make([]byte, 32)
	s.ledger.Fill(random)
	key := secret.New(base64.RawURLEncoding.EncodeToString(random))
	err := s.ledger.PutWebhookSecret(ctx, sub, key)
	if errors.Is(err, vault.ErrExists) {
		if key, err = s.ledger.WebhookSecret(ctx, sub); err != nil {
			err = ledger.Unavailable("reading a webhook's secret", err)
		}
	}
	return key, err
}

// params returns what the webhook of a subscription should be.
func (s *Service) params(sub binding.Subscription, key secret.Text) provider.WebhookParams {
	return provider.WebhookParams{
		URL: s.address(sub), Secret: key,
		Push:  sub.Subscribes(binding.PushKind),
		Tag:   sub.Subscribes(binding.TagKind),
		Merge: sub.Subscribes(binding.MergeKind),
	}
}

// makeWebhook makes the webhook of a claimed row. If there may be one, it looks for it first.
func (s *Service) makeWebhook(
	ctx context.Context, at site, sub binding.Subscription, key secret.Text, again bool,
) (provider.Webhook, error) {
	want := s.params(sub, key)
	if again {
		hook, found, err := s.findWebhook(ctx, at, sub, "")
		if err != nil || found && hook.Matches(want) {
			return hook, err
		}
		if found {
			return s.repairWebhook(ctx, at, sub, hook.ID, want)
		}
	}
	// A call that a frozen process begins later could make a second webhook.
	if !s.ledger.Now().Before(sub.Claim.Add(-ledger.VerifyTimeout)) {
		return provider.Webhook{}, s.tooSlow(at, ledger.ErrLate)
	}
	return ask(ctx, s, at, "CreateWebhook", func(ctx context.Context) (provider.Webhook, error) {
		return at.CreateWebhook(ctx, at.credential, sub.Repository.ID, want)
	})
}

func (s *Service) repairWebhook(
	ctx context.Context, at site, sub binding.Subscription, id string, want provider.WebhookParams,
) (provider.Webhook, error) {
	return ask(ctx, s, at, "RepairWebhook", func(ctx context.Context) (provider.Webhook, error) {
		return at.RepairWebhook(ctx, at.credential, sub.Repository.ID, id, want)
	})
}

// findWebhook looks for the webhook of a subscription by the platform's id of it, and by its
// address.
func (s *Service) findWebhook(
	ctx context.Context, at site, sub binding.Subscription, id string,
) (hook provider.Webhook, found bool, err error) {
	find := func(ctx context.Context) (h provider.Webhook, err error) {
		h, found, err = at.FindWebhook(ctx, at.credential, sub.Repository.ID, id, s.address(sub))
		return h, err
	}
	hook, err = ask(ctx, s, at, "FindWebhook", find)
	return hook, found && err == nil, err
}

// abandon ends a subscription whose webhook the platform has refused to make, and returns why. If
// the platform may have made it nevertheless, the subscription stays in the stage creating. A row
// that an earlier invocation has left may have a webhook too, which is then looked for.
func (s *Service) abandon(
	ctx context.Context, at site, sub binding.Subscription, again bool, why error,
) error {
	refusedNow := problem.Is(why, problem.TokenRejected) ||
		problem.Is(why, problem.PlatformRateLimited)
	if !isPermanent(why) && (again || !refusedNow) {
		return why
	}
	sub, err := s.markEnding(ctx, sub, true)
	switch {
	case err != nil:
	case again:
		_, _, err = s.finishEnd(ctx, &at, sub)
	default:
		err = s.remove(ctx, sub)
	}
	if err != nil {
		s.ledger.Log.WarnContext(ctx, "a subscription that was refused is left to the schedule",
			"subscription", sub.ID, "error", err)
	}
	return why
}

// activate writes a webhook that exists into the row. If the subscription has ended in the
// meantime, the webhook is removed.
func (s *Service) activate(
	ctx context.Context, at site, sub binding.Subscription, hook provider.Webhook, key secret.Text,
) (binding.Subscription, error) {
	f := finding{hook: &hook, secretHash: binding.HashSecret(key), asked: at.asked()}
	sub, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		f.applyHook(row)
		if row.Stage == binding.SubscriptionCreating {
			row.Stage = binding.SubscriptionActive
		}
		return true
	})
	switch {
	case errors.Is(err, table.ErrNotFound):
		_, _ = s.deleteWebhook(ctx, at, sub, hook.ID)
		return sub, problem.New(problem.Conflict)
	case err == nil && sub.Stage == binding.SubscriptionEnding:
		sub.Claim = time.Time{} // it was this invocation's own
		if _, _, err = s.finishEnd(ctx, &at, sub); err == nil {
			err = problem.New(problem.Conflict)
		}
	}
	return sub, err
}

// finishBaseline takes the heads of the refs as they are. The subscription is made in any case:
// what fails here is done by the next sync.
func (s *Service) finishBaseline(
	ctx context.Context, at site, sub binding.Subscription,
) (binding.Subscription, error) {
	heads, err := s.compareHeads(ctx, at, sub)
	switch {
	case isStorage(err):
		return sub, err
	case err != nil:
		sub, _, err = s.failSync(ctx, sub, finding{}, err)
	default:
		sub, _, err = s.finishSync(ctx, sub, finding{created: true, heads: heads})
	}
	if err == nil && sub.Stage == binding.SubscriptionEnding { // since the webhook was made
		sub.Claim = time.Time{} // it was this invocation's own
		if _, _, err = s.finishEnd(ctx, &at, sub); err == nil {
			err = problem.New(problem.Conflict)
		}
	}
	return sub, err
}
