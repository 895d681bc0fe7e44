package tablestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// addDue puts a row into the index, if it ever comes due.
func addDue(r row, at time.Time) {
	if at.IsZero() {
		return
	}
	r.set(dueShardColumn, int64(rowkey.Shard(r.key)))
	r.set(dueAtColumn, rowkey.SortableTime(at))
}

// DueBefore is of [table.Due]. It is one call a shard, all at once.
func (t *Table) DueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	list, err := t.dueBefore(ctx, until, cursor, min(max(limit, 1), most-1))
	return list, failed("list what is due", err)
}

func (t *Table) dueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	var (
		none table.Page[table.DueEntry]
		last place
		err  error
	)
	name := table.Join("due")
	if cursor != "" {
		if last, err = parseCursor(name, cursor); err != nil {
			return none, err
		}
		if len(last.At) != rowkey.SortableTimeLength {
			return none, table.ErrCursor
		}
	}
	if last.At > rowkey.SortableTime(until) { // the cursor is of a later time
		return none, ctx.Err()
	}
	parts, err := t.dueParts(ctx, last, rowkey.SortableTime(until), limit)
	if err != nil {
		return none, err
	}
	found, more := merge(parts, limit)
	items, err := decodeAll(found, dueEntry)
	if err != nil || more == (place{}) {
		return table.Page[table.DueEntry]{Items: items}, err
	}
	more.List = name
	return table.Page[table.DueEntry]{Items: items, Cursor: newCursor(more)}, nil
}

// part is what one shard answered: its rows in their order, and whether there are more behind them.
type part struct {
	rows []row
	more bool
}

// dueParts asks all shards side by side.
func (t *Table) dueParts(
	ctx context.Context, last place, until string, limit int,
) ([]part, error) {
	var all sync.WaitGroup
	parts, errs := make([]part, rowkey.Shards), make([]error, rowkey.Shards)
	for shard := range rowkey.Shards {
		all.Go(func() { parts[shard], errs[shard] = t.dueOf(ctx, shard, last, until, limit) })
	}
	all.Wait()
	return parts, errors.Join(errs...)
}

// dueOf reads a shard's rows behind the last, or from its beginning, up to the time and with it.
func (t *Table) dueOf(
	ctx context.Context, shard int, last place, until string, limit int,
) (p part, err error) {
	s := span{
		in: t.name + dueIndex, columns: []string{dueShardColumn, dueAtColumn, pkColumn, skColumn},
		first: []any{int64(shard), lowest, lowest, lowest},
		end:   []any{int64(shard), until + rowkey.Above, lowest, lowest},
	}
	if last == (place{}) {
		p.rows, p.more, err = t.page(ctx, s, limit)
	} else {
		s.first = []any{int64(shard), last.At, last.PK, last.SK}
		p.rows, p.more, err = t.behind(ctx, s, limit, func(r row) bool {
			at := placeOf(r)
			return at.At == last.At && at.PK == last.PK && at.SK == last.SK
		})
	}
	if err != nil {
		return part{}, fmt.Errorf("shard %d: %w", shard, err)
	}
	return p, nil
}

// placeOf is where a row is in the order of all shards.
func placeOf(r row) place {
	return place{At: r.text(dueAtColumn), PK: r.key.PK, SK: r.key.SK}
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK))
}

// merge puts the shards' rows in one order, as far as all shards are complete and at most limit.
// last is the place to go on from, empty at the end.
func merge(parts []part, limit int) (found []row, last place) {
	for _, p := range parts {
		found = append(found, p.rows...)
		if !p.more {
			continue
		}
		at := placeOf(p.rows[len(p.rows)-1])
		if last == (place{}) || comparePlaces(at, last) < 0 {
			last = at
		}
	}
	slices.SortFunc(found, func(a, b row) int { return comparePlaces(placeOf(a), placeOf(b)) })
	if last != (place{}) {
		found = slices.DeleteFunc(found, func(r row) bool {
			return comparePlaces(placeOf(r), last) > 0
		})
	}
	if len(found) > limit {
		found = found[:limit]
		last = placeOf(found[limit-1])
	}
	return found, last
}

// dueEntry reads an entry from the keys, which are all that the index holds.
func dueEntry(r row) (table.DueEntry, error) {
	return rowkey.DueEntry(r.key, r.text(dueAtColumn))
}
