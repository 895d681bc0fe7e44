package binding

import (
	"sync"

	"bindery/shared/vault"
)

// tokenCacheSize is how many tokens a process keeps in memory at most.
const tokenCacheSize = 1000

// tokenCache keeps the tokens that this process has read, each under its name and generation, which
// never mean another one. A token that was revoked or unbound is not handed out from here: the
// record is read first, every time, and says which generation counts.
type tokenCache struct {
	mu   sync.Mutex
	kept map[vault.SecretName]cachedToken
}

type cachedToken struct {
	generation int
	token      tokenBundle
}

func (w *tokenCache) get(name vault.SecretName, generation int) (tokenBundle, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.kept[name]
	return t.token, ok && t.generation == generation
}

// put keeps a secret's newest token. When there are too many, any other goes.
func (w *tokenCache) put(name vault.SecretName, generation int, k tokenBundle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept == nil {
		w.kept = map[vault.SecretName]cachedToken{}
	}
	if w.kept[name].generation > generation {
		return
	}
	for other := range w.kept {
		if len(w.kept) < tokenCacheSize {
			break
		}
		delete(w.kept, other)
	}
	w.kept[name] = cachedToken{generation, k}
}
