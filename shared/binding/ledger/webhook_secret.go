package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"bindery/shared/binding"
	"bindery/shared/secret"
)

const (
	fieldWebhook      = "webhook_secret"
	fieldSubscription = "subscription"
)

// PutWebhookSecret stores the secret of a subscription's webhook, with the binding and subscription
// that it belongs to. It fails with [problem.StorageUnavailable], which wraps the vault's error:
// [vault.ErrExists] if there is another one.
func (l *Ledger) PutWebhookSecret(
	ctx context.Context, s binding.Subscription, value secret.Text,
) error {
	data, err := json.Marshal(map[string]string{
		fieldAccount:      s.Binding.Account,
		fieldRegion:       s.Binding.Region,
		fieldInstance:     s.Binding.Instance,
		fieldPlatform:     s.Binding.Platform,
		fieldSubscription: s.ID,
		fieldWebhook:      value.Reveal(),
	})
	if err != nil {
		return fmt.Errorf("writing the vault's JSON: %w", err)
	}
	if err := l.Vault.Put(ctx, s.Secret, 1, secret.New(string(data))); err != nil {
		return Unavailable("storing a webhook's secret", err)
	}
	return nil
}

// WebhookSecret reads the secret of a subscription's webhook. It fails with [vault.ErrNotFound] if
// the vault does not have it, and with [problem.TokenMismatch] if it belongs to another
// subscription, or is no webhook's: as with tokens, the vault says whose a secret is.
func (l *Ledger) WebhookSecret(
	ctx context.Context, s binding.Subscription,
) (secret.Text, error) {
	value, err := l.Vault.Get(ctx, s.Secret, 1)
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading a webhook's secret: %w", err)
	}
	var fields map[string]string
	_ = json.Unmarshal([]byte(value.Reveal()), &fields) // what isn't one has no fields
	owner := binding.Key{
		Account:  fields[fieldAccount],
		Region:   fields[fieldRegion],
		Instance: fields[fieldInstance],
		Platform: fields[fieldPlatform],
	}
	if owner != s.Binding || fields[fieldSubscription] != s.ID || fields[fieldWebhook] == "" {
		return secret.Text{}, l.mismatch(ctx, s.Binding, "secret", s.Secret,
			"owner", binding.Describe(owner))
	}
	return secret.New(fields[fieldWebhook]), nil
}
