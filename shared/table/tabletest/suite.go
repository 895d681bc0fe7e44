// Package tabletest is the suite that every implementation of package table passes: one test for
// each promise of the contract.
//
// It may run on a table that others use at the same time: each test has names of its own, deletes
// the rows that it makes (except the history, which stays), and tolerates rows of others in the
// lists that show them. Reads that the contract calls strong must be right at once. Lists of an
// index that may lag are read again until they are right or the patience of [Options] is used up.
package tabletest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

// Options are for a table that is slower than one on this machine. The zero value is for one on
// this machine.
type Options struct {
	// AtOnce is the number of calls that race for one row; 0 is 64. A service may refuse some of so
	// many.
	AtOnce int
	// Patience is how long the index may lag, as the sum of the waits between reads of it; 0 is 15
	// seconds. The suite does not wait for an index that has caught up.
	Patience time.Duration
	// Sleep waits between two reads; nil is [time.Sleep].
	Sleep func(time.Duration)
	// Forgets says that the index may give an older answer after a newer one, because reads go to any
	// of several copies. A list of several pages, of which one came from an older copy, may then be
	// read anew, three times in all.
	Forgets bool
}

// Run runs the suite on a table. open is called once for each test, one after the other; it may
// return the same table each time.
func Run(t *testing.T, open func(t *testing.T) ledger.Table) { RunWith(t, Options{}, open) }

// RunWith is [Run] with options.
func RunWith(t *testing.T, o Options, open func(t *testing.T) ledger.Table) {
	if o.AtOnce == 0 {
		o.AtOnce = 64
	}
	if o.Patience == 0 {
		o.Patience = 15 * time.Second
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	var promises []promise
	promises = append(promises, rowPromises(bindings())...)
	promises = append(promises, rowPromises(authorizations())...)
	promises = append(promises, rowPromises(subscriptions())...)
	promises = append(promises, rowPromises(entries())...)
	promises = append(promises, rowPromises(leases())...)
	promises = append(promises, keyPromises()...)
	promises = append(promises, listPromises()...)
	promises = append(promises, duePromises()...)
	promises = append(promises, identityPromises()...)
	promises = append(promises, historyPromises()...)
	promises = append(promises, subscriptionPromises()...)
	promises = append(promises, logPromises()...)
	promises = append(promises, callPromises()...)
	promises = append(promises, unknownPromises()...)
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			p.check(&suite{
				T: t, options: o, table: open(t), name: "tabletest-" + rand.Text(), base: moment(),
			})
		})
	}
}

// promise is one test.
type promise struct {
	name  string
	check func(s *suite)
}

// suite is what a test works with.
type suite struct {
	*testing.T
	options Options
	table   ledger.Table
	// name is used by no other test, as an account or as the beginning of names.
	name string
	// base is a time long past, so that a list of what was due then shows little of others.
	base time.Time
}

// moment is a random whole second of a time long past.
func moment() time.Time {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	const twentyYears = 20 * 365 * 24 * 3600
	first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	return first.Add(time.Duration(binary.BigEndian.Uint32(b[:])%twentyYears) * time.Second)
}

// key is a binding's key in the test's account.
func (s *suite) key(instance string) binding.Key {
	return binding.Key{Account: s.name, Region: "cn-hangzhou", Instance: instance, Platform: "github"}
}

// must ends the test on an error.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// wantError expects one of package table's errors.
func (s *suite) wantError(doing string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", doing, err, want)
	}
}

// same expects equal values.
func (s *suite) same(doing string, got, want any) {
	s.Helper()
	if !reflect.DeepEqual(got, want) {
		s.Errorf("%s:\n got %#v\nwant %#v", doing, got, want)
	}
}

// Waits between two looks at a list that may lag.
const (
	firstWait = 5 * time.Millisecond
	longWait  = 500 * time.Millisecond
)

// eventually looks until check finds nothing wrong. It is for the lists that may lag.
func (s *suite) eventually(check func() error) {
	s.Helper()
	waited, wait := time.Duration(0), firstWait
	for {
		wrong := check()
		if wrong == nil {
			return
		}
		if waited >= s.options.Patience {
			s.Fatalf("after waits of %v: %v", waited, wrong)
		}
		s.options.Sleep(wait)
		waited, wait = waited+wait, min(2*wait, longWait)
	}
}

// mostPages is how many pages a list may have here: it is a bound for lists that never end.
const mostPages = 10_000

// walk reads a list to its end, in pages of the limit.
func walk[I any](
	limit int, list func(cursor string, limit int) (table.Page[I], error),
) ([]I, error) {
	return walkAnd(limit, list, func(table.Page[I]) {})
}

// walkAnd calls between after each page.
func walkAnd[I any](
	limit int, list func(cursor string, limit int) (table.Page[I], error),
	between func(table.Page[I]),
) ([]I, error) {
	var items []I
	cursor := ""
	for range mostPages {
		page, err := list(cursor, limit)
		if err != nil {
			return nil, err
		}
		if len(page.Items) > limit {
			return nil, errors.New("a page is longer than the limit")
		}
		items = append(items, page.Items...)
		between(page)
		if page.Cursor == "" {
			return items, nil
		}
		cursor = page.Cursor
	}
	return nil, errors.New("the list has no end")
}

// cleanup undoes with a context that is still good when the test has ended.
func (s *suite) cleanup(undo func(ctx context.Context)) {
	s.Cleanup(func() { undo(context.Background()) })
}
