//go:build aws

package selected

import (
	"os"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/timing"
	"bindery/shared/vault"
	"bindery/shared/vault/secretsmanager"
)

// Open takes Secrets Manager, in the region and with the credentials of the environment; see
// [awscloud.Config]. The secrets' names begin with BINDERY_SECRET_PREFIX. It asks nothing, so that
// a role without the right to read shows at the first call.
func Open(c config.Config) (vault.Vault, error) {
	client, err := client()
	if err != nil {
		return nil, err // not a nil pointer in an interface, which isn't nil
	}
	return secretsmanager.New(client, c.SecretPrefix, time.Now, timing.Sleep), nil
}

func client() (*sdk.Client, error) {
	cloud, err := awscloud.Config(awscloud.SecretsManager, os.Getenv)
	if err != nil {
		return nil, err
	}
	return sdk.NewFromConfig(cloud), nil
}
