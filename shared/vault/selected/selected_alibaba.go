//go:build alibaba

package selected

import (
	"errors"
	"fmt"
	"os"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/vault"
	"bindery/shared/vault/kms"
)

// Open takes KMS in the environment's region, with the credentials of the newest invocation or of
// the environment; see [alibabacloud.Read]. The secrets live in the instance BINDERY_KMS_INSTANCE,
// sealed by the key BINDERY_KMS_KEY, and their names begin with BINDERY_SECRET_PREFIX. It asks
// nothing, so that a role without the right to read shows at the first call.
func Open(c config.Config) (vault.Vault, error) {
	var missing []error
	for name, value := range map[string]string{
		"BINDERY_KMS_INSTANCE": c.Alibaba.KMSInstance, "BINDERY_KMS_KEY": c.Alibaba.KMSKey,
	} {
		if value == "" {
			missing = append(missing, fmt.Errorf("%s is not set", name))
		}
	}
	client, err := client(c)
	if err := errors.Join(append(missing, err)...); err != nil {
		return nil, err
	}
	return kms.New(client, kms.Options{
		Prefix: c.SecretPrefix, Instance: c.Alibaba.KMSInstance, Key: c.Alibaba.KMSKey,
	}), nil
}

func client(c config.Config) (*alibabacloud.Client, error) {
	environment, err := alibabacloud.Read(os.Getenv, c.Alibaba.Latest)
	if err != nil {
		return nil, err
	}
	return kms.NewClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: c.Alibaba.KMSURL, Now: time.Now,
	})
}
