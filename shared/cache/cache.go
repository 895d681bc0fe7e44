// Package cache keeps one remote document that changes now and then, such as the issuer's public
// keys or the catalogue of instances.
//
// No goroutine refreshes it, because a function is frozen between calls. It is fetched during a
// call, once for all callers that need it, and the old document is used while its origin is
// unavailable. The package imports nothing of Bindery.
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNone means that there is no document, not even an old one.
var ErrNone = errors.New("cache: there is no document yet")

// Policy says how long a document is used and how soon its origin is called again.
type Policy struct {
	// TTL is the age from which a document is fetched again.
	TTL time.Duration
	// RetryInterval is the least time between two fetches while there is a document.
	RetryInterval time.Duration
	// RetryEmptyInterval is the least time between two fetches while there is none.
	RetryEmptyInterval time.Duration
	// Timeout limits one fetch.
	Timeout time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Remote is the latest version of one document. Its methods may be called at once from many
// goroutines.
type Remote[T any] struct {
	get    func(context.Context) (T, error)
	policy Policy

	mu      sync.Mutex
	value   T
	version int       // how often a fetch has succeeded
	fetched time.Time // when the last successful fetch ended
	tried   time.Time // when the last fetch began, without a prefetch
	err     error     // the error of the last fetch
	running chan struct{}
}

// New returns a cache of what get returns. It fetches nothing yet. get must return an error for a
// document with unusable content, so that a broken document doesn't replace a working one.
func New[T any](get func(context.Context) (T, error), policy Policy) *Remote[T] {
	return &Remote[T]{get: get, policy: policy}
}

// Current returns the document and its version. It fetches the document if there is none or it is
// old. If the fetch fails, and for callers that come during the fetch, it returns the old document.
// The error is [ErrNone] with its cause.
func (d *Remote[T]) Current(ctx context.Context) (value T, version int, err error) {
	d.mu.Lock()
	old := d.policy.Now().Sub(d.fetched) >= d.policy.TTL
	if d.version > 0 && (!old || d.running != nil) {
		defer d.mu.Unlock()
		return d.value, d.version, nil
	}
	known := d.version
	d.mu.Unlock()
	return d.refetch(ctx, known)
}

// prefetchTimeout is how long a caller may have to wait for a prefetch that got stuck.
const prefetchTimeout = 2 * time.Second

// Prefetch begins to fetch a document that will soon be needed, and doesn't wait for it. If that
// fails, the first caller fetches the document again at once: the process may have been frozen, and
// its connections closed, in the middle of the prefetch.
func (d *Remote[T]) Prefetch(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version == 0 && d.running == nil {
		d.running = make(chan struct{})
		go d.fetch(ctx, prefetchTimeout)
	}
}

// Newer returns the document for a caller for which the given version was not sufficient: a later
// version if another call has fetched one, or else the result of a new fetch. If the last fetch was
// too recent, it returns the same version again.
func (d *Remote[T]) Newer(ctx context.Context, than int) (value T, version int, err error) {
	return d.refetch(ctx, than)
}

// refetch starts a fetch or joins the one in progress. It does neither if there is a version above
// known already or the last fetch was too recent.
func (d *Remote[T]) refetch(ctx context.Context, known int) (T, int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var cancelled error
	if d.running != nil && d.tried.IsZero() { // a prefetch
		cancelled = d.wait(ctx)
	}
	interval := d.policy.RetryInterval
	if d.version == 0 {
		interval = d.policy.RetryEmptyInterval
	}
	now := d.policy.Now()
	if d.version <= known && d.running == nil &&
		(d.tried.IsZero() || now.Sub(d.tried) >= interval) {
		d.tried = now
		d.running = make(chan struct{})
		// All waiting callers share the fetch, so it doesn't end when the caller that started it is
		// cancelled.
		go d.fetch(context.WithoutCancel(ctx), d.policy.Timeout)
	}
	if d.version <= known && d.running != nil {
		cancelled = d.wait(ctx)
	}
	if d.version == 0 {
		return d.value, 0, fmt.Errorf("%w: %w", ErrNone, cmp.Or(cancelled, d.err))
	}
	return d.value, d.version, nil
}

// wait waits for the fetch in progress, without the lock. It returns the context's error if that
// ends first.
func (d *Remote[T]) wait(ctx context.Context) error {
	running := d.running
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Remote[T]) fetch(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, err := d.get(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.value, d.fetched = value, d.policy.Now()
		d.version++
	}
	d.err = err
	close(d.running)
	d.running = nil
}
