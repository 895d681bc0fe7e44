package binding_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

func TestEventsAreNumberedAndSayWhatHappened(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.clock().Advance(time.Second)
	b.mustBind("i-1", bobToken)
	b.clock().Advance(time.Second)
	b.mustUnbind("i-1", false)
	rec := b.row("i-1", provider.GitLab)
	ids := map[string]bool{}
	for i, e := range rec.Events {
		testkit.Want(t, "number", e.Number, int64(i+1))
		testkit.Want(t, "type", e.Type,
			[]string{binding.EventBound, binding.EventRebound, binding.EventUnbound}[i])
		testkit.Want(t, "actor", e.Actor, user)
		testkit.Want(t, "time", e.At, b.clock().Now().Add(time.Duration(i-2)*time.Second))
		ids[e.ID] = true
	}
	testkit.Want(t, "ids", len(ids), 3)
	testkit.Want(t, "count", rec.EventCount, int64(3))
	testkit.Want(t, "time of the last", rec.EventAt, b.clock().Now())
	testkit.Want(t, "due", rec.DueAt, b.clock().Now())
}

func TestEventsKeepTheirOrderWhenAClockGoesBack(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.clock().Advance(-time.Hour)
	b.mustBind("i-1", bobToken)
	b.clock().Advance(-time.Hour)
	b.mustUnbind("i-1", false)
	all := []string{"3 unbound", "2 rebound", "1 bound"}
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
	b.clock().Advance(3 * time.Hour)
	b.settled()
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("after the sweep: got %q, want %q", got, all)
	}
}

func TestTheNinthEventDrainsTheOthersFirst(t *testing.T) {
	b := newHarness(t)
	var all []string
	for i := range binding.MaxEvents {
		b.mustBind("i-1", aliceToken)
		all = append([]string{fmt.Sprintf("%d rebound", i+1)}, all...)
	}
	all[len(all)-1] = "1 bound"
	testkit.Want(t, "events before", len(b.row("i-1", provider.GitLab).Events), binding.MaxEvents)
	drained := b.counted(func() { b.mustBind("i-1", bobToken) })
	testkit.Want(t, "calls to the history", drained["AppendHistory"], 1)
	testkit.Want(t, "events after", len(b.row("i-1", provider.GitLab).Events), 1)
	all = append([]string{"9 rebound"}, all...)
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
	for range binding.MaxEvents - 1 {
		b.mustBind("i-1", aliceToken)
	}
	drained = b.counted(func() { b.mustUnbind("i-1", false) })
	testkit.Want(t, "calls to the history of an unbind", drained["AppendHistory"], 1)
	testkit.Want(t, "events after the unbind", len(b.row("i-1", provider.GitLab).Events), 1)
	b.settled()
	testkit.Want(t, "events in all", len(b.history("i-1")), 17)
}

// TestAnEventIsNeverLostWithTheDrain crashes between the append and the save: the events are
// then in both places, and once in the end.
func TestAnEventIsNeverLostWithTheDrain(t *testing.T) {
	b := newHarness(t)
	for range binding.MaxEvents {
		b.mustBind("i-1", aliceToken)
	}
	b.inside.set(down("SaveBinding"))
	if _, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken)); err == nil {
		t.Fatal("a bind without a save has worked")
	}
	b.inside.clear()
	testkit.Want(t, "events", len(b.history("i-1")), binding.MaxEvents)
	b.inside.set(down("AppendHistory"))
	if _, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken)); err == nil {
		t.Fatal("a bind without room for its event has worked")
	}
	if _, err := b.Connect.Unbind(context.Background(), gitLabEnd("i-1", false)); err == nil {
		t.Fatal("an unbind without room for its event has worked")
	}
	b.inside.clear()
	testkit.Want(t, "events of those that failed", len(b.history("i-1")), binding.MaxEvents)
	b.settled()
	testkit.Want(t, "events in the end", len(b.history("i-1")), binding.MaxEvents)
}

func TestABindOverAnUnboundRowKeepsItsEvents(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustUnbind("i-1", false)
	b.mustBind("i-1", bobToken)
	all := []string{"3 bound", "2 unbound", "1 bound"}
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
	testkit.Want(t, "whom the third replaced",
		b.row("i-1", provider.GitLab).Events[2].Previous, binding.Identity{})
	b.settled()
}
