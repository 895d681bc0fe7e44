package hooks

import (
	"slices"

	"bindery/shared/sandbox/platform"
)

// control is how a platform's deliveries are disturbed on purpose.
type control struct {
	drop, double int // of the next deliveries
	hold         bool
	held         []*job
}

// control returns a platform's control. Hold mu.
func (s *Sender) control(p platform.Name) *control {
	c := s.controls[p]
	if c == nil {
		c = &control{}
		s.controls[p] = c
	}
	return c
}

// Drop loses the next n deliveries of a platform. They are in the log.
func (s *Sender) Drop(p platform.Name, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control(p).drop = n
}

// Double sends each of the next n deliveries of a platform twice.
func (s *Sender) Double(p platform.Name, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control(p).double = n
}

// Hold keeps the deliveries of a platform back until [Sender.Release].
func (s *Sender) Hold(p platform.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control(p).hold = true
}

// Release sends the deliveries that were held back, the last one first, and holds none any more.
func (s *Sender) Release(p platform.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.control(p)
	c.hold = false
	for _, j := range slices.Backward(c.held) {
		s.queue(j)
	}
	c.held = nil
}

// Controls are a platform's controls as they are now.
type Controls struct {
	Drop, Double int // of the next deliveries
	Hold         bool
	Held         int // deliveries that are held back
}

// Controls returns a platform's controls as they are now.
func (s *Sender) Controls(p platform.Name) Controls {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.control(p)
	return Controls{c.drop, c.double, c.hold, len(c.held)}
}

// Redeliver sends a delivery of the log again as it was, and reports whether it is there.
func (s *Sender) Redeliver(number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		for _, j := range q.log {
			if j.Number == number {
				s.add(&job{
					Delivery: Delivery{Repository: j.Repository, Outgoing: j.Outgoing}, done: j.done,
				})
				return true
			}
		}
	}
	return false
}

// Log returns the deliveries of a repository, oldest first.
func (s *Sender) Log(r Repository) []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Delivery
	if q := s.queues[r]; q != nil {
		for _, j := range q.log {
			all = append(all, j.Delivery)
		}
	}
	return all
}
