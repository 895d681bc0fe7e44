package provider

import (
	"strings"
	"testing"

	"bindery/shared/netguard"
	"bindery/shared/secret"
)

func testSet() *Set { return New(Options{Guard: netguard.New(netguard.Options{})}) }

func TestAppsAreReadWithTheirSecretsInOrder(t *testing.T) {
	apps, err := testSet().ParseApps(secret.New(
		`{"github": {"clientId": "id", "clientSecrets": ["new", "old"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := apps[GitHub]
	if got.ClientID != "id" || len(got.ClientSecrets) != 2 ||
		got.ClientSecrets[0].Reveal() != "new" || got.ClientSecrets[1].Reveal() != "old" {
		t.Error("the app is not as it was written")
	}
}

func TestAppsThatCannotWorkAreRefusedWithoutBeingQuoted(t *testing.T) {
	for _, text := range []string{
		"", "canary", `["canary"]`, `{"gitlab": {"clientId": "a", "clientSecrets": ["canary"]}}`,
		`{"github": {"clientId": "", "clientSecrets": ["canary"]}}`,
		`{"github": {"clientId": "a", "clientSecrets": []}}`,
		`{"github": {"clientId": "a", "clientSecrets": ["canary", ""]}}`,
		`{"github": {"clientId": "a", "clientSecret": "canary"}}`,
	} {
		_, err := testSet().ParseApps(secret.New(text))
		if err == nil {
			t.Errorf("%s was accepted", text)
		} else if strings.Contains(err.Error(), "canary") {
			t.Error("the error quotes the text")
		}
	}
}
