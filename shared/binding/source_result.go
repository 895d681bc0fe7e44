package binding

import (
	"slices"
	"time"
)

// gone is the HTTP status of a receiver that wants no more events (RFC 9110, 15.5.11).
const gone = 410

const (
	// An event that the receiver doesn't take is sent again after five seconds, then after twice as
	// long each time, up to six hours, for two days.
	minSourceBackoff = 5 * time.Second
	maxSourceBackoff = 6 * time.Hour
	maxSourceTries   = 48 * time.Hour
	// maxRetryAfter is the longest pause that a receiver may ask for.
	maxRetryAfter = 24 * time.Hour
)

// ForwardResult is the outcome of one try to send an event.
type ForwardResult struct {
	ID         string // the event's
	Taken      bool
	Answer     int           // the HTTP status; 0: none came
	RetryAfter time.Duration // how long the receiver wants no event; 0: it didn't say
	At         time.Time
}

// Record notes the outcome of a try. jitter returns a random part of a time. dead reports whether
// the event has ended without being taken: it was tried for two days, or the receiver answers 410.
// An event that doesn't wait any more stays as it is.
func (s *Subscription) Record(
	r ForwardResult, jitter func(most time.Duration) time.Duration,
) (dead bool) {
	i := slices.IndexFunc(s.Events, func(e SourceEvent) bool {
		return e.ID == r.ID && e.State == EventWaiting
	})
	if i < 0 {
		return false
	}
	s.Events = slices.Clone(s.Events)
	e := &s.Events[i]
	e.Answer = r.Answer
	if r.Taken {
		e.State, e.At = EventForwarded, r.At
		s.dropEnded()
		return false
	}
	if e.Tries == 0 {
		e.TriedAt = r.At
	}
	e.Tries++
	if r.Answer == gone || !r.At.Before(e.TriedAt.Add(maxSourceTries)) {
		e.State, e.At = EventDead, r.At
		s.dropEnded()
		return true
	}
	pause := min(minSourceBackoff<<min(e.Tries-1, 20), maxSourceBackoff)
	e.At = r.At.Add(pause + jitter(pause/4).Truncate(time.Millisecond)) // as the index has it
	s.pause(r)
	return false
}

// pause sends the receiver nothing for as long as it asked for.
func (s *Subscription) pause(r ForwardResult) {
	if r.RetryAfter <= 0 {
		return
	}
	until := r.At.Add(min(r.RetryAfter, maxRetryAfter))
	for i, e := range s.Events {
		if e.State == EventWaiting && e.At.Before(until) {
			s.Events[i].At = until
		}
	}
}
