package binding

import "sync"

// warmest is how many tokens a process keeps in memory at most.
const warmest = 1000

// warmth keeps the tokens that this process has read, each under its name and generation, which
// never mean another one. A token that was revoked or unbound is not handed out from here: the
// record is read first, every time, and says which generation counts.
type warmth struct {
	mu   sync.Mutex
	kept map[string]warmToken
}

type warmToken struct {
	generation int
	token      kept
}

func (w *warmth) get(name string, generation int) (kept, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.kept[name]
	return t.token, ok && t.generation == generation
}

// put keeps a secret's newest token. When there are too many, any other goes.
func (w *warmth) put(name string, generation int, k kept) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept == nil {
		w.kept = map[string]warmToken{}
	}
	if w.kept[name].generation > generation {
		return
	}
	for other := range w.kept {
		if len(w.kept) < warmest {
			break
		}
		delete(w.kept, other)
	}
	w.kept[name] = warmToken{generation, k}
}
