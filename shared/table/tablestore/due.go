package tablestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"bindery/shared/table"
)

// shards is over how many parts the index is spread, so that the rows that come due next don't all
// lie in one place. Each costs the sweep a call, whether something is due or not. It may grow, for
// rows stay in the shard they are in, but not shrink.
const shards = 4

// stampForm writes a time so that times sort as text, all in the same width.
const stampForm = "2006-01-02T15:04:05.000000000Z"

func stamp(t time.Time) string { return t.UTC().Format(stampForm) }

// addDue puts a row into the index, if it ever comes due.
func addDue(r row, at time.Time) {
	if at.IsZero() {
		return
	}
	r.set(dueShardColumn, int64(shardOf(r.key)))
	r.set(dueAtColumn, stamp(at))
}

func shardOf(k key) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(k.pk + k.sk)) // never fails: see hash.Hash
	return int(hash.Sum32() % shards)
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
		if len(last.At) != len(stampForm) {
			return none, table.ErrCursor
		}
	}
	if last.At > stamp(until) { // the cursor is of a later time
		return none, ctx.Err()
	}
	parts, err := t.dueParts(ctx, last, stamp(until), limit)
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
	parts, errs := make([]part, shards), make([]error, shards)
	for shard := range shards {
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
		end:   []any{int64(shard), until + above, lowest, lowest},
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
	return place{At: r.text(dueAtColumn), PK: r.key.pk, SK: r.key.sk}
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
	var none table.DueEntry
	at, err := time.Parse(stampForm, r.text(dueAtColumn))
	if err != nil {
		return none, fmt.Errorf("the time of %q in the index: %w", r.key.pk, err)
	}
	pk, sk := split(r.key.pk), split(r.key.sk)
	switch {
	case len(pk) == 2 && pk[0] == noteKind:
		return table.DueEntry{At: at, Note: pk[1]}, nil
	case len(pk) == 2 && pk[0] == authorizationKind:
		return table.DueEntry{At: at, Authorization: pk[1]}, nil
	case len(pk) == 2 && pk[0] == bindingKind && len(sk) == 3:
		return table.DueEntry{At: at, Binding: table.Key{
			Account: pk[1], Region: sk[0], Instance: sk[1], Platform: sk[2],
		}}, nil
	}
	return none, fmt.Errorf("the index has %q, which never comes due", r.key.pk)
}
