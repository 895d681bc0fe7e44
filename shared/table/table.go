// Package table has what the stores of records share with their users: errors, pages, orders and
// the entries of the index of what is due. The records are in package binding; the interface that
// every store implements is ledger.Table.
//
// # What every implementation promises
//
// Each method makes one round trip, except DueBefore and DueSubscriptions, which make one for each
// shard and page, Log, which makes two where the log's ring begins anew, and DeleteLog, which makes
// 25 at most.
// There are no transactions across partitions, and nothing relies on a time-to-live. Every save
// gives the row a new random version, which never repeats. A save or delete carries the version
// that was read, or "" for a row that must not exist yet, and fails with [ErrConflict] if the
// row has another. An error that is none of this package's (throttling, a time-out, a full disk)
// means that the outcome is unknown: the caller reads the row again, and the row decides.
//
// A record keeps what a newer version of this code wrote and this version does not know: fields of
// a record, an authorization, a token, a subscription, an event or an owned secret, and attributes
// of the row.
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
	// ErrUnchanged says that the row has the version in which its reader knows it.
	ErrUnchanged = errors.New("table: the row is as it was read before")
	// ErrConflict says that the row does not have the version that was given: another was saved
	// since it was read, the row is gone, or it exists and must not.
	ErrConflict = errors.New("table: the row is not as it was read")
	// ErrMisplaced says that a row holds the record of another key. No version writes such a row.
	ErrMisplaced = errors.New("table: the row holds the record of another key")
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
