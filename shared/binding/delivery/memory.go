package delivery

import (
	"sync"
	"time"

	"bindery/shared/provider"
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

// memory is what a process remembers of subscriptions: the secrets of their webhooks, how many
// deliveries came in the last minute, and the tokens with which their platforms were asked lately.
// A secret is used only while the row names it, a token only while the row names its user.
type memory struct {
	mu   sync.Mutex
	subs map[string]*remembered
}

type remembered struct {
	name   vault.SecretName
	secret secret.Text
	began  time.Time // of the minute
	count  int

	token provider.Credential
	user  string    // the platform's id of the token's user
	until time.Time // when the token is asked for again
}

// rememberToken is for how long a platform is asked with a token without a look at its binding. The
// binding may end or change meanwhile; its subscriptions are ended or held before.
const rememberToken = 5 * time.Minute

// keepToken remembers the token of a user that asks about a subscription's repository. None with
// the zero credential.
func (m *memory) keepToken(id, user string, token provider.Credential, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.subs[id]; r != nil {
		r.token, r.user, r.until = token, user, now.Add(rememberToken)
		if ends := token.ExpiresAt.Add(-tokenLife); !token.ExpiresAt.IsZero() && ends.Before(r.until) {
			r.until = ends
		}
	}
}

// rememberedToken returns the token of a user, and whether there is one.
func (m *memory) rememberedToken(
	id, user string, now time.Time,
) (token provider.Credential, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.subs[id]
	if r == nil || user == "" || r.user != user || !now.Before(r.until) {
		return token, false
	}
	return r.token, true
}

// secret returns a subscription's secret if it has this name.
func (m *memory) secret(id string, name vault.SecretName) (value secret.Text, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.subs[id]
	if r == nil || r.name != name {
		return value, false
	}
	return r.secret, true
}

// keep remembers a subscription's secret. A full memory drops an arbitrary other subscription.
func (m *memory) keep(id string, name vault.SecretName, value secret.Text) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.subs == nil {
		m.subs = map[string]*remembered{}
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
