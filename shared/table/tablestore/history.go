package tablestore

import (
	"context"
	"fmt"
	"net/http"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// AppendHistory is of [table.History]. It is one call, unless rows are refused in passing; then all
// are sent again. After an error some of the events may be there; appending all again is right.
func (t *Table) AppendHistory(ctx context.Context, key table.Key, events []table.Event) error {
	return failed("append to a history", t.append(ctx, rowkey.History(key), events))
}

func (t *Table) append(ctx context.Context, pk string, events []table.Event) error {
	if len(events) > table.MaxEvents {
		return fmt.Errorf("%d events, more than %d", len(events), table.MaxEvents)
	}
	var made []row
	seen := map[string]bool{} // no row may be in a batch twice
	for _, e := range events {
		position := e.Position()
		r, err := encode(rowkey.Key{PK: pk, SK: position}, e)
		if err != nil {
			return err
		}
		if !seen[position] {
			made = append(made, r)
		}
		seen[position] = true
	}
	if len(made) == 0 {
		return ctx.Err()
	}
	return t.client.call(ctx, func(client *sdk.TableStoreClient) error {
		batch := &sdk.BatchWriteRowRequest{}
		for _, r := range made {
			change := r.put(t.name)
			change.Condition = always()
			batch.AddRowChange(change)
		}
		got, err := client.BatchWriteRow(batch)
		if err != nil {
			return err
		}
		return whole(got.TableToRowsResult[t.name], len(made))
	})
}

// whole is nil if every row of a batch was written. The error is as if the batch were one row.
func whole(results []sdk.RowResult, want int) error {
	if len(results) != want {
		return fmt.Errorf("%d rows were answered for, want %d", len(results), want)
	}
	for _, result := range results {
		if !result.IsSucceed {
			return &sdk.OtsError{
				Code: result.Error.Code, Message: result.Error.Message,
				HttpStatusCode: http.StatusForbidden, // a row has no status of its own
			}
		}
	}
	return nil
}

// ListHistory is of [table.History], and strong. Its cursors are the position of a page's last
// event.
func (t *Table) ListHistory(
	ctx context.Context, key table.Key, order table.Order, cursor string, limit int,
) (table.Page[table.Event], error) {
	list, err := t.history(ctx, key, order, cursor, limit)
	return list, failed("list a history", err)
}

func (t *Table) history(
	ctx context.Context, key table.Key, order table.Order, cursor string, limit int,
) (table.Page[table.Event], error) {
	var (
		none  table.Page[table.Event]
		found []row
		more  bool
		err   error
	)
	s := t.spanOf(rowkey.History(key))
	if order == table.NewestFirst {
		s = s.backwards()
	}
	switch {
	case cursor == "":
		found, more, err = t.page(ctx, s, limit)
	case !table.IsPosition(cursor) || len(cursor) > longestKey:
		return none, table.ErrCursor
	default:
		s.first[1] = cursor
		found, more, err = t.behind(ctx, s, limit, func(r row) bool { return r.key.SK == cursor })
	}
	if err != nil {
		return none, err
	}
	items, err := decodeAll(found, decode[table.Event])
	if err != nil || !more {
		return table.Page[table.Event]{Items: items}, err
	}
	return table.Page[table.Event]{Items: items, Cursor: found[len(found)-1].key.SK}, nil
}
