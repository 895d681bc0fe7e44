package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func comparePlaces(a, b Place) int {
	return cmp.Or(cmp.Compare(a.At, b.At),
		cmp.Compare(a.Key.PK, b.Key.PK), cmp.Compare(a.Key.SK, b.Key.SK))
}

// dueList is a list of what is due: the parts of the index that have it, and the name of its
// cursors.
type dueList struct {
	name          string
	first, shards int
}

// DueBefore implements ledger.Due. It is one call a shard, all at once.
func (t *Table) DueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	list := dueList{binding.Join("due"), 0, Shards}
	page, err := dueBefore(ctx, t, list, until, cursor, limit, dueEntries)
	return page, t.failed("list what is due", err)
}

// DueSubscriptions implements ledger.Subscriptions. It is one call a shard of theirs, all at once.
func (t *Table) DueSubscriptions(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[string], error) {
	list := dueList{binding.Join("due", SubscriptionKind), Shards, SubscriptionShards}
	page, err := dueBefore(ctx, t, list, until, cursor, limit, dueSubscriptions)
	return page, t.failed("list the subscriptions that are due", err)
}

func dueBefore[T any](
	ctx context.Context, t *Table, list dueList, at time.Time, text string, limit int,
	decode func([]Place) ([]T, error),
) (none table.Page[T], err error) {
	until, limit := SortableTime(at), max(limit, 1)
	var after Place
	if text != "" {
		c, err := decodeCursor(list.name, text)
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
	parts, err := t.dueParts(ctx, list, after, until, limit)
	if err != nil {
		return none, err
	}
	places, last := merge(parts, limit)
	items, err := decode(places)
	if err != nil || last == (Place{}) {
		return table.Page[T]{Items: items}, err
	}
	return table.Page[T]{Items: items, Cursor: encodeCursor(cursor{
		List: list.name, At: last.At, PK: last.Key.PK, SK: last.Key.SK,
	})}, nil
}

// part is what one shard answered: its places in their order, and whether there are more after
// them.
type part struct {
	places []Place
	more   bool
}

// dueParts asks all shards of a list at once.
func (t *Table) dueParts(
	ctx context.Context, list dueList, after Place, until string, limit int,
) ([]part, error) {
	var all sync.WaitGroup
	parts, errs := make([]part, list.shards), make([]error, list.shards)
	for i := range list.shards {
		all.Go(func() {
			p, shard := &parts[i], list.first+i
			var err error
			if p.places, p.more, err = t.driver.Due(ctx, shard, after, until, limit); err == nil {
				err = checkPage(len(p.places), p.more)
			}
			if err != nil {
				errs[i] = fmt.Errorf("shard %d: %w", shard, err)
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
	// Not slices.SortFunc, which adds 9 KB to a function for each type.
	sort.Slice(found, func(i, j int) bool { return comparePlaces(found[i], found[j]) < 0 })
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

// dueSubscriptions skips, as dueEntries does, what is of another kind.
func dueSubscriptions(places []Place) (ids []string, err error) {
	for _, p := range places {
		if pk := Split(p.Key.PK); len(pk) == 2 && pk[0] == SubscriptionKind {
			ids = append(ids, pk[1])
		}
	}
	return ids, nil
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
