package subscription_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/subscription"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestASubscriptionHasOneWebhookAndOneSecret(t *testing.T) {
	h := newHarness(t)
	var v subscription.View
	var created bool
	calls := h.counted(func() { v, created, _ = h.put(all, "main", "release/*") })
	testkit.Want(t, "created", created, true)
	testkit.Want(t, "health", v.Subscription.Health, binding.SubscriptionGood)
	testkit.Want(t, "page", v.WebhooksURL, "https://forge.example/acme/web/hooks")
	testkit.Want(t, "key", v.Subscription.Repository.Key, h.target("i-1", "1").Repository)
	testkit.Want(t, "calls", calls, "map[Binding:1 CreateWebhook:1 Get:1 Put:1 Refs:2 Repository:1 "+
		"SaveSubscription:3 SaveSubscriptionEntry:1 SaveSubscriptionHeads:1 SubscriptionEntry:1 "+
		"SubscriptionHeads:1]")
	h.settled("made")
	testkit.Want(t, "events", h.events(), "")

	calls = h.counted(func() { v, created, _ = h.put(all, "main", "release/*") })
	testkit.Want(t, "created again", created, false)
	testkit.Want(t, "calls again", calls, "map[Binding:1 Subscription:1 SubscriptionEntry:1]")
	h.settled("again")
}

func TestTwoPutsAtOnceMakeOne(t *testing.T) {
	h := newHarness(t)
	in := subscription.PutRequest{Target: h.target("i-1", "1"), Kinds: all}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, _, err := h.Put(context.Background(), in); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	testkit.Want(t, "rows", len(h.list()), 1)
	testkit.Want(t, "webhooks made", h.forge.calls["CreateWebhook"], 1)
	h.settled("at once")
}

// TestAPutDuringAnotherMakesNoSecondWebhook: the first is asking the platform for it.
func TestAPutDuringAnotherMakesNoSecondWebhook(t *testing.T) {
	h := newHarness(t)
	during := false
	h.forge.before = func(call string) (error, error) {
		if call == "CreateWebhook" && !during {
			during = true
			_, _, err := h.put(all)
			testkit.WantCode(t, "the second", err, problem.Conflict)
			testkit.Want(t, "says when to try again", problem.Of(err).RetryAfter > 0, true)
			_, err = h.Sync(t.Context(), h.target("i-1", "1"))
			testkit.WantCode(t, "a sync", err, problem.Conflict)
		}
		return nil, nil
	}
	testkit.Want(t, "error of the first", put(h), nil)
	testkit.Want(t, "webhooks made", h.forge.calls["CreateWebhook"], 1)
	h.settled("made")
}

func TestAChangeRepairsTheWebhookAndForwardsNothing(t *testing.T) {
	h := newHarness(t)
	h.forge.set("1", func(r *repository) {
		r.refs["heads/dev"], r.refs["tags/v1"] = "d1", "e1"
	})
	if _, _, err := h.put([]binding.SourceKind{binding.PushKind}, "main"); err != nil {
		t.Fatal(err)
	}
	v := h.mustPut()
	testkit.Want(t, "health", v.Subscription.Health, binding.SubscriptionGood)
	testkit.Want(t, "repairs", h.forge.calls["RepairWebhook"], 1)
	testkit.Want(t, "events", h.events(), "")
	h.forge.set("1", func(r *repository) { r.refs["heads/dev"], r.refs["tags/v1"] = "d2", "e2" })
	h.mustSync()
	testkit.Want(t, "events of a change", h.events(),
		"heads/dev d1>d2 caught up, tags/v1 e1>e2 caught up")
	h.settled("changed")
}

func TestAPutIsRefused(t *testing.T) {
	h := newHarness(t)
	push := []binding.SourceKind{binding.PushKind}
	long := strings.Repeat("a", subscription.MaxPattern+1)
	for _, c := range []struct {
		kinds         []binding.SourceKind
		branches      []string
		field, reason string
	}{
		{nil, nil, "events", "required"},
		{[]binding.SourceKind{}, nil, "events", "empty"},
		{[]binding.SourceKind{"push", "push"}, nil, "events", "doubled"},
		{[]binding.SourceKind{"PUSH"}, nil, "events", "value"},
		{push, []string{"refs/heads/main"}, "branches", "ref"},
		{push, []string{"refs/heads/*"}, "branches", "ref"},
		{push, []string{"heads/main"}, "branches", "ref"},
		{push, []string{"tags/v1"}, "branches", "ref"},
		{push, []string{"@"}, "branches", "branch"},
		{push, []string{"HEAD"}, "branches", "branch"},
		{push, []string{"-x"}, "branches", "branch"},
		{push, []string{"a", "a"}, "branches", "doubled"},
		{push, []string{long}, "branches", "pattern_too_long"},
		{push, strings.Split(long[:2*subscription.MaxPatterns+2], "")[:21], "branches", "too_many"},
		{push, []string{""}, "branches", "branch"},
		{push, []string{"a b"}, "branches", "branch"},
		{push, []string{"a\n"}, "branches", "branch"},
		{push, []string{"a\xff"}, "branches", "branch"},
		{push, []string{"../a"}, "branches", "branch"},
		{push, []string{"/main"}, "branches", "branch"},
		{push, []string{"main/"}, "branches", "branch"},
		{push, []string{"a//*"}, "branches", "branch"},
		{push, []string{"main@{1}"}, "branches", "branch"},
		{push, []string{"main."}, "branches", "branch"},
		{push, []string{"*.lock"}, "branches", "branch"},
		{push, []string{"a/.*"}, "branches", "branch"},
		{push, []string{"main", "[ab]"}, "branches", "branch"},
	} {
		_, _, err := h.put(c.kinds, c.branches...)
		testkit.WantProblem(t, c.field, err, problem.InputMalformed, c.reason)
		testkit.Want(t, "field", problem.Of(err).Params["field"], c.field)
		if c.reason == "value" {
			testkit.Want(t, "allowed", problem.Of(err).Params["allowed"], "push, tag, merge")
		}
	}
	testkit.Want(t, "calls to the platform", len(h.forge.calls), 0)
	h.ledger.Webhook = nil
	_, _, err := h.put(push, "main", "*", "**", "a/**/b", "*.x", "a@b", "功能/*")
	testkit.WantCode(t, "without a receiver", err, problem.ReceiverMissing)
}

// TestARefusalOfThePlatformLeavesNothing at once: neither a row nor an entry.
func TestARefusalOfThePlatformLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		code  problem.Code
		cause func(*repository)
	}{
		{problem.RepositoryArchived, func(r *repository) { r.archived = true }},
		{problem.WebhooksFull, func(r *repository) { r.full = true }},
		{problem.WebhooksForbidden, func(r *repository) { r.admins = nil }},
	} {
		h := newHarness(t)
		h.forge.set("1", c.cause)
		_, _, err := h.put(all)
		testkit.WantCode(t, "refusal", err, c.code)
		testkit.Want(t, "rows", len(h.list()), 0)
		page, err := h.List(t.Context(), h.target("i-1", ""), "")
		testkit.Want(t, "error of a list", err, nil)
		testkit.Want(t, "listed", len(page.Views), 0)
		entries, err := h.rows.SubscriptionEntries(t.Context(), key("i-1"), "", ledger.PageSize)
		testkit.Want(t, "entries", len(entries.Items), 0)
		testkit.Want(t, "error of the entries", err, nil)
		h.settled(string(c.code))
	}
}

func TestAnUnclearCreationIsFinishedByTheRun(t *testing.T) {
	h := newHarness(t)
	h.forge.before = func(call string) (error, error) {
		if call == "CreateWebhook" {
			return errDown, nil
		}
		return nil, nil
	}
	_, _, err := h.put(all)
	testkit.WantCode(t, "the reply was lost", err, problem.PlatformUnreachable)
	v, err := h.Get(t.Context(), h.target("i-1", "1"))
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "health", v.Subscription.Health, binding.SubscriptionDegraded)
	h.settled("in the end")
	testkit.Want(t, "health in the end", h.row().Health, binding.SubscriptionGood)
}

// TestAPutWhileTheOldOneEndsSaysWhenToTryAgain: the platform doesn't answer, and no request is
// making the webhook.
func TestAPutWhileTheOldOneEndsSaysWhenToTryAgain(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.before = func(string) (error, error) { return nil, errDown }
	if _, err := h.Delete(t.Context(), h.target("i-1", "1")); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.put(all)
	testkit.WantCode(t, "while it ends", err, problem.Conflict)
	testkit.Want(t, "again after", problem.Of(err).RetryAfter, time.Minute)
}

// TestAChangeThatThePlatformDoesNotAnswerIsDegraded: the webhook may not have it yet.
func TestAChangeThatThePlatformDoesNotAnswerIsDegraded(t *testing.T) {
	h := newHarness(t)
	if _, _, err := h.put([]binding.SourceKind{binding.PushKind}, "main"); err != nil {
		t.Fatal(err)
	}
	h.forge.before = func(call string) (error, error) {
		if call == "RepairWebhook" {
			return nil, errDown
		}
		return nil, nil
	}
	v := h.mustPut()
	testkit.Want(t, "health", v.Subscription.Health, binding.SubscriptionDegraded)
	testkit.Want(t, "problem", v.Subscription.Problem.Code, problem.PlatformUnreachable)
	h.settled("changed")
	testkit.Want(t, "health in the end", h.row().Health, binding.SubscriptionGood)
}

// A put has read the entry when a delete removes it and the row, before each call of the put.
func TestAPutAfterADeleteMakesNoRowThatNoEntryNames(t *testing.T) {
	for moment := 1; ; moment++ {
		h := newHarness(t)
		h.bind("i-1", "alice")
		h.mustPut()
		calls := 0
		h.setHook(func(string) error {
			if calls++; calls == moment {
				h.setHook(nil)
				if _, err := h.Delete(h.Context(), h.target("i-1", "1")); err != nil {
					t.Errorf("before call %d: the delete: %v", moment, err)
				}
			}
			return nil
		})
		_, _, err := h.put(all)
		if err != nil && !problem.Is(err, problem.Conflict) {
			t.Errorf("before call %d: %v", moment, err)
		}
		if calls < moment {
			return
		}
		h.settled(fmt.Sprint("before call ", moment))
		if _, err := h.unbind("i-1"); err != nil {
			t.Errorf("before call %d: the unbind: %v", moment, err)
		}
		h.settled(fmt.Sprint("before call ", moment, ", unbound"))
		testkit.Want(t, fmt.Sprint("before call ", moment, ": webhooks"), len(h.forge.hooks()), 0)
	}
}
