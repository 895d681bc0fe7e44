package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
	"bindery/shared/timing"
)

// Rows of a batch that DynamoDB hands back for want of throughput are sent again, so often and
// after such a wait, which doubles.
const (
	batchTries = 4
	batchWait  = 50 * time.Millisecond
)

// AppendHistory is of [table.History]. It is one call, unless rows are handed back for want of
// throughput. After an error some of the events may be there; appending all again is right.
func (t *Table) AppendHistory(ctx context.Context, key table.Key, events []table.Event) error {
	return failed("append to a history", t.append(ctx, rowkey.History(key), events))
}

func (t *Table) append(ctx context.Context, pk string, events []table.Event) error {
	if len(events) > table.MaxEvents {
		return fmt.Errorf("%d events, more than %d", len(events), table.MaxEvents)
	}
	var puts []types.WriteRequest
	seen := map[string]bool{} // no row may be in a batch twice
	for _, e := range events {
		position := e.Position()
		row, err := encode(rowkey.Key{PK: pk, SK: position}, e)
		if err != nil {
			return err
		}
		if !seen[position] {
			puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: row}})
		}
		seen[position] = true
	}
	return t.putBatch(ctx, puts)
}

func (t *Table) putBatch(ctx context.Context, puts []types.WriteRequest) error {
	if err := ctx.Err(); err != nil { // else a batch of nothing would be a success
		return err
	}
	wait := batchWait
	for try := 0; len(puts) > 0; try++ {
		if try == batchTries {
			return fmt.Errorf("%d rows were not taken in %d tries", len(puts), batchTries)
		}
		if try > 0 {
			if err := timing.Sleep(ctx, wait); err != nil {
				return err
			}
			wait *= 2
		}
		got, err := t.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{t.name: puts},
		})
		if err != nil {
			return err
		}
		puts = got.UnprocessedItems[t.name]
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
	s := spanOf(rowkey.History(key))
	s.back = order == table.NewestFirst
	if cursor != "" {
		if !table.IsPosition(cursor) || len(cursor) > longestSK {
			return table.Page[table.Event]{}, table.ErrCursor
		}
		s = s.behind(cursor)
	}
	items, next, err := t.query(ctx, s, nil, most(limit))
	if err != nil {
		return table.Page[table.Event]{}, err
	}
	found, err := decodeAll(items, decode[table.Event])
	return table.Page[table.Event]{Items: found, Cursor: textOf(next, skAttribute)}, err
}
