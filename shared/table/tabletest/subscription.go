package tabletest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

func subscriptionPromises() []promise {
	return []promise{
		{"AllSubscriptions/EveryRowInPages", allSubscriptions},
		{"SubscriptionEntries/OfOneBindingInPages", entryLists},
		{"DueSubscriptions/OldestFirstInPages", dueSubscriptionOrder},
		{"DueSubscriptions/ApartFromTheOtherRows", dueApart},
	}
}

func allSubscriptions(s *suite) {
	r := rows[binding.Subscription]{s, subscriptions()}
	s.addEntries(s.key("i-1"), "1", "2") // rows of another kind
	var want []binding.Subscription
	for i := range 17 {
		want = append(want, r.add(r.full(fmt.Sprint(i), i)))
	}
	byID := func(a, b binding.Subscription) int { return cmp.Compare(a.ID, b.ID) }
	wantAll(s, want, byID, ledger.Table.AllSubscriptions, func(a binding.Subscription) bool {
		return strings.HasPrefix(a.ID, s.name)
	})
}

// addEntries creates entries of a binding's repositories.
func (s *suite) addEntries(
	key binding.Key, repositories ...string,
) (list []binding.SubscriptionEntry) {
	s.Helper()
	r := rows[binding.SubscriptionEntry]{s, entries()}
	for _, id := range repositories {
		list = append(list, r.add(binding.SubscriptionEntry{
			Binding: key, RepositoryID: id, Subscription: s.name + id,
		}))
	}
	return list
}

// wantSubscribed lists a binding's entries, strongly.
func (s *suite) wantSubscribed(
	when string, key binding.Key, limit int, want ...binding.SubscriptionEntry,
) {
	s.Helper()
	got, err := walk(limit, func(cursor string, limit int) (table.Page[binding.SubscriptionEntry],
		error,
	) {
		return s.table.SubscriptionEntries(s.Context(), key, cursor, limit)
	})
	s.must(err)
	byKey := func(a, b binding.SubscriptionEntry) int {
		return cmp.Compare(binding.Join(a.RepositoryID), binding.Join(b.RepositoryID))
	}
	want = slices.SortedFunc(slices.Values(want), byKey)
	if len(got)+len(want) > 0 {
		s.same(when, got, want)
	}
}

func entryLists(s *suite) {
	s.wantSubscribed("a binding without entries", s.key("i-1"), 5)
	mine := s.addEntries(s.key("i-1"), trickyParts()...)
	others := s.addEntries(s.key("i-10"), "1", "i-1")
	elsewhere := s.key("i-1")
	elsewhere.Platform += "0"
	theirs := s.addEntries(elsewhere, "1")
	for _, limit := range []int{1, 5, 100} {
		s.wantSubscribed(fmt.Sprintf("pages of %d", limit), s.key("i-1"), limit, mine...)
	}
	s.wantSubscribed("another instance", s.key("i-10"), 5, others...)
	s.wantSubscribed("another platform", elsewhere, 5, theirs...)
	s.wantSubscribed("half a name", s.key("i-"), 5)
	r := rows[binding.SubscriptionEntry]{s, entries()}
	r.drop(mine[0])
	s.wantSubscribed("after a delete", s.key("i-1"), 5, mine[1:]...)
}

func dueSubscriptionOrder(s *suite) {
	r := rows[binding.Subscription]{s, subscriptions()}
	const count = 14
	want := make([]table.DueEntry, count)
	for i := range count {
		place := (i * 5) % count // 5 and count have no common divisor
		want[place] = r.entry(r.dueRow(fmt.Sprint(place), s.base.Add(time.Duration(place)*time.Second)))
	}
	for _, limit := range []int{1, 4, count, 100} {
		r.wantDue(fmt.Sprintf("pages of %d", limit), s.base.Add(time.Hour), limit, want, nil)
	}
	r.wantDue("half of the time", s.base.Add(6*time.Second), 3, want[:7], want[7:])
}

// dueApart expects that neither list has the other's rows, and that a page of one is full although
// the other has older rows.
func dueApart(s *suite) {
	r := rows[binding.Subscription]{s, subscriptions()}
	others := s.dueOfEachKind(8)
	until := s.base.Add(time.Hour)
	var mine []table.DueEntry
	for i := range 8 {
		mine = append(mine, r.entry(r.dueRow(fmt.Sprint(i), s.base.Add(time.Duration(i)*time.Second))))
	}
	s.wantDue("the bindings and authorizations", until, limitOfFew, others, mine)
	r.wantDue("the subscriptions", until, limitOfFew, mine, others)
}
