package credential

import (
	"strconv"
	"testing"

	"bindery/shared/binding/ledger"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// TestTheTokenCacheHasALimit: a process that serves many bindings does not keep all their tokens.
func TestTheTokenCacheHasALimit(t *testing.T) {
	var w tokenCache
	for i := range 3 * tokenCacheSize {
		w.put(vault.SecretName(strconv.Itoa(i)), 1, ledger.TokenBundle{Username: strconv.Itoa(i)})
		if k, ok := w.get(vault.SecretName(strconv.Itoa(i)), 1); !ok || k.Username != strconv.Itoa(i) {
			t.Fatalf("token %d is not there", i)
		}
	}
	testkit.Want(t, "kept", len(w.tokens), tokenCacheSize)
	w.put("one", 2, ledger.TokenBundle{Username: "new"})
	w.put("one", 1, ledger.TokenBundle{Username: "old"})
	if k, ok := w.get("one", 2); !ok || k.Username != "new" {
		t.Error("an older generation replaced a newer one")
	}
	_, ok := w.get("one", 1)
	testkit.Want(t, "an older generation is there", ok, false)
}
