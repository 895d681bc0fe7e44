// Package faulttest has what the fake services of tests share: a count of their calls, and a plan
// of failures. Each service defines its faults and their effects.
package faulttest

import (
	"maps"
	"slices"
	"sync"
)

// Plan is embedded in a fake service. F is the type of the service's faults; its zero value is no
// fault. The zero Plan has counted nothing and plans no failure. Its methods may be called at once
// from many goroutines.
type Plan[F any] struct {
	mu     sync.Mutex
	faults []planned[F]
	calls  map[string]int
}

type planned[F any] struct {
	operation string
	fault     F
}

// Calls returns how often each operation was called, including failed calls.
func (p *Plan[F]) Calls() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := map[string]int{}
	maps.Copy(calls, p.calls)
	return calls
}

// Fail makes the next n calls of the operation fail. Several plans for one operation are carried
// out one after the other.
func (p *Plan[F]) Fail(operation string, n int, fault F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.faults = append(p.faults, planned[F]{operation, fault})
	}
}

// Called counts a call. The service calls it.
func (p *Plan[F]) Called(operation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = map[string]int{}
	}
	p.calls[operation]++
}

// Next returns the next fault that is planned for the operation, and removes it from the plan. The
// service calls it.
func (p *Plan[F]) Next(operation string) (fault F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.faults, func(f planned[F]) bool { return f.operation == operation })
	if i < 0 {
		return fault
	}
	fault = p.faults[i].fault
	p.faults = slices.Delete(p.faults, i, i+1)
	return fault
}
