package tabletest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func logPromises() []promise {
	return []promise{
		{"Log/NewestFirstInPages", logOrder},
		{"Log/KeepsTheLast", logWraps},
		{"Log/ShowsNoEventInThePlaceOfAnother", logStale},
		{"Log/TwiceIsOnce", logTwice},
		{"Log/AtMostMaxEventsACall", logMost},
		{"Log/SubscriptionsDontMix", logsApart},
		{"Log/DeletedInSteps", logDeleted},
		{"Heads/AreReplacedByTheirVersion", headsReplaced},
		{"Heads/OfManyRefs", headsMany},
	}
}

// sourceEvent is the test's event of that number.
func (s *suite) sourceEvent(number int64) binding.SourceEvent {
	e := fill[binding.SourceEvent](s, int(number))
	e.Number = number
	return e
}

func (s *suite) sourceEvents(numbers ...int64) (list []binding.SourceEvent) {
	for _, number := range numbers {
		list = append(list, s.sourceEvent(number))
	}
	return list
}

// addLog appends to the log of a subscription, until the test ends.
func (s *suite) addLog(id string, events ...binding.SourceEvent) {
	s.Helper()
	s.must(s.table.AppendLog(s.Context(), id, events))
	s.cleanup(func(ctx context.Context) {
		for range binding.MaxLogged {
			if all, err := s.table.DeleteLog(ctx, id); all || err != nil {
				return
			}
		}
	})
}

// appendLog is addLog for a subscription of the test.
func (s *suite) appendLog(name string, events ...binding.SourceEvent) {
	s.Helper()
	s.addLog(s.name+name, events...)
}

// fillLog appends the events from first up to last.
func (s *suite) fillLog(id string, first, last int64) {
	s.Helper()
	for ; first <= last; first += binding.MaxEvents {
		var events []binding.SourceEvent
		for number := first; number <= min(last, first+binding.MaxEvents-1); number++ {
			events = append(events, s.sourceEvent(number))
		}
		s.must(s.table.AppendLog(s.Context(), id, events))
	}
	s.addLog(id) // for the deletion
}

// wantLog lists the events below a number, strongly, in pages.
func (s *suite) wantLog(
	when, id string, below int64, limit int, want ...binding.SourceEvent,
) {
	s.Helper()
	var got []binding.SourceEvent
	for range mostPages {
		list, err := s.table.Log(s.Context(), id, below, limit)
		s.must(err)
		if len(list) > limit {
			s.Fatalf("%s: a page of %d, want at most %d", when, len(list), limit)
		}
		got = append(got, list...)
		if len(list) < limit {
			break
		}
		below = list[len(list)-1].Number
	}
	if len(got)+len(want) > 0 {
		s.same(when, got, want)
	}
}

func (s *suite) wantLogged(id string, number int64) {
	s.Helper()
	got, err := s.table.LoggedEvent(s.Context(), id, number)
	s.must(err)
	s.same(fmt.Sprintf("the event %d", number), got, s.sourceEvent(number))
}

func (s *suite) wantNotLogged(id string, numbers ...int64) {
	s.Helper()
	for _, number := range numbers {
		_, err := s.table.LoggedEvent(s.Context(), id, number)
		s.wantError(fmt.Sprintf("the event %d", number), err, table.ErrNotFound)
	}
}

func logOrder(s *suite) {
	id := s.name
	s.wantLog("a log without events", id, 1, 10)
	s.wantLog("a log without events, long after", id, 1_000_000, 10)
	s.wantNotLogged(id, 0, 1, -1)
	want := s.sourceEvents(9, 8, 7, 6, 5, 4, 3, 2, 1)
	for _, i := range []int{4, 0, 8, 2, 6, 1, 3, 5, 7} {
		s.addLog(id, want[i])
	}
	for _, limit := range []int{1, 4, 9, 100} {
		s.wantLog(fmt.Sprintf("pages of %d", limit), id, 10, limit, want...)
	}
	s.wantLog("from the middle", id, 5, 3, want[5:]...)
	s.wantLog("a limit below one", id, 2, 1, want[8:]...)
	s.wantLogged(id, 1)
	s.wantLogged(id, 9)
	s.wantNotLogged(id, 10, binding.MaxLogged+1)
}

// logWraps fills the log beyond its length.
func logWraps(s *suite) {
	id, last := s.name, int64(binding.MaxLogged+7)
	s.fillLog(id, 1, last)
	var want []binding.SourceEvent
	for number := last; number > last-binding.MaxLogged; number-- {
		want = append(want, s.sourceEvent(number))
	}
	for _, limit := range []int{5, 64, 1000} {
		s.wantLog(fmt.Sprintf("pages of %d", limit), id, last+1, limit, want...)
	}
	s.wantLogged(id, last)
	s.wantLogged(id, last-binding.MaxLogged+1)
	s.wantNotLogged(id, 7, 1, last+1)
}

// logStale leaves out events in places of others, newer and older.
func logStale(s *suite) {
	id := s.name
	s.addLog(id, s.sourceEvents(1, 2, 3, 4, 5)...)
	next := int64(binding.MaxLogged)
	s.addLog(id, s.sourceEvents(next+2, next+3)...) // in the places of 2 and 3
	s.wantLog("with two that are gone", id, 6, 10, s.sourceEvents(5, 4, 1)...)
	s.wantLog("with two that are gone, in pages", id, 6, 2, s.sourceEvents(5, 4, 1)...)
	s.wantLog("up to the newest", id, next+4, 10, s.sourceEvents(next+3, next+2, 5, 4)...)
	s.wantLog("from places with old ones", id, next+6, 1, s.sourceEvents(next+3, next+2, 5, 4, 1)...)
	s.wantNotLogged(id, 2, 3, next+1)
	s.wantLogged(id, next+2)
}

func logTwice(s *suite) {
	id := s.name
	s.addLog(id)
	s.wantLog("nothing appended", id, 10, 10)
	s.addLog(id, s.sourceEvents(1, 2)...)
	changed := s.sourceEvent(2)
	changed.State = binding.EventDead
	s.addLog(id, changed, changed)
	s.wantLog("an event again", id, 3, 10, changed, s.sourceEvent(1))
}

func logMost(s *suite) {
	var numbers []int64
	for i := range int64(binding.MaxEvents + 1) {
		numbers = append(numbers, i+1)
	}
	s.addLog(s.name, s.sourceEvents(numbers[1:]...)...)
	if err := s.table.AppendLog(s.Context(), s.name, s.sourceEvents(numbers...)); err == nil {
		s.Error("more than MaxEvents in a call: no error")
	}
	if err := s.table.AppendLog(s.Context(), s.name, s.sourceEvents(0)); err == nil {
		s.Error("an event without a number: no error")
	}
}

func logsApart(s *suite) {
	ids := []string{s.name, s.name + "1", s.name + "10", s.name + "1:1"}
	for i, id := range ids {
		s.addLog(id, s.sourceEvents(int64(i+1), int64(i+2))...)
	}
	for i, id := range ids {
		s.wantLog(id, id, 100, 1, s.sourceEvents(int64(i+2), int64(i+1))...)
	}
}

func logDeleted(s *suite) {
	id, other := s.name+"1", s.name+"10"
	heads := binding.Heads{Subscription: id, List: []binding.Head{{Ref: "refs/heads/main"}}}
	s.saveHeads(heads)
	s.fillLog(id, 1, 60)
	s.addLog(other, s.sourceEvents(1, 2)...)
	calls, all := 0, false
	for !all && calls < 60 {
		var err error
		all, err = s.table.DeleteLog(s.Context(), id)
		s.must(err)
		calls++
	}
	if calls < 2 || !all {
		s.Errorf("60 events were deleted by %d calls, all %v, want more than one call", calls, all)
	}
	s.wantLog("a deleted log", id, 61, 10)
	_, err := s.table.SubscriptionHeads(s.Context(), id)
	s.wantError("deleted heads", err, table.ErrNotFound)
	all, err = s.table.DeleteLog(s.Context(), id)
	s.must(err)
	s.same("the deletion of a log that is gone", all, true)
	s.wantLog("the log of another", other, 3, 10, s.sourceEvents(2, 1)...)
}

// saveHeads saves heads by their version.
func (s *suite) saveHeads(heads binding.Heads) binding.Heads {
	s.Helper()
	saved, err := s.table.SaveSubscriptionHeads(s.Context(), heads)
	s.must(err)
	return saved
}

func headsReplaced(s *suite) {
	ctx, id := s.Context(), s.name
	_, err := s.table.SubscriptionHeads(ctx, id)
	s.wantError("heads that never were", err, table.ErrNotFound)
	s.addLog(id) // for the deletion
	var saved, first binding.Heads
	for i, want := range []binding.Heads{
		{List: []binding.Head{{Ref: "refs/heads/main", Commit: strings.Repeat("0f", 20)}}},
		{
			List: []binding.Head{
				{Ref: "refs/heads/\"字\\ü", Commit: strings.Repeat("ab", 32)},
				{Ref: "refs/heads/gone"},
				{Ref: "refs/tags/v1", Commit: strings.Repeat("f0", 20)},
			},
			Cut: []string{"heads", "tags"},
		},
		{},
	} {
		want.Subscription, want.Version = id, saved.Version
		if saved = s.saveHeads(want); i == 0 {
			first = saved
		}
		got, err := s.table.SubscriptionHeads(ctx, id)
		s.must(err)
		s.same("heads", got, saved)
		want.Version, got.Attributes = got.Version, nil
		s.same("heads as they were to be", got, want)
	}
	for _, bad := range []binding.Head{
		{Ref: "a\nb"}, {Ref: "a", Commit: "0"}, {Ref: "a", Commit: "FF"}, {Ref: "a", Commit: "zz"},
	} {
		heads := binding.Heads{
			Subscription: id, Version: saved.Version, List: []binding.Head{bad},
		}
		if _, err := s.table.SaveSubscriptionHeads(ctx, heads); err == nil {
			s.Errorf("a head that can't be kept, %q: no error", bad)
		}
	}
	for name, version := range map[string]string{"": "", "an older version": first.Version} {
		_, err := s.table.SaveSubscriptionHeads(ctx, binding.Heads{Subscription: id, Version: version})
		s.wantError("heads over "+name, err, table.ErrConflict)
	}
	got, err := s.table.SubscriptionHeads(ctx, id)
	s.must(err)
	s.same("heads after such heads", got.Version, saved.Version)
	_, err = s.table.DeleteLog(ctx, id)
	s.must(err)
	_, err = s.table.SaveSubscriptionHeads(ctx, saved)
	s.wantError("heads that are gone", err, table.ErrConflict)
}

// headsMany saves as many heads as a sync compares.
func headsMany(s *suite) {
	s.addLog(s.name) // for the deletion
	want := s.saveHeads(manyHeads(s.name, 5000))
	got, err := s.table.SubscriptionHeads(s.Context(), s.name)
	s.must(err)
	s.same("5,000 heads", got, want)
}

// manyHeads are heads of refs with names of 60 letters, which hardly compress.
func manyHeads(id string, count int) binding.Heads {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, length int) string {
		made := make([]byte, length)
		for i := range made {
			made[i] = letters[random.IntN(len(letters))]
		}
		return string(made)
	}
	heads := binding.Heads{Subscription: id}
	for i := range count {
		const prefix = "refs/heads/"
		name := fmt.Sprintf("%s%04d-%s", prefix, i, text("abcdefghijklmnopqrstuvwxyz", 44))
		heads.List = append(heads.List, binding.Head{
			Ref: name, Commit: text("0123456789abcdef", 40),
		})
	}
	return heads
}
