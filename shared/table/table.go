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
// # What every implementation promises
//
// Each method makes one round trip, except Due, which makes one for each shard and page. There are
// no transactions across partitions, and nothing relies on a time-to-live. Every save gives the row
// a new random version, which never repeats. A save or delete carries the version that was read, or
// "" for a row that must not exist yet, and fails with [ErrConflict] if the row has another. An
// error that is none of this package's (throttling, a time-out, a full disk) means that the outcome
// is unknown: the caller reads the row again, and the row decides.
//
// A record keeps what a newer version of this code wrote and this version does not know: fields of
// a [Binding], [Authorization], [Token], [Event] or [OwnedSecret], and attributes of the row.
//
// Package engine implements all of it over drivers (bolt, dynamo, tablestore). Each passes the
// suite in tabletest.
package table

import (
	"context"
	"errors"
	"time"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("table: no such row")
	// ErrConflict says that the row does not have the version that was given: another was saved
	// since it was read, the row is gone, or it exists and must not.
	ErrConflict = errors.New("table: the row is not as it was read")
	// ErrCursor says that the cursor is not of this list.
	ErrCursor = errors.New("table: not a cursor of this list")
)

// Page is a part of a list. Cursor asks for the next page and is "" in the last one. A page may be
// short, even empty, although it has a cursor.
type Page[T any] struct {
	Items  []T
	Cursor string
}

// Bindings reads and writes the records of bindings.
type Bindings interface {
	// Binding reads one row, strongly: it sees every save that ended before it began. It fails with
	// [ErrNotFound].
	Binding(ctx context.Context, key Key) (Binding, error)

	// InstanceBindings lists an instance's rows, strongly and in no order. There is at most one for
	// each platform.
	InstanceBindings(ctx context.Context, account, region, instance string) ([]Binding, error)

	// AccountBindings lists an account's rows in the order of their keys. A row that exists during
	// the whole listing is listed exactly once. It fails with [ErrCursor].
	AccountBindings(ctx context.Context, account, cursor string, limit int) (Page[Binding], error)

	// AllBindings lists every row, for operators, in no order. Its cost grows with the table.
	AllBindings(ctx context.Context, cursor string, limit int) (Page[Binding], error)

	// SaveBinding writes the row if its version is b.Version, or if there is none for "", and returns
	// it with its new version. It fails with [ErrConflict].
	SaveBinding(ctx context.Context, b Binding) (Binding, error)

	// DeleteBinding deletes the row if its version is b.Version. It fails with [ErrConflict].
	DeleteBinding(ctx context.Context, b Binding) error
}

// Authorizations reads and writes the records of authorizations, as [Bindings] does. Reads are
// strong.
type Authorizations interface {
	Authorization(ctx context.Context, id string) (Authorization, error)           // [ErrNotFound]
	SaveAuthorization(ctx context.Context, a Authorization) (Authorization, error) // [ErrConflict]
	DeleteAuthorization(ctx context.Context, a Authorization) error                // [ErrConflict]
}

// Due finds the rows whose DueAt has come.
type Due interface {
	// DueBefore lists the rows with a DueAt at or before t, oldest first. Its cost grows with what is
	// due, not with the table. It reads an index that may lag: an entry is a hint, and the row
	// decides. An entry may be listed twice if its row is saved with another DueAt between two pages.
	// Entries of a kind that this version does not know are skipped.
	DueBefore(ctx context.Context, t time.Time, cursor string, limit int) (Page[DueEntry], error)
}

// IdentityIndex lists which bindings and authorizations have a token of one identity of a platform.
// It is a hint, written before the binding is saved: an entry counts if its binding has that
// identity, or while it is young: 15 minutes for a binding's entry, and for an authorization's
// until the sweep has ended the token of an attempt that was not confirmed.
type IdentityIndex interface {
	// SaveIdentityEntry writes the entry. The same entry again only sets At.
	SaveIdentityEntry(ctx context.Context, e IdentityEntry) error
	// ListIdentityEntries lists the entries of one identity, strongly.
	ListIdentityEntries(
		ctx context.Context, of IdentityKey, cursor string, limit int,
	) (Page[IdentityEntry], error)
	// DeleteIdentityEntry deletes the entry if its At is still e.At. Otherwise, and if there is none,
	// it does nothing.
	DeleteIdentityEntry(ctx context.Context, e IdentityEntry) error
}

// History keeps a binding's events without end, also after its row was deleted.
type History interface {
	// AppendHistory adds events of one binding, at most [MaxEvents]. An event that is appended twice,
	// by its position, is there once.
	AppendHistory(ctx context.Context, key Key, events []Event) error
	// ListHistory lists a binding's events in the order of their positions, from behind the cursor: a
	// page's, or the [Event.Position] of any event. It fails with [ErrCursor].
	ListHistory(
		ctx context.Context, key Key, order Order, cursor string, limit int,
	) (Page[Event], error)
}

// Order is the order in which a history is listed.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
)

// Table reads and writes all records.
type Table interface {
	Bindings
	Authorizations
	Due
	IdentityIndex
	History
}
