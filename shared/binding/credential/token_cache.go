package credential

import (
	"sync"

	"bindery/shared/binding/ledger"
	"bindery/shared/vault"
)

// tokenCacheSize is how many tokens a process keeps in memory at most.
const tokenCacheSize = 1000

// tokenCache keeps the tokens that this process has read, each under its secret's name and its
// generation, which always name the same token. A token that was revoked or unbound is not handed
// out from the cache, because the record is read first, every time, and names the current one.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[vault.SecretName]cachedToken
}

type cachedToken struct {
	generation int
	token      ledger.TokenBundle
}

func (c *tokenCache) get(name vault.SecretName, generation int) (ledger.TokenBundle, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tokens[name]
	return t.token, ok && t.generation == generation
}

// put keeps the newest token of a secret. A full cache drops an arbitrary other token.
func (c *tokenCache) put(name vault.SecretName, generation int, k ledger.TokenBundle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[vault.SecretName]cachedToken{}
	}
	if c.tokens[name].generation > generation {
		return
	}
	for other := range c.tokens {
		if len(c.tokens) < tokenCacheSize {
			break
		}
		delete(c.tokens, other)
	}
	c.tokens[name] = cachedToken{generation, k}
}
