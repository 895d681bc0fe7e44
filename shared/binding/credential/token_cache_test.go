package credential

import (
	"strconv"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// generation is one generation of a secret.
func generation(secret string, number int) cachedToken {
	return cachedToken{token: binding.Token{Secret: vault.SecretName(secret), Generation: number}}
}

// wantNewest expects that a binding has this generation in the cache.
func (c *tokenCache) wantNewest(t *testing.T, key binding.Key, secret string, number int) {
	t.Helper()
	if got := c.get(key).token; !binding.SameGeneration(got, generation(secret, number).token) {
		t.Fatalf("%v: got %v, want generation %d of %s", key, got, number, secret)
	}
}

// TestTheTokenCacheHasALimit: a process that serves many bindings does not keep all their tokens.
func TestTheTokenCacheHasALimit(t *testing.T) {
	var w tokenCache
	var key binding.Key
	for i := range 3 * tokenCacheSize {
		name := strconv.Itoa(i)
		key = binding.Key{Account: name}
		w.put(key, generation(name, 1))
		w.wantNewest(t, key, name, 1)
	}
	testkit.Want(t, "kept", len(w.tokens), tokenCacheSize)
	w.put(key, generation("one", 2))
	w.wantNewest(t, key, "one", 2)
	w.put(key, generation("one", 1)) // by a caller that read the row before the refresh
	w.wantNewest(t, key, "one", 2)
	w.put(key, generation("two", 1))
	w.wantNewest(t, key, "two", 1)
	testkit.Want(t, "kept", len(w.tokens), tokenCacheSize)
}

// TestB15_ATokenInMemoryIsOfTheBindingThatReadIt: a row that names the secret of another binding
// does not get it from a process that has just served the other.
func TestB15_ATokenInMemoryIsOfTheBindingThatReadIt(t *testing.T) {
	var w tokenCache
	w.put(binding.Key{Account: "victim"}, generation("one", 1))
	w.wantNewest(t, binding.Key{Account: "victim"}, "one", 1)
	w.wantNewest(t, binding.Key{Account: "thief"}, "", 0)
}
