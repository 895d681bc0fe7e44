package ledger

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// Bindings reads and writes the records of bindings.
type Bindings interface {
	// Binding reads one row, strongly: it sees every save that ended before it began. It fails with
	// [table.ErrNotFound].
	Binding(ctx context.Context, key binding.Key) (binding.Record, error)

	// BindingUnless reads one row as Binding does, unless it has the version: then it fails with
	// [table.ErrUnchanged], in less time. It is the same call: a hook knows it as Binding.
	BindingUnless(ctx context.Context, key binding.Key, version string) (binding.Record, error)

	// InstanceBindings lists an instance's rows, strongly and in no order. There is at most one for
	// each platform.
	InstanceBindings(ctx context.Context, account, region, instance string) ([]binding.Record, error)

	// AccountBindings lists an account's rows in the order of their keys. A row that exists during
	// the whole listing is listed exactly once. It fails with [table.ErrCursor].
	AccountBindings(
		ctx context.Context, account, cursor string, limit int,
	) (table.Page[binding.Record], error)

	// AllBindings lists every row, for operators, in no order. Its cost grows with the table.
	AllBindings(ctx context.Context, cursor string, limit int) (table.Page[binding.Record], error)

	// SaveBinding writes the row if its version is b.Version, or if there is none for "", and returns
	// it with its new version. It fails with [table.ErrConflict].
	SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error)

	// DeleteBinding deletes the row if its version is b.Version. It fails with [table.ErrConflict].
	DeleteBinding(ctx context.Context, b binding.Record) error
}

// Authorizations reads and writes the records of authorizations, as [Bindings] does. Reads are
// strong.
type Authorizations interface {
	// Authorization fails with [table.ErrNotFound].
	Authorization(ctx context.Context, id string) (binding.Authorization, error)
	// SaveAuthorization fails with [table.ErrConflict].
	SaveAuthorization(
		ctx context.Context, a binding.Authorization,
	) (binding.Authorization, error)
	// AllAuthorizations lists every row, for operators, in no order. Its cost grows with the table.
	AllAuthorizations(
		ctx context.Context, cursor string, limit int,
	) (table.Page[binding.Authorization], error)
	// DeleteAuthorization fails with [table.ErrConflict].
	DeleteAuthorization(ctx context.Context, a binding.Authorization) error
}

// Due finds the rows whose DueAt has come.
type Due interface {
	// DueBefore lists the rows with a DueAt at or before t, oldest first. Its cost grows with what is
	// due, not with the table. It reads an index that may lag: an entry is a hint, and the row
	// decides. An entry may be listed twice if its row is saved with another DueAt between two pages.
	// Entries of a kind that this version does not know are skipped.
	DueBefore(
		ctx context.Context, t time.Time, cursor string, limit int,
	) (table.Page[table.DueEntry], error)
}

// IdentityIndex lists which bindings and authorizations have a token of one identity of a platform.
// It is a hint, written before the binding is saved: an entry counts if its binding has that
// identity, or while it is young: 15 minutes for a binding's entry, and for an authorization's
// until the sweep has ended the token of an attempt that was not confirmed.
type IdentityIndex interface {
	// SaveIdentityEntry writes the entry. The same entry again only sets At.
	SaveIdentityEntry(ctx context.Context, e binding.IdentityEntry) error
	// ListIdentityEntries lists the entries of one identity, strongly.
	ListIdentityEntries(
		ctx context.Context, of binding.IdentityKey, cursor string, limit int,
	) (table.Page[binding.IdentityEntry], error)
	// DeleteIdentityEntry deletes the entry if its At is still e.At. Otherwise, and if there is none,
	// it does nothing.
	DeleteIdentityEntry(ctx context.Context, e binding.IdentityEntry) error
}

// History keeps a binding's events without end, also after its row was deleted.
type History interface {
	// AppendHistory adds events of one binding, at most [binding.MaxEvents]. An event that is
	// appended twice, by its position, is there once.
	AppendHistory(ctx context.Context, key binding.Key, events []binding.Event) error
	// ListHistory lists a binding's events in the order of their positions, from behind the cursor: a
	// page's, or the [binding.Event.Position] of any event. It fails with [table.ErrCursor].
	ListHistory(
		ctx context.Context, key binding.Key, order table.Order, cursor string, limit int,
	) (table.Page[binding.Event], error)
}

// Subscriptions reads and writes the records of subscriptions. Reads are strong, but of
// DueSubscriptions.
type Subscriptions interface {
	// Subscription reads the row of an id. It fails with [table.ErrNotFound].
	Subscription(ctx context.Context, id string) (binding.Subscription, error)
	// SaveSubscription writes the row if its version is s.Version, or if there is none for "". It
	// fails with [table.ErrConflict].
	SaveSubscription(ctx context.Context, s binding.Subscription) (binding.Subscription, error)
	// DeleteSubscription deletes the row if its version is s.Version. It fails with
	// [table.ErrConflict].
	DeleteSubscription(ctx context.Context, s binding.Subscription) error
	// AllSubscriptions lists every row, for operators, in no order. Its cost grows with the table.
	AllSubscriptions(
		ctx context.Context, cursor string, limit int,
	) (table.Page[binding.Subscription], error)
	// DueSubscriptions lists the ids of those with a DueAt at or before t, oldest first, as [Due]
	// lists the other rows: it reads an index that may lag.
	DueSubscriptions(
		ctx context.Context, t time.Time, cursor string, limit int,
	) (table.Page[string], error)

	// SubscriptionEntry reads the entry of a repository. It fails with [table.ErrNotFound].
	SubscriptionEntry(
		ctx context.Context, key binding.Key, repositoryID string,
	) (binding.SubscriptionEntry, error)
	// SaveSubscriptionEntry writes the entry, by its version as SaveSubscription does.
	SaveSubscriptionEntry(
		ctx context.Context, e binding.SubscriptionEntry,
	) (binding.SubscriptionEntry, error)
	// DeleteSubscriptionEntry fails with [table.ErrConflict].
	DeleteSubscriptionEntry(ctx context.Context, e binding.SubscriptionEntry) error
	// SubscriptionEntries lists the entries of a binding in the order of their keys. It fails with
	// [table.ErrCursor].
	SubscriptionEntries(
		ctx context.Context, key binding.Key, cursor string, limit int,
	) (table.Page[binding.SubscriptionEntry], error)
}

// SubscriptionLog keeps the last events of a subscription, and the heads of its refs. Both are in
// rows that belong to the subscription's id.
type SubscriptionLog interface {
	// AppendLog writes events of one subscription, at most [binding.MaxEvents], each in the place of
	// its number: the event before it that had the place, [binding.MaxLogged] numbers ago, is gone.
	// The same event again replaces it. After an error some of them may have been written.
	AppendLog(ctx context.Context, id string, events []binding.SourceEvent) error
	// LoggedEvent reads the event with a number. It fails with [table.ErrNotFound].
	LoggedEvent(ctx context.Context, id string, number int64) (binding.SourceEvent, error)
	// Log lists the events with numbers below the given one, which is at most one more than the last
	// event's, newest first. It looks at the [binding.MaxLogged] numbers before it, and returns none
	// that have lost their place. Fewer than limit means that there are no more.
	Log(ctx context.Context, id string, below int64, limit int) ([]binding.SourceEvent, error)
	// SubscriptionHeads reads the heads. It fails with [table.ErrNotFound].
	SubscriptionHeads(ctx context.Context, id string) (binding.Heads, error)
	// SaveSubscriptionHeads writes the heads, by their version as SaveSubscription does. It fails with
	// [binding.ErrTooManyHeads] if they don't fit into a row.
	SaveSubscriptionHeads(ctx context.Context, heads binding.Heads) (binding.Heads, error)
	// DeleteLog deletes some of the rows of the log and of the heads, in 25 calls at most, and reports
	// whether none are left.
	DeleteLog(ctx context.Context, id string) (all bool, err error)
}

// RunLeases reads and writes the leases of schedules. Reads are strong.
type RunLeases interface {
	// RunLease fails with [table.ErrNotFound].
	RunLease(ctx context.Context, schedule string) (binding.RunLease, error)
	// SaveRunLease writes the lease, by its version as SaveSubscription does.
	SaveRunLease(ctx context.Context, lease binding.RunLease) (binding.RunLease, error)
	// DeleteRunLease fails with [table.ErrConflict].
	DeleteRunLease(ctx context.Context, lease binding.RunLease) error
}

// Table reads and writes all records.
type Table interface {
	Bindings
	Authorizations
	Due
	IdentityIndex
	History
	Subscriptions
	SubscriptionLog
	RunLeases
}
