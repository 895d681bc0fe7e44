package subscription_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/subscription"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestASyncOfWhatWorksOnlyLooks(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.clock.Advance(time.Hour)
	calls := h.counted(func() { h.mustSync() })
	testkit.Want(t, "calls", calls, "map[Binding:2 FindWebhook:1 Get:1 Refs:2 Repository:1 "+
		"SaveSubscription:2 Subscription:1 SubscriptionEntry:1 SubscriptionHeads:1]")
	testkit.Want(t, "health", h.row().Health, binding.SubscriptionGood)
	testkit.Want(t, "synced", h.row().SyncedAt, h.clock.Now())
}

func TestASyncRepairsTheWebhook(t *testing.T) {
	for name, spoil := range map[string]func(r *repository, h *hook){
		"deleted":         func(r *repository, h *hook) { delete(r.hooks, h.ID) },
		"another address": func(_ *repository, h *hook) { h.URL = "https://elsewhere.example" },
		"other events":    func(_ *repository, h *hook) { h.Tag = false },
		"no secret":       func(_ *repository, h *hook) { h.SecretMissing = true },
		"switched off":    func(_ *repository, h *hook) { h.Active = false },
		"disabled":        func(_ *repository, h *hook) { h.Active, h.NeedsTest = false, true },
	} {
		h := newHarness(t)
		h.mustPut()
		h.forge.set("1", func(r *repository) { spoil(r, r.hooks["1"]) })
		testkit.Want(t, name+", health", h.mustSync().Health, binding.SubscriptionDegraded)
		testkit.Want(t, name+", syncs of the run", h.later(11*time.Minute).Synced, 1)
		testkit.Want(t, name+", health later", h.row().Health, binding.SubscriptionGood)
		h.settled(name)
	}
}

func TestASubscriptionIsBrokenInTheOpen(t *testing.T) {
	for _, c := range []struct {
		code  problem.Code
		cause func(f *forge, r *repository)
		mend  func(f *forge, r *repository)
	}{
		{
			problem.WebhooksForbidden,
			func(_ *forge, r *repository) { r.admins = nil },
			func(_ *forge, r *repository) { r.admins = []string{"alice"} },
		},
		{
			problem.RepositoryArchived,
			func(_ *forge, r *repository) { r.archived = true },
			func(_ *forge, r *repository) { r.archived = false },
		},
		{
			problem.WebhooksFull,
			func(_ *forge, r *repository) { clear(r.hooks); r.full = true },
			func(_ *forge, r *repository) { r.full = false },
		},
		{
			problem.WebhookDisabled,
			func(f *forge, r *repository) {
				r.hooks["1"].Active, r.hooks["1"].NeedsTest = false, true
				f.test = errDown
			},
			func(f *forge, _ *repository) { f.test = nil },
		},
	} {
		h := newHarness(t)
		h.mustPut()
		h.forge.set("1", func(r *repository) { c.cause(h.forge, r) })
		done := h.later(25 * time.Hour)
		testkit.Want(t, "broken", done.Broken, 1)
		sub := h.row()
		testkit.Want(t, "health", sub.Health, binding.SubscriptionBroken)
		testkit.Want(t, "problem", sub.Problem.Code, c.code)
		if c.code != problem.WebhookDisabled { // a refused token is not sent with each delivery
			testkit.WantEqual(t, "the token that the row names", sub.Asked, binding.AskedToken{})
		}
		testkit.Want(t, "metric", strings.Contains(h.log.String(), "SubscriptionsBroken=1"), true)
		testkit.Want(t, "broken again", h.later(25*time.Hour).Broken, 0)
		h.forge.set("1", func(r *repository) { c.mend(h.forge, r) })
		h.later(25 * time.Hour)
		testkit.Want(t, "broken when mended", h.row().Problem, nil)
		h.settled(string(c.code))
		events := []string{}
		for _, e := range h.history() {
			events = append(events, e.Type)
		}
		testkit.Want(t, "events", strings.Join(events, " "),
			"subscription.recovered subscription.broken binding.bound")
		for _, e := range h.history()[:2] {
			testkit.Want(t, "repository of "+e.Type, e.Repository,
				binding.EventRepository{Key: sub.Repository.Key, Name: "acme/web"})
		}
	}
}

// TestATransientFailureIsTriedAgain after growing pauses, and shown after three.
func TestATransientFailureIsTriedAgain(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.before = func(string) (error, error) { return nil, errDown }
	_, err := h.Sync(t.Context(), h.target("i-1", "1"))
	testkit.WantCode(t, "a sync", err, problem.PlatformUnreachable)
	testkit.Want(t, "health after one", h.row().Health, binding.SubscriptionGood)
	var last time.Duration
	for range 14 {
		pause := h.row().SyncAt.Sub(h.clock.Now())
		testkit.Want(t, "pauses grow", pause >= last, true)
		testkit.Want(t, "within bounds", pause <= 8*time.Hour, true)
		last = pause * 3 / 4              // less the jitter
		h.later(pause + time.Millisecond) // the index rounds up
	}
	testkit.Want(t, "health", h.row().Health, binding.SubscriptionDegraded)
	testkit.Want(t, "tries", h.row().SyncTries, 15)
	h.forge.before = nil
	h.later(8 * time.Hour)
	testkit.Want(t, "health in the end", h.row().Health, binding.SubscriptionGood)
	testkit.Want(t, "tries in the end", h.row().SyncTries, 0)
}

// TestASlowPlatformIsShown, also if the time of an invocation is over before all refs are read.
func TestASlowPlatformIsShown(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.before = func(string) (error, error) {
		h.clock.Advance(40 * time.Second)
		return nil, nil
	}
	for range 4 {
		h.later(25 * time.Hour)
	}
	testkit.Want(t, "health", h.row().Health, binding.SubscriptionDegraded)
	testkit.Want(t, "problem", h.row().Problem.Code, problem.PlatformUnreachable)
	testkit.Want(t, "errors", strings.Contains(h.log.String(), "level=ERROR"), false)
	h.settled("fast again")
	testkit.Want(t, "health in the end", h.row().Health, binding.SubscriptionGood)
}

// TestASyncCatchesUp with what no delivery told of: four tags in a push, which platforms don't
// deliver, a moved branch, a deleted one.
func TestASyncCatchesUp(t *testing.T) {
	h := newHarness(t)
	h.forge.set("1", func(r *repository) { r.refs["heads/old"], r.refs["heads/x/y"] = "b1", "a1" })
	h.mustPut("main", "old", "new")
	h.forge.set("1", func(r *repository) {
		for i := range 4 {
			r.refs[fmt.Sprint("tags/v", i)] = "e0"
		}
		r.refs["heads/main"], r.refs["heads/new"], r.refs["heads/x/y"] = "c2", "f1", "a2"
		delete(r.refs, "heads/old")
	})
	want := "heads/main c1>c2 caught up, heads/new >f1 caught up, heads/old b1> caught up, " +
		"tags/v0 >e0 caught up, tags/v1 >e0 caught up, tags/v2 >e0 caught up, tags/v3 >e0 caught up"
	h.mustSync()
	testkit.Want(t, "events", h.events(), want)
	testkit.Want(t, "taken by the receiver at once", h.sent, 7)
	h.later(11 * time.Minute)
	testkit.Want(t, "events of the next sync", h.events(), want)
	testkit.Want(t, "health", h.row().Health, binding.SubscriptionGood)
}

// TestWhatASyncCatchesUpHasATitle if at most ten refs have changed: each costs a call.
func TestWhatASyncCatchesUpHasATitle(t *testing.T) {
	for refs, calls := range map[int]int{1: 1, 10: 10, 11: 0} {
		h := newHarness(t)
		h.mustPut()
		h.forge.set("1", func(r *repository) {
			for i := range refs {
				r.refs[fmt.Sprint("heads/b", i)] = "e0"
			}
		})
		what := fmt.Sprint(refs, " refs: ")
		counted := h.counted(func() { h.mustSync() })
		testkit.Want(t, what+"calls", h.forge.calls["Commit"], calls)
		testkit.Want(t, what+"a call more of another kind", strings.Contains(counted, "Refs:2"), true)
		title, url := "[]", ""
		if calls > 0 {
			title, url = "[Title of e0]", "https://forge.example/acme/web/commit/"+hash("e0")
		}
		events, err := h.deliveries.Events(t.Context(), h.row(), "")
		testkit.Want(t, what+"error", err, nil)
		testkit.Want(t, what+"events", len(events.Events), refs)
		for _, e := range events.Events {
			testkit.Want(t, what+"title", fmt.Sprint(e.Titles), title)
			testkit.Want(t, what+"page", e.CompareURL, url)
		}
	}
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.refs["heads/main"] = "c2" })
	h.forge.before = func(call string) (error, error) {
		if call == "Commit" {
			return nil, errDown
		}
		return nil, nil
	}
	h.mustSync()
	testkit.Want(t, "without an answer", h.events(), "heads/main c1>c2 caught up")
}

func TestAFloodOfRefsIsCaughtUpInParts(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	const tags = 150
	h.forge.set("1", func(r *repository) {
		for i := range tags {
			r.refs[fmt.Sprintf("tags/v%03d", i)] = "e1"
		}
	})
	for range 10 {
		h.later(25 * time.Hour)
		h.later(11 * time.Minute)
	}
	testkit.Want(t, "taken by the receiver", h.sent, tags)
	testkit.Want(t, "numbered", h.row().EventCount, int64(tags))
}

func TestTooManyRefsAreNotWatched(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) {
		r.page = 1
		for i := range 60 {
			r.refs[fmt.Sprintf("tags/v%03d", i)] = "e1"
		}
		r.refs["heads/main"] = "c2"
	})
	testkit.Want(t, "not watched", h.mustSync().RefsNotWatched, true)
	testkit.Want(t, "events", h.events(), "heads/main c1>c2 caught up")
	h.forge.set("1", func(r *repository) { r.page = 0 })
	testkit.Want(t, "not watched when there are few", h.mustSync().RefsNotWatched, false)
	testkit.Want(t, "events then", h.events(), "heads/main c1>c2 caught up")
}

// store stores an event of a delivery, as the service of deliveries does.
func (h *harness) store(ref, before, commit string) {
	h.Helper()
	ctx := h.ledger.StartInvocation(h.Context())
	_, err := h.ledger.ChangeSubscription(ctx, h.row(), func(row *binding.Subscription) bool {
		row.Add(binding.SourceEvent{
			ID: binding.SourceEventID(row.ID, ref+before+commit, ref), Type: binding.SourcePushed,
			State: binding.EventWaiting, Ref: "refs/" + ref, Before: hash(before), Commit: hash(commit),
		}, h.clock.Now())
		return true
	})
	if err != nil {
		h.Fatal(err)
	}
}

// TestADeliveryDuringASyncIsNotUndone: the platform listed the refs between two pushes, whose
// deliveries are stored while the sync continues.
func TestADeliveryDuringASyncIsNotUndone(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.refs["heads/other"], r.refs["heads/main"] = "b1", "c2" })
	saves := 0
	h.setHook(func(call string) error {
		if call == "SaveSubscription" {
			if saves++; saves == 2 { // the result of the sync
				h.setHook(nil)
				h.store("heads/main", "c1", "c2")
				h.store("heads/main", "c2", "c3")
			}
		}
		return nil
	})
	h.mustSync()
	want := "heads/main c1>c2, heads/main c2>c3, heads/other >b1 caught up"
	testkit.Want(t, "events", h.events(), want)
	h.forge.set("1", func(r *repository) { r.refs["heads/main"] = "c3" })
	h.later(11 * time.Minute)
	testkit.Want(t, "events later", h.events(), want)
}

// TestASyncThatIsAskedForDuringASyncIsMade: a delivery had no room, or was late.
func TestASyncThatIsAskedForDuringASyncIsMade(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} {
		h := newHarness(t)
		h.mustPut()
		h.later(11 * time.Minute)
		var asked time.Time
		h.forge.before = func(call string) (error, error) {
			if call == "Refs" && asked.IsZero() {
				asked = h.clock.Now().Add(wait)
				h.edit(func(row *binding.Subscription) { row.SyncAt = asked })
			}
			return nil, nil
		}
		h.mustSync()
		testkit.Want(t, "next sync", h.row().SyncAt.Equal(asked), true)
		testkit.Want(t, "claimed", h.row().Claim.IsZero(), true)
		testkit.Want(t, "synced", h.later(wait).Synced, 1)
	}
}

// lossy is a table that loses the reply to one save of a subscription.
type lossy struct {
	ledger.Table
	saves, lost int
}

func (l *lossy) SaveSubscription(
	ctx context.Context, s binding.Subscription,
) (binding.Subscription, error) {
	saved, err := l.Table.SaveSubscription(ctx, s)
	if l.saves++; l.saves == l.lost && err == nil {
		return s, errDown
	}
	return saved, err
}

// TestALostReplyOfTheSaveOfASyncIsNoSecondResult: the row was saved, and the call failed.
func TestALostReplyOfTheSaveOfASyncIsNoSecondResult(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.later(11 * time.Minute)
	h.forge.set("1", func(r *repository) { r.refs["heads/main"] = "c2" })
	h.rows = &lossy{Table: h.rows, lost: 2}
	h.serve()
	sub := h.mustSync()
	testkit.Want(t, "events", h.events(), "heads/main c1>c2 caught up")
	testkit.Want(t, "taken by the receiver", h.sent, 1)
	testkit.Want(t, "health once it is taken", sub.Health, binding.SubscriptionGood)
	testkit.Want(t, "confirmed soon", h.later(11*time.Minute).Synced, 1)
}

// TestAnUnbindDuringASyncLeavesNoWebhook: the sync makes it again after the unbind has looked.
func TestAnUnbindDuringASyncLeavesNoWebhook(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { clear(r.hooks) })
	unbound := false
	h.forge.before = func(call string) (error, error) {
		if call == "CreateWebhook" && !unbound {
			unbound = true
			if _, err := h.unbind("i-1"); err != nil {
				t.Error(err)
			}
		}
		return nil, nil
	}
	_, err := h.Sync(t.Context(), h.target("i-1", "1"))
	testkit.WantCode(t, "answer", err, problem.SubscriptionUnknown)
	testkit.Want(t, "webhooks", len(h.forge.hooks()), 0)
	h.settled("unbound")
	testkit.Want(t, "rows", len(h.list()), 0)
}

// TestHeadsThatARowForgetsAreNotToldTwice: a row has the heads of 64 refs only.
func TestHeadsThatARowForgetsAreNotToldTwice(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	const refs = 100
	for i := range refs {
		name := fmt.Sprintf("heads/b%03d", i)
		h.forge.set("1", func(r *repository) { r.refs[name] = "b1" })
		h.store(name, "", "b1")
		h.later(time.Minute)
	}
	h.later(25 * time.Hour)
	testkit.Want(t, "taken by the receiver", h.sent, refs)
	testkit.Want(t, "events caught up", strings.Contains(h.events(), "caught up"), false)
}

func TestARunCountsWhatTheReceiverHasTaken(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	for _, name := range []string{"heads/a", "heads/b", "heads/c"} {
		h.forge.set("1", func(r *repository) { r.refs[name] = "b1" })
		h.store(name, "", "b1")
	}
	h.gone = true
	done := h.later(time.Minute)
	testkit.Want(t, "counts", fmt.Sprint(done.Forwarded, done.Dead, done.Synced), "2 1 0")
	h.forge.set("1", func(r *repository) { r.refs["heads/main"], r.refs["heads/a"] = "c2", "c2" })
	h.gone = true
	done = h.later(25 * time.Hour)
	testkit.Want(t, "counts of a sync",
		fmt.Sprint(done.Forwarded, done.Dead, done.Synced, done.CaughtUp), "1 1 1 2")
}

func TestAFailingSubscriptionDelaysNoOther(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	_, _, err := h.Put(t.Context(), subscription.PutRequest{
		Target: h.target("i-1", "2"), Kinds: all,
	})
	testkit.Want(t, "error", err, nil)
	h.forge.set("1", func(r *repository) { r.admins = nil })
	h.forge.set("2", func(r *repository) { r.refs["heads/main"] = "c2" })
	done := h.later(25 * time.Hour)
	testkit.Want(t, "counts", fmt.Sprint(done.Due, done.Synced, done.Broken, done.CaughtUp),
		"2 2 1 1")
}
