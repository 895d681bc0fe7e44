// Package ledger keeps a binding's record and the secrets that the record owns in step.
//
// A token is in the vault, the record that points at it is in the table, and no transaction spans
// the two. The ledger follows one rule: a row lists a secret before the vault is written, and keeps
// listing it, in the same write that releases it, until the sweep has deleted it.
//
//   - [Ledger.StageSecret] lists a new secret in the row and puts the token into the vault.
//   - [Ledger.ReplaceToken] points the record at the secret, and lists the old one, in one write.
//   - [Ledger.Unbind] points the record at nothing, and lists the old secret, in one write.
//
// A model of this protocol, in which processes crash before and after every step, is in
// shared/binding/model_test.go. Change it together with the code.
//
// The package also has the identity index, with which a token that another binding uses is never
// revoked, and the interface [Table] that the tables implement. It decides nothing about when a
// binding is made, checked or refreshed.
package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/timing"
	"bindery/shared/vault"
)

const (
	// callDeadline is how long after its start an invocation may begin a call to table or vault.
	CallDeadline = 2 * time.Minute
	// orphanGracePeriod is how long after it was written an entry about a secret is acted upon. It
	// is many times callDeadline: by then the call that wrote the entry has saved its record, or
	// never will.
	OrphanGracePeriod = 15 * time.Minute
	// verifyTimeout is how long a platform may take to answer all questions of a bind. The whole bind
	// has 20 seconds; the rest is for the storage.
	VerifyTimeout = 15 * time.Second
	// ExchangeTimeout is how long a platform may take to redeem a code, and then to say whose it is.
	ExchangeTimeout = 7 * time.Second
	// revokeTimeout is how long a platform may take to revoke one token.
	revokeTimeout = 5 * time.Second
)

// Options are what a [Ledger] works with.
type Options struct {
	Table     Table
	Vault     vault.Vault // nil for a function that only lists
	Platforms *provider.Set
	// App returns the operator's OAuth app at a platform. [problem.PlatformNotConfigured].
	App func(ctx context.Context, platform string) (provider.App, error)
	// Webhook is where events are sent, nil for nowhere.
	Webhook *event.Webhook
	Log     *slog.Logger
	Clock   func() time.Time
	// Fill fills b with random bytes.
	Fill func(b []byte)
	// Sleep waits, or returns the context's error if that ends first; nil is a real one.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Ledger reads and changes records and the secrets that they own. Its methods may be called at once
// from many goroutines and processes. Every error that it returns holds a problem of the catalogue.
type Ledger struct{ Options }

// New returns a ledger whose calls to table and vault keep the deadline of their invocation.
func New(o Options) *Ledger {
	l := &Ledger{o}
	if l.Sleep == nil {
		l.Sleep = timing.Sleep
	}
	l.Table = WithBeforeCall(o.Table, l.EnforceDeadline)
	if o.Vault != nil {
		l.Vault = vault.WithBeforeCall(o.Vault, l.EnforceDeadline)
	}
	return l
}

// now is the time as records keep it: UTC, whole milliseconds, without Go's monotonic reading,
// which stands still while a function's process is frozen.
func (l *Ledger) Now() time.Time {
	return l.Clock().UTC().Truncate(time.Millisecond).Round(0)
}

type begunKey struct{}

// startInvocation marks the start of an invocation, once.
func (l *Ledger) StartInvocation(ctx context.Context) context.Context {
	if _, ok := ctx.Value(begunKey{}).(time.Time); ok {
		return ctx
	}
	return context.WithValue(ctx, begunKey{}, l.Now())
}

var ErrLate = errors.New("binding: the invocation has gone on for too long to begin another call")

// enforceDeadline enforces that no invocation begins a call later than callDeadline after it began.
func (l *Ledger) EnforceDeadline(ctx context.Context, call string) (func(), error) {
	return nil, l.StartedWithin(ctx, CallDeadline, call)
}

// startedWithin is an error if the invocation has gone on for longer than limit.
func (l *Ledger) StartedWithin(ctx context.Context, limit time.Duration, call string) error {
	begun, ok := ctx.Value(begunKey{}).(time.Time)
	if !ok {
		return fmt.Errorf("binding: %s before the invocation's beginning was noted", call)
	}
	if l.Now().Sub(begun) > limit {
		return fmt.Errorf("%w (%s)", ErrLate, call)
	}
	return nil
}

// unavailable is the problem of a table or vault that failed at doing what.
func Unavailable(doing string, err error) error {
	if problem.Is(err, problem.StorageUnavailable) {
		return err
	}
	return problem.New(problem.StorageUnavailable).
		After(5 * time.Second).
		From(fmt.Errorf("%s: %w", doing, err))
}

// random returns n random bytes as hex digits.
func (l *Ledger) Random(n int) string {
	b := make([]byte, n)
	l.Fill(b)
	return hex.EncodeToString(b)
}

// jitter is a random part of a time, so that callers who met once don't meet again.
func (l *Ledger) Jitter(most time.Duration) time.Duration {
	var b [1]byte
	l.Fill(b[:])
	return most * time.Duration(b[0]) / 256
}

// record reads a binding's row; a row that isn't there is an unbound one without a version.
func (l *Ledger) Record(ctx context.Context, key binding.Key) (binding.Record, error) {
	rec, err := l.Table.Binding(ctx, key)
	if errors.Is(err, table.ErrNotFound) {
		return binding.Record{Key: key}, nil
	}
	if err != nil {
		return binding.Record{}, Unavailable("reading the binding", err)
	}
	return rec, nil
}

// PageSize is how many rows of a list one call to the table reads.
const PageSize = 100

// BadCursor is the problem of a cursor that the list did not give out.
func BadCursor() error {
	return problem.New(problem.InputMalformed).Because("cursor").With("field", "cursor")
}
