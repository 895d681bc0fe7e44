package bolt

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

// AppendHistory is of [table.History].
func (t *Table) AppendHistory(ctx context.Context, key table.Key, events []table.Event) error {
	_, err := write(ctx, t, "append to a history", func(tx *bbolt.Tx) (nothing, error) {
		if len(events) > table.MaxEvents {
			return nothing{}, fmt.Errorf("%d events, more than %d", len(events), table.MaxEvents)
		}
		for _, e := range events {
			if err := put(tx, historyBucket, key.String()+e.Position(), e); err != nil {
				return nothing{}, err
			}
		}
		return nothing{}, nil
	})
	return err
}

// ListHistory is of [table.History]. Its cursors are the position of a page's last event.
func (t *Table) ListHistory(
	ctx context.Context, key table.Key, order table.Order, cursor string, limit int,
) (table.Page[table.Event], error) {
	return read(ctx, t, "list a history", func(tx *bbolt.Tx) (table.Page[table.Event], error) {
		run := prefixed(historyBucket, key.String())
		run.back = order == table.NewestFirst
		if cursor != "" {
			if !table.IsPosition(cursor) {
				return table.Page[table.Event]{}, table.ErrCursor
			}
			run = run.after(key.String() + cursor)
		}
		found, last, err := collect(tx, run, limit, decode[table.Event])
		if err != nil || last == "" {
			return table.Page[table.Event]{Items: found}, err
		}
		return table.Page[table.Event]{Items: found, Cursor: last[len(key.String()):]}, nil
	})
}
