package e2e_test

import (
	"slices"
	"testing"

	"bindery/shared/provider"
	"bindery/shared/testkit"
	"bindery/shared/trigger"
)

func TestD20_CredentialHasReservedConcurrencyOnAWS(t *testing.T) {
	document := readYAML(t, template)
	for _, parameter := range []string{"CredentialConcurrency", "DeliveryConcurrency"} {
		if n, _ := in(document, "Parameters", parameter, "Default").(int); n < 10 {
			t.Errorf("%s is %d unless it is set, want 10 or more", parameter, n)
		}
	}
	for _, f := range functionsOf(t, document) {
		reserved := in(f.resource, "Properties", "ReservedConcurrentExecutions")
		if (reserved != nil) != slices.Contains([]string{"credential", "delivery"}, f.folder) {
			t.Errorf("%s: the reserved concurrency is %v", f.folder, reserved)
		}
	}
}

// Each function may take only what is its own, and the router has room for all of them at once.
func TestD20_AFloodOfAnotherFunctionLeavesCredentialItsShareOfTheRouter(t *testing.T) {
	reserved, sum := map[string]int{}, 0
	for name, f := range fcFunctions(t, readDeployment(t)) {
		reserved[name], _ = in(f, "concurrencyConfig", "reservedConcurrency").(int)
		sum += reserved[name]
		if reserved[name] < 2 { // two, so that a slow call doesn't stop all others
			t.Errorf("%s has %d instances", name, reserved[name])
		}
	}
	if sum > 90 {
		t.Errorf("%d instances are reserved, and an account may reserve 90 unless its quota was raised",
			sum)
	}
	target, behind := routerTarget(t), map[string]bool{}
	const binding = "/v1/instances/eu/cri-1/bindings/gitlab"
	for _, r := range []struct{ method, path string }{
		{"PUT", binding},
		{"DELETE", binding},
		{"POST", binding + "/credential"},
		{"POST", binding + "/check"},
		{"GET", binding + "/repositories/1/branches"},
		{"PUT", binding + "/repositories/1/subscription"},
		{"GET", "/v1/instances/eu/cri-1/bindings"},
		{"GET", "/v1/authorizations/1"},
		{"GET", "/v1/authorizations/1/start"},
	} {
		behind[target(r.method, r.path)] = true
	}
	if len(behind) != 9 || !behind["credential"] {
		t.Fatalf("behind the router are %v", behind)
	}
	all := 0
	for name := range behind {
		all += reserved[name]
	}
	if reserved["router"] < all {
		t.Errorf("the router has %d instances, and the functions behind it %d", reserved["router"], all)
	}
}

// A delivery that a platform's package reads is one that the runtimes pass on.
func TestTheRuntimesReadWhatAWebhookMaySend(t *testing.T) {
	testkit.Want(t, "the longest delivery", trigger.MaxDelivery, provider.MaxDelivery)
}
