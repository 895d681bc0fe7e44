package tabletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

func listPromises() []promise {
	return []promise{
		{"InstanceBindings/AtOnceAndOnlyTheInstances", instanceList},
		{"AccountBindings/InOrderInPages", accountOrder},
		{"AccountBindings/ExactlyOnceAmidChanges", accountAmidChanges},
		{"AllBindings/EveryRowInPages", allBindings},
		{"AllAuthorizations/EveryRowInPages", allAuthorizations},
		{"Lists/ShareNoMemory", listMemory},
	}
}

func byKey(a, b binding.Record) int { return cmp.Compare(a.Key.String(), b.Key.String()) }

// wantInstance lists the key's instance, strongly.
func (s *suite) wantInstance(of binding.Key, want ...binding.Record) {
	s.Helper()
	got, err := s.table.InstanceBindings(s.Context(), of.Account, of.Region, of.Instance)
	s.must(err)
	slices.SortFunc(got, byKey)
	want = slices.SortedFunc(slices.Values(want), byKey)
	if len(got)+len(want) > 0 { // an empty list may be nil or not
		s.same(fmt.Sprintf("the list of %q", of), got, want)
	}
}

// account lists an account in pages.
func (s *suite) account(
	account string, limit int, between func(table.Page[binding.Record]),
) ([]binding.Record, error) {
	return walkAnd(limit, func(cursor string, limit int) (table.Page[binding.Record], error) {
		return s.table.AccountBindings(s.Context(), account, cursor, limit)
	}, between)
}

// wantAccount expects the account's rows, in the order of their keys.
func (s *suite) wantAccount(when, account string, limit int, want []binding.Record) {
	s.Helper()
	s.eventually(func() error {
		got, err := s.account(account, limit, func(table.Page[binding.Record]) {})
		if err != nil {
			return err
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%s:\n got %#v\nwant %#v", when, got, want)
		}
		return nil
	})
}

func instanceList(s *suite) {
	r := rows[binding.Record]{s, bindings()}
	s.wantInstance(s.key("i-1"))
	var of1 []binding.Record
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		record := fill[binding.Record](s, len(of1))
		record.Key = s.key("i-1")
		record.Platform = platform
		of1 = append(of1, r.add(record))
		s.wantInstance(s.key("i-1"), of1...)
	}
	of10 := r.add(binding.Record{Key: s.key("i-10")})
	elsewhere := s.key("i-1")
	elsewhere.Region = "cn-hangzhou-2"
	ofElsewhere := r.add(binding.Record{Key: elsewhere})

	s.wantInstance(s.key("i-1"), of1...)
	s.wantInstance(s.key("i-10"), of10)
	s.wantInstance(elsewhere, ofElsewhere)
	s.wantInstance(s.key("i-"))
	s.wantInstance(binding.Key{Account: s.name})

	of1[0] = r.replace(of1[0])
	s.wantInstance(s.key("i-1"), of1...)
	r.drop(of1[0])
	s.wantInstance(s.key("i-1"), of1[1:]...)
}

// addMany creates rows in an account, and returns them in the order of their keys.
func (s *suite) addMany(account string, count int) []binding.Record {
	s.Helper()
	r := rows[binding.Record]{s, bindings()}
	var list []binding.Record
	for i := range count {
		record := fill[binding.Record](s, i)
		record.Key = binding.Key{
			Account: account, Region: fmt.Sprintf("r-%d", i%3), Instance: fmt.Sprintf("i-%d", i*i),
			Platform: []string{"gitee", "github"}[i%2],
		}
		list = append(list, r.add(record))
	}
	slices.SortFunc(list, byKey)
	return list
}

func accountOrder(s *suite) {
	s.wantAccount("an account without rows", s.name, 5, nil)
	others := s.addMany(s.name+"0", 2)
	mine := s.addMany(s.name, 17)
	for _, limit := range []int{1, 5, 17, 100} {
		s.wantAccount(fmt.Sprintf("pages of %d", limit), s.name, limit, mine)
	}
	s.wantAccount("another account", s.name+"0", 5, others)
	s.wantAccount("the beginning of an account's name", s.name[:len(s.name)-1], 5, nil)

	r := rows[binding.Record]{s, bindings()}
	mine[3] = r.replace(mine[3])
	r.drop(mine[0])
	s.wantAccount("after a save and a delete", s.name, 5, mine[1:])
}

// accountAmidChanges deletes the row that a cursor stands on, saves rows again, and creates rows
// before and behind it.
func accountAmidChanges(s *suite) {
	r := rows[binding.Record]{s, bindings()}
	mine := s.addMany(s.name, 17)
	s.wantAccount("before", s.name, 100, mine)

	steady := map[binding.Key]int{}
	for _, b := range mine {
		steady[b.Key] = 0
	}
	pages := 0
	got, err := s.account(s.name, 4, func(page table.Page[binding.Record]) {
		if pages++; len(page.Items) == 0 {
			return
		}
		for _, b := range page.Items[:len(page.Items)-1] {
			now, err := s.table.Binding(s.Context(), b.Key) // the list may lag
			s.must(err)
			r.replace(now)
		}
		last := page.Items[len(page.Items)-1]
		if _, ok := steady[last.Key]; ok {
			delete(steady, last.Key)
			r.drop(last)
		}
		for _, region := range []string{"r-", "r-9"} {
			key := s.key(fmt.Sprint("new-", pages))
			key.Region = region
			if pages < 4 { // else the list might go on for ever
				r.add(binding.Record{Key: key})
			}
		}
	})
	s.must(err)
	for _, b := range got {
		if _, ok := steady[b.Key]; ok {
			steady[b.Key]++
		}
	}
	for key, times := range steady {
		if times != 1 {
			s.Errorf("%q was there all the while and is listed %d times", key, times)
		}
	}
}

func allBindings(s *suite) {
	want := append(s.addMany(s.name, 9), s.addMany(s.name+"0", 8)...)
	wantAll(s, want, byKey, ledger.Table.AllBindings, func(b binding.Record) bool {
		return b.Account == s.name || b.Account == s.name+"0"
	})
}

func allAuthorizations(s *suite) {
	s.addMany(s.name, 2) // rows of another kind
	r := rows[binding.Authorization]{s, authorizations()}
	var want []binding.Authorization
	for i := range 17 {
		want = append(want, r.add(r.full(fmt.Sprint(i), i)))
	}
	byID := func(a, b binding.Authorization) int { return cmp.Compare(a.ID, b.ID) }
	wantAll(s, want, byID, ledger.Table.AllAuthorizations, func(a binding.Authorization) bool {
		return strings.HasPrefix(a.ID, s.name)
	})
}

// wantAll expects a list of all rows of a kind to have these, in pages. Rows of other tests, which
// are not mine, may be in it.
func wantAll[T any](
	s *suite, want []T, order func(a, b T) int,
	list func(t ledger.Table, ctx context.Context, cursor string, limit int) (table.Page[T], error),
	mine func(T) bool,
) {
	s.Helper()
	for _, limit := range []int{4, 1000} {
		s.eventually(func() error {
			got, err := walk(limit, func(cursor string, limit int) (table.Page[T], error) {
				return list(s.table, s.Context(), cursor, limit)
			})
			if err != nil {
				return err
			}
			got = slices.DeleteFunc(got, func(row T) bool { return !mine(row) })
			slices.SortFunc(got, order)
			slices.SortFunc(want, order)
			if !reflect.DeepEqual(got, want) {
				return fmt.Errorf("every row, in pages of %d:\n got %#v\nwant %#v", limit, got, want)
			}
			return nil
		})
	}
}

func listMemory(s *suite) {
	mine := s.addMany(s.name, 1)
	overwritten := func(list []binding.Record, err error) error {
		if err == nil && len(list) == 0 {
			err = errors.New("an empty list")
		}
		forget(list)
		return err
	}
	s.eventually(func() error {
		page, err := s.table.AccountBindings(s.Context(), s.name, "", 10)
		return overwritten(page.Items, err)
	})
	s.eventually(func() error {
		page, err := s.table.AllBindings(s.Context(), "", 10)
		return overwritten(page.Items, err)
	})
	key := mine[0].Key
	list, err := s.table.InstanceBindings(s.Context(), key.Account, key.Region, key.Instance)
	s.must(overwritten(list, err))

	r := rows[binding.Record]{s, bindings()}
	r.wantRow("after the records of the lists were overwritten", mine[0])
	s.wantInstance(key, mine[0])
	s.wantAccount("after the same", s.name, 10, mine)
}
