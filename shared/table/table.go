// Package table is the contract of the key-value table and the records in it. The records say
// what is bound, to whom, and how it is doing; they hold no token, only the name and generation
// of a secret in the vault.
//
// # Who may delete a secret
//
// A secret is created in the vault and pointed at by a record in the table, and no transaction
// spans the two. So a row owns its secrets: it lists a secret before the vault is written, and it
// keeps listing the secret, in the same write that releases it, until the sweep has deleted it.
// [Binding.Secrets] is the list of a binding; an [Authorization] names the one secret that its
// callback stores. Only the sweep deletes secrets, 15 minutes after the entry was written at the
// earliest. By then every invocation that could still have used the secret has ended, because no
// invocation begins a call later than 2 minutes after it began. Whichever call a process ends
// before or after, no secret is left behind and no secret in use is deleted. Package binding
// implements this rule, and its tests contain a model of it.
//
// # What every implementation keeps to
//
// Each method is one round trip, but for Due, which is one a shard and page. There are no
// transactions across partitions, and nothing relies on a time-to-live. Every row that is saved
// gets a new random version, which never repeats; a save or delete carries the version that was
// read, "" for a row that must not be there yet, and fails with [ErrConflict] if that is not
// what is there. An error that is none of this package's (throttling, a time-out, a full disk)
// means that the outcome is unknown: the caller reads the row again, and what is there counts.
//
// Every implementation (bolt, dynamo, tablestore) passes the suite in tabletest.
package table

import (
	"context"
	"errors"
	"time"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrNotFound is for a row that isn't there.
	ErrNotFound = errors.New("table: no such row")
	// ErrConflict is for a version that isn't the one that is there: another was saved in
	// between, the row is gone, or it must not exist and does.
	ErrConflict = errors.New("table: the row is not as it was read")
	// ErrCursor is for a cursor that this list did not give out.
	ErrCursor = errors.New("table: not a cursor of this list")
)

// Page is a part of a list. Cursor asks for the next part and is "" after the last one. A page
// may be short, even empty, and yet have a cursor.
type Page[T any] struct {
	Items  []T
	Cursor string
}

// Bindings are the records of what is bound.
type Bindings interface {
	// Binding reads one row, strongly: it sees every save that ended before. [ErrNotFound].
	Binding(ctx context.Context, key Key) (Binding, error)

	// InstanceBindings lists an instance's rows, strongly; at most one a platform, in no order.
	InstanceBindings(ctx context.Context, account, region, instance string) ([]Binding, error)

	// AccountBindings lists an account's rows in the order of their keys. A row that is there all
	// the while is listed exactly once. [ErrCursor].
	AccountBindings(ctx context.Context, account, cursor string, limit int) (Page[Binding], error)

	// AllBindings lists every row, for operators, in no order. It costs the size of the table.
	AllBindings(ctx context.Context, cursor string, limit int) (Page[Binding], error)

	// SaveBinding writes the row if its version is b.Version ("": if there is none) and returns it
	// with its new version. [ErrConflict].
	SaveBinding(ctx context.Context, b Binding) (Binding, error)

	// DeleteBinding deletes the row if its version is b.Version. [ErrConflict].
	DeleteBinding(ctx context.Context, b Binding) error
}

// Authorizations are the OAuth attempts under way. Reads are strong.
type Authorizations interface {
	Authorization(ctx context.Context, id string) (Authorization, error)           // [ErrNotFound]
	SaveAuthorization(ctx context.Context, a Authorization) (Authorization, error) // [ErrConflict]
	DeleteAuthorization(ctx context.Context, a Authorization) error                // [ErrConflict]
}

// Due finds the rows whose DueAt has come.
type Due interface {
	// DueBefore lists the rows with a DueAt at or before t, oldest first. It costs what is due, not
	// the size of the table. The index behind it may lag: an entry is a hint, the row decides.
	// An entry may be met twice, when its row is saved with another DueAt between two pages.
	DueBefore(ctx context.Context, t time.Time, cursor string, limit int) (Page[DueEntry], error)
}

// IdentityIndex remembers which bindings and authorizations hold a token of one identity of a platform.
// It is a hint, written before the binding is saved: an entry counts when its binding really has
// that identity, or while it is young: 15 minutes for a binding's entry, and for an authorization's
// until the sweep has ended the token of an attempt that was not confirmed.
type IdentityIndex interface {
	// SaveIdentityEntry writes the entry. The same entry again only sets At.
	SaveIdentityEntry(ctx context.Context, h IdentityEntry) error
	// ListIdentityEntries lists the entries of one identity, strongly.
	ListIdentityEntries(ctx context.Context, of IdentityKey, cursor string, limit int) (Page[IdentityEntry], error)
	// DeleteIdentityEntry deletes the entry if its At is still h.At; otherwise, and if there is none, it
	// does nothing.
	DeleteIdentityEntry(ctx context.Context, h IdentityEntry) error
}

// History keeps a binding's events for good, also after its row is gone.
type History interface {
	// AppendHistory adds events of one binding, at most [MaxEvents]. An event whose position is
	// there already is there once.
	AppendHistory(ctx context.Context, key Key, events []Event) error
	// ListHistory lists a binding's events by their position, after the cursor: a page's, or the
	// [Event.Position] of any event. [ErrCursor].
	ListHistory(
		ctx context.Context, key Key, order Order, cursor string, limit int,
	) (Page[Event], error)
}

// Order is the order of a history.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
)

// Table is all of it.
type Table interface {
	Bindings
	Authorizations
	Due
	IdentityIndex
	History
}
