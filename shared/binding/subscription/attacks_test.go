package subscription_test

import (
	"net/http"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/subscription"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// deliver sends the delivery of a push of a commit to a subscription.
func (h *harness) deliver(id string, key secret.Text, commit string) error {
	return h.deliveries.Receive(h.Context(), delivery.ReceiveRequest{
		Platform: forgeName, ID: id, Header: http.Header{"Secret": {key.Reveal()}},
		Body: []byte(commit),
	})
}

// webhook returns the only webhook.
func (h *harness) webhook() *hook {
	h.Helper()
	for _, list := range h.forge.hooks() {
		return list[0]
	}
	h.Fatal("there is no webhook")
	return nil
}

func TestE12_DeliveriesAfterAnUnbindAreRefused(t *testing.T) {
	for name, admins := range map[string][]string{"removed": {"alice"}, "remaining": nil} {
		h := newHarness(t)
		h.mustPut()
		id, key := h.row().ID, h.webhook().secret
		testkit.Want(t, name+", before", h.deliver(id, key, "c2"), nil)
		h.forge.set("1", func(r *repository) { r.admins = admins })
		out, err := h.unbind("i-1")
		testkit.Want(t, name+", error", err, nil)
		testkit.Want(t, name+", named webhooks", len(out.Remaining), 1-len(admins))
		testkit.Want(t, name+", webhooks", len(h.forge.hooks()), 1-len(admins))
		testkit.WantCode(t, name+", after", h.deliver(id, key, "c3"), problem.SubscriptionUnknown)
		testkit.Want(t, name+", rows", len(h.list()), 0)
	}
}

// TestE12_ARebindHoldsDeliveriesUntilItsUserMayHaveThem and breaks the subscription in the open if
// it may not.
func TestE12_ARebindHoldsDeliveriesUntilItsUserMayHaveThem(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	id, key := h.row().ID, h.webhook().secret
	if err := h.rebind("bob"); err != nil {
		t.Fatal(err)
	}
	testkit.WantCode(t, "at once", h.deliver(id, key, "c2"), problem.SubscriptionUnknown)
	h.later(time.Minute)
	testkit.Want(t, "health", h.row().Health, binding.SubscriptionBroken)
	testkit.Want(t, "problem", h.row().Problem.Code, problem.WebhooksForbidden)
	testkit.WantCode(t, "broken", h.deliver(id, key, "c2"), problem.SubscriptionUnknown)

	h.forge.set("1", func(r *repository) { r.admins = []string{"bob"} })
	testkit.Want(t, "health of an administrator's", h.mustSync().Health, binding.SubscriptionGood)
	testkit.Want(t, "seen with", h.row().IdentityID, "bob")
	testkit.Want(t, "key", h.row().Repository.Key, h.target("i-1", "1").Repository)
	testkit.Want(t, "afterwards", h.deliver(id, key, "c2"), nil)

	if err := h.rebind("bob"); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "bound again to the same user", h.deliver(id, key, "c3"), nil)
	testkit.Want(t, "synced", h.later(time.Minute).Synced, 1)
}

// TestE13_TwoBindingsOfOneRepositoryAreApart, as two accounts are.
func TestE13_TwoBindingsOfOneRepositoryAreApart(t *testing.T) {
	h := newHarness(t)
	h.forge.set("1", func(r *repository) { r.admins = []string{"alice", "bob"} })
	h.bind("i-2", "bob")
	h.mustPut()
	first := h.row()
	key := h.webhook().secret
	if _, _, err := h.Put(t.Context(), subscription.PutRequest{
		Target: h.target("i-2", "1"), Kinds: all,
	}); err != nil {
		t.Fatal(err)
	}
	var second binding.Subscription
	for _, sub := range h.list() {
		if sub.ID != first.ID {
			second = sub
		}
	}
	testkit.Want(t, "webhooks", len(h.forge.hooks()), 2)
	testkit.WantCode(t, "the other's secret", h.deliver(second.ID, key, "c2"),
		problem.SubscriptionUnknown)
	testkit.Want(t, "its own", h.deliver(first.ID, key, "c2"), nil)
	for _, id := range []string{"i-1", "i-2"} {
		page, err := h.List(t.Context(), h.target(id, ""), "")
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "listed", len(page.Views), 1)
		testkit.Want(t, "of its binding", page.Views[0].Subscription.Binding, of(id))
	}
	if _, err := h.unbind("i-1"); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the other one is left", h.row().ID, second.ID)
	h.settled("apart")
}

// of returns the key of the binding of an instance, where a secret is called key.
func of(id string) binding.Key { return key(id) }

func TestE14_ARepositoryIsFollowedByItsIDAndNotByItsName(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.name = "other/site" }) // renamed and transferred
	h.forge.repositories["9"] = newRepository("acme/web", "alice")  // a stranger's
	sub := h.mustSync()
	testkit.Want(t, "name", sub.Repository.Name, "other/site")
	testkit.Want(t, "address", sub.Repository.URL, "https://forge.example/other/site.git")
	testkit.Want(t, "webhooks of the stranger's", len(h.forge.repositories["9"].hooks), 0)
	h.settled("renamed")

	delete(h.forge.repositories, "1")
	testkit.Want(t, "health without it", h.mustSync().Health, binding.SubscriptionBroken)
	testkit.Want(t, "problem", h.row().Problem.Code, problem.RepositoryUnknown)
	testkit.Want(t, "webhooks of the stranger's", len(h.forge.repositories["9"].hooks), 0)
}

// TestE16_ARefThatComesBackIsToldEachTime: a forced push back, and a deleted ref that is made again.
func TestE16_ARefThatComesBackIsToldEachTime(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	for _, commit := range []string{"c2", "c1", "c2", "", "c2", "", "c2"} {
		h.forge.set("1", func(r *repository) {
			if r.refs["heads/main"] = commit; commit == "" {
				delete(r.refs, "heads/main")
			}
		})
		h.mustSync()
	}
	testkit.Want(t, "events", h.events(), "heads/main c1>c2 caught up, heads/main c2>c1 caught up, "+
		"heads/main c1>c2 caught up, heads/main c2> caught up, heads/main >c2 caught up, "+
		"heads/main c2> caught up, heads/main >c2 caught up")
}

func TestE17_KeysAndCursorsOfAnotherBindingAreUnknown(t *testing.T) {
	h := newHarness(t)
	h.bind("i-2", "bob")
	h.mustPut()
	at := h.target("i-1", "1")
	at.Repository = h.target("i-2", "1").Repository
	for name, do := range map[string]func() error{
		"put": func() error {
			_, _, err := h.Put(t.Context(), subscription.PutRequest{Target: at, Kinds: all})
			return err
		},
		"get":    func() error { _, err := h.Get(t.Context(), at); return err },
		"sync":   func() error { _, err := h.Sync(t.Context(), at); return err },
		"delete": func() error { _, err := h.Delete(t.Context(), at); return err },
	} {
		testkit.WantCode(t, name, do(), problem.RepositoryUnknown)
	}
	rec := h.record("i-2")
	for _, cursor := range []string{
		"1", binding.RepositoryCursor(rec, "1", "subscriptions"),
		binding.RepositoryCursor(h.record("i-1"), "1", "repositories", ""),
	} {
		_, err := h.List(t.Context(), at, cursor)
		testkit.WantProblem(t, "cursor", err, problem.InputMalformed, "cursor")
	}
	testkit.Want(t, "rows", len(h.list()), 1)
}
