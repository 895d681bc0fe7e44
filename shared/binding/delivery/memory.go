package delivery

import (
	"sync"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

const (
	// maxRemembered limits a process's memory of subscriptions.
	maxRemembered = 1000
	// maxPerMinute is how many authentic deliveries of one subscription a process takes in a minute.
	// Further ones are left to a sync, so that a flood delays no other subscription.
	maxPerMinute = 120
)

// memory is what a process remembers of subscriptions: the secrets of their webhooks, each used
// only while the row names it, and how many deliveries came in the last minute.
type memory struct {
	mu   sync.Mutex
	subs map[string]*remembered
}

type remembered struct {
	name   vault.SecretName
	secret secret.Text
	began  time.Time // of the minute
	count  int
}

// secret returns a subscription's secret if it has this name and is remembered.
func (m *memory) secret(id string, name vault.SecretName) (value secret.Text, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.subs[id]
	if r == nil || r.name != name {
		return value, false
	}
	return r.secret, !r.secret.Empty()
}

// keep remembers a subscription and its secret, or none, unless it does already. A full memory
// drops an arbitrary other subscription.
func (m *memory) keep(id string, name vault.SecretName, value secret.Text) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.subs == nil {
		m.subs = map[string]*remembered{}
	}
	if r := m.subs[id]; r != nil && r.name == name && value.Empty() {
		return
	}
	for other := range m.subs {
		if len(m.subs) < maxRemembered {
			break
		}
		delete(m.subs, other)
	}
	m.subs[id] = &remembered{name: name, secret: value}
}

// allow counts a delivery, and reports whether there were not too many in this minute.
func (m *memory) allow(id string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.subs[id]
	if r == nil {
		return true
	}
	if now.Sub(r.began) >= time.Minute || now.Before(r.began) {
		r.began, r.count = now, 0
	}
	r.count++
	return r.count <= maxPerMinute
}
