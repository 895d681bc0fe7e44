// Package binding is everything that happens to a binding: it is made, replaced, listed and
// ended, its events are kept, and what was left over is swept away. It knows no HTTP and no
// cloud; package api and the functions bring those.
//
// # How a record comes to point at another secret
//
// A token lies in the vault, the record that points at it in the table, and no transaction spans
// the two. The rule of package table (whoever changes which secret a record points at first
// writes a note about that secret, and only the sweep deletes secrets) is kept by three pieces:
//
//   - [Service.hold] notes a new secret and puts the token into the vault,
//   - [Service.point] notes the old secret and saves the record,
//   - [Service.Sweep] asks the record, 15 minutes later, and deletes what nothing points at.
//
// A small model of this protocol, which dies before and after every step and lets two writers
// and a sweep interleave, is in model_test.go: change it together with the code.
package binding

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/timing"
	"bindery/shared/vault"
)

const (
	// callDeadline is how long after its beginning an invocation may begin a call to table or vault.
	callDeadline = 2 * time.Minute
	// orphanGracePeriod is how long after its last write a note is acted upon. It is many times latest: by
	// then whoever wrote the note has saved its record, or never will.
	orphanGracePeriod = 15 * time.Minute
	// verifyTimeout is how long a platform may take to answer all questions of a bind. The whole bind
	// has 20 seconds; the rest is for the storage.
	verifyTimeout = 15 * time.Second
	// revokeTimeout is how long a platform may take to revoke one token.
	revokeTimeout = 5 * time.Second
)

// Options are what a [Service] works with.
type Options struct {
	Table     table.Table
	Vault     vault.Vault // nil for a service that only lists
	Platforms *provider.Set
	// App returns the operator's OAuth app at a platform. [problem.PlatformNotConfigured].
	App func(ctx context.Context, platform string) (provider.App, error)
	// CallbackRequest is what the platforms' callback addresses begin with; a platform's name follows.
	Callback string
	// Instances is asked by the check alone, whether an instance is still there.
	Instances instance.Catalogue
	// Webhook is where events are sent, nil for nowhere.
	Webhook *event.Webhook
	Log     *slog.Logger
	Now     func() time.Time
	// Random fills b with random bytes.
	Random func(b []byte)
	// Sleep waits, or returns the context's error if that ends first; nil is a real one.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Service does the work. Its methods may be called at once from many goroutines and processes.
// Every error that it returns holds a problem of the catalogue.
type Service struct {
	table     table.Table
	vault     vault.Vault
	platforms *provider.Set
	app       func(ctx context.Context, platform string) (provider.App, error)
	callback  string
	instances instance.Catalogue
	webhook   *event.Webhook
	log       *slog.Logger
	clock     func() time.Time
	fill      func(b []byte)
	sleep     func(ctx context.Context, d time.Duration) error
	cache     tokenCache
	flights   singleflight.Group
}

// New returns a service.
func New(o Options) *Service {
	s := &Service{
		platforms: o.Platforms,
		app:       o.App,
		callback:  o.Callback,
		instances: o.Instances,
		webhook:   o.Webhook,
		log:       o.Log,
		clock:     o.Now,
		fill:      o.Random,
		sleep:     o.Sleep,
	}
	if s.sleep == nil {
		s.sleep = timing.Sleep
	}
	s.table = table.WithBeforeCall(o.Table, s.enforceDeadline)
	if o.Vault != nil {
		s.vault = vault.WithBeforeCall(o.Vault, s.enforceDeadline)
	}
	return s
}

// now is the time as records keep it: UTC, whole milliseconds, without Go's monotonic reading,
// which stands still while a function's process is frozen.
func (s *Service) now() time.Time {
	return s.clock().UTC().Truncate(time.Millisecond).Round(0)
}

type begunKey struct{}

// startInvocation marks the start of an invocation, once.
func (s *Service) startInvocation(ctx context.Context) context.Context {
	if _, ok := ctx.Value(begunKey{}).(time.Time); ok {
		return ctx
	}
	return context.WithValue(ctx, begunKey{}, s.now())
}

var errLate = errors.New("binding: the invocation has gone on for too long to begin another call")

// enforceDeadline keeps the rule that no invocation begins a call later than 2 minutes after it began.
func (s *Service) enforceDeadline(ctx context.Context, call string) (func(), error) {
	return nil, s.startedWithin(ctx, callDeadline, call)
}

// startedWithin is an error if the invocation has gone on for longer than limit.
func (s *Service) startedWithin(ctx context.Context, limit time.Duration, call string) error {
	begun, ok := ctx.Value(begunKey{}).(time.Time)
	if !ok {
		return fmt.Errorf("binding: %s before the invocation's beginning was noted", call)
	}
	if s.now().Sub(begun) > limit {
		return fmt.Errorf("%w (%s)", errLate, call)
	}
	return nil
}

// unavailable is the problem of a table or vault that failed at doing what.
func unavailable(doing string, err error) error {
	if problem.Is(err, problem.StorageUnavailable) {
		return err
	}
	return problem.New(problem.StorageUnavailable).
		After(5 * time.Second).
		From(fmt.Errorf("%s: %w", doing, err))
}

// random returns n random bytes as hex digits.
func (s *Service) random(n int) string {
	b := make([]byte, n)
	s.fill(b)
	return hex.EncodeToString(b)
}

// jitter is a random part of a time, so that callers who met once don't meet again.
func (s *Service) jitter(most time.Duration) time.Duration {
	var b [1]byte
	s.fill(b[:])
	return most * time.Duration(b[0]) / 256
}

// record reads a binding's row; a row that isn't there is an unbound one without a version.
func (s *Service) record(ctx context.Context, key table.Key) (table.Binding, error) {
	rec, err := s.table.Binding(ctx, key)
	if errors.Is(err, table.ErrNotFound) {
		return table.Binding{Key: key}, nil
	}
	if err != nil {
		return table.Binding{}, unavailable("reading the binding", err)
	}
	return rec, nil
}
