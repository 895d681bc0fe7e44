// Package engine keeps the records of package binding in a store whose rows are spread by one key
// and sorted by another, as DynamoDB and Tablestore have them. It decides what a row holds, what
// its key is, and which calls each method of ledger.Table makes. A [Driver] makes the calls to a
// service.
//
// # Keys
//
// Both parts of a key are text, made of parts that [binding.Join] joins. The first part of every PK
// is the row's kind, so that no two kinds share a row.
//
//	row            PK                                       SK
//	binding        "binding" account                        region instance platform
//	authorization  "authorization" id                       "-"
//	identity entry "holder" platform address id             "binding" and the binding's four parts,
//	                                                        or "authorization" id
//	event          "history" account region instance plat.  Event.Position()
//	subscription   "subscription" id                        "-"
//	its entry      "subscribed" and the binding's four      repository's id
//	event logged   "source" subscription's id               number % [binding.MaxLogged], 4 digits
//	heads of refs  "heads" subscription's id                "-"
//	lease          "lease" schedule                         "-"
//
// The log of a subscription is a ring of [binding.MaxLogged] rows. The heads are packed, so that
// those of 5,000 refs fit into a row.
//
// # What is due
//
// An index lists the rows that have a due time and no others. It is spread over [Shards] parts,
// with the subscriptions in [SubscriptionShards] more, and each part is sorted by the time, then by
// the row's key. The index may lag. An entry whose row is of a kind that this version does not
// know, because a newer or an older version wrote it, is skipped.
package engine

import (
	"context"
	"errors"
	"fmt"

	"bindery/shared/binding"
)

// Format is the format of the rows that this version writes. A row without one has format 1, whose
// versions drop what they do not know.
const Format = 2

// Row is a row as every driver stores it. Empty fields are not stored.
type Row struct {
	Key Key
	// Record is the record's JSON.
	Record string
	// Version is set for the rows of bindings, authorizations, subscriptions, their entries and heads,
	// and leases.
	Version string
	// Format is the [Format] of the code that wrote the row; set where Version is.
	Format int
	// At is an identity entry's time, as [SortableTime] writes it.
	At string
	// DueAt is when the row is due, as [SortableTime] writes it; "" for never.
	DueAt string
	// Attributes are the row's attributes that this version does not know, in the driver's own type;
	// nil if there are none. They are written back as they were read.
	Attributes any
}

// Condition is what must hold of the row that is there, for a write to be made.
type Condition struct {
	On    Test
	Value string // of the version or the time
}

// Test is what a [Condition] looks at.
type Test int

// The tests.
const (
	Always    Test = iota // holds in every case
	Absent                // there is no row
	VersionIs             // there is a row, and it has this version
	AtIs                  // there is a row, and it has this time
)

// Query asks for rows with one PK, in the order of their SK.
type Query struct {
	PK string
	// Prefix restricts the rows to those whose SK has more parts after these; "" for all.
	Prefix string
	// After restricts the rows to those after this SK, whose row may be gone; "" for all.
	After string
	// Backwards reads from the last row to the first.
	Backwards bool
	// Limit is the most rows to return; 0 for as many as the service returns in a reply.
	Limit int
}

// Place is where a row is in the order of what is due.
type Place struct {
	At  string // as [SortableTime] writes it
	Key Key
}

// Driver makes the calls to a service. Every read but Due is strong. Unless its comment says
// otherwise, a method makes one call, which the driver or its client may repeat after a transient
// failure. An error that is none of package table's means that the outcome is unknown. The methods
// may be called at once from many goroutines.
//
// more reports whether there are rows after the last one returned. Fewer rows than the limit may be
// returned although there are more, but at least one.
type Driver interface {
	// Get reads one row. ok is false if there is none.
	Get(ctx context.Context, key Key) (row Row, ok bool, err error)
	// Put writes the row in place of what is there if the condition holds, and fails with
	// [table.ErrConflict] if not. A Put with a version that was carried out, but whose reply was lost,
	// must not end in a conflict with itself when it is sent again.
	Put(ctx context.Context, row Row, is Condition) error
	// Delete deletes the row if the condition holds, and fails with [table.ErrConflict] if not. The
	// condition is a version or a time, or [Always] for a row of a log or of heads; one that is not
	// there is then no error.
	Delete(ctx context.Context, key Key, is Condition) error
	// PutBatch writes rows of different keys, at most [binding.MaxEvents] and at least one. After an
	// error some of them may have been written.
	PutBatch(ctx context.Context, rows []Row) error
	// Query reads rows of one PK.
	Query(ctx context.Context, q Query) (rows []Row, more bool, err error)
	// Scan reads the rows whose PK begins with the prefix, in no order. next is the key to continue
	// after, the zero Key at the end. A reply may have a next without any rows.
	Scan(ctx context.Context, prefix string, after Key, limit int) (rows []Row, next Key, err error)
	// Due reads the places of a shard of the index that follow the place after, which may be the
	// zero Place, and at or before the time until.
	Due(
		ctx context.Context, shard int, after Place, until string, limit int,
	) (places []Place, more bool, err error)
}

// VersionReader is a [Driver] that compares the version of a row in much less time than it takes to
// read the row.
type VersionReader interface {
	// HasVersion reports whether there is a row with this version. It may report false for a row that
	// it would have to decode; it never reports true wrongly.
	HasVersion(ctx context.Context, key Key, version string) (bool, error)
}

// Table is a ledger.Table on a driver. Its methods may be called at once from many goroutines and
// processes. A limit below 1 counts as 1.
type Table struct {
	driver Driver
	name   string

	bindings       kind[binding.Record]
	authorizations kind[binding.Authorization]
	subscriptions  kind[binding.Subscription]
	entries        kind[binding.SubscriptionEntry]
	heads          kind[binding.Heads]
	leases         kind[binding.RunLease]
}

// New returns the table of a store with this driver. The store's name is for errors. It makes no
// call.
func New(storeName string, driver Driver) *Table {
	return &Table{
		driver, storeName, bindings(), authorizations(), subscriptions(), subscriptionEntries(),
		subscriptionHeads(), leases(),
	}
}

// failed says what was being done. Nil stays nil.
func (t *Table) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", t.name, doing, err)
}

// checkPage returns an error for an empty page that is said not to be the last: a list would end
// there, or never.
func checkPage(rows int, more bool) error {
	if more && rows == 0 {
		return errors.New("a page is empty and not the last")
	}
	return nil
}
