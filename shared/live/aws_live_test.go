//go:build live && aws

package live_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/table/dynamo"
	tables "bindery/shared/table/selected"
	vaults "bindery/shared/vault/selected"
)

func TestAWS(t *testing.T) {
	needs(t, "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	interrupted := interrupts(t)
	t.Run("DynamoDB", func(t *testing.T) {
		r, name := start(t, interrupted, 100), "bindery_live_"+random()
		t.Logf("table %s", name)
		cloud, err := awscloud.Config(awscloud.DynamoDB, os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		client := dynamodb.NewFromConfig(cloud)
		t.Cleanup(func() {
			dropped(t, name, func(ctx context.Context) (bool, error) {
				_, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
				var none *types.ResourceNotFoundException
				return errors.As(err, &none), err
			})
		})
		ctx, cancel := context.WithTimeout(r.interrupted, tableTimeout)
		defer cancel()
		if err := dynamo.Create(ctx, client, name); err != nil {
			t.Fatal(err)
		}
		opened, _, err := tables.Open(config.Config{Table: name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		overTable(t, r, opened)
	})
	t.Run("SecretsManager", func(t *testing.T) {
		prefix := "bindery-live/" + random() + "/"
		t.Logf("secrets %s*", prefix)
		opened, err := vaults.Open(config.Config{SecretPrefix: prefix}, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The service allows some 50 writes a second for the whole account.
		overVault(t, start(t, interrupted, 15), opened)
	})
}
