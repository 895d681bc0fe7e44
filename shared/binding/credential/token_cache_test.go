package credential

import (
	"strconv"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// generation names one generation of a secret.
func generation(secret string, number int) binding.Token {
	return binding.Token{Secret: vault.SecretName(secret), Generation: number}
}

// TestTheTokenCacheHasALimit: a process that serves many bindings does not keep all their tokens.
func TestTheTokenCacheHasALimit(t *testing.T) {
	var w tokenCache
	key := binding.Key{Account: "acct-1"}
	for i := range 3 * tokenCacheSize {
		name := strconv.Itoa(i)
		w.put(key, generation(name, 1), ledger.TokenBundle{Username: name})
		if bundle, ok := w.get(key, generation(name, 1)); !ok || bundle.Username != name {
			t.Fatalf("token %d is not there", i)
		}
	}
	testkit.Want(t, "kept", len(w.tokens), tokenCacheSize)
	w.put(key, generation("one", 2), ledger.TokenBundle{Username: "new"})
	w.put(key, generation("one", 1), ledger.TokenBundle{Username: "old"})
	if bundle, ok := w.get(key, generation("one", 2)); !ok || bundle.Username != "new" {
		t.Error("an older generation replaced a newer one")
	}
	_, ok := w.get(key, generation("one", 1))
	testkit.Want(t, "an older generation is there", ok, false)
}

// TestB15_ATokenInMemoryIsOfTheBindingThatReadIt: a row that names the secret of another binding
// does not get it from a process that has just served the other.
func TestB15_ATokenInMemoryIsOfTheBindingThatReadIt(t *testing.T) {
	var w tokenCache
	w.put(binding.Key{Account: "victim"}, generation("one", 1), ledger.TokenBundle{})
	_, ok := w.get(binding.Key{Account: "thief"}, generation("one", 1))
	testkit.Want(t, "another binding gets it", ok, false)
}
