//go:build aws

package selected_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/vault/awskms/awskmstest"
	"bindery/shared/vault/selected"
)

// envelopeEnvironment sets Lambda's environment with a key service and an empty table, and returns
// the key service and the configuration of the envelope vault.
func envelopeEnvironment(t *testing.T) (*awskmstest.Service, config.Config) {
	t.Helper()
	service := awskmstest.New("key-1")
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	environment(t)
	t.Setenv("AWS_ENDPOINT_URL_KMS", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamotest.Start(t))
	cloud, err := awscloud.Config(awscloud.DynamoDB, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Create(t.Context(), dynamodb.NewFromConfig(cloud), "bindery_vault"); err != nil {
		t.Fatal(err)
	}
	return service, config.Config{
		SecretPrefix: "mine/", Vaults: []string{config.EnvelopeVault},
		VaultTable: "bindery_vault", Wrapping: []string{awskmstest.ARN("key-1")},
	}
}

func TestTheEnvelopeVaultOnAWSKeepsTheContract(t *testing.T) {
	service, c := envelopeEnvironment(t)
	wantEnvelopeVault(t, c, service.Calls)
}

func TestMissingWrappingKeysAreNamed(t *testing.T) {
	environment(t)
	v, err := selected.Open(config.Config{Vaults: []string{config.EnvelopeVault}}, nil)
	if v != nil || err == nil || !strings.Contains(err.Error(), "BINDERY_WRAPPING_KEYS is not set") {
		t.Errorf("Open = %v, %v, want the variable's name", v, err)
	}
}
