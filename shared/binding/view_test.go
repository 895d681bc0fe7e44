package binding_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

var errDown = errors.New("the storage is down")

// down makes every call with this name fail.
func down(name string) ledger.Hook {
	return func(_ context.Context, call string) (func(), error) {
		if call == name {
			return nil, errDown
		}
		return nil, nil
	}
}

func TestThePlatformsAreInTheOrderOfTheConsole(t *testing.T) {
	b := newHarness(t)
	var names []string
	for _, d := range b.Connect.Platforms() {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, provider.Names()) {
		t.Errorf("got %v, want %v", names, provider.Names())
	}
}

func TestAnInstanceShowsAllFiveWithOneTableCall(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.keepConsented("i-1", b.consent("alice"))
	b.mustBind("i-2", bobToken)
	var views []binding.View
	calls := b.counted(func() {
		var err error
		views, err = b.Connect.InstanceBindings(context.Background(), user.Account, registry("i-1"))
		if err != nil {
			t.Fatal(err)
		}
	})
	testkit.Want(t, "calls", fmt.Sprint(calls), "map[InstanceBindings:1]")
	var got []string
	for _, v := range views {
		got = append(got, fmt.Sprintf("%s %s %s %s",
			v.Record.Platform, v.Method, v.Status, v.Record.Identity.Username))
	}
	shown := []string{
		"codeup token unbound ", "gitee oauth unbound ", "github oauth bound alice",
		"gitlab token bound alice", "bitbucket oauth unbound ",
	}
	if !slices.Equal(got, shown) {
		t.Errorf("got %q, want %q", got, shown)
	}
	b.mustUnbind("i-1", false)
	views, err := b.Connect.InstanceBindings(context.Background(), user.Account, registry("i-1"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "after the unbind", views[3].Status, binding.StatusUnbound)
	b.inside.set(down("InstanceBindings"))
	_, err = b.Connect.InstanceBindings(context.Background(), user.Account, registry("i-1"))
	testkit.WantCode(t, "without a table", err, problem.StorageUnavailable)
}

// listed returns an account's bindings that match a filter, as instance and platform.
func (b *harness) listed(f connect.Filter) []string {
	b.Helper()
	got := []string{}
	for cursor := ""; ; {
		page, err := b.Connect.AccountBindings(context.Background(), user.Account, f, cursor)
		if err != nil {
			b.Fatal(err)
		}
		for _, v := range page.Items {
			testkit.Want(b, "instance of a view", v.Instance.ID, v.Record.Instance)
			got = append(got, v.Record.Instance+" "+v.Record.Platform)
		}
		if cursor = page.Cursor; cursor == "" {
			return got
		}
	}
}

func TestTheAccountsListShowsWhatTheFilterLeaves(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-2", aliceSoon)
	b.mustBind("i-3", bobToken)
	b.mustUnbind("i-3", false)
	b.keepConsented("i-1", b.consent("alice"))
	two := instance.NewList(registry("i-1"), registry("i-2"), registry("i-3"))
	elsewhere := registry("i-1")
	elsewhere.Region = "cn-beijing"
	for _, c := range []struct {
		name   string
		filter connect.Filter
		want   []string
	}{
		{"all that are bound", connect.Filter{Instances: two}, []string{
			"i-1 github", "i-1 gitlab", "i-2 gitlab",
		}},
		{"a platform", connect.Filter{Instances: two, Platform: "gitlab"}, []string{
			"i-1 gitlab", "i-2 gitlab",
		}},
		{
			"a status",
			connect.Filter{Instances: two, Status: binding.StatusExpiring},
			[]string{"i-2 gitlab"},
		},
		{"one that nothing is in", connect.Filter{Instances: two, Status: binding.StatusUnbound}, nil},
		{
			"an instance",
			connect.Filter{Instances: two.Only([]string{"cn-hangzhou/i-2"})},
			[]string{"i-2 gitlab"},
		},
		{"the same id in another region", connect.Filter{Instances: instance.NewList(elsewhere)}, nil},
		{"no instance that the caller may see", connect.Filter{}, nil},
	} {
		if got := b.listed(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	page, err := b.Connect.AccountBindings(context.Background(), "acct-2",
		connect.Filter{Instances: two}, "")
	testkit.Want(t, "error of another account", err, nil)
	testkit.Want(t, "another account's bindings", len(page.Items), 0)
}

func TestAnAccountsListGoesOverPages(t *testing.T) {
	b := newHarness(t)
	const most = ledger.PageSize + 7
	var all []instance.Instance
	for i := range most {
		rec := bound(func(r *binding.Record) { r.Key = key(fmt.Sprintf("i-%03d", i), "gitlab") })
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		all = append(all, registry(rec.Instance))
	}
	listed := b.listed(connect.Filter{Instances: instance.NewList(all...)})
	testkit.Want(t, "bindings", len(listed), most)
	_, err := b.Connect.AccountBindings(context.Background(), user.Account, connect.Filter{},
		"made up")
	testkit.WantCode(t, "a cursor that was not given out", err, problem.InputMalformed)
	b.inside.set(down("AccountBindings"))
	_, err = b.Connect.AccountBindings(context.Background(), user.Account, connect.Filter{}, "")
	testkit.WantCode(t, "without a table", err, problem.StorageUnavailable)
}

// history returns all of a binding's events, newest first, as "number type".
func (b *harness) history(id string) []string {
	b.Helper()
	var got []string
	for cursor := ""; ; {
		page, err := b.Connect.History(
			context.Background(), user.Account, registry(id), provider.GitLab, cursor)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range page.Items {
			got = append(got, fmt.Sprintf("%d %s", e.Number, strings.TrimPrefix(e.Type, "binding.")))
		}
		if cursor = page.Cursor; cursor == "" {
			return got
		}
	}
}

func TestTheHistoryShowsEventsAtOnceAndEachOnce(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-1", bobToken)
	b.mustUnbind("i-1", false)
	all := []string{"3 unbound", "2 rebound", "1 bound"}
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("before any sweep: got %q, want %q", got, all)
	}
	testkit.Want(t, "drained", b.mustRun().Drained, 1)
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("after the sweep: got %q, want %q", got, all)
	}
	b.settled()
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("after the row is gone: got %q, want %q", got, all)
	}
	_, err := b.Connect.History(context.Background(), user.Account, registry("i-1"), "svn", "")
	testkit.WantCode(t, "a platform that isn't one", err, problem.PlatformUnknown)
	_, err = b.Connect.History(context.Background(), user.Account, registry("i-1"), "gitlab",
		"made up")
	testkit.WantCode(t, "a cursor that was not given out", err, problem.InputMalformed)
	for _, call := range []string{"Binding", "ListHistory"} {
		b.inside.set(down(call))
		_, err = b.Connect.History(context.Background(), user.Account, registry("i-1"), "gitlab", "")
		testkit.WantCode(t, "without "+call, err, problem.StorageUnavailable)
	}
}

// TestTheHistoryIsInOrderWhileEventsMove adds and drains events between the two reads of one
// call.
func TestTheHistoryIsInOrderWhileEventsMove(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-1", bobToken)
	b.before.set(func(_ context.Context, call string) (func(), error) {
		if call == "ListHistory" {
			b.before.clear()
			b.clock().Advance(time.Millisecond)
			b.mustUnbind("i-1", false)
			b.mustRun()
		}
		return nil, nil
	})
	all := []string{"3 unbound", "2 rebound", "1 bound"}
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
}

func TestALongHistoryGoesOverPages(t *testing.T) {
	b := newHarness(t)
	var expected []string
	for i := range int64(ledger.PageSize + 5) {
		e := binding.Event{
			ID: fmt.Sprintf("%032x", i), Number: i + 1, Type: binding.EventExpiring, At: b.clock().Now(),
		}
		err := b.store.table.AppendHistory(
			context.Background(), key("i-1", provider.GitLab), []binding.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		expected = append([]string{fmt.Sprintf("%d expiring", i+1)}, expected...)
	}
	if got := b.history("i-1"); !slices.Equal(got, expected) {
		t.Errorf("got %d events, want %d in their order", len(got), len(expected))
	}
}
