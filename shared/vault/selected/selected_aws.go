//go:build aws

package selected

import (
	"context"
	"errors"
	"os"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"bindery/shared/alibabacloud"
	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/timing"
	"bindery/shared/vault"
	"bindery/shared/vault/awskms"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/secretsmanager"
)

// openNative returns a vault in Secrets Manager, in the region and with the credentials of the
// environment; see [awscloud.Config]. The secrets' names begin with BINDERY_SECRET_PREFIX.
func openNative(c config.Config, _ *alibabacloud.InvocationCredentials) (vault.Vault, error) {
	client, err := client()
	if err != nil {
		return nil, err // not a nil pointer in an interface, which isn't nil
	}
	return secretsmanager.New(client, c.SecretPrefix, time.Now, timing.Sleep), nil
}

// wrapper wraps data keys by KMS.
func wrapper(
	c config.Config, _ *alibabacloud.InvocationCredentials, encryptionContext map[string]string,
) (envelope.Wrapper, error) {
	cloud, err := awscloud.Config(awscloud.KMS, os.Getenv)
	if len(c.Wrapping) == 0 {
		err = errors.Join(errors.New("BINDERY_WRAPPING_KEYS is not set"), err)
	}
	if err != nil {
		return nil, err
	}
	return awskms.New(cloud, awskms.Options{
		Wrapping: c.Wrapping, Context: encryptionContext,
	}), nil
}

// appsReader returns a func that reads the secret as text or binary.
func appsReader(
	c config.Config, _ *alibabacloud.InvocationCredentials,
) func(context.Context) (secret.Text, error) {
	client, err := client()
	return func(ctx context.Context) (secret.Text, error) {
		if err != nil {
			return secret.Text{}, err
		}
		return secretsmanager.Current(ctx, client, c.OAuthApps)
	}
}

func client() (*sdk.Client, error) {
	cloud, err := awscloud.Config(awscloud.SecretsManager, os.Getenv)
	if err != nil {
		return nil, err
	}
	return sdk.NewFromConfig(cloud), nil
}
