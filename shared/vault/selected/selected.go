// Package selected opens the vault of this build. A build tag selects it, so that no other vault is
// linked: Secrets Manager with the tag aws, KMS with the tag alibaba, and without a tag the
// laptop's vault, which is a folder of files.
package selected

import (
	"context"
	"fmt"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/secret"
)

// Apps returns a func that reads the JSON of the OAuth apps, or nil if BINDERY_OAUTH_APPS isn't
// set. The variable is the name of a secret in the cloud's secrets manager, whose current value is
// read, or on a laptop the path of a file.
func Apps(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) func(context.Context) (secret.Text, error) {
	if c.OAuthApps == "" {
		return nil
	}
	read := appsReader(c, credentials)
	return func(ctx context.Context) (secret.Text, error) {
		apps, err := read(ctx)
		if err != nil {
			return secret.Text{}, fmt.Errorf("reading the OAuth apps (BINDERY_OAUTH_APPS): %w", err)
		}
		return apps, nil
	}
}
