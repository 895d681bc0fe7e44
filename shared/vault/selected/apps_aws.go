//go:build aws

package selected

import (
	"context"
	"fmt"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault/secretsmanager"
)

// Apps returns how the JSON of the OAuth apps is fetched: BINDERY_OAUTH_APPS is the name of a
// secret in Secrets Manager, and its current value is read, as text or binary. Nil if it isn't
// set.
func Apps(c config.Config) func(context.Context) (secret.Text, error) {
	if c.OAuthApps == "" {
		return nil
	}
	client, wrong := client()
	return func(ctx context.Context) (secret.Text, error) {
		err := wrong
		var apps secret.Text
		if err == nil {
			apps, err = secretsmanager.Current(ctx, client, c.OAuthApps)
		}
		if err != nil {
			return secret.Text{}, fmt.Errorf("reading the OAuth apps (BINDERY_OAUTH_APPS): %w", err)
		}
		return apps, nil
	}
}
