package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// TestARefusalToTellOfMergeRequestsIsShown to the user and the operator, once. Nothing else is
// left out for it.
func TestARefusalToTellOfMergeRequestsIsShown(t *testing.T) {
	h := newHarness(t)
	h.noMerges = problem.New(problem.WebhooksForbidden).Because("scope").With("missing", "merges")
	for i := range 3 {
		check(t, h.unsigned(merge(fmt.Sprint("d", i), "7", "opened")))
	}
	row := h.row()
	testkit.Want(t, "health", row.Health, binding.SubscriptionDegraded)
	testkit.WantProblem(t, "problem", row.Problem, problem.MergesForbidden, "scope")
	testkit.Want(t, "number", row.Refused.Number, "7")
	testkit.Want(t, "what is missing", row.Problem.Params["missing"], "merges")
	testkit.Want(t, "syncs for it", row.SyncAt.IsZero(), true)
	testkit.Want(t, "warnings", strings.Count(h.log.String(), "refuses to tell of merge"), 1)
	h.set("heads/main", "b")
	check(t, h.unsigned(push("d4", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=b")

	// When it tells of them again, a sync finds out.
	h.noMerges = nil
	h.merges["7"] = provider.Change{
		Ref: "refs/heads/main", Commit: "m",
		Merge: &provider.MergeRequest{Number: "7", Source: "s", Action: "updated"},
	}
	check(t, h.unsigned(merge("d5", "7", "updated")))
	want(t, "told then", h.receiver.told(), "heads/main=b heads/main=m")
	testkit.Want(t, "sync", h.row().SyncAt, h.Now())
}

// TestAMergeRequestWithoutRoomIsAskedForAgain: a sync makes up for refs only.
func TestAMergeRequestWithoutRoomIsAskedForAgain(t *testing.T) {
	h := newHarness(t)
	h.receiver.set(always(500))
	for i := range binding.MaxWaiting {
		check(t, h.signed(merge(fmt.Sprint("d", i), fmt.Sprint(i), "opened")))
	}
	full := h.signed(merge("more", "999", "opened"))
	testkit.WantCode(t, "the answer", full, problem.Overloaded)
	testkit.Want(t, "pause", problem.Of(full).RetryAfter, 30*time.Second)
	testkit.Want(t, "waiting", h.row().Waiting(), binding.MaxWaiting)
	check(t, h.signed(push("p", "main", "a", "b"))) // a sync tells of it
	testkit.Want(t, "sync", h.row().SyncAt, h.Now())
	for i := h.row().Waiting() + 2; i < 120; i++ {
		check(t, h.signed(push(fmt.Sprint("p", i), "main", "a", "b")))
	}
	testkit.WantCode(t, "above the cap", h.signed(merge("last", "999", "opened")), problem.Overloaded)
	check(t, h.signed(push("last", "main", "a", "b")))

	h.receiver.set(nil)
	h.Advance(time.Minute)
	h.forward()
	check(t, h.signed(merge("more", "999", "opened")))
	told := h.receiver.taken()
	testkit.Want(t, "the last one told", told[binding.MaxWaiting].Data.Merge.Number, "999")
}
