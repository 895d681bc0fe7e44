package binding

import (
	"fmt"
	"testing"

	"bindery/shared/table"
)

// This is the protocol of point.go, unbind.go and sweep.go in small: one record, some secrets,
// their notes and the vault, and actors that take one call at a time in every order. Every actor
// may die before every call, and a save may end without its reply. Time is kept as the protocol
// needs it: a note is due when every invocation that ran at its last write has ended.
//
// Two things must hold: no record ever points at a deleted secret, and once everybody has ended
// and the sweep has run, no secret is left that no record points at.

const (
	maxSecrets = 4 // numbered from 1; 0 is none
	maxActors  = 4
)

type mNote struct {
	state   table.NoteState // "" if there is no note
	bound   bool            // names the record
	version uint8
	running uint8 // the actors that ran at its last write
}

type mActor struct {
	pc    uint8 // 0: not running
	ended bool
	// What it has read.
	recVersion, recStamp, recSecret uint8
	noteVersion                     uint8
	secret                          uint8 // the sweep's
}

type mState struct {
	recVersion, recStamp, recSecret uint8
	last                            uint8 // the last version or stamp given out
	notes                           [maxSecrets + 1]mNote
	vault                           [maxSecrets + 1]bool
	actors                          [maxActors]mActor
}

// canonical renumbers versions and stamps, of which only equality matters, so that the number of
// states is finite.
func (s mState) canonical() mState {
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
	number(&s.recVersion)
	number(&s.recStamp)
	for i := range s.notes {
		number(&s.notes[i].version)
	}
	for i := range s.actors {
		number(&s.actors[i].recVersion)
		number(&s.actors[i].recStamp)
		number(&s.actors[i].noteVersion)
	}
	s.last = count
	return s
}

// mActorKind is what an actor does: a bind of a new secret, a confirm of one that a callback has
// stored, an unbind, a touch (a save that is no bind: events drained, a refresh), a sweep.
type mActorKind struct {
	what   string
	secret uint8
}

// mModel is one cast of actors, and what is left out of the protocol on purpose.
type mModel struct {
	actors []mActorKind
	omit   string
}

func (m *mModel) running(s *mState) uint8 {
	var mask uint8
	for i := range m.actors {
		if s.actors[i].pc != 0 {
			mask |= 1 << i
		}
	}
	return mask
}

func (m *mModel) saveNote(s *mState, secret uint8, state table.NoteState, bound bool) {
	s.last++
	s.notes[secret] = mNote{state, bound, s.last, m.running(s)}
}

// step returns what may come of actor i's next call.
func (m *mModel) step(s mState, i int) []mState {
	a := &s.actors[i]
	if a.ended {
		return nil
	}
	switch kind := m.actors[i]; kind.what {
	case "sweep":
		return m.sweep(s, i)
	case "unbind":
		if a.pc == 0 {
			a.pc = 9
		}
		return m.change(s, i, 0)
	case "touch":
		return m.touch(s, i)
	case "confirm":
		if a.pc == 0 {
			a.pc = 20
		}
		return m.change(s, i, kind.secret)
	default:
		if a.pc == 0 {
			a.pc = 9
		}
		return m.change(s, i, kind.secret)
	}
}

func (s *mState) read(a *mActor) {
	a.recVersion, a.recStamp, a.recSecret = s.recVersion, s.recStamp, s.recSecret
}

func (m *mModel) touch(s mState, i int) []mState {
	a := &s.actors[i]
	if a.pc == 0 {
		s.read(a)
		a.pc = 1
		return []mState{s}
	}
	if s.recVersion == a.recVersion && s.recSecret != 0 {
		s.last++
		s.recVersion = s.last
	}
	*a = mActor{ended: true}
	return []mState{s}
}

// change is a bind, a confirm (from 20) or an unbind (secret 0).
func (m *mModel) change(s mState, i int, secret uint8) []mState {
	a := &s.actors[i]
	end := func() { *a = mActor{ended: true} }
	switch a.pc {
	case 20: // confirm: read the record
		s.read(a)
		if a.pc = 21; a.recSecret == secret {
			end()
		}
	case 21: // confirm: read the note
		n := s.notes[secret]
		a.noteVersion = n.version
		if a.pc = 22; n.state != table.Held && m.omit != "held" {
			end()
		}
	case 22: // confirm: put the binding into the note
		if s.notes[secret].version == a.noteVersion && s.notes[secret].state != "" {
			m.saveNote(&s, secret, table.Held, true)
			a.pc = 12
		} else {
			end()
		}
	case 9: // read the record
		s.read(a)
		switch {
		case secret != 0:
			a.pc = 10
		case a.recSecret == 0:
			end()
		default:
			a.pc = 12
		}
	case 10: // note the new secret
		if m.omit != "new note" {
			m.saveNote(&s, secret, table.Held, true)
		}
		a.pc = 11
	case 11: // put generation 1
		s.vault[secret] = true
		a.pc = 12
	case 12, 13, 14:
		m.disown(&s, a)
	case 15:
		return m.save(s, i, secret)
	case 16: // read again after a conflict or an unclear end
		stamp := a.recStamp
		s.read(a)
		switch {
		case a.recSecret == secret:
			end()
		case secret == 0: // unbind begins again
			a.pc = 9
		case a.recStamp != stamp:
			end()
		default:
			a.pc = 12
		}
	}
	return []mState{s}
}

// disown notes the old secret: create, or read and replace, never over collecting.
func (m *mModel) disown(s *mState, a *mActor) {
	old := a.recSecret
	switch a.pc {
	case 12:
		switch {
		case old == 0 || m.omit == "old note":
			a.pc = 15
		case s.notes[old].state == "":
			m.saveNote(s, old, table.Disowned, true)
			a.pc = 15
		default:
			a.pc = 13
		}
	case 13:
		n := s.notes[old]
		a.noteVersion = n.version
		switch n.state {
		case "":
			a.pc = 12
		case table.Collecting:
			a.pc = 15
		default:
			a.pc = 14
		}
	case 14:
		a.pc = 12
		if s.notes[old].version == a.noteVersion && s.notes[old].state != "" {
			m.saveNote(s, old, table.Disowned, true)
			a.pc = 15
		}
	}
}

func (m *mModel) save(s mState, i int, secret uint8) []mState {
	if s.recVersion != s.actors[i].recVersion {
		s.actors[i].pc = 16
		return []mState{s}
	}
	s.last++
	s.recVersion, s.recStamp, s.recSecret = s.last, s.last, secret
	lost := s
	lost.actors[i].pc = 16
	s.actors[i] = mActor{ended: true}
	return []mState{s, lost}
}

func (m *mModel) sweep(s mState, i int) []mState {
	a := &s.actors[i]
	idle := mActor{}
	switch a.pc {
	case 0: // any note that is due
		var next []mState
		for secret := uint8(1); secret <= maxSecrets; secret++ {
			n := s.notes[secret]
			if n.state == "" || (n.running&m.running(&s) != 0 && m.omit != "wait") {
				continue
			}
			t := s
			t.actors[i] = mActor{pc: 1, secret: secret, noteVersion: n.version}
			next = append(next, t)
		}
		return next
	case 1: // ask the record, if the note names it
		points := s.recSecret == a.secret && s.notes[a.secret].bound
		if a.pc = 3; points {
			a.pc = 2
		}
		if m.omit == "ask" {
			a.pc = 3
		}
	case 2, 5: // delete the note if it is unchanged
		if s.notes[a.secret].version == a.noteVersion || m.omit == "note version" {
			s.notes[a.secret] = mNote{}
		}
		*a = idle
	case 3: // mark it as being collected if it is unchanged
		switch {
		case m.omit == "collecting":
			a.pc = 4
		case s.notes[a.secret].version != a.noteVersion || s.notes[a.secret].state == "":
			*a = idle
		default:
			m.saveNote(&s, a.secret, table.Collecting, s.notes[a.secret].bound)
			a.noteVersion = s.notes[a.secret].version
			a.pc = 4
		}
	case 4: // delete the secret
		s.vault[a.secret] = false
		a.pc = 5
	}
	return []mState{s}
}

// violation says what is wrong with a state, if anything.
func (m *mModel) violation(s mState) string {
	if s.recSecret != 0 && !s.vault[s.recSecret] {
		return fmt.Sprintf("the record points at the deleted secret %d", s.recSecret)
	}
	for i, kind := range m.actors {
		if a := s.actors[i]; kind.what != "sweep" && !a.ended && a.pc != 0 || a.pc != 0 {
			return ""
		}
	}
	for range 4 * maxSecrets { // everybody has ended: let a sweep work alone
		for i, kind := range m.actors {
			for kind.what == "sweep" {
				next := m.sweep(s, i)
				if len(next) == 0 {
					break
				}
				if s = next[0]; s.recSecret != 0 && !s.vault[s.recSecret] {
					return fmt.Sprintf("the sweep deleted secret %d, which is in use", s.recSecret)
				}
			}
		}
	}
	for secret := uint8(1); secret <= maxSecrets; secret++ {
		if s.vault[secret] && secret != s.recSecret {
			return fmt.Sprintf("secret %d is left over", secret)
		}
		if s.notes[secret].state != "" {
			return fmt.Sprintf("the note of secret %d is left over", secret)
		}
	}
	return ""
}

// explore looks at every state that can be reached, and returns how many, and the first fault.
func (m *mModel) explore(first mState) (int, string) {
	seen := map[mState]bool{first: true}
	todo := []mState{first}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if fault := m.violation(s); fault != "" {
			return len(seen), fault
		}
		for i := range m.actors {
			next := m.step(s, i)
			if s.actors[i].pc != 0 { // or it dies
				dead := s
				dead.actors[i] = mActor{ended: m.actors[i].what != "sweep"}
				next = append(next, dead)
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

// start is a state with the record bound to a secret (0: not), and with secrets that a callback
// has stored and nobody has confirmed.
func start(bound uint8, stored ...uint8) mState {
	var s mState
	if bound != 0 {
		s.recVersion, s.recStamp, s.recSecret, s.last = 1, 1, bound, 1
		s.vault[bound] = true
	}
	for _, secret := range stored {
		s.last++
		s.notes[secret] = mNote{state: table.Held, version: s.last}
		s.vault[secret] = true
	}
	return s
}

func TestModelNothingIsLeftOverAndNothingInUseIsDeleted(t *testing.T) {
	bind := func(n uint8) mActorKind { return mActorKind{"bind", n} }
	confirm := func(n uint8) mActorKind { return mActorKind{"confirm", n} }
	unbind, touch, sweep := mActorKind{"unbind", 0}, mActorKind{"touch", 0}, mActorKind{"sweep", 0}
	for _, c := range []struct {
		name   string
		first  mState
		actors []mActorKind
	}{
		{"two binds", start(0), []mActorKind{bind(2), bind(3), sweep}},
		{"two re-binds", start(1), []mActorKind{bind(2), bind(3), sweep}},
		{"re-bind and unbind", start(1), []mActorKind{bind(2), unbind, sweep}},
		{"re-bind, unbind, touch", start(1), []mActorKind{bind(2), unbind, touch, sweep}},
		{"two confirms of one", start(1, 2), []mActorKind{confirm(2), confirm(2), sweep}},
		{"confirm and bind", start(1, 2), []mActorKind{confirm(2), bind(3), sweep}},
		{"confirm and unbind", start(0, 2), []mActorKind{confirm(2), unbind, touch, sweep}},
		{"two sweeps", start(1), []mActorKind{bind(2), unbind, sweep, sweep}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mModel{actors: c.actors}
			states, fault := m.explore(c.first)
			if fault != "" {
				t.Errorf("after %d states: %s", states, fault)
			}
			t.Logf("%d states", states)
		})
	}
}

// TestModelNeedsEachPart leaves out one part of the protocol at a time: each gives a fault, so
// none is there for nothing, and the model can fail.
func TestModelNeedsEachPart(t *testing.T) {
	bind, unbind, sweep := mActorKind{"bind", 2}, mActorKind{"unbind", 0}, mActorKind{"sweep", 0}
	confirm := mActorKind{"confirm", 3}
	for _, c := range []struct {
		part   string
		actors []mActorKind // as few as it takes
	}{
		{"new note", []mActorKind{bind, sweep}},
		{"old note", []mActorKind{unbind, sweep}},
		{"wait", []mActorKind{bind, sweep}},
		{"ask", []mActorKind{bind, sweep}},
		{"collecting", []mActorKind{confirm, sweep}},
		{"note version", []mActorKind{bind, unbind, sweep}},
		{"held", []mActorKind{confirm, sweep}},
	} {
		m := mModel{actors: c.actors, omit: c.part}
		if _, fault := m.explore(start(1, 3)); fault == "" {
			t.Errorf("without %q nothing goes wrong", c.part)
		} else {
			t.Logf("without %q: %s", c.part, fault)
		}
	}
}
