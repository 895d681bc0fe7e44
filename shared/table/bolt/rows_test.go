package bolt

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
	"bindery/shared/table/engine"
)

func TestALimitBelowOneIsOne(t *testing.T) {
	opened := open(t)
	for _, instance := range []string{"1", "2"} {
		b := table.Binding{Key: table.Key{Account: "a", Instance: instance}}
		if _, err := opened.SaveBinding(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, -1} {
		page, err := opened.AccountBindings(t.Context(), "a", "", limit)
		if err != nil || len(page.Items) != 1 || page.Cursor == "" {
			t.Errorf("limit %d: got %v, error %v, want one row and a cursor", limit, page, err)
		}
	}
}

// unknown expects an error that says that the outcome is unknown.
func unknown(t *testing.T, doing string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", doing)
	}
	for _, other := range []error{table.ErrNotFound, table.ErrConflict, table.ErrCursor} {
		if errors.Is(err, other) {
			t.Errorf("%s: got error %v, want none of package table's", doing, err)
		}
	}
}

func TestADamagedRowIsAnErrorAndNotOverwritten(t *testing.T) {
	opened, ctx := open(t), t.Context()
	key := table.Key{Account: "a", Region: "r", Instance: "i", Platform: "p"}
	of, at := table.IdentityKey{Platform: "p"}, time.Unix(1, 0)
	entry := table.IdentityEntry{Of: of, Binding: key, At: at}
	_, pk := bucketOf(engine.IdentityPK(of))
	identityRow := pk + engine.IdentityEntryKey(entry).SK
	err := opened.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket([]byte(bindingsBucket)).Put([]byte(key.String()), []byte("{")),
			tx.Bucket([]byte(holdersBucket)).Put([]byte(identityRow), []byte("{")),
			tx.Bucket([]byte(historyBucket)).Put(
				[]byte(key.String()+table.Event{}.Position()), []byte("{")),
			tx.Bucket([]byte(dueBucket)).Put([]byte(engine.SortableTime(at)), []byte("{")),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"Binding": func(ctx context.Context) error {
			_, err := opened.Binding(ctx, key)
			return err
		},
		"AccountBindings": func(ctx context.Context) error {
			_, err := opened.AccountBindings(ctx, "a", "", 10)
			return err
		},
		"SaveBinding": func(ctx context.Context) error {
			_, err := opened.SaveBinding(ctx, table.Binding{Key: key})
			return err
		},
		"DeleteBinding": func(ctx context.Context) error {
			return opened.DeleteBinding(ctx, table.Binding{Key: key})
		},
		"DueBefore": func(ctx context.Context) error {
			_, err := opened.DueBefore(ctx, at, "", 10)
			return err
		},
		"DeleteIdentityEntry": func(ctx context.Context) error {
			return opened.DeleteIdentityEntry(ctx, entry)
		},
		"ListHistory": func(ctx context.Context) error {
			_, err := opened.ListHistory(ctx, key, table.OldestFirst, "", 10)
			return err
		},
	} {
		unknown(t, name, call(ctx))
	}
}

func TestARecordThatCantBeWrittenChangesNothing(t *testing.T) {
	opened, ctx := open(t), t.Context()
	never := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // JSON has no such year
	first, err := opened.SaveAuthorization(ctx, table.Authorization{ID: "1", DueAt: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	next := first
	next.DueAt = never
	_, err = opened.SaveAuthorization(ctx, next)
	unknown(t, "SaveAuthorization", err)
	unknown(t, "SaveIdentityEntry", opened.SaveIdentityEntry(ctx, table.IdentityEntry{At: never}))
	unknown(t, "AppendHistory", opened.AppendHistory(ctx, table.Key{}, []table.Event{
		{ID: "1", At: time.Unix(1, 0)}, {ID: "2", At: never},
	}))

	if got, err := opened.Authorization(ctx, "1"); err != nil || got.Version != first.Version {
		t.Errorf("the authorization: got %+v, error %v, want it as it was", got, err)
	}
	if due, err := opened.DueBefore(ctx, time.Unix(1, 0), "", 10); err != nil || len(due.Items) != 1 {
		t.Errorf("due: got %v, error %v, want the authorization", due.Items, err)
	}
	events, err := opened.ListHistory(ctx, table.Key{}, table.OldestFirst, "", 10)
	if err != nil || len(events.Items) != 0 {
		t.Errorf("the history: got %v, error %v, want nothing", events.Items, err)
	}
}
