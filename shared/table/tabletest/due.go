package tabletest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

func duePromises() []promise {
	return []promise{
		{"Due/OldestFirstInPages", dueOrder},
		{"Due/RowsMayGoBetweenPages", dueWhileSwept},
	}
}

// dueList is one of the lists of what is due.
type dueList func(
	t ledger.Table, ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error)

// dueList lists what is due at the moment, in pages, and checks what holds for every such list.
func (s *suite) dueList(list dueList, until time.Time, limit int) ([]table.DueEntry, error) {
	entries, err := walk(limit, func(cursor string, limit int) (table.Page[table.DueEntry], error) {
		return list(s.table, s.Context(), until, cursor, limit)
	})
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if names(e) != 1 {
			return nil, fmt.Errorf("an entry with %d names, want exactly one: %+v", names(e), e)
		}
		if e.At.After(until) {
			return nil, fmt.Errorf("%v is listed as due before %v", e.At, until)
		}
		if i > 0 && e.At.Before(entries[i-1].At) {
			return nil, fmt.Errorf("%v is listed behind %v", e.At, entries[i-1].At)
		}
	}
	return entries, nil
}

// names counts which of an entry's names are set.
func names(e table.DueEntry) (count int) {
	for _, set := range []bool{e.Binding != (binding.Key{}), e.Authorization != ""} {
		if set {
			count++
		}
	}
	return count
}

// wantDue expects the entries of want in the list of bindings and authorizations that are due, in
// their order and each once, and none of the others.
func (s *suite) wantDue(when string, until time.Time, limit int, want, not []table.DueEntry) {
	s.Helper()
	s.wantDueIn(ledger.Table.DueBefore, when, until, limit, want, not)
}

// wantDue does the same with the list that has such rows.
func (r rows[T]) wantDue(when string, until time.Time, limit int, want, not []table.DueEntry) {
	r.Helper()
	r.wantDueIn(r.dueBefore, when, until, limit, want, not)
}

func (s *suite) wantDueIn(
	list dueList, when string, until time.Time, limit int, want, not []table.DueEntry,
) {
	s.Helper()
	mine := slices.Concat(want, not)
	s.eventually(func() error {
		entries, err := s.dueList(list, until, limit)
		if err != nil {
			return err
		}
		var got []table.DueEntry
		for _, e := range entries {
			if slices.ContainsFunc(mine, func(m table.DueEntry) bool { return sameName(m, e) }) {
				got = append(got, e)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s:\n got %v\nwant %v", when, got, want)
		}
		return nil
	})
}

func sameName(a, b table.DueEntry) bool {
	a.At, b.At = time.Time{}, time.Time{}
	return a == b
}

// dueRow creates a row that is due at the moment.
func (r rows[T]) dueRow(name string, at time.Time) T {
	r.Helper()
	record := r.bare(name)
	*r.due(&record) = at
	return r.add(record)
}

// limitOfFew is a page's limit where a test has few rows.
const limitOfFew = 50

func dueOrNot[T any](r rows[T]) {
	never, due := r.dueRow("never", time.Time{}), r.dueRow("due", r.base)
	r.wantDue("one row without DueAt and one with", r.base, limitOfFew,
		[]table.DueEntry{r.entry(due)}, []table.DueEntry{r.entry(never)})
	r.wantDue("long after", time.Now(), 1000,
		[]table.DueEntry{r.entry(due)}, []table.DueEntry{r.entry(never)})

	due = r.replace(due)
	r.wantDue("a row saved again without a change", r.base, limitOfFew,
		[]table.DueEntry{r.entry(due)}, nil)
	*r.due(&due) = time.Time{}
	due = r.replace(due)
	r.wantDue("a row whose DueAt was cleared", r.base, limitOfFew,
		nil, []table.DueEntry{r.entry(due)})
	*r.due(&never) = r.base
	never = r.replace(never)
	r.wantDue("a row that got a DueAt", r.base, limitOfFew, []table.DueEntry{r.entry(never)}, nil)
}

func dueBoundary[T any](r rows[T]) {
	row := r.dueRow("1", r.base)
	there := []table.DueEntry{r.entry(row)}
	r.wantDue("at DueAt itself", r.base, limitOfFew, there, nil)
	r.wantDue("a millisecond later", r.base.Add(time.Millisecond), limitOfFew, there, nil)
	r.wantDue("a millisecond earlier", r.base.Add(-time.Millisecond), limitOfFew, nil, there)
}

func dueMoves[T any](r rows[T]) {
	row := r.dueRow("1", r.base)
	for _, move := range []time.Duration{time.Hour, -time.Hour, time.Millisecond} {
		*r.due(&row) = r.base.Add(move)
		row = r.replace(row)
		moved := []table.DueEntry{r.entry(row)}
		r.wantDue("a row that moved", r.base.Add(move), limitOfFew, moved, nil)
		r.wantDue("before it", r.base.Add(move-time.Millisecond), limitOfFew, nil, moved)
		r.wantDue("long after it", r.base.Add(24*time.Hour), limitOfFew, moved, nil)
	}
}

func dueLeaves[T any](r rows[T]) {
	goes, stays := r.dueRow("1", r.base), r.dueRow("2", r.base.Add(time.Second))
	until := r.base.Add(time.Minute)
	both := []table.DueEntry{r.entry(goes), r.entry(stays)}
	r.wantDue("two rows", until, limitOfFew, both, nil)
	r.drop(goes)
	r.wantDue("after one was deleted", until, limitOfFew, both[1:], both[:1])
}

func dueZone[T any](r rows[T]) {
	// As text, the east would be the latest of the three and the west the earliest.
	east, west := time.FixedZone("", 14*3600), time.FixedZone("", -11*3600)
	var want []table.DueEntry
	for i, zone := range []*time.Location{east, time.UTC, west} {
		record := r.bare(strconv.Itoa(i))
		*r.due(&record) = r.base.Add(time.Duration(i) * time.Second).In(zone)
		r.remember(record)
		_, err := r.save(r.table, r.Context(), record)
		r.must(err)
		want = append(want, r.entry(record))
	}
	r.wantDue("in the west", r.base.Add(time.Second).In(west), limitOfFew, want[:2], want[2:])
	r.wantDue("in the east", r.base.Add(2*time.Second).In(east), limitOfFew, want, nil)
}

// dueOfEachKind makes count rows of the two kinds by turns, each a second later than the one
// before it, but not made in this order.
func (s *suite) dueOfEachKind(count int) []table.DueEntry {
	want := make([]table.DueEntry, count)
	for i := range count {
		place := (i * 5) % count // 5 and count have no common divisor
		name, at := fmt.Sprintf(" %d", place), s.base.Add(time.Duration(place)*time.Second)
		switch place % 2 {
		case 0:
			r := rows[binding.Record]{s, bindings()}
			want[place] = r.entry(r.dueRow(name, at))
		case 1:
			r := rows[binding.Authorization]{s, authorizations()}
			want[place] = r.entry(r.dueRow(name, at))
		}
	}
	return want
}

func dueOrder(s *suite) {
	want := s.dueOfEachKind(14)
	for _, limit := range []int{1, 4, 14, 100} {
		s.wantDue(fmt.Sprintf("pages of %d", limit), s.base.Add(time.Hour), limit, want, nil)
	}
	s.wantDue("half of the time", s.base.Add(6*time.Second), 3, want[:7], want[7:])
}

// dueWhileSwept does as the sweep does: it works a page off before it asks for the next.
func dueWhileSwept(s *suite) {
	sweeps := 1
	if s.options.Forgets {
		sweeps = 3
	}
	for sweep := range sweeps {
		want, until := s.dueOfEachKind(14), s.base.Add(time.Hour)
		s.wantDue("before", until, limitOfFew, want, nil)
		got := s.swept(want, until)
		if !slices.Equal(got, want) && sweep < sweeps-1 {
			s.base = s.base.AddDate(-1, 0, 0) // with new rows, and none of these
			s.name += "-again"
			continue
		}
		s.same("rows that go as they are listed", got, want)
		s.wantDue("after", until, limitOfFew, nil, want)
		return
	}
}

// swept works off what is listed of mine, and returns it.
func (s *suite) swept(mine []table.DueEntry, until time.Time) (got []table.DueEntry) {
	_, err := walkAnd(4, func(cursor string, limit int) (table.Page[table.DueEntry], error) {
		return s.table.DueBefore(s.Context(), until, cursor, limit)
	}, func(page table.Page[table.DueEntry]) {
		for _, e := range page.Items {
			if slices.Contains(mine, e) {
				got = append(got, e)
				s.work(e)
			}
		}
	})
	s.must(err)
	return got
}

// work deletes the entry's row, or makes it due next year.
func (s *suite) work(e table.DueEntry) {
	switch {
	case e.Authorization != "":
		a, err := s.table.Authorization(s.Context(), e.Authorization)
		s.must(err)
		s.must(s.table.DeleteAuthorization(s.Context(), a))
	default:
		b, err := s.table.Binding(s.Context(), e.Binding)
		s.must(err)
		b.DueAt = b.DueAt.AddDate(1, 0, 0)
		_, err = s.table.SaveBinding(s.Context(), b)
		s.must(err)
	}
}
