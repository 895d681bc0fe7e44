package subscription_test

import (
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// TestASyncFindsOutWhetherMergeRequestsMayBeRead where deliveries are confirmed by that. Without it
// the subscription is degraded, until a sync may read them or it asks for none.
func TestASyncFindsOutWhetherMergeRequestsMayBeRead(t *testing.T) {
	for name, mend := range map[string]func(h *harness){
		"read":     func(h *harness) { h.forge.noMerges = nil },
		"no merge": func(h *harness) { _, _, _ = h.put([]binding.SourceKind{binding.PushKind}) },
	} {
		h := newHarness(t)
		h.forge.unsigned = true
		h.forge.noMerges = problem.New(problem.WebhooksForbidden).Because("scope")
		v := h.mustPut().Subscription
		testkit.Want(t, name+": health", v.Health, binding.SubscriptionDegraded)
		testkit.WantProblem(t, name, v.Problem, problem.MergesForbidden, "scope")
		testkit.Want(t, name+": syncs that find nothing new", h.later(11*time.Minute).Synced, 1)
		testkit.Want(t, name+": syncs after that", h.later(11*time.Minute).Synced, 0)
		testkit.Want(t, name+": health", h.row().Health, binding.SubscriptionDegraded)
		if mend(h); name == "read" {
			h.forge.before = func(call string) (error, error) {
				if call == "MergeRequest" {
					return nil, errDown
				}
				return nil, nil
			}
			testkit.Want(t, "without an answer", h.mustSync().Health, binding.SubscriptionDegraded)
			h.forge.before = nil
		}
		sub := h.mustSync()
		testkit.Want(t, name+": health then", sub.Health, binding.SubscriptionGood)
		testkit.Want(t, name+": problem then", sub.Problem, nil)
	}
}
