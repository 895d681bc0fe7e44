package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestASubscriptionIsMadeShownChangedAndEnded(t *testing.T) {
	w, _, one := newSubscriptionWorld(t)
	made := w.put(one+"/subscription", wanted("branches", []string{"main", "release/*"}))
	testkit.Want(t, "the status of a new one", made.status, http.StatusCreated)
	for field, want := range map[string]any{
		"health": "active", "problem": nil, "waiting": 0.0, "refsNotWatched": false,
		"createdAt":   "2026-05-01T12:00:00Z",
		"webhooksUrl": "https://gitlab.example/alice/hello/-/hooks",
	} {
		testkit.Want(t, field, made.json()[field], want)
	}
	repository := made.json()["repository"].(map[string]any)
	testkit.Want(t, "the repository's name", repository["name"], any("alice/hello"))
	if !strings.HasSuffix(one, "/"+repository["key"].(string)) {
		t.Errorf("the repository's key is %v", repository["key"])
	}
	again := w.put(one+"/subscription", wanted("branches", []string{"main", "release/*"})).ok()
	testkit.Want(t, "the one after the same call", string(again.body), string(made.body))
	shown := w.get(one + "/subscription").ok()
	testkit.Want(t, "the one that is shown", string(shown.body), string(made.body))
	changed := w.put(one+"/subscription", wanted("events", []string{"tag"})).ok().json()
	testkit.Want(t, "its events", len(changed["events"].([]any)), 1)
	testkit.Want(t, "its branches", len(changed["branches"].([]any)), 0)
	listed := w.get(home + "/gitlab/subscriptions").ok()
	testkit.Want(t, "how many are listed", len(listed.list("subscriptions")), 1)
	testkit.Want(t, "the list's end", listed.json()["cursor"], any(nil))

	for range 2 {
		ended := w.do(request{method: "DELETE", path: one + "/subscription"}).ok()
		testkit.Want(t, "the reply to an end", string(ended.body), `{"webhookLeft":null}`+"\n")
	}
	w.get(one+"/subscription").refused(problem.SubscriptionUnknown, "")
	listed = w.get(home + "/gitlab/subscriptions").ok()
	testkit.Want(t, "how many are listed at last", len(listed.list("subscriptions")), 0)
}

func TestAPushReachesTheReceiverAndIsListedAndReplayed(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	commit := w.push("Try a build")
	events := r.received()
	if len(events) != 1 {
		t.Fatalf("the receiver has %d events, want 1", len(events))
	}
	e := events[0]
	testkit.Want(t, "the type", e.Type, binding.SourcePushed)
	testkit.Want(t, "the commit", e.Data.Commit, commit)
	testkit.Want(t, "the ref", e.Data.Ref, "refs/heads/main")
	testkit.Want(t, "the account", e.Data.Account, "acme")
	if !strings.HasSuffix(one, "/"+e.Data.Repository.Key) {
		t.Errorf("the event's key is %s", e.Data.Repository.Key)
	}
	list := w.get(one + "/subscription/deliveries").ok().list("deliveries")
	testkit.Want(t, "how many are listed", len(list), 1)
	for field, want := range map[string]any{
		"delivery": 1.0, "id": e.id, "type": e.Type, "ref": e.Data.Ref, "commit": commit,
		"state": "forwarded", "reason": nil, "answer": 200.0, "tries": 0.0, "caughtUp": false,
		"pusher": "alice", "merge": nil,
	} {
		testkit.Want(t, field, list[0][field], want)
	}
	testkit.Want(t, "its titles", list[0]["titles"].([]any)[0], any("Try a build"))
	replayed := w.do(request{method: "POST", path: one + "/subscription/deliveries/1/replay"}).ok()
	var audited []string
	for _, line := range w.log.Records(t, "audit") {
		if key, _ := line["repository"].(string); strings.HasSuffix(one, "/"+key) {
			audited = append(audited, fmt.Sprint(line["action"], " ", line["outcome"]))
		}
	}
	testkit.WantEqual(t, "audit lines", audited, []string{"subscribe done", "replay done"})
	testkit.Want(t, "the state after a replay", replayed.text("state"), "forwarded")
	if again := r.received(); len(again) != 1 || again[0].id != e.id {
		t.Errorf("the replay has sent %v", again)
	}
	for _, number := range []string{"0", "2", "-1", "+1", "01", "1.0", "1e0", "x", "%201", e.id} {
		w.do(request{
			method: "POST", path: one + "/subscription/deliveries/" + number + "/replay",
		}).refused(problem.DeliveryUnknown, "")
	}
	if again := r.received(); len(again) != 0 {
		t.Errorf("a replay of what isn't there has sent %v", again)
	}
}

func TestASyncMakesUpForALostDelivery(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	w.box.DropDeliveries("gitlab", 1)
	commit := w.push("Nobody hears of this")
	testkit.Want(t, "events after a delivery that was lost", len(r.received()), 0)
	synced := w.do(request{method: "POST", path: one + "/subscription/sync"}).ok()
	if health := synced.text("health"); health == "broken" {
		t.Errorf("its health is %s", health)
	}
	events := r.received()
	if len(events) != 1 || events[0].Data.Commit != commit || !events[0].Data.CaughtUp {
		t.Errorf("after a sync the receiver has %+v", events)
	}
}

func TestAnEventThatTheReceiverRefusesWaits(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	r.answer(http.StatusServiceUnavailable)
	w.push("Not yet")
	testkit.Want(t, "waiting", w.get(one + "/subscription").ok().json()["waiting"], any(1.0))
	list := w.get(one + "/subscription/deliveries").ok().list("deliveries")
	testkit.Want(t, "its state", list[0]["state"], any("waiting"))
	testkit.Want(t, "the answer", list[0]["answer"], any(503.0))
	r.received()
	r.answer(http.StatusOK)
	w.clock.Advance(time.Minute)
	w.runSubscriptions()
	testkit.Want(t, "events after a run", len(r.received()), 1)
	shown := w.get(one + "/subscription").ok().json()
	testkit.Want(t, "waiting after a run", shown["waiting"], any(0.0))
}

// runSubscriptions runs the task of the second schedule.
func (w *world) runSubscriptions() {
	w.t.Helper()
	if _, err := w.api.Task(w.t.Context(), []byte(`{"name":"subscriptions"}`)); err != nil {
		w.t.Fatal(err)
	}
}

func TestD14_ABadSubscriptionIsRefusedWithoutACallToAPlatform(t *testing.T) {
	w, _, one := newSubscriptionWorld(t)
	w.box.ResetLog()
	for what, tt := range map[string]struct {
		body   any
		reason string
	}{
		"no events":         {wanted("events", []string{}), "empty"},
		"nothing":           {"{}", "required"},
		"another event":     {wanted("events", []string{"push", "issue"}), "value"},
		"an event twice":    {wanted("events", []string{"push", "push"}), "doubled"},
		"a word":            {wanted("events", "push"), "type"},
		"a number":          {wanted("branches", []any{1}), "type"},
		"an empty pattern":  {wanted("branches", []string{""}), "branch"},
		"a long pattern":    {wanted("branches", []string{strings.Repeat("a", 201)}), "pattern_too_long"},
		"many patterns":     {wanted("branches", make([]string, 21)), "too_many"},
		"an unknown field":  {wanted("tags", []string{"v*"}), "unknown"},
		"a field twice":     {`{"events":["push"],"Events":["tag"]}`, "doubled"},
		"something after":   {`{"events":["push"]}{}`, "json"},
		"depth":             {`{"events":[[[[[[[[["push"]]]]]]]]]}`, "json"},
		"a branch of space": {wanted("branches", []string{"a b"}), "branch"},
	} {
		w.clock.Advance(10 * time.Second)
		r := w.do(request{
			method: "PUT", path: one + "/subscription", body: tt.body,
			odd: what != "a branch of space",
		})
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", what, r.status)
			continue
		}
		r.refused(problem.InputMalformed, tt.reason)
	}
	r := w.do(request{
		method: "PUT", path: one + "/subscription", body: wanted(), odd: true,
		header: map[string]string{"Content-Encoding": "gzip"},
	}).refused(problem.MediaTypeUnknown, "compressed")
	testkit.Want(t, "status of a compressed body", r.status, http.StatusUnsupportedMediaType)
	if n := w.box.Count("gitlab"); n != 0 {
		t.Errorf("the platform was asked %d times", n)
	}
}

// subscriptionProblems are the problems of subscriptions. A world without a receiver has none.
func subscriptionProblems() []scenario {
	one := func(method, rest string) func(*world, string) reply {
		return func(w *world, language string) reply {
			w.put(home+"/gitlab", gitlab()).ok()
			call := request{
				method: method, path: w.repositoryPath(home+"/gitlab", "alice/hello") + rest,
				header: map[string]string{"Accept-Language": language},
			}
			if method == http.MethodPut {
				call.body = wanted()
			}
			return w.do(call)
		}
	}
	return []scenario{
		{problem.ReceiverMissing, "", one("PUT", "/subscription")},
		{problem.SubscriptionUnknown, "", one("GET", "/subscription")},
		{problem.WebhookUnknown, "", func(w *world, language string) reply {
			return w.deliver("github", unknownID, "{}", map[string]string{"Accept-Language": language})
		}},
		{problem.DeliveryUnknown, "", func(w *world, language string) reply {
			another, _, one := newSubscriptionWorld(w.t)
			another.subscribe(one)
			return another.do(request{
				method: "POST", path: one + "/subscription/deliveries/1/replay",
				header: map[string]string{"Accept-Language": language},
			})
		}},
	}
}
