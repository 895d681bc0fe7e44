package binding_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
)

// queueModel says the same as a subscription's row with lists that nothing is dropped from.
type queueModel struct {
	waiting []binding.SourceEvent
	ids     []string // of all that ever waited
	heads   map[string]string
	sent    map[string]int64 // key -> the last number that has ended
	present map[string]bool  // ids in the row
}

// repeats reports whether the row must know an event.
func (m *queueModel) repeats(e binding.SourceEvent) bool {
	recent := m.ids[max(0, len(m.ids)-binding.MaxSeen):]
	if slices.Contains(recent, e.ID) || m.present[e.ID] {
		return true
	}
	head, known := m.heads[e.Ref]
	return e.State == binding.EventWaiting && e.Merge == nil && known && head == e.Commit
}

func TestModelOfTheQueue(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(14, seed))
		m := &queueModel{
			heads: map[string]string{}, sent: map[string]int64{},
			present: map[string]bool{},
		}
		s := binding.Subscription{Stage: binding.SubscriptionActive}
		now, refs := queueStart, 1+random.IntN(90)
		for step := range 600 {
			now = now.Add(time.Duration(random.IntN(20)) * time.Second)
			switch random.IntN(5) {
			case 0, 1, 2:
				m.add(t, &s, modelEvent(random, step, refs), now)
			case 3:
				m.send(t, &s, random, now)
			case 4:
				s.RemoveLogged(s.Ended())
			}
			m.check(t, s, now)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

// modelEvent returns an event: a new one, one that came before, or another of the same commit.
func modelEvent(random *rand.Rand, step, refs int) binding.SourceEvent {
	n := max(0, step-random.IntN(1+min(step, 150))*random.IntN(2)) // half are new
	inner := rand.New(rand.NewPCG(uint64(n), 3))
	e := pushed(fmt.Sprint(n), fmt.Sprint(inner.IntN(refs)), fmt.Sprint(inner.IntN(3)))
	switch inner.IntN(6) {
	case 0:
		e.Merge, e.Type = &binding.Merge{Number: fmt.Sprint(inner.IntN(5))}, binding.SourceUpdated
	case 1:
		e.State, e.Reason = binding.EventIgnored, binding.IgnoredKind
	case 2:
		e.Commit = ""
	}
	for range inner.IntN(8) * inner.IntN(2) {
		e.Titles = append(e.Titles, string(make([]byte, inner.IntN(400)))) // six bytes each
	}
	return e
}

func (m *queueModel) add(t *testing.T, s *binding.Subscription, e binding.SourceEvent,
	now time.Time,
) {
	t.Helper()
	known, waiting := m.repeats(e), s.Waiting()
	got := s.Add(e, now)
	switch {
	case known != (got == binding.Repeated):
		t.Errorf("event %s was %s; it is known: %v", e.ID, got, known)
	case got == binding.Full && (waiting == 0 || !s.SyncAt.Equal(now)):
		t.Errorf("%d wait, and that is full", waiting)
	case got == binding.Added && e.State == binding.EventWaiting:
		e.Number = s.EventCount
		m.waiting, m.ids = append(m.waiting, e), append(m.ids, e.ID)
		if e.Merge == nil {
			m.heads[e.Ref] = e.Commit
		}
	}
}

// send lets the receiver take or refuse some of the events.
func (m *queueModel) send(t *testing.T, s *binding.Subscription, random *rand.Rand, now time.Time) {
	t.Helper()
	for _, e := range s.Sendable(now) {
		key := e.OrderKey()
		for _, other := range m.waiting {
			if other.OrderKey() == key && other.Number < e.Number {
				t.Errorf("%s overtakes %s", e.ID, other.ID)
			}
		}
		r := binding.ForwardResult{ID: e.ID, Taken: random.IntN(3) > 0, Answer: 500, At: now}
		if random.IntN(20) == 0 {
			r.Answer = 410
		}
		dead := s.Record(r, noJitter)
		if dead != (!r.Taken && r.Answer == 410) {
			t.Errorf("%s is dead: %v, after %+v", e.ID, dead, r)
		}
		if !r.Taken && !dead {
			continue
		}
		if e.Number <= m.sent[key] {
			t.Errorf("%d of %s ends after %d", e.Number, key, m.sent[key])
		}
		m.sent[key] = e.Number
		m.waiting = slices.DeleteFunc(m.waiting, func(o binding.SourceEvent) bool {
			return o.ID == e.ID && o.Number == e.Number
		})
	}
}

// check compares the row with the model, and holds its bounds.
func (m *queueModel) check(t *testing.T, s binding.Subscription, now time.Time) {
	t.Helper()
	m.present = map[string]bool{}
	var waiting []binding.SourceEvent
	number := int64(0)
	for _, e := range s.Events {
		if e.Number <= number || e.Number > s.EventCount {
			t.Errorf("number %d is after %d", e.Number, number)
		}
		number, m.present[e.ID] = e.Number, true
		if e.State == binding.EventWaiting {
			waiting = append(waiting, e)
		}
	}
	if ids(waiting) != ids(m.waiting) {
		t.Errorf("waiting: got %s, want %s", ids(waiting), ids(m.waiting))
	}
	row, _ := json.Marshal(s.Events)
	if len(row) > 201<<10 || len(waiting) > binding.MaxWaiting || len(s.Seen) > binding.MaxSeen ||
		len(s.Heads) > binding.MaxRecentHeads || len(s.Events)-len(waiting) > binding.MaxEnded {
		t.Errorf("%d bytes, %d waiting, %d seen, %d heads, %d events",
			len(row), len(waiting), len(s.Seen), len(s.Heads), len(s.Events))
	}
	if due := s.DueTime(); len(s.Sendable(now)) > 0 && due.After(now) {
		t.Errorf("due at %v, but it can be sent at %v", due, now)
	}
}
