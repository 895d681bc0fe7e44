package api_test

import (
	"context"
	"errors"
	"slices"
	"sync"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
)

// watched records the calls to a table or a vault, and makes some of them fail.
type watched struct {
	mu    sync.Mutex
	calls []string
	// before is called before each call, with the number of calls so far; nil allows all. It is
	// called without the lock, so that it may make calls itself.
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

// reset forgets the calls and replaces before.
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

// lossy is a table that loses the reply to a call that succeeded if lose returns true.
type lossy struct {
	ledger.Table
	mu   sync.Mutex
	n    int
	lose func(n int) bool
}

// set replaces lose; nil loses no reply.
func (l *lossy) set(lose func(n int) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n, l.lose = 0, lose
}

// end returns the error of a call that ended with err.
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

func (l *lossy) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	saved, err := l.Table.SaveBinding(ctx, b)
	if err = l.end(err); err != nil {
		return binding.Record{}, err
	}
	return saved, nil
}

func (l *lossy) SaveIdentityEntry(ctx context.Context, h binding.IdentityEntry) error {
	return l.end(l.Table.SaveIdentityEntry(ctx, h))
}

func (l *lossy) AppendHistory(ctx context.Context, key binding.Key, events []binding.Event) error {
	return l.end(l.Table.AppendHistory(ctx, key, events))
}
