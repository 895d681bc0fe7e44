package subscription_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/subscription"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestADeleteRemovesEverything(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	at := h.target("i-1", "1")
	var left *subscription.Remaining
	var err error
	calls := h.counted(func() { left, err = h.Delete(t.Context(), at) })
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "left", left, nil)
	testkit.Want(t, "calls", calls, "map[Binding:2 Delete:1 DeleteLog:1 DeleteSubscription:1 "+
		"DeleteSubscriptionEntry:1 DeleteWebhook:1 FindWebhook:1 Get:1 SaveSubscription:1 "+
		"Subscription:1 SubscriptionEntry:2]")
	testkit.Want(t, "rows", len(h.list()), 0)
	h.settled("deleted")
	calls = h.counted(func() { left, err = h.Delete(t.Context(), at) })
	testkit.Want(t, "error again", err, nil)
	testkit.Want(t, "calls again", calls, "map[Binding:1 SubscriptionEntry:1]")
	_, err = h.Get(t.Context(), at)
	testkit.WantCode(t, "a look", err, problem.SubscriptionUnknown)
	_, err = h.Sync(t.Context(), at)
	testkit.WantCode(t, "a sync", err, problem.SubscriptionUnknown)
	h.mustPut()
	h.settled("made again")
}

// TestADeleteThatThePlatformRefusesEndsTheSubscription and names the webhook that remains. If the
// platform only doesn't answer, the run removes it later.
func TestADeleteThatThePlatformRefusesEndsTheSubscription(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.admins = nil })
	left, err := h.Delete(t.Context(), h.target("i-1", "1"))
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "left", left.WebhooksURL, "https://forge.example/acme/web/hooks")
	testkit.Want(t, "rows", len(h.list()), 0)

	h = newHarness(t)
	h.mustPut()
	h.forge.before = func(string) (error, error) { return nil, errDown }
	left, err = h.Delete(t.Context(), h.target("i-1", "1"))
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "left", left.Repository.Name, "acme/web")
	_, err = h.Get(t.Context(), h.target("i-1", "1"))
	testkit.WantCode(t, "a look", err, problem.SubscriptionUnknown)
	h.settled("later")
	testkit.Want(t, "rows", len(h.list()), 0)
}

// TestADeleteDuringACreationLeavesNoWebhook: the platform makes it after the delete has looked, and
// the process that has asked for it may be dead by then.
func TestADeleteDuringACreationLeavesNoWebhook(t *testing.T) {
	for _, dies := range []bool{false, true} {
		h := newHarness(t)
		deleted, dead := false, false
		h.forge.before = func(call string) (error, error) {
			if call == "CreateWebhook" && !deleted {
				deleted = true
				if _, err := h.Delete(context.Background(), h.target("i-1", "1")); err != nil {
					t.Error(err)
				}
				if dead = dies; dead {
					h.setHook(func(string) error { return errDead })
				}
			} else if dead {
				return nil, errDead
			}
			return nil, nil
		}
		_, _, err := h.put(all)
		testkit.Want(t, "the put fails", err != nil, true)
		testkit.Want(t, "webhooks left at once", len(h.forge.hooks()) == 1, dies)
		h.settled("later")
		testkit.Want(t, "rows", len(h.list()), 0)
	}
}

func TestAnUnbindWithoutSubscriptionsMakesThreeCalls(t *testing.T) {
	h := newHarness(t)
	calls := h.counted(func() { _, _ = h.unbind("i-1") })
	testkit.Want(t, "calls", calls, "map[Binding:1 SaveBinding:1 SubscriptionEntries:1]")
	calls = h.counted(func() { h.bind("i-2", "alice") })
	testkit.Want(t, "calls of a first bind", calls,
		"map[Binding:1 Put:1 SaveBinding:2 SaveIdentityEntry:1]")
	calls = h.counted(func() { h.bind("i-2", "bob") })
	testkit.Want(t, "calls of another bind", calls,
		"map[Binding:1 Put:1 SaveBinding:2 SaveIdentityEntry:1 SubscriptionEntries:1]")
}

// TestAnUnbindDeletesNothingOfASubscription: its function has no right to. It removes the webhook,
// which the run can't without the token.
func TestAnUnbindDeletesNothingOfASubscription(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	var out connect.UnbindResult
	var err error
	calls := h.counted(func() { out, err = h.unbind("i-1") })
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "remaining", len(out.Remaining), 0)
	testkit.Want(t, "calls", calls, "map[Binding:2 DeleteWebhook:1 FindWebhook:1 SaveBinding:1 "+
		"SaveSubscription:2 Subscription:1 SubscriptionEntries:1]")
	testkit.Want(t, "stage", h.row().Stage, binding.SubscriptionEnding)
	testkit.Want(t, "noted", h.row().WebhookGone, true)
	testkit.Want(t, "webhooks", len(h.forge.hooks()), 0)
	calls = h.counted(func() { testkit.Want(t, "ended", h.later(0).Ended, 1) })
	testkit.Want(t, "calls of the run", calls, "map[Binding:1 Delete:1 DeleteLog:1 "+
		"DeleteSubscription:1 DeleteSubscriptionEntry:1 DueSubscriptions:1 Get:1 Subscription:1 "+
		"SubscriptionEntry:1]")
	testkit.Want(t, "a webhook is left, says the log",
		strings.Contains(h.log.String(), "was left at its platform"), false)
	h.settled("ended")
}

// TestAnUnbindAgainNamesTheRemainingWebhooks that an unbind which has failed has not told of.
func TestAnUnbindAgainNamesTheRemainingWebhooks(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.admins = nil })
	h.setHook(func(call string) error {
		if call == "SaveBinding" {
			return errDown
		}
		return nil
	})
	_, err := h.unbind("i-1")
	testkit.Want(t, "the first fails", err != nil, true)
	h.setHook(nil)
	out, err := h.unbind("i-1")
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "remaining", len(out.Remaining), 1)
	testkit.Want(t, "ended", h.later(time.Minute).Ended, 1)
	testkit.Want(t, "rows", len(h.list()), 0)
}

// TestAnUnbindAsksASilentPlatformNoMore: with many subscriptions its time would not be enough.
func TestAnUnbindAsksASilentPlatformNoMore(t *testing.T) {
	h := newHarness(t)
	const repositories = 20
	for i := range repositories {
		id := fmt.Sprint(100 + i)
		h.forge.repositories[id] = newRepository("acme/"+id, "alice")
		if _, _, err := h.Put(t.Context(), subscription.PutRequest{
			Target: h.target("i-1", id), Kinds: all,
		}); err != nil {
			t.Fatal(err)
		}
	}
	var asked atomic.Int32
	h.forge.before = func(string) (error, error) { asked.Add(1); return nil, errDown }
	out, err := h.unbind("i-1")
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "asked at most as often as at once", asked.Load() <= 8, true)
	testkit.Want(t, "remaining", len(out.Remaining), repositories)
	for _, sub := range h.list() {
		testkit.Want(t, "stage", sub.Stage, binding.SubscriptionEnding)
	}
	testkit.Want(t, "ended", h.later(time.Minute).Ended, repositories)

	h = newHarness(t)
	h.mustPut()
	if _, err = h.unbind("i-1"); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "time of all calls", h.forge.left <= 12*time.Second, true)
}

// TestADeleteSaysWhatRemains if there are more webhooks with the subscription's address than it
// removes.
func TestADeleteSaysWhatRemains(t *testing.T) {
	for hooks, remains := range map[int]bool{6: false, 7: true} {
		h := newHarness(t)
		h.mustPut()
		h.forge.set("1", func(r *repository) {
			first := *r.hooks["1"]
			for i := 2; i <= hooks; i++ {
				another := first
				another.ID = fmt.Sprint(i)
				r.hooks[another.ID] = &another
			}
		})
		left, err := h.Delete(t.Context(), h.target("i-1", "1"))
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, fmt.Sprint(hooks, ", left"), left != nil, remains)
		testkit.Want(t, fmt.Sprint(hooks, ", webhooks"), len(h.forge.hooks()) > 0, remains)
		h.settled(fmt.Sprint(hooks, " webhooks"))
		testkit.Want(t, "rows", len(h.list()), 0)
	}
}

// TestADeleteDuringASyncOrAPutIsAnswered: neither says that the subscription works. The delete
// comes before each of their calls.
func TestADeleteDuringASyncOrAPutIsAnswered(t *testing.T) {
	for name, do := range map[string]func(*harness) error{
		"sync": func(h *harness) error {
			_, err := h.Sync(h.Context(), h.target("i-1", "1"))
			return err
		},
		"put": func(h *harness) error {
			_, _, err := h.put(all, "main")
			return err
		},
	} {
		for _, works := range []bool{true, false} {
			for moment := 1; ; moment++ {
				h := newHarness(t)
				h.mustPut()
				when := fmt.Sprint(name, ", works ", works, ", before call ", moment, ": ")
				calls, deleting, last := 0, false, ""
				hook := func(call string) error {
					if deleting {
						return nil
					}
					if calls++; calls == moment {
						last, deleting = call, true
						if _, err := h.Delete(h.Context(), h.target("i-1", "1")); err != nil {
							t.Error(when, err)
						}
						deleting = false
					}
					return nil
				}
				h.setHook(hook)
				h.forge.before = func(call string) (error, error) {
					if !works && call == "Refs" && !deleting {
						return nil, cmp.Or(hook(call), error(errDown))
					}
					return nil, hook(call)
				}
				err := do(h)
				h.setHook(nil)
				h.forge.before = nil
				if calls < moment {
					break
				}
				ok := problem.Is(err, problem.SubscriptionUnknown) ||
					problem.Is(err, problem.Conflict) ||
					name == "put" && !works && problem.Is(err, problem.PlatformUnreachable)
				again := name == "put" && err == nil && h.row().Stage == binding.SubscriptionActive
				if !ok && !again && last != "SaveSubscriptionHeads" {
					t.Errorf("%s (%s): %v", when, last, err)
				}
				h.settled(when)
			}
		}
	}
}

func TestASubscriptionIsMadeAgainWhileTheOldOneEnds(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	old := h.row().ID
	if _, err := h.unbind("i-1"); err != nil {
		t.Fatal(err)
	}
	h.bind("i-1", "alice")
	h.mustPut()
	testkit.Want(t, "another", h.row().ID != old, true)
	h.settled("made again")
}

// TestADeleteWhileAnotherSavesTheRow: it forwards an event, or ends the subscription too.
func TestADeleteWhileAnotherSavesTheRow(t *testing.T) {
	for what, other := range map[string]func(*harness){
		"forwards": func(h *harness) {
			h.edit(func(row *binding.Subscription) { row.Lease = h.clock.Now() })
		},
		"ends": func(h *harness) { h.later(0) },
	} {
		for _, before := range []string{"DeleteSubscription", "DeleteSubscriptionEntry"} {
			h := newHarness(t)
			h.mustPut()
			during := false
			h.setHook(func(call string) error {
				if call == before && !during {
					during = true
					other(h)
				}
				return nil
			})
			_, err := h.Delete(t.Context(), h.target("i-1", "1"))
			testkit.Want(t, what+" before "+before+", error", err, nil)
			testkit.Want(t, what+" before "+before+", rows", len(h.list()), 0)
			h.settled(what + " before " + before)
		}
	}
}

// gone is a catalogue without instances.
type gone struct{}

func (gone) List(context.Context, string) (instance.List, error) {
	return instance.List{}, nil
}

func (gone) Find(context.Context, string, string, string) (instance.Instance, error) {
	return instance.Instance{}, instance.ErrUnknown
}

func TestTheEndOfABindingByTheOperatorEndsItsSubscriptions(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	out, err := h.maintenance.RevokeAll(t.Context(), maintenance.RevokeAllRequest{
		Platform: forgeName, Act: true,
	})
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "withdrawn", out.Withdrawn, 1)
	testkit.Want(t, "webhooks", len(h.forge.hooks()), 0)
	testkit.Want(t, "ended", h.later(time.Minute).Ended, 1)
	testkit.Want(t, "rows after all were revoked", len(h.list()), 0)

	h = newHarness(t)
	h.mustPut()
	h.maintenance = maintenance.New(h.ledger, credential.New(h.ledger), gone{}, h.Service)
	for range 10 {
		h.clock.Advance(24 * time.Hour)
		if _, err := h.maintenance.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Want(t, "bound when the instance is gone", h.record("i-1").Bound(), false)
	testkit.Want(t, "ended", h.later(time.Minute).Ended, 1)
	testkit.Want(t, "rows", len(h.list()), 0)
	testkit.Want(t, "webhooks", len(h.forge.hooks()), 0)
}

// TestASubscriptionThatAnUnbindHasOverlookedEnds: it was made while the binding ended.
func TestASubscriptionThatAnUnbindHasOverlookedEnds(t *testing.T) {
	h := newHarness(t)
	unbound := false
	h.setHook(func(call string) error {
		if call == "SaveSubscriptionEntry" && !unbound {
			unbound = true
			if _, err := h.unbind("i-1"); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	h.mustPut()
	h.setHook(nil)
	testkit.Want(t, "ended", h.later(11*time.Minute).Ended, 1)
	testkit.Want(t, "rows", len(h.list()), 0)
}

func TestAListHasAllSubscriptionsOfTheBinding(t *testing.T) {
	h := newHarness(t)
	const repositories = 60
	for i := range repositories {
		id := fmt.Sprint(100 + i)
		h.forge.repositories[id] = newRepository("acme/"+id, "alice")
		if _, _, err := h.Put(t.Context(), subscription.PutRequest{
			Target: h.target("i-1", id), Kinds: []binding.SourceKind{binding.PushKind},
		}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for cursor := ""; ; {
		page, err := h.List(t.Context(), h.target("i-1", ""), cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Views {
			seen[v.Subscription.Repository.Name] = true
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	testkit.Want(t, "listed", len(seen), repositories)
}
