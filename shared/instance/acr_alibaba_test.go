//go:build alibaba

package instance_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"bindery/shared/alibabacloud"
	"bindery/shared/instance"
	"bindery/shared/instance/acrtest"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

func TestWithTheTagAlibabaTheRegistryIsCalledWithTheCurrentCredentials(t *testing.T) {
	service := acrtest.New("id", "key", "token")
	service.Set(running(2)...)
	server := httptest.NewServer(service)
	defer server.Close()
	t.Setenv("FC_REGION", "cn-test")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "key")
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "token")
	credentials := new(alibabacloud.InvocationCredentials)
	fresh := func() instance.Catalogue {
		c, err := instance.Open(" acr\n", instance.Options{
			ACR: instance.ACR{Account: "acme", URL: server.URL, Credentials: credentials},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if got := ids(t, fresh(), "acme"); got != "cn-test/cri-000 cn-test/cri-001" {
		t.Errorf("lists %q", got)
	}
	service.SetCredentials("next", "next", "next")
	c := fresh()
	_, err := c.List(t.Context(), "acme")
	if !problem.Is(err, problem.InstancesUnknown) {
		t.Errorf("with credentials that have ended: %v", err)
	}
	credentials.Set(alibabacloud.Credentials{
		ID: "next", Key: secret.New("next"), Token: secret.New("next"),
	})
	if got := ids(t, fresh(), "acme"); strings.Count(got, "cri-") != 2 {
		t.Errorf("with the newest invocation's credentials it lists %q", got)
	}
}

func TestMissingVariablesOfTheRegistryAreNamed(t *testing.T) {
	t.Setenv("FC_REGION", "")
	_, err := instance.Open("acr", instance.Options{ACR: instance.ACR{Account: "acme"}})
	if err == nil || !strings.Contains(err.Error(), "FC_REGION is not set") {
		t.Errorf("got %v", err)
	}
}
