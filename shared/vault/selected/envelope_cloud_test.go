//go:build aws || alibaba

package selected_test

import (
	"testing"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/selected"
	"bindery/shared/vault/vaulttest"
)

// wantEnvelopeVault expects the envelope vault of a configuration to keep the contract with few
// calls to the key service, which asked counts, and to be closed to another deployment.
func wantEnvelopeVault(t *testing.T, c config.Config, asked func() map[string]int) {
	t.Helper()
	v, err := selected.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if calls := asked(); len(calls) > 0 {
		t.Errorf("Open asked %v, want nothing", calls)
	}
	vaulttest.RunWith(t, vaulttest.Options{AtOnce: 8}, func(*testing.T) vault.Vault { return v })
	if calls := asked(); calls["GenerateDataKey"] > 8 || calls["Decrypt"] > 0 {
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
