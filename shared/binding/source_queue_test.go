package binding_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/testkit"
)

var queueStart = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func noJitter(time.Duration) time.Duration { return 0 }

// pushed returns a waiting event of a branch.
func pushed(id, branch, commit string) binding.SourceEvent {
	return binding.SourceEvent{
		ID: id, Type: binding.SourcePushed, Ref: "refs/heads/" + branch, Commit: commit,
		State: binding.EventWaiting,
	}
}

func ignored(id string) binding.SourceEvent {
	e := pushed(id, "other", id)
	e.State, e.Reason = binding.EventIgnored, binding.IgnoredBranch
	return e
}

func merged(id, number string) binding.SourceEvent {
	e := pushed(id, "main", "c"+id)
	e.Type, e.Merge = binding.SourceMerged, &binding.Merge{Number: number}
	return e
}

func active(events ...binding.SourceEvent) binding.Subscription {
	s := binding.Subscription{Stage: binding.SubscriptionActive}
	for _, e := range events {
		s.Add(e, queueStart)
	}
	return s
}

func ids(events []binding.SourceEvent) string {
	var list []string
	for _, e := range events {
		list = append(list, e.ID)
	}
	return strings.Join(list, " ")
}

func TestAnEventIsAddedUnlessItIsKnown(t *testing.T) {
	deleted := func(id string) binding.SourceEvent { return pushed(id, "main", "") }
	for _, c := range []struct {
		name  string
		known []binding.SourceEvent
		add   binding.SourceEvent
		want  binding.AddResult
	}{
		{"the first of a ref", nil, pushed("1", "main", "a"), binding.Added},
		{
			"the same id",
			[]binding.SourceEvent{pushed("1", "main", "a")},
			pushed("1", "main", "b"),
			binding.Repeated,
		},
		{
			"the ref's known head",
			[]binding.SourceEvent{pushed("1", "main", "a")},
			pushed("2", "main", "a"), binding.Repeated,
		},
		{
			"the commit on another ref",
			[]binding.SourceEvent{pushed("1", "main", "a")},
			pushed("2", "next", "a"), binding.Added,
		},
		{"an older commit again", []binding.SourceEvent{
			pushed("1", "main", "a"),
			pushed("2", "main", "b"),
		}, pushed("3", "main", "a"), binding.Added},
		{"the first that is known of a ref is its end", nil, deleted("1"), binding.Added},
		{"the same end", []binding.SourceEvent{deleted("1")}, deleted("2"), binding.Repeated},
		{
			"a ref that comes back",
			[]binding.SourceEvent{pushed("1", "main", "a"), deleted("2")},
			pushed("3", "main", "a"), binding.Added,
		},
		{
			"a merge request with the commit of its target's head",
			[]binding.SourceEvent{pushed("1", "main", "c2")},
			merged("2", "7"), binding.Added,
		},
		{
			"a push to the head of a merge",
			[]binding.SourceEvent{merged("1", "7")},
			pushed("2", "main", "c1"), binding.Added,
		},
		{"an ignored one twice", []binding.SourceEvent{ignored("1")}, ignored("1"), binding.Repeated},
		{
			"a push to the commit of an ignored one",
			[]binding.SourceEvent{ignored("1")},
			pushed("2", "other", "1"), binding.Added,
		},
	} {
		s := active(c.known...)
		testkit.Want(t, c.name, s.Add(c.add, queueStart), c.want)
	}
}

func TestIgnoredEventsDoNotPushOutWhatWaitsOrIsKnown(t *testing.T) {
	s := active(merged("kept", "1"))
	for i := range 3 * binding.MaxEnded {
		testkit.Want(t, "an ignored event", s.Add(ignored(fmt.Sprint(i)), queueStart), binding.Added)
	}
	testkit.Want(t, "events", len(s.Events), 1+binding.MaxEnded)
	testkit.Want(t, "the waiting one", ids(s.Sendable(queueStart)), "kept")
	testkit.Want(t, "the waiting one again", s.Add(merged("kept", "1"), queueStart), binding.Repeated)
	testkit.Want(t, "waiting", s.Waiting(), 1)
}

func TestMoreThanCanWaitAreLeftToASync(t *testing.T) {
	var s binding.Subscription
	for i := range binding.MaxWaiting {
		s.Add(pushed(fmt.Sprint(i), fmt.Sprint(i), "a"), queueStart)
	}
	later := queueStart.Add(time.Second)
	testkit.Want(t, "one more", s.Add(pushed("more", "more", "a"), later), binding.Full)
	testkit.Want(t, "sync", s.SyncAt, later)
	if _, known := s.KnownHead("refs/heads/more"); known {
		t.Error("the head of an event that wasn't added is known")
	}
	testkit.Want(t, "an ignored one", s.Add(ignored("i"), later), binding.Added)
	s.Record(binding.ForwardResult{ID: "0", Taken: true, Answer: 200, At: later}, noJitter)
	testkit.Want(t, "again", s.Add(pushed("more", "more", "a"), later), binding.Added)
}

func TestTheRowsSizeIsBounded(t *testing.T) {
	s := binding.Subscription{Stage: binding.SubscriptionActive}
	large := func(i int) binding.SourceEvent {
		e := pushed(fmt.Sprint(i), fmt.Sprint(i), "a")
		for range 10 {
			e.Titles = append(e.Titles, strings.Repeat("<", 600)) // six bytes each in JSON
		}
		return e
	}
	full := 0
	for i := range 2 * binding.MaxWaiting {
		e := large(i)
		if i%3 == 0 {
			e.State = binding.EventIgnored
		}
		if s.Add(e, queueStart) == binding.Full {
			full++
		}
		row, err := json.Marshal(s.Events)
		if err != nil || len(row) > 201<<10 {
			t.Fatalf("the events take %d bytes (%v)", len(row), err)
		}
	}
	if full == 0 || s.Waiting() == 0 {
		t.Errorf("%d of the events found no room, %d wait", full, s.Waiting())
	}
	for _, e := range s.Events {
		if text, _ := json.Marshal(e); len(text) > binding.MaxSourceEvent {
			t.Errorf("event %d takes %d bytes", e.Number, len(text))
		}
		if e.State == binding.EventWaiting && len(e.Titles) == 0 {
			t.Error("all titles are cut")
		}
	}
}

func TestATooLargeEventKeepsWhatItIsAbout(t *testing.T) {
	e := merged("1", "7")
	e.Pusher, e.CompareURL = strings.Repeat("p", 30<<10), "https://x.example"
	e.Merge.Title, e.Merge.Source = strings.Repeat("t", 30<<10), "feature"
	s := active(e)
	got := s.Events[0]
	kept := &binding.Merge{Number: "7", Source: "feature"}
	testkit.WantEqual(t, "the merge request", got.Merge, kept)
	testkit.Want(t, "the commit", got.Commit, "c1")
	testkit.Want(t, "the given event's title", len(e.Merge.Title), 30<<10)
}

func TestOnlyTheFirstWaitingEventOfAKeyIsSent(t *testing.T) {
	s := active(pushed("1", "main", "a"), pushed("2", "main", "b"), pushed("3", "next", "a"),
		merged("4", "7"), merged("5", "7"), ignored("6"))
	testkit.Want(t, "at first", ids(s.Sendable(queueStart)), "1 3 4")
	fail := func(id string, at time.Time) {
		s.Record(binding.ForwardResult{ID: id, Answer: 500, At: at}, noJitter)
	}
	fail("1", queueStart)
	testkit.Want(t, "in its pause", ids(s.Sendable(queueStart)), "3 4")
	later := queueStart.Add(5 * time.Second)
	testkit.Want(t, "after its pause", ids(s.Sendable(later)), "1 3 4")
	s.Record(binding.ForwardResult{ID: "1", Taken: true, Answer: 204, At: later}, noJitter)
	testkit.Want(t, "after it was taken", ids(s.Sendable(later)), "2 3 4")
	s.Record(binding.ForwardResult{ID: "4", Answer: 410, At: later}, noJitter)
	testkit.Want(t, "after one is dead", ids(s.Sendable(later)), "2 3 5")
	testkit.Want(t, "ended", ids(s.Ended()), "1 4 6")
	s.RemoveLogged(s.Ended())
	testkit.Want(t, "after the log was written", ids(s.Events), "2 3 5")
}

func TestPausesGrowForTwoDaysAndThenTheEventIsDead(t *testing.T) {
	s := active(pushed("1", "main", "a"))
	at, pauses := queueStart.Add(time.Hour), []time.Duration{}
	first := at
	for range 100 {
		dead := s.Record(binding.ForwardResult{ID: "1", Answer: 503, At: at}, noJitter)
		if dead != (s.Events[0].State == binding.EventDead) {
			t.Fatalf("dead is %v for %s", dead, s.Events[0].State)
		}
		if dead {
			break
		}
		pauses = append(pauses, s.Events[0].At.Sub(at))
		at = s.Events[0].At
	}
	testkit.WantEqual(t, "pauses", pauses[:4], []time.Duration{
		5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second,
	})
	testkit.Want(t, "the last pause", pauses[len(pauses)-1], 6*time.Hour)
	if d := at.Sub(first); d < 48*time.Hour || d > 55*time.Hour {
		t.Errorf("it was tried for %v", d)
	}
	again := s.Events[0]
	testkit.Want(t, "the replay", s.Replay(again, at), binding.Added)
	if s.Record(binding.ForwardResult{ID: "1", Answer: 503, At: at}, noJitter) {
		t.Error("the first failure after a replay ends it")
	}
	testkit.Want(t, "its pause", s.Events[0].At.Sub(at), 5*time.Second)
}

func TestAReceiverIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	for _, c := range []struct{ asked, want time.Duration }{
		{time.Minute, time.Minute}, {time.Second, time.Second}, {300 * time.Hour, 24 * time.Hour},
	} {
		s := active(pushed("1", "main", "a"), pushed("2", "next", "a"))
		s.Record(binding.ForwardResult{
			ID: "1", Answer: 429, RetryAfter: c.asked, At: queueStart,
		}, noJitter)
		testkit.Want(t, "the other's pause", s.Events[1].At.Sub(queueStart), c.want)
		testkit.Want(t, "its own pause", s.Events[0].At.Sub(queueStart), max(c.want, 5*time.Second))
	}
}

func TestASubscriptionIsDueForItsNextWork(t *testing.T) {
	at := func(m int) time.Time { return queueStart.Add(time.Duration(m) * time.Minute) }
	waiting := active(pushed("1", "main", "a"), pushed("2", "main", "b"))
	leased := waiting
	leased.Lease = at(1)
	paused := active(pushed("1", "main", "a"), pushed("2", "main", "b"))
	paused.Events[0].At = at(3)
	ended := active(ignored("1"))
	syncs := ended
	syncs.SyncAt = at(4)
	ending := waiting
	ending.Stage, ending.SyncAt = binding.SubscriptionEnding, at(7)
	creating := binding.Subscription{Stage: binding.SubscriptionCreating, CreatedAt: at(0)}
	for _, c := range []struct {
		name string
		s    binding.Subscription
		want time.Time
	}{
		{"nothing to do", active(), time.Time{}},
		{"an event waits", waiting, at(0)},
		{"an invocation forwards", leased, at(1)},
		{"the first of a ref pauses", paused, at(3)},
		{"an event has ended", ended, at(5)},
		{"a sync is due earlier", syncs, at(4)},
		{"the end", ending, at(7)},
		{"the creation", creating, at(15)},
	} {
		testkit.Want(t, c.name, c.s.DueTime(), c.want)
	}
}

func TestAReplayedEventHasItsPlaceAgain(t *testing.T) {
	s := active(pushed("1", "main", "a"), pushed("2", "main", "b"), pushed("3", "next", "a"))
	for _, id := range []string{"1", "2"} {
		s.Record(binding.ForwardResult{ID: id, Taken: true, Answer: 200, At: queueStart}, noJitter)
	}
	logged := s.Ended()
	s.RemoveLogged(logged)
	testkit.Want(t, "of the log", s.Replay(logged[0], queueStart), binding.Added)
	testkit.Want(t, "twice", s.Replay(logged[0], queueStart), binding.Added)
	testkit.Want(t, "order", ids(s.Events), "1 3")
	s.RemoveLogged(logged)
	testkit.Want(t, "it waits", ids(s.Events), "1 3")
}

func TestIDsOfEventsFollowFromWhatTheyTell(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{
		binding.SourceEventID("s", "d", "k"), binding.SourceEventID("s2", "d", "k"),
		binding.SourceEventID("s", "d2", "k"), binding.SourceEventID("s", "d", "k2"),
		binding.SourceEventID("s", "dk", ""), binding.CaughtUpID("s", "d", "k", ""),
		binding.CaughtUpID("s", "d", "", "k"),
	} {
		if len(id) != 32 || seen[id] != "" {
			t.Errorf("%q is no id of its own", id)
		}
		seen[id] = id
	}
	again := binding.SourceEventID("s", "d", "k")
	testkit.Want(t, "again", again, seen[again])
}
