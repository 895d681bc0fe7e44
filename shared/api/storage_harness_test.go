package api_test

import (
	"context"
	"errors"
	"slices"
	"sync"

	"bindery/shared/table"
)

// watched counts the calls to a table or a vault, and lets some of them fail.
type watched struct {
	mu    sync.Mutex
	calls []string
	// before is asked before each call, with how many there were; nil allows all. It is called
	// without the lock, so that it may make calls of its own.
	before func(n int, call string) error
}

func (c *watched) hook(_ context.Context, call string) (func(), error) {
	c.mu.Lock()
	c.calls = append(c.calls, call)
	n, before := len(c.calls), c.before
	c.mu.Unlock()
	if before == nil {
		return nil, nil
	}
	return nil, before(n, call)
}

// reset forgets the calls and sets what is asked from now on.
func (c *watched) reset(before func(n int, call string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.before = nil, before
}

// made returns the calls since the last reset.
func (c *watched) made() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

var errStorage = errors.New("the storage is down")

// lossy is a table that does what it is told and loses the reply, if lose says so.
type lossy struct {
	table.Table
	mu   sync.Mutex
	n    int
	lose func(n int) bool
}

// set makes replies get lost from now on; nil loses none.
func (l *lossy) set(lose func(n int) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n, l.lose = 0, lose
}

// end is the error of a call that has succeeded.
func (l *lossy) end(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.lose == nil {
		return err
	}
	l.n++
	if l.lose(l.n) {
		return errStorage
	}
	return nil
}

func (l *lossy) SaveBinding(ctx context.Context, b table.Binding) (table.Binding, error) {
	saved, err := l.Table.SaveBinding(ctx, b)
	if err = l.end(err); err != nil {
		return table.Binding{}, err
	}
	return saved, nil
}

func (l *lossy) SaveIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	return l.end(l.Table.SaveIdentityEntry(ctx, h))
}

func (l *lossy) AppendHistory(ctx context.Context, key table.Key, events []table.Event) error {
	return l.end(l.Table.AppendHistory(ctx, key, events))
}
