package tabletest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

func callPromises() []promise {
	return []promise{
		{"Cursors/FitTheirListAlone", cursorsApart},
		{"Calls/FailWhenTheContextIsCancelled", cancelled},
		{"BindingUnless/UnchangedOnlyInItsVersion", unchanged},
	}
}

// unchanged reads a row unless it has a version.
func unchanged(s *suite) {
	r := rows[binding.Record]{s, bindings()}
	missing := r.full("1", 1)
	unless := func(when, version string, want binding.Record, wantErr error) {
		s.Helper()
		got, err := s.table.BindingUnless(s.Context(), missing.Key, version)
		s.wantError(when, err, wantErr)
		s.same(when, got, want)
	}
	unless("no row", table.NewVersion(), binding.Record{}, table.ErrNotFound)
	unless("no row and no version", "", binding.Record{}, table.ErrNotFound)
	neighbour := r.add(r.full("12", 1))
	unless("another row's version", neighbour.Version, binding.Record{}, table.ErrNotFound)

	first := r.add(missing)
	unless("its version", first.Version, binding.Record{}, table.ErrUnchanged)
	for _, other := range []string{
		"", table.NewVersion(), neighbour.Version, first.Version[1:], first.Version + "0",
	} {
		unless("not its version "+other, other, first, nil)
	}
	second := r.replace(first) // the same content
	unless("the version before", first.Version, second, nil)
	unless("its new version", second.Version, binding.Record{}, table.ErrUnchanged)
	r.drop(second)
	unless("the version of a deleted row", second.Version, binding.Record{}, table.ErrNotFound)
	second.Version = ""
	third := r.replace(second)
	unless("the version before the delete", first.Version, third, nil)
}

// pager is one list, called for one page of one item.
type pager struct {
	name string
	next func(cursor string) (string, error)
}

func paged[I any](
	name string, list func(cursor string, limit int) (table.Page[I], error),
) pager {
	return pager{name, func(cursor string) (string, error) {
		page, err := list(cursor, 1)
		return page.Cursor, err
	}}
}

// pagers are lists of every sort with two items each, the sorts with names twice.
func (s *suite) pagers() (list []pager) {
	ctx := s.Context()
	for _, account := range []string{s.name, s.name + "0"} {
		s.addMany(account, 2)
		list = append(list, paged("AccountBindings",
			func(cursor string, limit int) (table.Page[binding.Record], error) {
				return s.table.AccountBindings(ctx, account, cursor, limit)
			}))
	}
	list = append(list, paged("AllBindings",
		func(cursor string, limit int) (table.Page[binding.Record], error) {
			return s.table.AllBindings(ctx, cursor, limit)
		}))
	attempts := rows[binding.Authorization]{s, authorizations()}
	attempts.add(attempts.bare("a-1"))
	attempts.add(attempts.bare("a-2"))
	list = append(list, paged("AllAuthorizations",
		func(cursor string, limit int) (table.Page[binding.Authorization], error) {
			return s.table.AllAuthorizations(ctx, cursor, limit)
		}))
	s.dueOfEachKind(2)
	list = append(list, paged("DueBefore",
		func(cursor string, limit int) (table.Page[table.DueEntry], error) {
			return s.table.DueBefore(ctx, s.base.Add(time.Hour), cursor, limit)
		}))
	for _, id := range []string{"1", "10"} {
		of := s.identity(id)
		s.addEntry(binding.IdentityEntry{Of: of, Binding: s.key("i-1"), At: s.base})
		s.addEntry(binding.IdentityEntry{Of: of, Binding: s.key("i-2"), At: s.base})
		list = append(list, paged("ListIdentityEntries",
			func(cursor string, limit int) (table.Page[binding.IdentityEntry], error) {
				return s.table.ListIdentityEntries(ctx, of, cursor, limit)
			}))
	}
	s.must(s.table.AppendHistory(ctx, s.key("i-1"), s.events(1, 2)))
	list = append(list, paged("ListHistory",
		func(cursor string, limit int) (table.Page[binding.Event], error) {
			return s.table.ListHistory(ctx, s.key("i-1"), table.NewestFirst, cursor, limit)
		}))
	return append(list, s.subscriptionPagers()...)
}

func (s *suite) subscriptionPagers() (list []pager) {
	ctx := s.Context()
	subscribed := rows[binding.Subscription]{s, subscriptions()}
	subscribed.dueRow("s-1", s.base)
	subscribed.dueRow("s-2", s.base)
	list = append(list, paged("AllSubscriptions",
		func(cursor string, limit int) (table.Page[binding.Subscription], error) {
			return s.table.AllSubscriptions(ctx, cursor, limit)
		}), paged("DueSubscriptions",
		func(cursor string, limit int) (table.Page[string], error) {
			return s.table.DueSubscriptions(ctx, s.base.Add(time.Hour), cursor, limit)
		}))
	for _, instance := range []string{"i-1", "i-2"} {
		s.addEntries(s.key(instance), "1", "2")
		list = append(list, paged("SubscriptionEntries",
			func(cursor string, limit int) (table.Page[binding.SubscriptionEntry], error) {
				return s.table.SubscriptionEntries(ctx, s.key(instance), cursor, limit)
			}))
	}
	return list
}

func cursorsApart(s *suite) {
	lists := s.pagers()
	cursors := make([]string, len(lists))
	for i, list := range lists {
		s.eventually(func() (err error) {
			if cursors[i], err = list.next(""); err == nil && cursors[i] == "" {
				err = fmt.Errorf("%s: no cursor though there is more", list.name)
			}
			return err
		})
	}
	for i, list := range lists {
		for j, cursor := range cursors {
			_, err := list.next(cursor)
			if i == j {
				s.must(err)
				continue
			}
			s.wantError(list.name+" with a cursor of "+lists[j].name, err, table.ErrCursor)
		}
		for _, bad := range []string{
			"x", " ", "0", "%", "{}", "null", "字", "AAAA", strings.Repeat("A", 600), s.name,
			s.key("i-1").String(), cursors[i] + "%", "%" + cursors[i],
		} {
			// A history takes the position of any event, and what its id may be is not said.
			if list.name == "ListHistory" && strings.HasPrefix(bad, cursors[i]) {
				continue
			}
			_, err := list.next(bad)
			s.wantError(fmt.Sprintf("%s with cursor %q", list.name, bad), err, table.ErrCursor)
		}
	}
}

// cancelled calls every method with a context that is cancelled.
func cancelled(s *suite) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	methods := reflect.TypeFor[ledger.Table]()
	for i := range methods.NumMethod() {
		method := methods.Method(i)
		in := []reflect.Value{reflect.ValueOf(ctx)}
		for j := 1; j < method.Type.NumIn(); j++ {
			in = append(in, reflect.Zero(method.Type.In(j)))
		}
		out := reflect.ValueOf(s.table).MethodByName(method.Name).Call(in)
		err, _ := out[len(out)-1].Interface().(error)
		if err == nil {
			s.Errorf("%s with a cancelled context: no error", method.Name)
		}
		for _, other := range []error{table.ErrNotFound, table.ErrConflict, table.ErrCursor} {
			if errors.Is(err, other) {
				s.Errorf("%s with a cancelled context: got error %v", method.Name, err)
			}
		}
	}
}
