//go:build !aws && !alibaba

package selected

import (
	"context"
	"fmt"
	"os"

	"bindery/shared/config"
	"bindery/shared/secret"
)

// Apps returns how the JSON of the OAuth apps is fetched: on a laptop BINDERY_OAUTH_APPS is a
// file's path. Nil if it isn't set.
func Apps(c config.Config) func(context.Context) (secret.Text, error) {
	if c.OAuthApps == "" {
		return nil
	}
	return func(context.Context) (secret.Text, error) {
		text, err := os.ReadFile(c.OAuthApps)
		if err != nil {
			return secret.Text{}, fmt.Errorf("reading the OAuth apps (BINDERY_OAUTH_APPS): %w", err)
		}
		return secret.New(string(text)), nil
	}
}
