package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func comparePlaces(a, b Place) int {
	return cmp.Or(cmp.Compare(a.At, b.At),
		cmp.Compare(a.Key.PK, b.Key.PK), cmp.Compare(a.Key.SK, b.Key.SK))
}

// DueBefore implements ledger.Due. It is one call a shard, all at once.
func (t *Table) DueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	list, err := t.dueBefore(ctx, SortableTime(until), cursor, max(limit, 1))
	return list, t.failed("list what is due", err)
}

func (t *Table) dueBefore(
	ctx context.Context, until, text string, limit int,
) (none table.Page[table.DueEntry], err error) {
	name := binding.Join("due")
	var after Place
	if text != "" {
		c, err := decodeCursor(name, text)
		if err != nil {
			return none, err
		}
		if after = (Place{c.At, c.key()}); len(after.At) != SortableTimeLength {
			return none, table.ErrCursor
		}
	}
	if after.At > until { // the cursor is of a later time
		return none, ctx.Err()
	}
	parts, err := t.dueParts(ctx, after, until, limit)
	if err != nil {
		return none, err
	}
	places, last := merge(parts, limit)
	list, err := dueEntries(places)
	if err != nil || last == (Place{}) {
		return table.Page[table.DueEntry]{Items: list}, err
	}
	return table.Page[table.DueEntry]{Items: list, Cursor: encodeCursor(cursor{
		List: name, At: last.At, PK: last.Key.PK, SK: last.Key.SK,
	})}, nil
}

// part is what one shard answered: its places in their order, and whether there are more after
// them.
type part struct {
	places []Place
	more   bool
}

// dueParts asks all shards at once.
func (t *Table) dueParts(
	ctx context.Context, after Place, until string, limit int,
) ([]part, error) {
	var all sync.WaitGroup
	parts, errs := make([]part, Shards), make([]error, Shards)
	for shard := range Shards {
		all.Go(func() {
			p := &parts[shard]
			var err error
			if p.places, p.more, err = t.driver.Due(ctx, shard, after, until, limit); err == nil {
				err = checkPage(len(p.places), p.more)
			}
			if err != nil {
				errs[shard] = fmt.Errorf("shard %d: %w", shard, err)
			}
		})
	}
	all.Wait()
	return parts, errors.Join(errs...)
}

// merge puts the shards' places in one order, as far as all shards are complete and at most limit.
// last is the place to continue after, the zero Place at the end.
func merge(parts []part, limit int) (found []Place, last Place) {
	for _, p := range parts {
		found = append(found, p.places...)
		if !p.more {
			continue
		}
		end := p.places[len(p.places)-1]
		if last == (Place{}) || comparePlaces(end, last) < 0 {
			last = end
		}
	}
	slices.SortFunc(found, comparePlaces)
	if last != (Place{}) {
		found = slices.DeleteFunc(found, func(p Place) bool { return comparePlaces(p, last) > 0 })
	}
	if len(found) > limit {
		found = found[:limit]
		last = found[limit-1]
	}
	return found, last
}

// dueEntries skips what is of a kind that this version does not know. The sweep must not end
// because another version has work of its own in the index.
func dueEntries(places []Place) (list []table.DueEntry, err error) {
	for _, p := range places {
		entry, known, err := DueEntry(p)
		if err != nil {
			return nil, err
		}
		if known {
			list = append(list, entry)
		}
	}
	return list, nil
}

// DueEntry reads an entry from its place, which is all that the index holds. known reports whether
// this version knows its kind as one that comes due.
func DueEntry(p Place) (entry table.DueEntry, known bool, err error) {
	pk, sk := Split(p.Key.PK), Split(p.Key.SK)
	switch {
	case len(pk) == 2 && pk[0] == AuthorizationKind:
		entry.Authorization = pk[1]
	case len(pk) == 2 && pk[0] == BindingKind && len(sk) == 3:
		entry.Binding = binding.Key{Account: pk[1], Region: sk[0], Instance: sk[1], Platform: sk[2]}
	case len(pk) > 0 && (pk[0] == AuthorizationKind || pk[0] == BindingKind):
		return table.DueEntry{}, true, fmt.Errorf("the index has %q, which is not a row's key", p.Key.PK)
	default:
		return table.DueEntry{}, false, nil
	}
	if entry.At, err = time.Parse(timeLayout, p.At); err != nil {
		err = fmt.Errorf("the time of %q in the index: %w", p.Key.PK, err)
		return table.DueEntry{}, true, err
	}
	return entry, true, nil
}
