package vaulttest

import (
	"fmt"
	"sync"
)

// CallLog has the names of calls in their order. Its methods may be called at once from many
// goroutines.
type CallLog struct {
	mu    sync.Mutex
	names []string
}

// Add adds a call.
func (c *CallLog) Add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
}

// Reset forgets the calls.
func (c *CallLog) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = nil
}

// String implements [fmt.Stringer].
func (c *CallLog) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.names)
}
