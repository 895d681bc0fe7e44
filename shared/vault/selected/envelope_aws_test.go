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
	"bindery/shared/secret"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/vault"
	"bindery/shared/vault/awskms/awskmstest"
	"bindery/shared/vault/selected"
	"bindery/shared/vault/vaulttest"
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
	v, err := selected.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if calls := service.Calls(); len(calls) > 0 {
		t.Errorf("Open asked %v, want nothing", calls)
	}
	vaulttest.RunWith(t, vaulttest.Options{AtOnce: 8}, func(*testing.T) vault.Vault { return v })
	if calls := service.Calls(); calls["GenerateDataKey"] > 8 || calls["Decrypt"] > 0 {
		t.Errorf("the key service was asked %v, want for few data keys and to unwrap none", calls)
	}

	// Another process unwraps, and another deployment can't.
	if err := v.Put(t.Context(), name, 1, secret.New("value")); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]bool{"mine/": true, "other/": false} {
		c.SecretPrefix = prefix
		other, err := selected.Open(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Get(t.Context(), name, 1); (err == nil) != want {
			t.Errorf("a process with the prefix %s: Get = %v", prefix, err)
		}
	}
}

func TestMissingWrappingKeysAreNamed(t *testing.T) {
	environment(t)
	v, err := selected.Open(config.Config{Vaults: []string{config.EnvelopeVault}}, nil)
	if v != nil || err == nil || !strings.Contains(err.Error(), "BINDERY_WRAPPING_KEYS is not set") {
		t.Errorf("Open = %v, %v, want the variable's name", v, err)
	}
}
