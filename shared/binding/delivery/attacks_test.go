package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

var secretOther = secret.New("another-webhook-secret-EXAMPLE-0123456789abc")

// failing is a table that reads no subscription.
type failing struct {
	ledger.Table
	err error
}

func (f failing) Subscription(context.Context, string) (s binding.Subscription, err error) {
	return s, f.err
}

func TestE1_WhatIsNotAuthenticStoresNothing(t *testing.T) {
	h := newHarness(t)
	d := push("d1", "main", "a", "b")
	header, body := signed(hookSecret, d)
	for name, err := range map[string]error{
		"no signature":       h.receive(nil, body),
		"another's":          h.receive(signed(secretOther, d)),
		"of another body":    h.receive(header, append([]byte(" "), body...)),
		"another's, its own": h.receive(unsigned(secretOther, d)),
	} {
		testkit.WantProblem(t, name, err, problem.SubscriptionUnknown, "")
	}
	want(t, "row", h.states(), "")
	testkit.Want(t, "events", len(h.receiver.taken()), 0)
	if strings.Contains(h.calls.list(), "Save") {
		t.Errorf("calls: %s", h.calls.list())
	}
}

func TestE2_ARepeatedDeliveryIsOneEvent(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "b")
	for range 3 {
		check(t, h.signed(push("d1", "main", "a", "b")))
		check(t, h.unsigned(push("d2", "main", "a", "b")))
		check(t, h.signed(merge("d3", "7", "merged")))
	}
	h.serve() // and in another process
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=m7")

	// After more events than the row knows by their ids, the ref's head tells.
	for i := range binding.MaxSeen + 1 {
		h.Advance(time.Minute)
		check(t, h.signed(push(fmt.Sprint("n", i), fmt.Sprint(i%3), fmt.Sprint(i-3), fmt.Sprint(i))))
	}
	before := len(h.receiver.taken())
	check(t, h.signed(push("d1", "main", "a", "b")))
	testkit.Want(t, "events after the old delivery", len(h.receiver.taken()), before)
}

func TestE3_AnotherBodyUnderTheHeadersIsToldAsThePlatformSays(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "b")
	h.merges["7"] = provider.Change{
		Ref: "refs/heads/main", Commit: "m",
		Merge: &provider.MergeRequest{Number: "7", Title: "true", Source: "s", Action: "merged"},
	}
	header, _ := unsigned(hookSecret, provider.Delivery{})
	for i, d := range []provider.Delivery{
		push("f1", "main", "evil", "evil"), push("f2", "main", "evil", "evil2"),
		push("f3", "main", "b", ""), push("f4", "evil", "", "evil"), push("f5", "evil", "x", ""),
		merge("f6", "7", "merged"), merge("f7", "7", "merged"), merge("f8", "7", "opened"),
		merge("f9", "8", "merged"),
	} {
		d.Confirmed = true // it says so itself
		d.Changes[0].Pusher, d.Changes[0].CompareURL = "evil", "https://evil.example"
		_, body := unsigned(secretOther, d)
		check(t, h.receive(header, body))
		if strings.Contains(fmt.Sprintf("%+v", h.receiver.taken()), "evil") {
			t.Fatalf("after delivery %d the receiver got %+v", i+1, h.receiver.taken())
		}
	}
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=m")
	for _, e := range h.row().Events {
		if e.Pusher+e.CompareURL+e.Before != "" || strings.Contains(e.Commit, "evil") {
			t.Errorf("the row has %+v", e)
		}
	}
	for _, e := range h.row().Events {
		if e.State == binding.EventIgnored {
			_, err := h.service.Replay(t.Context(), h.row(), e.Number)
			testkit.WantProblem(t, "a replay", err, problem.DeliveryIgnored, e.Reason)
		}
	}
}

// TestE3_AForgedStateOfAMergeRequestIsToldOnce however many deliveries say what is true. A request
// that is closed and opened again is told of each time.
func TestE3_AForgedStateOfAMergeRequestIsToldOnce(t *testing.T) {
	h := newHarness(t)
	var told []string
	for i, step := range []struct{ state, told string }{
		{"updated", "opened"},
		{"updated", "opened"},
		{"updated", "updated"},
		{"updated", "opened"},
		{"closed", "closed"},
		{"closed", "closed"},
		{"closed", "opened"},
		{"closed", "merged"},
		{"updated", "opened"},
		{"updated", "opened"},
		{"updated", "closed"},
		{"closed", "closed"},
		{"closed", "closed"},
		{"merged", "merged"},
		{"merged", "merged"},
		{"merged", "closed"},
	} {
		h.merges["7"] = provider.Change{
			Ref: "refs/heads/main", Commit: "m",
			Merge: &provider.MergeRequest{Number: "7", Source: "s", Action: step.state},
		}
		check(t, h.unsigned(merge(fmt.Sprint("f", i), "7", step.told)))
	}
	ids := map[string]bool{}
	for _, e := range h.receiver.taken() {
		told = append(told, e.Type)
		ids[e.ID] = true
	}
	want(t, "told", strings.Join(told, " "), "source.opened source.updated source.closed "+
		"source.opened source.closed source.merged")
	testkit.Want(t, "ids", len(ids), len(told))
}

// TestE3_WhatTheSubscriptionBeganWithIsNotToldByAForgedDelivery: the holder of the secret says of
// each ref that it has changed.
func TestE3_WhatTheSubscriptionBeganWithIsNotToldByAForgedDelivery(t *testing.T) {
	h := newHarness(t)
	first := strings.Repeat("0a", 20)
	h.synced("main", first)
	h.set("heads/main", first)
	for i := range 3 {
		check(t, h.unsigned(push(fmt.Sprint("f", i), "main", "x", "y")))
	}
	testkit.Want(t, "events", len(h.receiver.taken())+len(h.row().Events), 0)
	h.set("heads/main", "b")
	check(t, h.unsigned(push("d1", "main", "x", "b")))
	want(t, "told", h.receiver.told(), "heads/main=b")
	want(t, "before", h.receiver.taken()[0].Data.Before, first)
	h.set("heads/main", first) // pushed back
	check(t, h.unsigned(push("d2", "main", "b", first)))
	testkit.Want(t, "told in the end", len(h.receiver.taken()), 2)
}

func TestE5_ADeliveryForAnotherIsRefused(t *testing.T) {
	h := newHarness(t)
	other := h.subscribe(strings.Repeat("b", 32), secretOther, "78")
	h.edit(func(s *binding.Subscription) { s.Binding.Platform = "other" })
	err := h.signed(push("d1", "main", "a", "b"))
	testkit.WantProblem(t, "another platform", err, problem.SubscriptionUnknown, "")
	h.edit(func(s *binding.Subscription) { s.Binding.Platform = forgeName })

	d := push("d1", "main", "a", "b")
	for name, id := range map[string]string{"another repository": "78", "no repository": ""} {
		d.RepositoryID = id
		testkit.WantProblem(t, name, h.signed(d), problem.SubscriptionUnknown, "")
		testkit.WantProblem(t, name, h.unsigned(d), problem.SubscriptionUnknown, "")
	}
	d.RepositoryID = "78"
	header, body := signed(hookSecret, d)
	err = h.service.Receive(t.Context(), delivery.ReceiveRequest{
		Platform: forgeName, ID: other.ID, Header: header, Body: body,
	})
	testkit.WantProblem(t, "another subscription", err, problem.SubscriptionUnknown, "")
	err = h.service.Receive(t.Context(), delivery.ReceiveRequest{
		Platform: "nowhere", ID: hookID, Header: header, Body: body,
	})
	testkit.WantProblem(t, "no platform", err, problem.SubscriptionUnknown, "")
	testkit.Want(t, "events", len(h.receiver.taken())+len(h.row().Events), 0)
}

func TestE8_AnUnknownIDIsVerifiedLikeAKnownOne(t *testing.T) {
	h := newHarness(t)
	d := push("d1", "main", "a", "b")
	header, body := signed(secretOther, d)
	answer := func(id string) string {
		h.verified = nil
		err := h.service.Receive(t.Context(), delivery.ReceiveRequest{
			Platform: forgeName, ID: id, Header: header, Body: body,
		})
		testkit.Want(t, "verifications of "+id, len(h.verified), 1)
		if len(h.verified[0].Reveal()) < 32 {
			t.Error("an unknown id is verified with a short secret")
		}
		p := problem.Of(err)
		return fmt.Sprint(p.Status(), p.DetailsIn(problem.English), p.RetryAfter)
	}
	known := answer(hookID)
	for _, id := range []string{"", strings.Repeat("0", 32), hookID + "0", "../" + hookID} {
		want(t, "the answer to "+id, answer(id), known)
	}
	// The empty secret would let anyone in, if an unknown id had it.
	header, body = signed(secret.New(""), d)
	want(t, "signed with nothing", answer(strings.Repeat("0", 32)), known)
}

func TestE9_TheWebhooksSecretIsInNoLogRowOrEvent(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "b")
	check(t, h.unsigned(push("d1", "main", "a", "b")))
	_ = h.receive(unsigned(secretOther, push("d2", "main", "a", "b")))
	h.down = problem.New(problem.PlatformError)
	_ = h.unsigned(push("d3", "main", "a", "c"))
	all := h.log.String() + fmt.Sprintf("%+v %+v", h.row(), h.receiver.taken())
	for _, s := range []secret.Text{hookSecret, secretOther, secret.New(forgeToken)} {
		if strings.Contains(all, s.Reveal()) {
			t.Error("a secret is in the log, the row or an event")
		}
	}
}

func TestE11_AFloodIsLeftToASyncAndDelaysNoOther(t *testing.T) {
	h := newHarness(t)
	other := h.subscribe(strings.Repeat("b", 32), secretOther, "78")
	commit := func(i int) string { return fmt.Sprint("c", i) }
	for i := range 130 {
		check(t, h.signed(push(fmt.Sprint("d", i), "main", commit(i), commit(i+1))))
	}
	testkit.Want(t, "events", len(h.receiver.taken()), 120)
	testkit.Want(t, "sync", h.row().SyncAt, h.Now())
	h.calls.reset(0, false)
	check(t, h.signed(push("more", "main", "x", "y")))
	want(t, "calls of a further one", h.calls.list(), "Subscription")

	d := push("d1", "main", "a", "b")
	d.RepositoryID = "78"
	header, body := signed(secretOther, d)
	check(t, h.service.Receive(t.Context(), delivery.ReceiveRequest{
		Platform: forgeName, ID: other.ID, Header: header, Body: body,
	}))
	testkit.Want(t, "the other's", len(h.receiver.taken()), 121)
	h.Advance(time.Minute)
	check(t, h.signed(push("later", "main", commit(120), "z")))
	testkit.Want(t, "a minute later", len(h.receiver.taken()), 122)
}

func TestE11_AFloodThatIsNotAuthenticTakesNoPlace(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d0", "main", "", "a")))
	for i := range 200 {
		_ = h.receive(signed(secretOther, push(fmt.Sprint("d", i), "main", "a", "b")))
	}
	check(t, h.signed(push("true", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=a heads/main=b")
}

func TestE12_DeliveriesAfterTheEndAreRefused(t *testing.T) {
	for name, change := range map[string]func(*binding.Subscription){
		"ending": func(s *binding.Subscription) { s.Stage = binding.SubscriptionEnding },
		"held":   func(s *binding.Subscription) { s.Held = true },
	} {
		h := newHarness(t)
		check(t, h.signed(push("d0", "main", "", "a"))) // its secret is known
		h.edit(change)
		err := h.signed(push("d1", "main", "a", "b"))
		testkit.WantProblem(t, name, err, problem.SubscriptionUnknown, "")
		want(t, name, h.receiver.told(), "heads/main=a")
	}
	// Bound again by another user, before the subscription is held.
	h := newHarness(t)
	h.set("heads/main", "b")
	h.edit(func(s *binding.Subscription) { s.IdentityID = "2" })
	err := h.unsigned(push("d1", "main", "a", "b"))
	testkit.WantProblem(t, "bound again", err, problem.SubscriptionUnknown, "")
	testkit.Want(t, "questions", h.questions(), 0)
	// Ended between the reading of the row and its saving.
	h = newHarness(t)
	h.set("heads/main", "b")
	h.answered = func() {
		h.answered = nil
		h.edit(func(s *binding.Subscription) { s.Stage = binding.SubscriptionEnding })
	}
	err = h.unsigned(push("d1", "main", "a", "b"))
	testkit.WantProblem(t, "ended meanwhile", err, problem.SubscriptionUnknown, "")
	testkit.Want(t, "events", len(h.receiver.taken())+len(h.row().Events), 0)
}

func TestE16_AForgedBeforeIsNotBelieved(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "", "a")))
	h.set("heads/main", "c")
	check(t, h.unsigned(push("d2", "main", "forged", "b")))
	want(t, "before", h.receiver.taken()[1].Data.Before, "a")
	// A forced push back to an older commit is a change.
	h.set("heads/main", "a")
	d := push("d3", "main", "c", "a")
	d.Changes[0].Forced = true
	check(t, h.signed(d))
	// A ref that was deleted and comes back.
	h.set("heads/main", "")
	check(t, h.signed(push("d4", "main", "a", "")))
	h.set("heads/main", "a")
	check(t, h.signed(push("d5", "main", "", "a")))
	want(t, "told", h.receiver.told(),
		"heads/main=a heads/main=c heads/main=a heads/main= heads/main=a")
	// Deleted, says a late delivery, but it is there.
	check(t, h.signed(push("d6", "main", "older", "")))
	want(t, "a late deletion", h.row().Events[5].Reason, "superseded")
}
