package dynamo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// below is before every sort key of the index, for they begin with a year.
const below = "0"

// addDue puts a row into the index, if it ever comes due.
func addDue(row item, at time.Time) {
	if at.IsZero() {
		return
	}
	key := keyOf(row)
	row[dueShardAttribute] = number(rowkey.Shard(key))
	row[dueAtAttribute] = text(rowkey.SortableTime(at) + key.PK + key.SK)
}

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// DueBefore is of [table.Due]. It is one query a shard, all at once.
func (t *Table) DueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	list, err := t.dueBefore(ctx, until, cursor, max(limit, 1))
	return list, failed("list what is due", err)
}

func (t *Table) dueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	var none table.Page[table.DueEntry]
	name := table.Join(dueIndex)
	lo, hi := below, rowkey.SortableTime(until)+rowkey.Above
	if cursor != "" {
		last, err := parseCursor(name, cursor)
		if err != nil {
			return none, err
		}
		// No sort key begins with another, so that nothing is between one and the same with this.
		lo = last.SK + rowkey.Above
	}
	if lo > hi { // the cursor is of a later time
		return none, ctx.Err()
	}
	parts, err := t.dueParts(ctx, lo, hi, limit)
	if err != nil {
		return none, err
	}
	items, last := merge(parts, limit)
	found, err := decodeAll(items, dueEntry)
	if err != nil || last == "" {
		return table.Page[table.DueEntry]{Items: found}, err
	}
	// The place in the order of all shards is a sort key of the index; it has no pk.
	return table.Page[table.DueEntry]{
		Items: found, Cursor: newCursor(name, rowkey.Key{PK: dueIndex, SK: last}),
	}, nil
}

// part is what one shard answered: its items in their order, and, if there are more, the sort key
// up to which they are complete.
type part struct {
	items []item
	more  string
}

// dueParts asks all shards side by side.
func (t *Table) dueParts(ctx context.Context, lo, hi string, limit int) ([]part, error) {
	var all sync.WaitGroup
	parts, errs := make([]part, rowkey.Shards), make([]error, rowkey.Shards)
	for shard := range rowkey.Shards {
		all.Go(func() { parts[shard], errs[shard] = t.dueOf(ctx, shard, lo, hi, limit) })
	}
	all.Wait()
	return parts, errors.Join(errs...)
}

func (t *Table) dueOf(ctx context.Context, shard int, lo, hi string, limit int) (part, error) {
	index := dueIndex
	condition := dueShardAttribute + " = :shard AND " + dueAtAttribute + " BETWEEN :lo AND :hi"
	got, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, IndexName: &index, KeyConditionExpression: &condition,
		ExpressionAttributeValues: item{
			":shard": number(shard), ":lo": text(lo), ":hi": text(hi),
		},
		Limit: most(limit),
	})
	if err != nil {
		return part{}, fmt.Errorf("shard %d: %w", shard, err)
	}
	return part{got.Items, textOf(got.LastEvaluatedKey, dueAtAttribute)}, nil
}

// merge puts the shards' items in one order, as far as all shards are complete and at most limit.
// last is the place to go on from, "" at the end.
func merge(parts []part, limit int) (items []item, last string) {
	for _, p := range parts {
		items = append(items, p.items...)
		if p.more != "" && (last == "" || p.more < last) {
			last = p.more
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Compare(textOf(a, dueAtAttribute), textOf(b, dueAtAttribute))
	})
	if last != "" {
		items = slices.DeleteFunc(items, func(i item) bool {
			return textOf(i, dueAtAttribute) > last
		})
	}
	if len(items) > limit {
		items = items[:limit]
		last = textOf(items[limit-1], dueAtAttribute)
	}
	return items, last
}

// dueEntry reads an entry from the keys, which are all that the index holds.
func dueEntry(i item) (table.DueEntry, error) {
	sort := textOf(i, dueAtAttribute)
	return rowkey.DueEntry(keyOf(i), sort[:min(len(sort), rowkey.SortableTimeLength)])
}
