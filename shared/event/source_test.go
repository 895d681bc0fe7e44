package event_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

var subscription = binding.Subscription{
	ID: "5ub", Binding: target, Repository: binding.SubscribedRepository{
		ID: "77", Key: "old", Name: "acme/web", URL: "https://github.com/acme/web.git",
	},
}

func sourcePush() binding.SourceEvent {
	return binding.SourceEvent{
		ID: "e1", Number: 4, Type: binding.SourcePushed, Ref: "refs/heads/main", Before: "aa",
		Commit: "bb", Forced: true, Pusher: "alice", Commits: 2, Titles: []string{"two", "one"},
		CompareURL: "https://github.com/acme/web/compare/aa...bb", ReceivedAt: at,
		State: binding.EventWaiting,
	}
}

func sendSource(t *testing.T, e binding.SourceEvent) posted {
	t.Helper()
	address, came := receiver(t, http.StatusNoContent)
	receipt, err := webhook(t, address, key, time.Now).SendSource(t.Context(), subscription, e, "k1")
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "receipt", receipt, event.Receipt{Status: http.StatusNoContent})
	got := <-came
	verifier, err := webhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("the standard's library: %v", err)
	}
	testkit.Want(t, "webhook-id", got.header.Get("webhook-id"), e.ID)
	if len(got.body) > 20<<10 {
		t.Errorf("the body has %d bytes", len(got.body))
	}
	return got
}

func TestAPushIsToldInOneForm(t *testing.T) {
	same(t, "body", json.RawMessage(sendSource(t, sourcePush()).body), json.RawMessage(`{
		"type":"source.pushed","timestamp":"2026-05-01T12:00:00Z","data":{
		"account":"acme","region":"r","instance":"i","platform":"github",
		"repository":{"key":"k1","name":"acme/web","url":"https://github.com/acme/web.git"},
		"ref":"refs/heads/main","kind":"branch","before":"aa","commit":"bb","created":false,
		"deleted":false,"forced":true,"pusher":"alice","commits":2,"titles":["two","one"],
		"compareUrl":"https://github.com/acme/web/compare/aa...bb","merge":null,"caughtUp":false,
		"number":4}}`))
}

func TestWhatAnEventDoesNotTellIsNull(t *testing.T) {
	tag := binding.SourceEvent{
		ID: "e2", Number: 5, Type: binding.SourceTagged, Ref: "refs/tags/v1", Deleted: true,
		CaughtUp: true, ReceivedAt: at,
	}
	same(t, "body", json.RawMessage(sendSource(t, tag).body), json.RawMessage(`{
		"type":"source.tagged","timestamp":"2026-05-01T12:00:00Z","data":{
		"account":"acme","region":"r","instance":"i","platform":"github",
		"repository":{"key":"k1","name":"acme/web","url":"https://github.com/acme/web.git"},
		"ref":"refs/tags/v1","kind":"tag","before":null,"commit":null,"created":false,
		"deleted":true,"forced":false,"pusher":null,"commits":0,"titles":[],"compareUrl":null,
		"merge":null,"caughtUp":true,"number":5}}`))
}

func TestAMergeTellsItsBranches(t *testing.T) {
	e := binding.SourceEvent{
		ID: "e3", Type: binding.SourceMerged, Ref: "refs/heads/release/1", Commit: "cc",
		ReceivedAt: at, Merge: &binding.Merge{
			Number: "7", Title: "Fix", Source: "fix", URL: "https://github.com/acme/web/pull/7",
		},
	}
	var got struct {
		Type string
		Data struct {
			Kind  string
			Merge map[string]string
		}
	}
	if err := json.Unmarshal(sendSource(t, e).body, &got); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "type", got.Type, "source.merged")
	testkit.Want(t, "kind", got.Data.Kind, "merge")
	testkit.WantEqual(t, "merge", got.Data.Merge, map[string]string{
		"number": "7", "title": "Fix", "source": "fix", "target": "release/1",
		"url": "https://github.com/acme/web/pull/7",
	})
}

func TestALargeEventLosesItsOldestTitles(t *testing.T) {
	e := sourcePush()
	e.Titles = nil
	for range 30 {
		e.Titles = append(e.Titles, strings.Repeat("<", 200)) // six bytes each in JSON
	}
	e.Titles[0] = "the newest"
	var got struct {
		Data struct {
			Titles []string
			Pusher string
		}
	}
	if err := json.Unmarshal(sendSource(t, e).body, &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Data.Titles); n < 10 || n >= 30 || got.Data.Titles[0] != "the newest" {
		t.Errorf("%d titles are left", n)
	}
	testkit.Want(t, "pusher", got.Data.Pusher, "alice")
}

func TestTheReceiversAnswerIsTold(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		after  string
		want   event.Receipt
	}{
		{429, "30", event.Receipt{Status: 429, RetryAfter: 30 * time.Second}},
		{503, "Fri, 01 May 2026 12:02:00 GMT", event.Receipt{Status: 503, RetryAfter: 2 * time.Minute}},
		{503, "Fri, 01 May 2026 11:00:00 GMT", event.Receipt{Status: 503}},
		{410, "", event.Receipt{Status: 410}},
		{500, "-5", event.Receipt{Status: 500}},
		{500, "soon", event.Receipt{Status: 500}},
		{500, "99999999999999", event.Receipt{Status: 500, RetryAfter: 2147483647 * time.Second}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
		}))
		got, err := webhook(t, server.URL, key, func() time.Time { return now }).
			SendSource(t.Context(), subscription, sourcePush(), "k")
		server.Close()
		testkit.Want(t, "an error of "+http.StatusText(c.status), err != nil, true)
		testkit.Want(t, "after "+c.after, got, c.want)
	}
}

func TestE15_OnlyTheOperatorsAddressIsCalled(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		elsewhere++
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, status)
		}))
		w, err := event.NewWebhook(first.URL+"?key=in-the-address", "", secret.New(key), nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := w.SendSource(t.Context(), subscription, sourcePush(), "k")
		first.Close()
		testkit.Want(t, "the answer", receipt.Status, status)
		if err == nil || strings.Contains(err.Error(), "in-the-address") ||
			strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("got %v, want an error without an address", err)
		}
		if _, err = w.SendSource(t.Context(), subscription, sourcePush(), "k"); err == nil ||
			strings.Contains(err.Error(), "in-the-address") {
			t.Error("the error of a receiver that is gone shows its address")
		}
	}
	testkit.Want(t, "requests elsewhere", elsewhere, 0)
}
