//go:build aws

package selected_test

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/secretsmanager/smtest"
	"bindery/shared/vault/selected"
)

const name = vault.SecretName("0123456789abcdef0123456789abcdef")

// environment sets Lambda's environment with a fake service, and returns the service.
func environment(t *testing.T) *smtest.Service {
	t.Helper()
	service := smtest.New(smtest.Options{})
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	t.Setenv("AWS_REGION", "eu-test-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
	return service
}

func TestWithTheTagAwsTheVaultIsSecretsManager(t *testing.T) {
	service := environment(t)
	v, err := selected.Open(config.Config{SecretPrefix: "mine/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if calls := service.Calls(); len(calls) > 0 {
		t.Errorf("Open asked %v, want nothing", calls)
	}
	if err := v.Put(t.Context(), name, 1, secret.New("value")); err != nil {
		t.Fatal(err)
	}
	if got := service.Names(); !slices.Equal(got, []string{"mine/" + string(name)}) {
		t.Errorf("got secrets %v, want one with the prefix configured", got)
	}
	got, err := v.Get(t.Context(), name, 1)
	if err != nil || !got.Equal(secret.New("value")) {
		t.Errorf("Get is another value, or %v", err)
	}
	// Get waits by the real clock between two attempts, and no longer than its caller.
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := v.Get(ctx, name, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get without the time to look again = %v, want DeadlineExceeded", err)
	}
	if _, err := v.Get(t.Context(), name, 2); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

func TestTheOAuthAppsAreASecretThatTheOperatorMayChange(t *testing.T) {
	service := environment(t)
	if selected.Apps(config.Config{}, nil) != nil {
		t.Error("without BINDERY_OAUTH_APPS there is something to fetch")
	}
	apps := selected.Apps(config.Config{OAuthApps: "bindery/oauth-apps"}, nil)
	_, err := apps(t.Context())
	if err == nil || !strings.Contains(err.Error(), "BINDERY_OAUTH_APPS") {
		t.Errorf("without the secret: got %v, want an error that names the variable", err)
	}
	cloud, err := awscloud.Config(awscloud.SecretsManager, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	operator, id := sdk.NewFromConfig(cloud), aws.String("bindery/oauth-apps")
	_, err = operator.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: id, SecretString: aws.String("first"),
	})
	if err != nil {
		t.Fatal(err)
	}
	before := service.Calls()
	for _, want := range []string{"first", "second"} {
		if got, err := apps(t.Context()); err != nil || !got.Equal(secret.New(want)) {
			t.Errorf("got another value than the %s, or %v", want, err)
		}
		_, err = operator.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{
			SecretId: id, SecretString: aws.String("second"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	before["GetSecretValue"] += 2
	before["PutSecretValue"] += 2
	if got := service.Calls(); !maps.Equal(got, before) {
		t.Errorf("asked %v, want %v", got, before)
	}
}

func TestMissingVariablesAreNamed(t *testing.T) {
	environment(t)
	t.Setenv("AWS_REGION", "")
	v, err := selected.Open(config.Config{}, nil)
	if v != nil || err == nil || err.Error() != "AWS_REGION is not set" {
		t.Errorf("Open = %v, %v, want the variable's name", v, err)
	}
	_, err = selected.Apps(config.Config{OAuthApps: "a"}, nil)(t.Context())
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION is not set") {
		t.Errorf("the apps: got %v, want the variable's name", err)
	}
}
