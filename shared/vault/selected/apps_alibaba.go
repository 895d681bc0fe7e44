//go:build alibaba

package selected

import (
	"context"
	"fmt"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault/kms"
)

// Apps returns how the JSON of the OAuth apps is fetched: BINDERY_OAUTH_APPS is the name of a
// secret in KMS, and its current value is read. Nil if it isn't set.
func Apps(c config.Config) func(context.Context) (secret.Text, error) {
	if c.OAuthApps == "" {
		return nil
	}
	client, wrong := client(c)
	return func(ctx context.Context) (secret.Text, error) {
		err := wrong
		var apps secret.Text
		if err == nil {
			apps, err = kms.Current(ctx, client, c.OAuthApps)
		}
		if err != nil {
			return secret.Text{}, fmt.Errorf("reading the OAuth apps (BINDERY_OAUTH_APPS): %w", err)
		}
		return apps, nil
	}
}
