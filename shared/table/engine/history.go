package engine

import (
	"context"
	"fmt"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// AppendHistory implements ledger.History. It is one call, unless the service takes only some of
// the rows. After an error some of the events may be there; appending all again is right.
func (t *Table) AppendHistory(ctx context.Context, key binding.Key, events []binding.Event) error {
	return t.failed("append to a history", t.appendHistory(ctx, HistoryPK(key), events))
}

func (t *Table) appendHistory(ctx context.Context, pk string, events []binding.Event) error {
	if len(events) > binding.MaxEvents {
		return fmt.Errorf("%d events, more than %d", len(events), binding.MaxEvents)
	}
	var rows []Row
	seen := map[string]bool{} // a batch must not have a row twice
	for _, e := range events {
		position := e.Position()
		row, err := encode(Key{PK: pk, SK: position}, e)
		if err != nil {
			return err
		}
		if !seen[position] {
			rows = append(rows, row)
		}
		seen[position] = true
	}
	if len(rows) == 0 {
		return ctx.Err()
	}
	return t.driver.PutBatch(ctx, rows)
}

// ListHistory implements ledger.History, by strong reads. Its cursors are the position of a page's
// last event.
func (t *Table) ListHistory(
	ctx context.Context, key binding.Key, order table.Order, cursor string, limit int,
) (table.Page[binding.Event], error) {
	const doing = "list a history"
	if cursor != "" && (!binding.IsPosition(cursor) || len(cursor) > longestSK) {
		return table.Page[binding.Event]{}, t.failed(doing, table.ErrCursor)
	}
	list, last, err := query(ctx, t, Query{
		PK: HistoryPK(key), After: cursor, Backwards: order == table.NewestFirst,
		Limit: max(limit, 1),
	}, decode[binding.Event])
	return table.Page[binding.Event]{Items: list, Cursor: last}, t.failed(doing, err)
}
