package tabletest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func identityPromises() []promise {
	return []promise{
		{"IdentityIndex/TwiceIsOnce", entryTwice},
		{"IdentityIndex/DeletedOnlyWithItsAt", entryDelete},
		{"IdentityIndex/IdentitiesDontMix", identitiesApart},
		{"IdentityIndex/EachOnceInPages", entryPages},
	}
}

// identity is one of the test's own.
func (s *suite) identity(id string) binding.IdentityKey {
	return binding.IdentityKey{Platform: "gitlab", Address: "https://" + s.name, ID: id}
}

// addEntry saves the entry until the test ends.
func (s *suite) addEntry(e binding.IdentityEntry) {
	s.Helper()
	s.must(s.table.SaveIdentityEntry(s.Context(), e))
	s.cleanup(func(ctx context.Context) { _ = s.table.DeleteIdentityEntry(ctx, e) })
}

func (s *suite) entries(of binding.IdentityKey, limit int) []binding.IdentityEntry {
	s.Helper()
	list, err := walk(limit, func(cursor string, limit int) (table.Page[binding.IdentityEntry],
		error,
	) {
		return s.table.ListIdentityEntries(s.Context(), of, cursor, limit)
	})
	s.must(err)
	return list
}

// wantEntries expects an identity's entries, strongly and in any order.
func (s *suite) wantEntries(
	when string, of binding.IdentityKey, limit int, want ...binding.IdentityEntry,
) {
	s.Helper()
	got := s.entries(of, limit)
	byOwner := func(a, b binding.IdentityEntry) int {
		return cmp.Compare(a.Authorization+a.Binding.String(), b.Authorization+b.Binding.String())
	}
	slices.SortFunc(got, byOwner)
	want = slices.SortedFunc(slices.Values(want), byOwner)
	if !slices.Equal(got, want) {
		s.Errorf("%s:\n got %#v\nwant %#v", when, got, want)
	}
}

func entryTwice(s *suite) {
	of := s.identity("1")
	s.wantEntries("an identity without entries", of, 10)
	for _, h := range []binding.IdentityEntry{
		{Of: of, Binding: s.key("i-1")},
		{Of: of, Authorization: s.key("i-1").String()},
	} {
		before := s.entries(of, 10)
		for _, at := range []time.Duration{0, 0, time.Hour, -time.Millisecond} {
			h.At = s.base.Add(at)
			s.addEntry(h)
			s.wantEntries("an entry saved again", of, 10, append(before, h)...)
		}
	}
}

func entryDelete(s *suite) {
	of := s.identity("1")
	bound := binding.IdentityEntry{Of: of, Binding: s.key("i-1"), At: s.base}
	authorization := binding.IdentityEntry{Of: of, Authorization: "1", At: s.base}
	s.must(s.table.DeleteIdentityEntry(s.Context(), bound)) // there is none
	s.addEntry(bound)
	s.addEntry(authorization)

	for _, off := range []time.Duration{-time.Millisecond, time.Millisecond} {
		other := bound
		other.At = s.base.Add(off)
		s.must(s.table.DeleteIdentityEntry(s.Context(), other))
		s.wantEntries("after a delete with another At", of, 10, bound, authorization)
	}
	younger := bound
	younger.At = s.base.Add(time.Second)
	s.addEntry(younger)
	s.must(s.table.DeleteIdentityEntry(s.Context(), bound))
	s.wantEntries("after a delete with the At before", of, 10, younger, authorization)

	for range 2 {
		s.must(s.table.DeleteIdentityEntry(s.Context(), younger))
		s.wantEntries("after the delete", of, 10, authorization)
	}
	s.must(s.table.DeleteIdentityEntry(s.Context(), authorization))
	s.wantEntries("after both deletes", of, 10)
}

func identitiesApart(s *suite) {
	address := "https://" + s.name
	identities := []binding.IdentityKey{
		{Platform: "gitlab", Address: address, ID: "1"},
		{Platform: "gitlab", Address: address, ID: "11"},
		{Platform: "gitlab", Address: address + "1", ID: "1"},
		{Platform: "gitlab", Address: address + "11", ID: ""},
		{Platform: "gitlab", Address: address + "/1:1", ID: "1"},
		{Platform: "github", Address: address, ID: "1"},
		{Platform: "gitlabhttps://", Address: s.name, ID: "1"},
		{Platform: "gitee", ID: s.name},
		{Platform: "gitee" + s.name},
		{Platform: "gitee", ID: s.name + "用户"},
	}
	entries := map[binding.IdentityKey][]binding.IdentityEntry{}
	for i, of := range identities {
		for _, h := range []binding.IdentityEntry{
			{Of: of, Binding: s.key("i-1")},
			{Of: of, Binding: s.key("i-10")},
			{Of: of, Authorization: "1"},
			{Of: of, Authorization: "10"},
		} {
			h.At = s.base.Add(time.Duration(i) * time.Second)
			s.addEntry(h)
			entries[of] = append(entries[of], h)
		}
	}
	for of, want := range entries {
		s.wantEntries(fmt.Sprintf("entries of %q", of), of, 10, want...)
	}
	s.must(s.table.DeleteIdentityEntry(s.Context(), entries[identities[0]][0]))
	s.wantEntries("the others", identities[1], 10, entries[identities[1]]...)
}

func entryPages(s *suite) {
	of := s.identity("1")
	var want []binding.IdentityEntry
	for i := range 14 {
		h := binding.IdentityEntry{Of: of, At: s.base.Add(time.Duration(i) * time.Millisecond)}
		if i%2 == 0 {
			h.Binding = s.key(fmt.Sprint("i-", i))
		} else {
			h.Authorization = fmt.Sprint(i)
		}
		s.addEntry(h)
		want = append(want, h)
	}
	for _, limit := range []int{1, 4, 14, 100} {
		s.wantEntries(fmt.Sprintf("pages of %d", limit), of, limit, want...)
	}
	var got []binding.IdentityEntry
	_, err := walkAnd(4, func(cursor string, limit int) (table.Page[binding.IdentityEntry], error) {
		return s.table.ListIdentityEntries(s.Context(), of, cursor, limit)
	}, func(page table.Page[binding.IdentityEntry]) {
		for _, h := range page.Items {
			got = append(got, h)
			s.must(s.table.DeleteIdentityEntry(s.Context(), h))
		}
	})
	s.must(err)
	if len(got) != len(want) {
		s.Errorf("entries that go as they are listed: got %d, want %d", len(got), len(want))
	}
	s.wantEntries("after all were deleted", of, 4)
}
