//go:build alibaba

package selected

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/kms"
)

// openNative returns a vault in KMS, in the environment's region, with the credentials of the
// newest invocation or of the environment; see [alibabacloud.Read]. The secrets are stored in the
// instance BINDERY_KMS_INSTANCE, encrypted with the key BINDERY_KMS_KEY, and their names begin
// with BINDERY_SECRET_PREFIX.
func openNative(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (vault.Vault, error) {
	var missing []error
	for name, value := range map[string]string{
		"BINDERY_KMS_INSTANCE": c.Alibaba.KMSInstance, "BINDERY_KMS_KEY": c.Alibaba.KMSKey,
	} {
		if value == "" {
			missing = append(missing, fmt.Errorf("%s is not set", name))
		}
	}
	client, err := client(c, credentials)
	if err := errors.Join(append(missing, err)...); err != nil {
		return nil, err
	}
	return kms.New(client, kms.Options{
		Prefix: c.SecretPrefix, Instance: c.Alibaba.KMSInstance, Key: c.Alibaba.KMSKey,
	}), nil
}

// wrapper wraps data keys by KMS.
func wrapper(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
	encryptionContext map[string]string,
) (envelope.Wrapper, error) {
	client, err := client(c, credentials)
	if len(c.Wrapping) == 0 {
		err = errors.Join(errors.New("BINDERY_WRAPPING_KEYS is not set"), err)
	}
	if err != nil {
		return nil, err
	}
	return kms.NewWrapper(client, kms.WrapperOptions{
		Wrapping: c.Wrapping, Context: encryptionContext,
	}), nil
}

func appsReader(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) func(context.Context) (secret.Text, error) {
	client, err := client(c, credentials)
	return func(ctx context.Context) (secret.Text, error) {
		if err != nil {
			return secret.Text{}, err
		}
		return kms.Current(ctx, client, c.OAuthApps)
	}
}

func client(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (*alibabacloud.Client, error) {
	environment, err := alibabacloud.Read(os.Getenv, credentials)
	if err != nil {
		return nil, err
	}
	return kms.NewClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: c.Alibaba.KMSURL, Now: time.Now,
	})
}
