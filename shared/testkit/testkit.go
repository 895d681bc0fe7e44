// Package testkit holds what the tests of several packages share: a [Clock] that only a test moves,
// a [Log] that is read back, expectations that report got and want, and [Missing] for what the
// machine lacks. Only tests import it.
package testkit

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/problem"
)

// Clock is a clock that only [Clock.Advance] moves. Its methods may be called from several
// goroutines at once.
type Clock struct{ nanoseconds atomic.Int64 }

// NewClock returns a clock that shows noon of 1 May 2026, UTC.
func NewClock() *Clock { return NewClockAt(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)) }

// NewClockAt returns a clock that shows start.
func NewClockAt(start time.Time) *Clock {
	c := &Clock{}
	c.nanoseconds.Store(start.UnixNano())
	return c
}

// Now returns the time that the clock shows, in UTC. Pass c.Now as the clock of what is tested.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanoseconds.Load()).UTC() }

// Advance moves the clock forward by d, or back if d is negative.
func (c *Clock) Advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// Want reports an error unless got equals want.
func Want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// WantEqual is [Want] for types that can't be compared with ==. It compares with
// [reflect.DeepEqual], so an empty slice doesn't equal a nil one.
func WantEqual[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// WantProblem reports an error unless err is, or wraps, the problem with this code and reason. The
// reason "" wants a problem without one.
func WantProblem(t testing.TB, what string, err error, code problem.Code, reason string) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Errorf("%s: got %v, want the problem %s", what, err, code)
		return
	}
	if p.Code != code || p.Reason != reason {
		t.Errorf("%s: got %s (%q), want %s (%q)", what, p.Code, p.Reason, code, reason)
	}
}

// WantCode is [WantProblem] for a problem with this code and any reason.
func WantCode(t testing.TB, what string, err error, code problem.Code) {
	t.Helper()
	if !problem.Is(err, code) {
		t.Errorf("%s: got %v, want the problem %s", what, err, code)
	}
}
