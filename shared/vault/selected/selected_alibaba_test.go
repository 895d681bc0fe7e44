//go:build alibaba

package selected_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/kms/kmstest"
	"bindery/shared/vault/selected"
)

const name = vault.SecretName("0123456789abcdef0123456789abcdef")

// environment sets Function Compute's environment and returns a fake service and the
// configuration that points to it.
func environment(t *testing.T) (*kmstest.Service, config.Config) {
	t.Helper()
	service := kmstest.New(kmstest.Options{
		ID: "id", Key: "key", Token: "token", Instance: "kst-1", EncryptionKey: "key-1",
	})
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	t.Setenv("FC_REGION", "cn-test")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "key")
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "token")
	return service, config.Config{
		SecretPrefix: "mine/", OAuthApps: "bindery/oauth-apps",
		Alibaba: config.Alibaba{KMSInstance: "kst-1", KMSKey: "key-1", KMSURL: server.URL},
	}
}

func TestWithTheTagAlibabaTheVaultIsKMS(t *testing.T) {
	service, c := environment(t)
	credentials := new(alibabacloud.InvocationCredentials)
	v, err := selected.Open(c, credentials)
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
	// The credentials are read from the environment at each use, and a call waits no longer than
	// its caller.
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "next")
	service.SetCredentials("next", "key", "token")
	got, err := v.Get(t.Context(), name, 1)
	if err != nil || !got.Equal(secret.New("value")) {
		t.Errorf("Get is another value, or %v", err)
	}
	// After an invocation, its credentials are used.
	credentials.Set(alibabacloud.Credentials{
		ID: "newest", Key: secret.New("newest"), Token: secret.New("newest"),
	})
	service.SetCredentials("newest", "newest", "newest")
	service.Fail("GetSecretValue", 1, kmstest.Throttled)
	if _, err := v.Get(t.Context(), name, 1); err != nil {
		t.Errorf("Get, throttled once = %v, want nil", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Get(ctx, name, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want context.Canceled", err)
	}
}

func TestTheOAuthAppsAreASecretThatTheOperatorMayChange(t *testing.T) {
	service, c := environment(t)
	credentials := new(alibabacloud.InvocationCredentials)
	if selected.Apps(config.Config{}, nil) != nil {
		t.Error("without BINDERY_OAUTH_APPS there is something to fetch")
	}
	apps := selected.Apps(c, credentials)
	_, err := apps(t.Context())
	if err == nil || !strings.Contains(err.Error(), "BINDERY_OAUTH_APPS") {
		t.Errorf("without the secret: got %v, want an error that names the variable", err)
	}
	credentials.Set(alibabacloud.Credentials{
		ID: "newest", Key: secret.New("newest"), Token: secret.New("newest"),
	})
	service.SetCredentials("newest", "newest", "newest")
	for _, want := range []string{"first", "second"} {
		service.Set("bindery/oauth-apps", "v1", "text", want)
		if got, err := apps(t.Context()); err != nil || !got.Equal(secret.New(want)) {
			t.Errorf("got another value than the %s, or %v", want, err)
		}
	}
}

func TestMissingVariablesAreNamed(t *testing.T) {
	_, c := environment(t)
	t.Setenv("FC_REGION", "")
	c.Alibaba.KMSInstance, c.Alibaba.KMSKey = "", ""
	v, err := selected.Open(c, nil)
	for _, variable := range []string{"FC_REGION", "BINDERY_KMS_INSTANCE", "BINDERY_KMS_KEY"} {
		if v != nil || err == nil || !strings.Contains(err.Error(), variable+" is not set") {
			t.Errorf("Open = %v, %v, want the name %s", v, err, variable)
		}
	}
	_, err = selected.Apps(c, nil)(t.Context())
	if err == nil || !strings.Contains(err.Error(), "FC_REGION is not set") {
		t.Errorf("the apps: got %v, want the variable's name", err)
	}
}
