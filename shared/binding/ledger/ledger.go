// Package ledger keeps a binding's record and the secrets that the record owns consistent.
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
	// OrphanGracePeriod is how long after it was written an entry about a secret is acted upon. It
	// is many times CallDeadline: by then the call that wrote the entry has saved its record, or
	// never will.
	OrphanGracePeriod = 15 * time.Minute
	// VerifyTimeout is how long a platform may take to answer all questions of a bind. The whole bind
	// has 20 seconds; the rest is for the storage.
	VerifyTimeout = 15 * time.Second
	// ExchangeTimeout is how long a platform may take to redeem a code, and again to identify the
	// user of its token.
	ExchangeTimeout = 7 * time.Second
	// revokeTimeout is how long a platform may take to revoke one token.
	revokeTimeout = 5 * time.Second
)

// Options are what a [Ledger] works with.
type Options struct {
	Table     Table
	Vault     vault.Vault // nil for a function that only lists
	Platforms *provider.Set
	// App returns the operator's OAuth app at a platform. It fails with
	// [problem.PlatformNotConfigured] if there is none.
	App func(ctx context.Context, platform string) (provider.App, error)
	// Webhook is where events are sent; nil sends none.
	Webhook *event.Webhook
	Log     *slog.Logger
	Clock   func() time.Time
	// Fill fills b with random bytes.
	Fill func(b []byte)
	// Sleep waits for d, or returns the context's error if the context ends first. Nil is a real
	// wait.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Ledger reads and changes records and the secrets that they own. Its methods may be called at once
// from many goroutines and processes. Errors hold a problem of the catalogue unless a method says
// otherwise.
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

// Now returns the time as records keep it: UTC, whole milliseconds, without Go's monotonic reading,
// which stands still while a function's process is frozen.
func (l *Ledger) Now() time.Time {
	return l.Clock().UTC().Truncate(time.Millisecond).Round(0)
}

// Unavailable returns [problem.StorageUnavailable] for a table or vault that failed with err. doing
// says what was being done. An err that is that problem already, or [problem.TokenMismatch], is
// returned as it is.
func Unavailable(doing string, err error) error {
	if problem.Is(err, problem.StorageUnavailable) || problem.Is(err, problem.TokenMismatch) {
		return err
	}
	return problem.New(problem.StorageUnavailable).
		After(5 * time.Second).
		From(fmt.Errorf("%s: %w", doing, err))
}

// Random returns n random bytes as hex digits.
func (l *Ledger) Random(n int) string {
	b := make([]byte, n)
	l.Fill(b)
	return hex.EncodeToString(b)
}

// Jitter returns a random part of a time, so that callers that once acted at the same time don't
// again.
func (l *Ledger) Jitter(most time.Duration) time.Duration {
	var b [1]byte
	l.Fill(b[:])
	return most * time.Duration(b[0]) / 256
}

// Record reads a binding's row. If there is none, it returns an unbound record without a version.
// [problem.TokenMismatch] if the row holds the record of another binding.
func (l *Ledger) Record(ctx context.Context, key binding.Key) (binding.Record, error) {
	return l.RecordUnless(ctx, key, "")
}

// RecordUnless reads a binding's row as Record does, unless the row has the version: then it fails
// with [table.ErrUnchanged]. No row has the version "".
func (l *Ledger) RecordUnless(
	ctx context.Context, key binding.Key, version string,
) (binding.Record, error) {
	rec, err := l.Table.BindingUnless(ctx, key, version)
	if errors.Is(err, table.ErrNotFound) {
		return binding.Record{Key: key}, nil
	}
	if errors.Is(err, table.ErrUnchanged) {
		return binding.Record{}, err
	}
	if errors.Is(err, table.ErrMisplaced) {
		return binding.Record{}, l.mismatch(ctx, key, "error", err)
	}
	if err != nil {
		return binding.Record{}, Unavailable("reading the binding", err)
	}
	return rec, nil
}

// PageSize is how many rows of a list one call to the table reads at most.
const PageSize = 100

// BadCursor returns the problem of a cursor that the list did not give out.
func BadCursor() error {
	return problem.New(problem.InputMalformed).Because("cursor").With("field", "cursor")
}
