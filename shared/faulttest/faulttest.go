// Package faulttest is what the pretend services of tests have in common: a count of what was asked
// of them, and a plan of what is to go wrong. What a fault is, and what it does, is theirs.
package faulttest

import (
	"maps"
	"slices"
	"sync"
)

// Plan is embedded in a pretend service. F are the service's faults, of which the zero value is
// none. The zero Plan has counted nothing and lets nothing go wrong. Its methods may be called at
// once from many goroutines.
type Plan[F any] struct {
	mu     sync.Mutex
	faults []planned[F]
	calls  map[string]int
}

type planned[F any] struct {
	operation string
	fault     F
}

// Calls returns how often each operation was called, the calls that failed among them.
func (p *Plan[F]) Calls() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := map[string]int{}
	maps.Copy(calls, p.calls)
	return calls
}

// Fail lets the next n calls of the operation go wrong; more than one plan for an operation are
// carried out one after the other.
func (p *Plan[F]) Fail(operation string, n int, fault F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.faults = append(p.faults, planned[F]{operation, fault})
	}
}

// Called counts a call. It is for the service.
func (p *Plan[F]) Called(operation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = map[string]int{}
	}
	p.calls[operation]++
}

// Next takes the next fault that was planned for the operation. It is for the service.
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
