package binding_test

import (
	"fmt"
	"testing"
)

// This is a model of the protocol in owned_secrets.go, replace.go, confirm.go and sweep_secrets.go:
// one record, some secrets with generations, the attempts that stored them, the vault and the
// platform's tokens, and actors that take one call at a time in every order. Every actor may crash
// before every call, and a save may end without its reply. Time is modelled as the protocol needs
// it: an entry is due when every invocation that ran at its last write has ended.
//
// Three promises must hold. No record ever points at a deleted secret, and no token in use is
// revoked. When all actors have ended and the sweep has run, no secret and no list entry is left
// that no record points at. And no token that was issued to Bindery is then valid, except those of
// the secret in use.

const (
	modelSecrets     = 3 // numbered from 1; 0 is none
	modelGenerations = 2
	modelActors      = 5
)

// modelEntry is an entry of the record's list.
type modelEntry struct {
	listed     bool
	generation uint8
	running    uint8 // the actors that ran at its last write
}

// modelAttempt is an authorization. It has the number of the secret that its callback stores.
type modelAttempt struct {
	there, consented, named, expired, discarded bool
	version                                     uint8
	// running are the actors that ran when it expired, or at the sweep's claim.
	running uint8
}

type modelActor struct {
	pc    uint8 // 0: not running
	ended bool
	// What it has read of the record and of its attempt.
	version, revision, secret, generation uint8
	listed                                bool // its own secret
	attempt                               uint8
	// What the sweep works on.
	swept, next uint8
}

type modelState struct {
	version, revision, secret, generation uint8
	last                                  uint8 // the last version or revision given out
	list                                  [modelSecrets + 1]modelEntry
	attempts                              [modelSecrets + 1]modelAttempt
	vault                                 [modelSecrets + 1]uint8 // generations stored
	// valid has a bit for each generation whose token the platform accepts.
	valid  [modelSecrets + 1]uint8
	lost   bool // a refreshed token found no secret to be stored in
	actors [modelActors]modelActor
}

// canonical renumbers versions and revisions, of which only equality matters, so that the number
// of states is finite.
func (s modelState) canonical() modelState {
	var seen [64]uint8
	var count uint8
	number := func(v *uint8) {
		if *v == 0 {
			return
		}
		for i := range count {
			if seen[i] == *v {
				*v = i + 1
				return
			}
		}
		seen[count] = *v
		count++
		*v = count
	}
	number(&s.version)
	number(&s.revision)
	for i := range s.attempts {
		number(&s.attempts[i].version)
	}
	for i := range s.actors {
		number(&s.actors[i].version)
		number(&s.actors[i].revision)
		number(&s.actors[i].attempt)
	}
	s.last = count
	return s
}

// modelRole is what an actor does, and with which secret.
type modelRole struct {
	what   string
	secret uint8
}

// model is one set of actors, and what is left out of the protocol on purpose.
type model struct {
	actors []modelRole
	omit   string
}

func (m *model) running(s *modelState) uint8 {
	var mask uint8
	for i := range m.actors {
		if s.actors[i].pc != 0 {
			mask |= 1 << i
		}
	}
	return mask
}

// issued reports whether a secret holds tokens that were issued to Bindery. A bind by token stores
// a personal access token, which is its user's own.
func (m *model) issued(secret uint8) bool {
	for _, role := range m.actors {
		if role.what == "bind" && role.secret == secret {
			return false
		}
	}
	return true
}

func (s *modelState) stamp() uint8 { s.last++; return s.last }

// read is a read of the record by an actor with a secret of its own, or with none (0).
func (s *modelState) read(a *modelActor, own uint8) {
	a.version, a.revision, a.secret, a.generation = s.version, s.revision, s.secret, s.generation
	a.listed = s.list[own].listed
}

func (s *modelState) store(secret, generation uint8) {
	s.vault[secret] = max(s.vault[secret], generation)
	s.valid[secret] |= 1 << generation
}

// step returns what may come of actor i's next call.
func (m *model) step(s modelState, i int) []modelState {
	if s.actors[i].ended {
		return nil
	}
	switch role := m.actors[i]; role.what {
	case "expiry":
		return m.expiry(s, i, role.secret)
	case "callback":
		return m.callback(s, i, role.secret)
	case "discard":
		return m.discard(s, i, role.secret)
	case "check":
		return m.check(s, i)
	case "refresh":
		return m.refresh(s, i)
	case "sweep":
		return m.sweep(s, i)
	default:
		return m.change(s, i, role)
	}
}

// expiry ends the time of an attempt.
func (m *model) expiry(s modelState, i int, secret uint8) []modelState {
	if a := &s.attempts[secret]; a.there {
		a.expired, a.running = true, m.running(&s)
	}
	s.actors[i] = modelActor{ended: true}
	return []modelState{s}
}

// callback claims the attempt, whose row names the secret from then on, and stores a token. The
// confirmation code is given out when it has ended.
func (m *model) callback(s modelState, i int, secret uint8) []modelState {
	a, attempt := &s.actors[i], &s.attempts[secret]
	switch a.pc {
	case 0:
		if attempt.expired {
			*a = modelActor{ended: true}
			break
		}
		if m.omit != "the claim names the secret" {
			*attempt = modelAttempt{there: true, version: s.stamp()}
		}
		a.pc = 1
	case 1:
		s.store(secret, 1)
		a.attempt, a.pc = attempt.version, 2
	case 2:
		if attempt.there && attempt.version == a.attempt {
			attempt.consented, attempt.version = true, s.stamp()
		}
		*a = modelActor{ended: true}
	}
	return []modelState{s}
}

// discard is the confirm by another user.
func (m *model) discard(s modelState, i int, secret uint8) []modelState {
	a, attempt := &s.actors[i], &s.attempts[secret]
	if a.pc == 0 {
		if attempt.there && attempt.consented && !attempt.named && !attempt.discarded {
			a.attempt, a.pc = attempt.version, 1
			return []modelState{s}
		}
	} else if attempt.there && attempt.version == a.attempt {
		attempt.discarded, attempt.version = true, s.stamp()
	}
	*a = modelActor{ended: true}
	return []modelState{s}
}

// check saves the record without a bind: events drained, a check's result.
func (m *model) check(s modelState, i int) []modelState {
	a := &s.actors[i]
	if a.pc == 0 {
		s.read(a, 0)
		a.pc = 1
		return []modelState{s}
	}
	if s.version == a.version && s.version != 0 {
		s.version = s.stamp()
	}
	*a = modelActor{ended: true}
	return []modelState{s}
}

// refresh stores the next generation of the token, which ends the one before at the platform, and
// then points the record at it. A crash between the platform's reply and the vault loses the token;
// that is another promise's, so both are one call here.
func (m *model) refresh(s modelState, i int) []modelState {
	a := &s.actors[i]
	end := func() []modelState { *a = modelActor{ended: true}; return []modelState{s} }
	switch a.pc {
	case 0:
		s.read(a, 0)
		a.swept, a.next = a.secret, a.generation+1
		if a.secret == 0 || !m.issued(a.secret) || a.next > modelGenerations {
			return end()
		}
		a.pc = 1
	case 1:
		if s.vault[a.swept] == 0 {
			s.lost = true
			return end()
		}
		s.valid[a.swept] &^= 1 << (a.next - 1)
		s.store(a.swept, a.next)
		a.pc = 2
	case 2:
		if s.version != a.version {
			a.pc = 3
			break
		}
		s.version, s.generation = s.stamp(), a.next
		return end()
	case 3:
		s.read(a, 0)
		if a.secret != a.swept || a.generation >= a.next {
			return end()
		}
		a.pc = 2
	}
	return []modelState{s}
}

// change is a bind, a confirm or an unbind (secret 0).
func (m *model) change(s modelState, i int, role modelRole) []modelState {
	a, secret := &s.actors[i], role.secret
	switch a.pc {
	case 0:
		if role.what == "confirm" {
			return m.confirm(s, i, secret)
		}
		s.read(a, secret)
		switch {
		case role.what == "bind":
			a.pc = 1
		case a.secret == 0:
			*a = modelActor{ended: true}
		default:
			a.pc = 4
		}
	case 1: // list the new secret as pending
		return m.listPending(s, i, secret)
	case 2: // read again after a conflict or a lost reply
		revision := a.revision
		s.read(a, secret)
		switch {
		case a.listed:
			a.pc = 3
		case a.revision != revision:
			*a = modelActor{ended: true}
		default:
			a.pc = 1
		}
	case 3:
		s.store(secret, 1)
		a.pc = 4
	case 4:
		return m.point(s, i, secret)
	case 5: // read again after a conflict or a lost reply
		revision := a.revision
		s.read(a, secret)
		switch {
		case a.secret == secret, secret != 0 && a.revision != revision:
			*a = modelActor{ended: true}
		default:
			a.pc = 4
		}
	default:
		return m.confirm(s, i, secret)
	}
	return []modelState{s}
}

func (m *model) listPending(s modelState, i int, secret uint8) []modelState {
	a := &s.actors[i]
	switch {
	case m.omit == "a bind lists its secret":
		a.pc = 3
		return []modelState{s}
	case s.version != a.version:
		a.pc = 2
		return []modelState{s}
	}
	s.version = s.stamp()
	s.list[secret] = modelEntry{true, 1, m.running(&s)}
	lost := s
	lost.actors[i].pc = 2
	a.version, a.pc = s.version, 3
	return []modelState{s, lost}
}

// confirm points the record at the attempt's secret, call by call.
func (m *model) confirm(s modelState, i int, secret uint8) []modelState {
	a, attempt := &s.actors[i], &s.attempts[secret]
	end := func() []modelState { *a = modelActor{ended: true}; return []modelState{s} }
	switch a.pc {
	case 0: // read the attempt
		if !attempt.there || !attempt.consented || attempt.expired || attempt.discarded {
			return end()
		}
		a.attempt, a.pc = attempt.version, 10
	case 10: // read the record, and then the clock
		s.read(a, secret)
		switch {
		case a.secret == secret,
			a.listed && m.omit != "a listed secret is refused",
			attempt.expired && m.omit != "the clock is read after the record":
			return end()
		}
		a.pc = 11
	case 11: // write the record's key into the attempt
		if !attempt.there || attempt.version != a.attempt {
			a.pc = 12
			break
		}
		if m.omit != "the attempt names the record" {
			attempt.named = true
		}
		attempt.version = s.stamp()
		lost := s
		lost.actors[i].pc = 12
		a.pc = 4
		return []modelState{s, lost}
	case 12: // read the attempt again
		switch {
		case !attempt.there, attempt.discarded:
			return end()
		case attempt.named:
			a.pc = 4
		default:
			a.attempt, a.pc = attempt.version, 11
		}
	}
	return []modelState{s}
}

// point points the record at a secret, or at none, and lists the old one as retired in the same
// write.
func (m *model) point(s modelState, i int, secret uint8) []modelState {
	if s.version != s.actors[i].version {
		s.actors[i].pc = 5
		return []modelState{s}
	}
	old, generation := s.secret, s.generation
	s.version = s.stamp()
	s.revision, s.secret, s.generation = s.version, secret, min(secret, 1)
	s.list[secret] = modelEntry{}
	if old != 0 && m.omit != "the old secret is listed" {
		s.list[old] = modelEntry{true, generation, m.running(&s)}
	}
	lost := s
	lost.actors[i].pc = 5
	s.actors[i] = modelActor{ended: true}
	return []modelState{s, lost}
}

// due lists what a sweep may work on next.
func (m *model) due(s modelState, i int) (next []modelState) {
	running := m.running(&s)
	for secret := uint8(1); secret <= modelSecrets; secret++ {
		entry, attempt := s.list[secret], s.attempts[secret]
		waits := entry.running&running != 0 && m.omit != "the sweep waits" ||
			attempt.there && !attempt.expired && m.omit != "an entry outlives its attempt"
		if entry.listed && !waits {
			t := s
			t.actors[i] = modelActor{pc: 1, swept: secret, next: entry.generation}
			t.read(&t.actors[i], 0)
			next = append(next, t)
		}
		waits = attempt.running&running != 0 && m.omit != "the sweep waits"
		if attempt.there && attempt.expired && !waits {
			t := s
			t.actors[i] = modelActor{pc: 10, swept: secret, attempt: attempt.version}
			next = append(next, t)
		}
	}
	return next
}

func (m *model) sweep(s modelState, i int) []modelState {
	a := &s.actors[i]
	record := a.pc < 10
	switch a.pc {
	case 0:
		return m.due(s, i)
	case 1: // count the attempt in the record, if it is unchanged
		if s.version != a.version {
			*a = modelActor{}
			break
		}
		s.version = s.stamp()
		s.list[a.swept].running = m.running(&s)
		a.version, a.pc = s.version, 2
	case 10: // ask the record that the attempt names
		attempt := s.attempts[a.swept]
		owned := s.secret == a.swept || s.list[a.swept].listed
		if a.pc = 11; attempt.named && owned && m.omit != "the sweep asks the record" {
			a.pc = 14
		}
	case 11: // count the attempt in the authorization, if it is unchanged
		attempt := &s.attempts[a.swept]
		if !attempt.there || attempt.version != a.attempt {
			*a = modelActor{}
			break
		}
		attempt.version, attempt.running = s.stamp(), m.running(&s)
		a.attempt, a.next, a.pc = attempt.version, 1, 12
	case 2, 12: // read a generation and revoke it
		m.revoke(&s, a)
	case 3, 13:
		s.vault[a.swept] = 0
		if a.pc++; record {
			s.read(a, 0)
		}
	case 4: // take the entry off the list: the whole row is written as it was read
		if s.version != a.version && m.omit != "a save carries the version" {
			s.read(a, 0)
			break
		}
		s.version, s.secret, s.generation = s.stamp(), a.secret, a.generation
		s.list[a.swept] = modelEntry{}
		*a = modelActor{}
	case 14:
		if s.attempts[a.swept].version == a.attempt {
			s.attempts[a.swept] = modelAttempt{}
		}
		*a = modelActor{}
	}
	return []modelState{s}
}

// revoke revokes one generation's token, or takes the next step when there is none.
func (m *model) revoke(s *modelState, a *modelActor) {
	later := a.pc == 2 && a.next > s.list[a.swept].generation || a.pc == 12 && a.next > 1
	switch {
	case !m.issued(a.swept), s.vault[a.swept] < a.next,
		later && m.omit == "later generations are revoked":
		a.pc++
	default:
		if m.omit != "the sweep revokes" {
			s.valid[a.swept] &^= 1 << a.next
		}
		a.next++
	}
}

// broken returns which promise that must always hold a state breaks, "" for none.
func (m *model) broken(s *modelState) string {
	switch {
	case s.lost:
		return "a refreshed token found no secret"
	case s.secret == 0:
		return ""
	case s.vault[s.secret] < s.generation:
		return fmt.Sprintf("the record points at secret %d, which is deleted", s.secret)
	case s.valid[s.secret]>>s.generation == 0:
		return fmt.Sprintf("the token of secret %d is in use and revoked", s.secret)
	}
	return ""
}

// fault returns what is wrong with a state, "" for nothing.
func (m *model) fault(s modelState) string {
	if broken := m.broken(&s); broken != "" {
		return broken
	}
	if m.running(&s) != 0 {
		return ""
	}
	for x := range s.attempts { // all actors have ended: time passes, and a sweep works
		s.attempts[x].expired = s.attempts[x].there
	}
	for i, role := range m.actors {
		for role.what == "sweep" {
			next := m.sweep(s, i)
			if len(next) == 0 {
				break
			}
			s = next[0]
			if broken := m.broken(&s); broken != "" {
				return broken
			}
		}
	}
	return m.leftOver(&s)
}

func (m *model) leftOver(s *modelState) string {
	for x := uint8(1); x <= modelSecrets; x++ {
		switch {
		case s.list[x].listed || s.attempts[x].there:
			return fmt.Sprintf("an entry of secret %d is left over", x)
		case x == s.secret:
		case s.vault[x] != 0:
			return fmt.Sprintf("secret %d is left over", x)
		case s.valid[x] != 0 && m.issued(x):
			return fmt.Sprintf("a token of secret %d is still valid", x)
		}
	}
	return ""
}

// explore looks at every state that can be reached, and returns how many, and the first fault.
func (m *model) explore(first modelState) (int, string) {
	seen := map[modelState]bool{first: true}
	todo := []modelState{first}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if fault := m.fault(s); fault != "" {
			return len(seen), fault
		}
		for i := range m.actors {
			next := m.step(s, i)
			if s.actors[i].pc != 0 { // or it crashes
				crashed := s
				crashed.actors[i] = modelActor{ended: m.actors[i].what != "sweep"}
				next = append(next, crashed)
			}
			for _, n := range next {
				if n = n.canonical(); !seen[n] {
					seen[n] = true
					todo = append(todo, n)
				}
			}
		}
	}
	return len(seen), ""
}

// start is a state with the record bound to a secret (0: not), and with attempts that have
// consented and that no user has confirmed.
func start(bound uint8, consented ...uint8) modelState {
	var s modelState
	if bound != 0 {
		s.version, s.revision, s.secret, s.generation, s.last = 1, 1, bound, 1, 1
		s.store(bound, 1)
	}
	for _, secret := range consented {
		s.attempts[secret] = modelAttempt{there: true, consented: true, version: s.stamp()}
		s.store(secret, 1)
	}
	return s
}

func role(what string, secret ...uint8) modelRole {
	return modelRole{what, append(secret, 0)[0]}
}

func TestModelNothingIsLeftOverAndNothingInUseIsDeleted(t *testing.T) {
	unbind, check, refresh, sweep := role("unbind"), role("check"), role("refresh"), role("sweep")
	confirm, expiry := role("confirm", 2), role("expiry", 2)
	for _, c := range []struct {
		name   string
		first  modelState
		actors []modelRole
	}{
		{"two binds", start(0), []modelRole{role("bind", 2), role("bind", 3), sweep}},
		{"two re-binds", start(1), []modelRole{role("bind", 2), role("bind", 3), sweep}},
		{"re-bind, unbind, check", start(1), []modelRole{role("bind", 2), unbind, check, sweep}},
		{"re-bind, refresh", start(1), []modelRole{role("bind", 2), refresh, sweep}},
		{"unbind, two refreshes", start(1), []modelRole{unbind, refresh, refresh, sweep}},
		{"two confirms of one", start(1, 2), []modelRole{confirm, confirm, expiry, sweep}},
		{"confirm, bind", start(1, 2), []modelRole{confirm, role("bind", 3), expiry, sweep}},
		{"confirm, confirm, unbind", start(0, 2), []modelRole{
			confirm, confirm, unbind, expiry, sweep,
		}},
		{"confirm, unbind, refresh", start(0, 2), []modelRole{
			confirm, unbind, refresh, expiry, sweep,
		}},
		{"callback, confirm", start(1), []modelRole{role("callback", 2), confirm, expiry, sweep}},
		{"confirm, another user", start(1, 2), []modelRole{
			confirm, role("discard", 2), expiry, sweep,
		}},
		{"two attempts", start(0, 2, 3), []modelRole{
			confirm, role("confirm", 3), expiry, role("expiry", 3), sweep,
		}},
		{"confirm, bind, unbind", start(1, 2), []modelRole{
			confirm, role("bind", 3), unbind, expiry, sweep,
		}},
		{"two sweeps", start(1), []modelRole{role("bind", 2), unbind, sweep, sweep}},
		{"two sweeps, refresh", start(1), []modelRole{unbind, refresh, sweep, sweep}},
		{"two sweeps, confirm", start(1, 2), []modelRole{confirm, expiry, sweep, sweep}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := model{actors: c.actors}
			states, fault := m.explore(c.first)
			if fault != "" {
				t.Errorf("after %d states: %s", states, fault)
			}
			t.Logf("%d states", states)
		})
	}
}

// TestModelNeedsEachPart leaves out one part of the protocol at a time: each gives a fault. So each
// part is necessary, and the model is able to fail.
func TestModelNeedsEachPart(t *testing.T) {
	unbind, refresh, sweep := role("unbind"), role("refresh"), role("sweep")
	confirm, expiry := role("confirm", 2), role("expiry", 2)
	twice := []modelRole{confirm, confirm, unbind, expiry, sweep}
	for _, c := range []struct {
		part   string
		first  modelState
		actors []modelRole // as few as it takes
	}{
		{"a bind lists its secret", start(1), []modelRole{role("bind", 2), sweep}},
		{"the old secret is listed", start(1), []modelRole{unbind, sweep}},
		{"the sweep waits", start(1), []modelRole{role("bind", 2), sweep}},
		{"the sweep waits", start(1), []modelRole{unbind, refresh, sweep}},
		{"the claim names the secret", start(1), []modelRole{role("callback", 2), sweep}},
		{"the attempt names the record", start(1, 2), []modelRole{confirm, expiry, sweep}},
		{"the sweep asks the record", start(1, 2), []modelRole{confirm, expiry, sweep}},
		{"a listed secret is refused", start(0, 2), twice},
		{"the clock is read after the record", start(0, 2), twice},
		{"an entry outlives its attempt", start(0, 2), twice},
		{"a save carries the version", start(1), []modelRole{
			role("bind", 2), unbind, role("bind", 3), sweep, sweep,
		}},
		{"the sweep revokes", start(1), []modelRole{unbind, sweep}},
		{"later generations are revoked", start(1), []modelRole{unbind, refresh, sweep}},
	} {
		m := model{actors: c.actors, omit: c.part}
		if _, fault := m.explore(c.first); fault == "" {
			t.Errorf("without %q nothing goes wrong", c.part)
		} else {
			t.Logf("without %q: %s", c.part, fault)
		}
	}
}
