// Package cache keeps one document that others publish and change now and then: the issuer's
// public keys, the catalogue of instances.
//
// There are no goroutines that keep it fresh, for a function is frozen between calls: it is
// fetched in the course of a call, once however many ask, and the old one goes on serving when
// its origin is away. The package imports nothing of Bindery.
package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNone says that there is no document, not even an old one.
var ErrNone = errors.New("cache: there is none yet")

// Policy say how long a document serves and how soon its origin is asked again.
type Policy struct {
	// Life is the age from which a document is fetched again.
	Life time.Duration
	// Retry is the least time between two fetches while there is a document.
	Retry time.Duration
	// RetryEmpty is the same while there is none, and nothing works.
	RetryEmpty time.Duration
	// Timeout bounds one fetch.
	Timeout time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Remote is the latest state of one document. Its methods may be called at once from many
// goroutines.
type Remote[T any] struct {
	get   func(context.Context) (T, error)
	terms Policy

	mu      sync.Mutex
	value   T
	version int       // how often a fetch has succeeded
	fetched time.Time // when the last one did
	tried   time.Time // when the last one began
	err     error     // how it ended
	running chan struct{}
}

// New keeps what get returns. It fetches nothing yet. A document whose content can't be used must
// be an error of get, so that a broken answer doesn't drive out what works.
func New[T any](get func(context.Context) (T, error), terms Policy) *Remote[T] {
	return &Remote[T]{get: get, terms: terms}
}

// Current returns the document and its version, fetched if there is none or it is old. An old one
// serves when that fails, and serves the callers who come while it is under way. The error is
// [ErrNone] with its cause.
func (d *Remote[T]) Current(ctx context.Context) (value T, version int, err error) {
	d.mu.Lock()
	old := d.terms.Now().Sub(d.fetched) >= d.terms.Life
	if d.version > 0 && (!old || d.running != nil) {
		defer d.mu.Unlock()
		return d.value, d.version, nil
	}
	known := d.version
	d.mu.Unlock()
	return d.refetch(ctx, known)
}

// Newer returns the document after the given version was not enough: a later one if another call
// has brought it, or else what a fetch brings. If the last one was too short ago to ask again,
// that is the same version once more.
func (d *Remote[T]) Newer(ctx context.Context, than int) (value T, version int, err error) {
	return d.refetch(ctx, than)
}

// refetch begins a fetch, or joins the one under way, or does neither if there is a version above
// known already or the last fetch was too short ago.
func (d *Remote[T]) refetch(ctx context.Context, known int) (T, int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	pause := d.terms.Retry
	if d.version == 0 {
		pause = d.terms.RetryEmpty
	}
	now := d.terms.Now()
	if d.version <= known && d.running == nil &&
		(d.tried.IsZero() || now.Sub(d.tried) >= pause) {
		d.tried = now
		d.running = make(chan struct{})
		// It is for all who wait, so it doesn't end when the one who began it goes away.
		go d.fetch(context.WithoutCancel(ctx))
	}
	if running := d.running; d.version <= known && running != nil {
		d.mu.Unlock()
		var gone error
		select {
		case <-running:
		case <-ctx.Done():
			gone = ctx.Err()
		}
		d.mu.Lock()
		if gone != nil && d.version == 0 {
			return d.value, 0, fmt.Errorf("%w: %w", ErrNone, gone)
		}
	}
	if d.version == 0 {
		return d.value, 0, fmt.Errorf("%w: %w", ErrNone, d.err)
	}
	return d.value, d.version, nil
}

func (d *Remote[T]) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.terms.Timeout)
	defer cancel()
	value, err := d.get(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.value, d.fetched = value, d.terms.Now()
		d.version++
	}
	d.err = err
	close(d.running)
	d.running = nil
}
