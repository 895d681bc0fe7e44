package subscription_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/subscription"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/testkit"
	"bindery/shared/vault"
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
		h.later(time.Minute)
		testkit.WantCode(t, name+", ended", h.deliver(id, key, "c3"), problem.SubscriptionUnknown)
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
	testkit.WantEqual(t, "the token that the row names", h.row().Asked, binding.AskedToken{})
	testkit.WantCode(t, "at once", h.deliver(id, key, "c2"), problem.SubscriptionUnknown)
	h.wantHeld("at once")
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

// wantHeld expects that a user sees what the only subscription waits for.
func (h *harness) wantHeld(when string) {
	h.Helper()
	one, err := h.Get(h.Context(), h.target("i-1", "1"))
	testkit.Want(h, when+", error", err, nil)
	page, err := h.List(h.Context(), h.target("i-1", ""), "")
	testkit.Want(h, when+", error of the list", err, nil)
	for _, v := range append(page.Views, one) {
		testkit.Want(h, when+", health", v.Subscription.Health, binding.SubscriptionDegraded)
		p := v.Subscription.Problem
		testkit.Want(h, when+", says so", p != nil && p.Code == problem.SubscriptionHeld, true)
	}
}

// TestE12_ARebindDuringASyncOrACreationHoldsDeliveries, which the old user's token has begun.
func TestE12_ARebindDuringASyncOrACreationHoldsDeliveries(t *testing.T) {
	for name, before := range map[string]func(*harness){
		"a sync": func(h *harness) { h.mustPut() }, "a creation": func(*harness) {},
	} {
		h := newHarness(t)
		before(h)
		bound := false
		h.forge.before = func(call string) (error, error) {
			if call == "Refs" && !bound || call == "CreateWebhook" && !bound {
				bound = true
				if err := h.rebind("bob"); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		}
		if name == "a sync" {
			h.mustSync()
		} else {
			h.mustPut()
		}
		id, key := h.row().ID, h.webhook().secret
		testkit.WantCode(t, "after "+name, h.deliver(id, key, "c2"), problem.SubscriptionUnknown)
		h.wantHeld("after " + name)
		h.later(2 * time.Minute)
		testkit.Want(t, "health after "+name, h.row().Health, binding.SubscriptionBroken)
		testkit.WantCode(t, "later", h.deliver(id, key, "c2"), problem.SubscriptionUnknown)
	}
}

// TestE13_TwoBindingsOfOneRepositoryAreApart: they are of two instances of an account, or of two
// accounts, bound to one user or to two.
func TestE13_TwoBindingsOfOneRepositoryAreApart(t *testing.T) {
	other := user
	other.Subject, other.Account = "u-2", "acct-2"
	for _, c := range []struct {
		by           binding.User
		id, identity string
	}{
		{user, "i-2", "alice"}, {user, "i-2", "bob"}, {other, "i-1", "alice"}, {other, "i-1", "bob"},
	} {
		what := c.by.Account + " " + c.id + " " + c.identity
		h := newHarness(t)
		h.forge.set("1", func(r *repository) { r.admins = []string{"alice", "bob"} })
		h.mustPut()
		first, mine := h.row(), h.target("i-1", "1")
		key := h.webhook().secret
		h.bindAs(c.by, c.id, c.identity)
		theirs := h.targetAs(c.by, c.id, "1")
		testkit.Want(t, what+", same key", theirs.Repository == mine.Repository, false)
		if _, created, err := h.Put(t.Context(), subscription.PutRequest{
			Target: theirs, Kinds: all,
		}); err != nil || !created {
			t.Fatal(what, created, err)
		}
		second := h.only(func(sub binding.Subscription) bool { return sub.ID != first.ID })
		testkit.Want(t, what+", of its account", second.Binding.Account, c.by.Account)
		testkit.Want(t, what+", one secret", first.Secret == second.Secret, false)
		testkit.Want(t, what+", webhooks", len(h.forge.hooks()), 2)
		testkit.WantCode(t, what+", the other's secret", h.deliver(second.ID, key, "c2"),
			problem.SubscriptionUnknown)
		testkit.Want(t, what+", its own", h.deliver(first.ID, key, "c2"), nil)
		for id, at := range map[string]subscription.Target{first.ID: mine, second.ID: theirs} {
			page, err := h.List(t.Context(), at, "")
			testkit.Want(t, what+", error", err, nil)
			testkit.Want(t, what+", listed", len(page.Views), 1)
			testkit.Want(t, what+", its own is listed", page.Views[0].Subscription.ID, id)
		}
		at := theirs
		at.Repository = mine.Repository
		_, err := h.Get(t.Context(), at)
		testkit.WantCode(t, what+", the other's key", err, problem.RepositoryUnknown)
		if _, err := h.unbind("i-1"); err != nil {
			t.Fatal(err)
		}
		h.later(time.Minute)
		testkit.Want(t, what+", the other one is left", h.row().ID, second.ID)
		testkit.Want(t, what+", with its webhook", len(h.forge.hooks()), 1)
		sub, err := h.Sync(t.Context(), theirs)
		testkit.Want(t, what+", error of its sync", err, nil)
		testkit.Want(t, what+", it works", sub.Subscription.Health != binding.SubscriptionBroken, true)
	}
}

// only returns the only row that is meant.
func (h *harness) only(is func(binding.Subscription) bool) (found binding.Subscription) {
	h.Helper()
	rows := slices.DeleteFunc(h.list(), func(sub binding.Subscription) bool { return !is(sub) })
	if len(rows) != 1 {
		h.Fatalf("got %d rows, want 1", len(rows))
	}
	return rows[0]
}

// TestE5_AnEndDeletesNoSecretOfAnother: a forged row names the token of its binding, or the secret
// of another subscription.
func TestE5_AnEndDeletesNoSecretOfAnother(t *testing.T) {
	for what, name := range map[string]func(*harness) vault.SecretName{
		"a token": func(h *harness) vault.SecretName { return h.record("i-2").Token.Secret },
		"the secret of another": func(h *harness) vault.SecretName {
			if _, _, err := h.Put(t.Context(), subscription.PutRequest{
				Target: h.target("i-2", "2"), Kinds: all,
			}); err != nil {
				t.Fatal(err)
			}
			return h.only(func(s binding.Subscription) bool { return s.Binding == key("i-2") }).Secret
		},
	} {
		h := newHarness(t)
		h.bind("i-2", "alice")
		h.mustPut()
		forged, others := h.row(), name(h)
		forged.Secret = others
		if _, err := h.rows.SaveSubscription(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		_, err := h.Delete(t.Context(), h.target("i-1", "1"))
		testkit.Want(t, what+", error", err, nil)
		_, err = h.rows.Subscription(t.Context(), forged.ID)
		testkit.Want(t, what+", row is gone", errors.Is(err, table.ErrNotFound), true)
		_, err = h.secrets.Get(t.Context(), others, 1)
		testkit.Want(t, what+", the vault has it", err, nil)
		testkit.Want(t, what+", alarm", strings.Contains(h.log.String(), "alarm=token_mismatch"), true)
	}
}

func TestE14_ARepositoryIsFollowedByItsIDAndNotByItsName(t *testing.T) {
	for id, renamed := range map[string]string{"1": "1", "1/acme/web": "1/other/site"} {
		h := newHarness(t)
		put := func(id string) (subscription.View, bool, error) {
			return h.Put(t.Context(), subscription.PutRequest{Target: h.target("i-1", id), Kinds: all})
		}
		sync := func(id string) binding.Subscription {
			v, err := h.Sync(t.Context(), h.target("i-1", id))
			testkit.Want(t, id+", error of a sync", err, nil)
			return v.Subscription
		}
		h.forge.set("1", func(r *repository) { r.pathInID = id != "1" })
		_, _, err := put(id)
		testkit.Want(t, id+", error", err, nil)
		h.forge.set("1", func(r *repository) { r.name = "other/site" }) // renamed and transferred
		stranger := newRepository("acme/web", "alice")
		stranger.pathInID = id != "1"
		h.forge.repositories["9"] = stranger
		sub := sync(id)
		testkit.Want(t, id+", name", sub.Repository.Name, "other/site")
		testkit.Want(t, id+", address", sub.Repository.URL, "https://forge.example/other/site.git")
		testkit.Want(t, id+", id", sub.Repository.ID, renamed)
		testkit.Want(t, id+", webhooks of the stranger's", len(stranger.hooks), 0)
		h.settled(id + " renamed")

		theirs := strings.Replace(id, "1", "9", 1)
		_, created, err := put(theirs)
		testkit.Want(t, id+", error of the stranger's", err, nil)
		testkit.Want(t, id+", the stranger's is another", created, true)
		_, err = h.Delete(t.Context(), h.target("i-1", theirs))
		testkit.Want(t, id+", error of the stranger's end", err, nil)
		h.settled(id + " without the stranger's")

		delete(h.forge.repositories, "1")
		testkit.Want(t, id+", health without it", sync(renamed).Health, binding.SubscriptionBroken)
		testkit.Want(t, id+", problem", h.row().Problem.Code, problem.RepositoryUnknown)
		testkit.Want(t, id+", webhooks of the stranger's", len(stranger.hooks), 0)
	}
}

// TestARenameMakesNoSecondSubscription, where the platform's id of a repository has its path: the
// old key and the new one mean the same subscription.
func TestARenameMakesNoSecondSubscription(t *testing.T) {
	for _, synced := range []bool{false, true} {
		for _, last := range []string{"1/acme/web", "1/other/site"} {
			when := fmt.Sprint("synced ", synced, ", ended as ", last)
			h := newHarness(t)
			h.forge.set("1", func(r *repository) { r.pathInID = true })
			put := func(id string) (subscription.View, bool) {
				v, created, err := h.Put(t.Context(), subscription.PutRequest{
					Target: h.target("i-1", id), Kinds: all,
				})
				testkit.Want(t, when+", error", err, nil)
				return v, created
			}
			put("1/acme/web")
			h.forge.set("1", func(r *repository) { r.name = "other/site" })
			if synced {
				h.later(25 * time.Hour)
			}
			v, created := put("1/other/site")
			testkit.Want(t, when+", a second", created, false)
			testkit.Want(t, when+", key", v.Subscription.Repository.Key,
				h.target("i-1", "1/other/site").Repository)
			testkit.Want(t, when+", name", v.Subscription.Repository.Name, "other/site")
			_, created = put("1/acme/web")
			testkit.Want(t, when+", a second by the old key", created, false)
			testkit.Want(t, when+", rows", len(h.list()), 1)
			testkit.Want(t, when+", webhooks", len(h.forge.hooks()), 1)
			left, err := h.Delete(t.Context(), h.target("i-1", last))
			testkit.Want(t, when+", error of the end", err, nil)
			testkit.Want(t, when+", webhook left", left, nil)
			testkit.Want(t, when+", rows in the end", len(h.list()), 0)
			h.settled(when)
		}
	}
}

// TestE16_ARefThatComesBackIsToldEachTime: a forced push back, and a deleted ref that is made
// again.
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
