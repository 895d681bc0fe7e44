package tabletest

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

// kind is one of the kinds of rows that have a version.
type kind[T any] struct {
	name   string
	get    func(t ledger.Table, ctx context.Context, like T) (T, error)
	save   func(t ledger.Table, ctx context.Context, record T) (T, error)
	delete func(t ledger.Table, ctx context.Context, record T) error

	// named sets the record's key to one of the test's own.
	named   func(record *T, test, name string)
	version func(record *T) *string
	// due is nil for rows that never come due.
	due func(record *T) *time.Time
	// entry is what the list of what is due says of the record.
	entry func(record T) table.DueEntry
	// dueBefore is the list that has such rows.
	dueBefore dueList
}

func bindings() kind[binding.Record] {
	return kind[binding.Record]{
		name: "Binding",
		get: func(t ledger.Table, ctx context.Context, b binding.Record) (binding.Record, error) {
			return t.Binding(ctx, b.Key)
		},
		save:   ledger.Table.SaveBinding,
		delete: ledger.Table.DeleteBinding,
		named: func(b *binding.Record, test, name string) {
			b.Key = binding.Key{Account: test, Region: "cn-beijing", Instance: name, Platform: "gitee"}
		},
		version: func(b *binding.Record) *string { return &b.Version },
		due:     func(b *binding.Record) *time.Time { return &b.DueAt },
		entry: func(b binding.Record) table.DueEntry {
			return table.DueEntry{At: b.DueAt.UTC(), Binding: b.Key}
		},
		dueBefore: ledger.Table.DueBefore,
	}
}

func authorizations() kind[binding.Authorization] {
	return kind[binding.Authorization]{
		name: "Authorization",
		get: func(
			t ledger.Table, ctx context.Context, a binding.Authorization,
		) (binding.Authorization, error) {
			return t.Authorization(ctx, a.ID)
		},
		save:    ledger.Table.SaveAuthorization,
		delete:  ledger.Table.DeleteAuthorization,
		named:   func(a *binding.Authorization, test, name string) { a.ID = test + name },
		version: func(a *binding.Authorization) *string { return &a.Version },
		due:     func(a *binding.Authorization) *time.Time { return &a.DueAt },
		entry: func(a binding.Authorization) table.DueEntry {
			return table.DueEntry{At: a.DueAt.UTC(), Authorization: a.ID}
		},
		dueBefore: ledger.Table.DueBefore,
	}
}

func subscriptions() kind[binding.Subscription] {
	return kind[binding.Subscription]{
		name: "Subscription",
		get: func(
			t ledger.Table, ctx context.Context, s binding.Subscription,
		) (binding.Subscription, error) {
			return t.Subscription(ctx, s.ID)
		},
		save:      ledger.Table.SaveSubscription,
		delete:    ledger.Table.DeleteSubscription,
		named:     func(s *binding.Subscription, test, name string) { s.ID = test + name },
		version:   func(s *binding.Subscription) *string { return &s.Version },
		due:       func(s *binding.Subscription) *time.Time { return &s.DueAt },
		entry:     func(s binding.Subscription) table.DueEntry { return subscriptionDue(s.ID) },
		dueBefore: dueSubscriptions,
	}
}

// subscriptionDue puts an id of the list of subscriptions into the form of the other list.
func subscriptionDue(id string) table.DueEntry { return table.DueEntry{Authorization: id} }

func dueSubscriptions(
	t ledger.Table, ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	page, err := t.DueSubscriptions(ctx, until, cursor, limit)
	list := table.Page[table.DueEntry]{Cursor: page.Cursor}
	for _, id := range page.Items {
		list.Items = append(list.Items, subscriptionDue(id))
	}
	return list, err
}

func entries() kind[binding.SubscriptionEntry] {
	return kind[binding.SubscriptionEntry]{
		name: "SubscriptionEntry",
		get: func(
			t ledger.Table, ctx context.Context, e binding.SubscriptionEntry,
		) (binding.SubscriptionEntry, error) {
			return t.SubscriptionEntry(ctx, e.Binding, e.RepositoryID)
		},
		save:   ledger.Table.SaveSubscriptionEntry,
		delete: ledger.Table.DeleteSubscriptionEntry,
		named: func(e *binding.SubscriptionEntry, test, name string) {
			e.Binding = binding.Key{
				Account: test, Region: "cn-beijing", Instance: "i-1", Platform: "gitee",
			}
			e.RepositoryID = name
		},
		version: func(e *binding.SubscriptionEntry) *string { return &e.Version },
	}
}

func leases() kind[binding.RunLease] {
	return kind[binding.RunLease]{
		name: "RunLease",
		get: func(t ledger.Table, ctx context.Context, l binding.RunLease) (binding.RunLease, error) {
			return t.RunLease(ctx, l.Schedule)
		},
		save:    ledger.Table.SaveRunLease,
		delete:  ledger.Table.DeleteRunLease,
		named:   func(l *binding.RunLease, test, name string) { l.Schedule = test + name },
		version: func(l *binding.RunLease) *string { return &l.Version },
	}
}

// rows is a test of one kind of rows.
type rows[T any] struct {
	*suite
	kind[T]
}

// of turns a check of one kind's rows into one of the suite's.
func of[T any](k kind[T], check func(r rows[T])) func(*suite) {
	return func(s *suite) { check(rows[T]{s, k}) }
}

// bare is a record with nothing but a name.
func (r rows[T]) bare(name string) (record T) {
	r.named(&record, r.suite.name, name)
	return record
}

// full is a record with every field set; the seed says to what.
func (r rows[T]) full(name string, seed int) T {
	record := fill[T](r, seed)
	r.named(&record, r.suite.name, name)
	return record
}

// add creates the row, for the length of the test.
func (r rows[T]) add(record T) T {
	r.Helper()
	r.remember(record)
	return r.replace(record)
}

// remember takes the row back at the test's end, if it is there then.
func (r rows[T]) remember(record T) {
	r.cleanup(func(ctx context.Context) {
		if now, err := r.get(r.table, ctx, record); err == nil {
			_ = r.delete(r.table, ctx, now)
		}
	})
}

// replace saves over what is there and checks what the save returns.
func (r rows[T]) replace(record T) T {
	r.Helper()
	saved, err := r.save(r.table, r.Context(), record)
	r.must(err)
	if *r.version(&saved) == "" {
		r.Fatalf("a saved %s has no version", r.kind.name)
	}
	want := record
	*r.version(&want) = *r.version(&saved)
	r.same("what a save returns", saved, want)
	return saved
}

// drop deletes the row.
func (r rows[T]) drop(record T) {
	r.Helper()
	r.must(r.delete(r.table, r.Context(), record))
}

// wantRow reads the row, strongly.
func (r rows[T]) wantRow(when string, want T) {
	r.Helper()
	got, err := r.get(r.table, r.Context(), want)
	r.must(err)
	r.same(when, got, want)
}

// wantNone expects that there is no such row, strongly.
func (r rows[T]) wantNone(when string, like T) {
	r.Helper()
	_, err := r.get(r.table, r.Context(), like)
	r.wantError(when, err, table.ErrNotFound)
}

// wantConflicts expects that neither a save nor a delete works with this version.
func (r rows[T]) wantConflicts(when string, record T, version string) {
	r.Helper()
	*r.version(&record) = version
	_, err := r.save(r.table, r.Context(), record)
	r.wantError("save "+when, err, table.ErrConflict)
	r.wantError("delete "+when, r.delete(r.table, r.Context(), record), table.ErrConflict)
}
