package engine

import (
	"context"
	"errors"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// rowUnder is a store that has one row, under the key that is asked for.
type rowUnder struct {
	Driver
	row Row
}

func (d rowUnder) Get(_ context.Context, key Key) (Row, bool, error) {
	d.row.Key = key
	return d.row, true, nil
}

// TestB15_ARowHoldsNoRecordOfAnotherKey: a row under the thief's key that holds a copy of another
// account's record is refused, because its reader would act for that account.
func TestB15_ARowHoldsNoRecordOfAnotherKey(t *testing.T) {
	victim := binding.Key{Account: "victim", Region: "r", Instance: "i", Platform: "github"}
	thief := binding.Key{Account: "thief", Region: "r", Instance: "i", Platform: "github"}
	row, err := bindings().encode(binding.Record{Key: victim})
	if err != nil {
		t.Fatal(err)
	}
	rows := New("a store", rowUnder{row: row})
	if _, err := rows.Binding(t.Context(), victim); err != nil {
		t.Errorf("its own record: %v", err)
	}
	if _, err := rows.Binding(t.Context(), thief); !errors.Is(err, table.ErrMisplaced) {
		t.Errorf("another's record: got %v, want %v", err, table.ErrMisplaced)
	}
	if row, err = authorizations().encode(binding.Authorization{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	rows = New("a store", rowUnder{row: row})
	if _, err := rows.Authorization(t.Context(), "two"); !errors.Is(err, table.ErrMisplaced) {
		t.Errorf("another's attempt: got %v, want %v", err, table.ErrMisplaced)
	}
}

// TestE17_ARowHoldsNoSubscriptionOfAnotherKey: a copy of another's subscription, of its entry, of
// its heads or of a lease is refused.
func TestE17_ARowHoldsNoSubscriptionOfAnotherKey(t *testing.T) {
	victim := binding.Key{Account: "victim", Region: "r", Instance: "i", Platform: "github"}
	thief := binding.Key{Account: "thief", Region: "r", Instance: "i", Platform: "github"}
	subscription, err := subscriptions().encode(binding.Subscription{ID: "one", Binding: victim})
	entry, err2 := subscriptionEntries().encode(binding.SubscriptionEntry{
		Binding: victim, RepositoryID: "1", Subscription: "one",
	})
	heads, err3 := subscriptionHeads().encode(binding.Heads{Subscription: "one"})
	lease, err4 := leases().encode(binding.RunLease{Schedule: "one"})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		row  Row
		read func(t *Table, ctx context.Context, own bool) error
	}{
		{"a subscription", subscription, func(t *Table, ctx context.Context, own bool) error {
			_, err := t.Subscription(ctx, map[bool]string{true: "one", false: "two"}[own])
			return err
		}},
		{"an entry", entry, func(t *Table, ctx context.Context, own bool) error {
			_, err := t.SubscriptionEntry(ctx, map[bool]binding.Key{true: victim, false: thief}[own], "1")
			return err
		}},
		{"another repository's entry", entry, func(t *Table, ctx context.Context, own bool) error {
			_, err := t.SubscriptionEntry(ctx, victim, map[bool]string{true: "1", false: "2"}[own])
			return err
		}},
		{"heads", heads, func(t *Table, ctx context.Context, own bool) error {
			_, err := t.SubscriptionHeads(ctx, map[bool]string{true: "one", false: "two"}[own])
			return err
		}},
		{"a lease", lease, func(t *Table, ctx context.Context, own bool) error {
			_, err := t.RunLease(ctx, map[bool]string{true: "one", false: "two"}[own])
			return err
		}},
	} {
		rows := New("a store", rowUnder{row: c.row})
		if err := c.read(rows, t.Context(), true); err != nil {
			t.Errorf("%s under its own key: %v", c.name, err)
		}
		if err := c.read(rows, t.Context(), false); !errors.Is(err, table.ErrMisplaced) {
			t.Errorf("%s under another's key: got %v, want %v", c.name, err, table.ErrMisplaced)
		}
	}
}
