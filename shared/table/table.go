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
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"bindery/shared/binding"
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

// Order is the order in which a history is listed.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
)

// DueEntry names a row that has come due. Exactly one of its two names is set.
type DueEntry struct {
	At            time.Time
	Binding       binding.Key
	Authorization string
}

// NewVersion returns a version that never existed before: 128 random bits.
func NewVersion() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}
