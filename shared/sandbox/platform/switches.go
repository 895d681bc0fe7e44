package platform

import (
	"slices"
	"sync"
	"time"
)

// Switch is a behaviour of a platform that can be turned on and off.
type Switch struct {
	Name string
	Text Words
	On   bool
}

// Switches are a platform's switches. They may be used by several goroutines at once.
type Switches struct {
	mu  sync.Mutex
	all []Switch
}

// NewSwitches returns the switches in their first state.
func NewSwitches(all ...Switch) *Switches { return &Switches{all: all} }

// ListSwitches returns the switches as they are now.
func (s *Switches) ListSwitches() []Switch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// On reports whether a switch is turned on. A switch that doesn't exist is off.
func (s *Switches) On(name string) bool {
	return slices.ContainsFunc(s.ListSwitches(), func(w Switch) bool {
		return w.Name == name && w.On
	})
}

// SetSwitch turns a switch on or off, and reports whether it exists.
func (s *Switches) SetSwitch(name string, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(w Switch) bool { return w.Name == name })
	if i >= 0 {
		s.all[i].On = on
	}
	return i >= 0
}

// TokenChange is a change to a pasted token that a button on the sandbox's page makes.
type TokenChange struct {
	Name string
	Text Words
}

// The names of the changes. RestoreToken undoes the others, which a real platform doesn't do, so
// that a recovery can be seen.
const (
	RevokeToken     = "revoke"
	ExpireToken     = "expire"
	ExpireTokenSoon = "soon"
	NarrowToken     = "narrow"
	RestoreToken    = "restore"
)

// SoonExpiryPeriod is how long a token lives after [ExpireTokenSoon].
const SoonExpiryPeriod = 5 * 24 * time.Hour

// TokenChanges lists the changes.
func TokenChanges() []TokenChange {
	return []TokenChange{
		{RevokeToken, Words{"吊销", "revoke"}},
		{ExpireToken, Words{"立即过期", "expire now"}},
		{ExpireTokenSoon, Words{"5 天后过期", "expire in 5 days"}},
		{NarrowToken, Words{"收回权限", "remove permissions"}},
		{RestoreToken, Words{"恢复原状", "restore"}},
	}
}
