package credential

import (
	"sync"

	"bindery/shared/binding"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// tokenCacheSize is how many tokens a process keeps in memory at most: more than one process serves
// in the life of its tokens. Each takes about a kilobyte.
const tokenCacheSize = 20_000

// tokenCache keeps the tokens that this process has read, each under the binding that may read it,
// with its secret's name and its generation, which always name the same token. A token that was
// revoked or unbound is not handed out from the cache, because the row is read first, every time,
// and names the current one. No refresh token is kept.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[binding.Key]*cachedToken
}

// cachedToken is a token and what a credential has of its binding. It is not changed: put replaces
// it.
type cachedToken struct {
	token                 binding.Token // without its scopes
	access                secret.Text
	address, organization string
	// version is that of a row whose token this is, which may be handed out until it expires, and
	// whose identity this is; "" for none.
	version  string
	identity binding.Identity // id and user name
}

// cached returns what the cache keeps of a token, for no version.
func cached(t binding.Token, c provider.Credential) cachedToken {
	t.Scopes = nil
	return cachedToken{
		token: t, access: c.Access, address: c.Address, organization: c.Organization,
	}
}

// of returns the token as what was read with the record.
func (c cachedToken) of(rec binding.Record) cachedToken {
	c.version = rec.Version
	c.identity = binding.Identity{ID: rec.Identity.ID, Username: rec.Identity.Username}
	return c
}

// get returns the binding's newest token, or the zero value.
func (c *tokenCache) get(key binding.Key) cachedToken {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.tokens[key]; kept != nil {
		return *kept
	}
	return cachedToken{}
}

// put keeps the newest token of a secret. A full cache drops an arbitrary other binding's.
func (c *tokenCache) put(key binding.Key, t cachedToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[binding.Key]*cachedToken{}
	}
	kept := c.tokens[key]
	if kept != nil && kept.token.Secret == t.token.Secret &&
		kept.token.Generation > t.token.Generation {
		return
	}
	for other := range c.tokens {
		if kept != nil || len(c.tokens) < tokenCacheSize {
			break
		}
		delete(c.tokens, other)
	}
	c.tokens[key] = &t
}
