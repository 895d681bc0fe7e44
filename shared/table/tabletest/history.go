package tabletest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func historyPromises() []promise {
	return []promise{
		{"History/InBothOrdersInPages", historyOrder},
		{"History/TwiceIsOnce", historyTwice},
		{"History/AtMostMaxEventsACall", historyMost},
		{"History/GoesOnFromAnyEvent", historyFrom},
		{"History/OutlivesTheRow", historyOutlives},
		{"History/KeysDontMix", historyApart},
		{"History/SharesNoMemory", historyMemory},
	}
}

// event is the test's event of that number, a millisecond later than the one before it.
func (s *suite) event(number int) binding.Event {
	e := fill[binding.Event](s, number)
	e.ID = strconv.Itoa(number) + s.name
	e.Number = int64(number)
	e.At = s.base.Add(time.Duration(number) * time.Millisecond)
	return e
}

func (s *suite) events(numbers ...int) (list []binding.Event) {
	for _, number := range numbers {
		list = append(list, s.event(number))
	}
	return list
}

func (s *suite) history(
	key binding.Key, order table.Order, from string, limit int,
) ([]binding.Event, error) {
	return walk(limit, func(cursor string, limit int) (table.Page[binding.Event], error) {
		if cursor == "" {
			cursor = from
		}
		return s.table.ListHistory(s.Context(), key, order, cursor, limit)
	})
}

// wantHistory expects the events, oldest first, in both orders.
func (s *suite) wantHistory(when string, key binding.Key, limit int, want ...binding.Event) {
	s.Helper()
	for _, order := range []table.Order{table.OldestFirst, table.NewestFirst} {
		got, err := s.history(key, order, "", limit)
		s.must(err)
		if order == table.NewestFirst {
			slices.Reverse(got)
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			s.Errorf("%s, order %d:\n got %#v\nwant %#v", when, order, got, want)
		}
	}
}

// orderly are events in their order, with what could be sorted wrongly as text: times and numbers
// that grow by a digit, equal times, equal numbers.
func (s *suite) orderly() (list []binding.Event) {
	second := s.base.Truncate(10 * time.Second)
	for _, e := range []struct {
		after  time.Duration
		number int64
		id     string
	}{
		{0, 9, "b"},
		{0, 10, "a"},
		{0, 99, "b"},
		{0, 100, "A"},
		{0, 100, "a"},
		{0, 100, "b"},
		{9 * time.Millisecond, 101, "a"},
		{10 * time.Millisecond, 9_999_999_999, "a"},
		{999 * time.Millisecond, 1, "c"},
		{time.Second, 2, "b"},
		{9999 * time.Millisecond, 2, "a"},
		{10 * time.Second, 3, "a"},
		{time.Hour, 1, "a"},
		{time.Hour, 1, "aa"},
		{30 * 365 * 24 * time.Hour, 1, "0"},
	} {
		event := fill[binding.Event](s, len(list))
		event.At, event.Number, event.ID = second.Add(e.after), e.number, e.id
		list = append(list, event)
	}
	return list
}

func historyOrder(s *suite) {
	key, want := s.key("i-1"), s.orderly()
	s.wantHistory("a history without events", key, 4)
	for i := range want {
		place := (i * 4) % len(want) // 4 and 15 have no common divisor
		s.must(s.table.AppendHistory(s.Context(), key, want[place:place+1]))
	}
	for _, limit := range []int{1, 4, len(want), 100} {
		s.wantHistory(fmt.Sprintf("pages of %d", limit), key, limit, want...)
	}
}

func historyTwice(s *suite) {
	key := s.key("i-1")
	s.must(s.table.AppendHistory(s.Context(), key, nil))
	s.wantHistory("nothing appended", key, 10)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			errs[i] = s.table.AppendHistory(s.Context(), key, s.events(1, 2, 3))
		})
	}
	all.Wait()
	for _, err := range errs {
		s.must(err)
	}
	s.wantHistory("the same events from many at once", key, 10, s.events(1, 2, 3)...)
	s.must(s.table.AppendHistory(s.Context(), key, s.events(3, 4)))
	s.wantHistory("one event again and one new", key, 10, s.events(1, 2, 3, 4)...)
}

func historyMost(s *suite) {
	key := s.key("i-1")
	var numbers []int
	for i := range binding.MaxEvents {
		numbers = append(numbers, i)
	}
	s.must(s.table.AppendHistory(s.Context(), key, s.events(numbers...)))
	s.wantHistory("as many as there may be", key, 10, s.events(numbers...)...)
	tooMany := s.events(append(numbers, 100)...)
	if err := s.table.AppendHistory(s.Context(), key, tooMany); err == nil {
		s.Error("more than MaxEvents in a call: no error")
	}
}

// historyFrom starts at the positions of events, with and without one there.
func historyFrom(s *suite) {
	key := s.key("i-1")
	all := s.events(2, 3, 5, 6, 7)
	s.must(s.table.AppendHistory(s.Context(), key, all))
	for number := range 10 {
		var older, newer []binding.Event
		for _, e := range all {
			if e.Number < int64(number) {
				older = append([]binding.Event{e}, older...)
			}
			if e.Number > int64(number) {
				newer = append(newer, e)
			}
		}
		from := s.event(number).Position()
		for order, want := range map[table.Order][]binding.Event{
			table.NewestFirst: older, table.OldestFirst: newer,
		} {
			got, err := s.history(key, order, from, 2)
			s.must(err)
			if len(got)+len(want) > 0 {
				s.same(fmt.Sprintf("behind event %d in order %d", number, order), got, want)
			}
		}
	}
}

func historyOutlives(s *suite) {
	r := rows[binding.Record]{s, bindings()}
	row := r.add(binding.Record{Key: s.key("i-1")})
	s.must(s.table.AppendHistory(s.Context(), row.Key, s.events(1, 2)))
	r.drop(row)
	s.wantHistory("after the row was deleted", row.Key, 10, s.events(1, 2)...)
	s.must(s.table.AppendHistory(s.Context(), row.Key, s.events(3)))
	s.wantHistory("an event without a row", row.Key, 10, s.events(1, 2, 3)...)
	r.wantNone("the row", row)
	s.wantInstance(row.Key)
}

func historyApart(s *suite) {
	base := s.key("i-1")
	keys := []binding.Key{base, s.key("i-10"), s.key("i-"), s.key("i-1#github"), s.key("")}
	for _, change := range []func(*binding.Key){
		func(k *binding.Key) { k.Platform = "gitlab" },
		func(k *binding.Key) { k.Platform = "" },
		func(k *binding.Key) { k.Platform += "0" },
		func(k *binding.Key) { k.Region, k.Instance = k.Region+"i", "-1" },
		func(k *binding.Key) { k.Account += "0" },
	} {
		key := base
		change(&key)
		keys = append(keys, key)
	}
	for i, key := range keys {
		s.must(s.table.AppendHistory(s.Context(), key, s.events(i, i+1)))
	}
	for i, key := range keys {
		s.wantHistory(fmt.Sprintf("the history of %q", key), key, 1, s.events(i, i+1)...)
	}
}

func historyMemory(s *suite) {
	key, given := s.key("i-1"), s.events(1, 2)
	s.must(s.table.AppendHistory(s.Context(), key, given))
	forget(given)
	s.wantHistory("after the appended events were overwritten", key, 10, s.events(1, 2)...)
	page, err := s.table.ListHistory(s.Context(), key, table.OldestFirst, "", 10)
	s.must(err)
	forget(page.Items)
	s.wantHistory("after the listed events were overwritten", key, 10, s.events(1, 2)...)
}
