package credential

import (
	"sync"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/vault"
)

// tokenCacheSize is how many tokens a process keeps in memory at most: more than one process serves
// in the life of its tokens. Each takes about a kilobyte.
const tokenCacheSize = 20_000

// tokenCache keeps the tokens that this process has read, each under the binding that may read it,
// its secret's name and its generation, which always name the same token. A token that was revoked
// or unbound is not handed out from the cache, because the record is read first, every time, and
// names the current one.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[cacheKey]cachedToken
}

type cacheKey struct {
	binding binding.Key
	secret  vault.SecretName
}

type cachedToken struct {
	generation int
	token      ledger.TokenBundle
}

// get returns the token of a binding if the cache has the same generation of the secret.
func (c *tokenCache) get(key binding.Key, t binding.Token) (ledger.TokenBundle, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cached, ok := c.tokens[cacheKey{key, t.Secret}]
	return cached.token, ok && cached.generation == t.Generation
}

// put keeps the newest token of a secret. A full cache drops an arbitrary other token.
func (c *tokenCache) put(key binding.Key, t binding.Token, bundle ledger.TokenBundle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[cacheKey]cachedToken{}
	}
	of := cacheKey{key, t.Secret}
	if c.tokens[of].generation > t.Generation {
		return
	}
	for other := range c.tokens {
		if len(c.tokens) < tokenCacheSize {
			break
		}
		delete(c.tokens, other)
	}
	c.tokens[of] = cachedToken{t.Generation, bundle}
}
