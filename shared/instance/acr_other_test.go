//go:build !alibaba

package instance_test

import (
	"strings"
	"testing"

	"bindery/shared/instance"
)

func TestWithoutTheTagAlibabaTheRegistryIsRefused(t *testing.T) {
	// The environment is Function Compute's, where a binary with the tag aws may run too.
	t.Setenv("FC_REGION", "cn-test")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "key")
	_, err := instance.Open("acr", instance.Options{ACR: instance.ACR{Account: "acme"}})
	if err == nil || !strings.HasPrefix(err.Error(), "BINDERY_INSTANCES: acr, ") ||
		!strings.Contains(err.Error(), "needs a binary built with the tag alibaba") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
