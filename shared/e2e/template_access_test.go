package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheAPIHasOneAddressIfTheStackMakesItsDomain(t *testing.T) {
	got := fmt.Sprint(in(readYAML(t, template), "Resources", "Api", "Properties",
		"DisableExecuteApiEndpoint"))
	if want := "map[Fn::If:[OwnDomain true false]]"; got != want {
		t.Errorf("DisableExecuteApiEndpoint is %s, want %s", got, want)
	}
}

// The policy for functions in a VPC that AWS's guides name may also write every log of the account.
func TestInAVPCAFunctionMayManageItsNetworkInterfacesOnly(t *testing.T) {
	policies := 0
	for name, r := range in(readYAML(t, template), "Resources").(object) {
		managed := in(r, "Properties", "ManagedPolicyArns")
		if managed == nil {
			continue
		}
		policies++
		text := fmt.Sprint(managed)
		if strings.Count(text, "policy/") != 1 ||
			!strings.Contains(text, ":iam::aws:policy/service-role/AWSLambdaENIManagementAccess") {
			t.Errorf("%s has the policies %s", name, text)
		}
	}
	if policies != 12 {
		t.Errorf("%d roles have a policy for a VPC, want 12", policies)
	}
}
