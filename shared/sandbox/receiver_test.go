package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const eventsKey = "whsec_c2FuZGJveC1mYWtlLXdlYmhvb2sta2V5LTAxMjM="

// receiverWorld is a sandbox that receives events.
type receiverWorld struct {
	*Sandbox
	t      *testing.T
	server *httptest.Server
	clock  *testkit.Clock
}

func newReceiverWorld(t *testing.T, key string) *receiverWorld {
	t.Helper()
	w := &receiverWorld{t: t, clock: testkit.NewClock()}
	w.Sandbox = New(Options{Random: rand.Reader, Now: w.clock.Now, EventsKey: secret.New(key)})
	w.server = httptest.NewServer(w.Sandbox)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.Close)
	return w
}

// post posts an event that was signed at a time with a key, and returns the status.
func (w *receiverWorld) post(id, body, key string, at time.Time) int {
	w.t.Helper()
	signer, err := webhooks.NewWebhook(key)
	if err != nil {
		w.t.Fatal(err)
	}
	signature, err := signer.Sign(id, at, []byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequest("POST", w.server.URL+ReceiverPath, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set(webhooks.HeaderWebhookID, id)
	r.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(webhooks.HeaderWebhookSignature, signature)
	return w.do(r).status
}

func (w *receiverWorld) do(r *http.Request) oauthReply {
	w.t.Helper()
	return (&oauthWorld{t: w.t}).send(r)
}

// get reads the events as a type.
func (w *receiverWorld) get(accept string) string {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.server.URL+ReceiverPath, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	return w.do(r).text
}

const pushedEvent = `{"type":"source.pushed","timestamp":"2026-05-01T12:00:00Z","data":{
	"account":"acme","platform":"github","repository":{"key":"k","name":"alice/hello","url":"u"},
	"ref":"refs/heads/main","before":null,"commit":"0123456789abcdef","caughtUp":true,"number":7}}`

func TestEventsAreReceivedAndShown(t *testing.T) {
	w := newReceiverWorld(t, eventsKey)
	now := w.clock.Now()
	testkit.Want(t, "none", strings.Contains(w.get("text/html"), "None yet"), true)
	testkit.Want(t, "event", w.post("e-1", pushedEvent, eventsKey, now), 204)
	binding := `{"type":"binding.revoked","data":{"platform":"gitee","number":3}}`
	testkit.Want(t, "of a binding", w.post("e-2", binding, eventsKey, now), 204)
	want := []Received{
		{
			ID: "e-1", Type: "source.pushed", Platform: "github", Repository: "alice/hello",
			Ref: "refs/heads/main", Commit: "0123456789abcdef", CaughtUp: true, Number: 7, At: now,
		},
		{ID: "e-2", Type: "binding.revoked", Platform: "gitee", Number: 3, At: now},
	}
	testkit.WantEqual(t, "received", w.Received(), want)
	var list struct{ Events []Received }
	if err := json.Unmarshal([]byte(w.get("application/json")), &list); err != nil {
		t.Fatal(err)
	}
	testkit.WantEqual(t, "as JSON", list.Events, want)
	page := w.get("text/html")
	for _, text := range []string{
		"source.pushed", "alice/hello", "refs/heads/main", "01234567", "e-1",
	} {
		testkit.Want(t, "shows "+text, strings.Contains(page, text), true)
	}
	for range 60 {
		w.post("e-3", pushedEvent, eventsKey, now)
	}
	testkit.Want(t, "shown", strings.Count(w.get("text/html"), "e-3"), 50)
}

func TestEventsThatAreNotAuthenticAreRefused(t *testing.T) {
	w := newReceiverWorld(t, eventsKey)
	now, other := w.clock.Now(), "whsec_YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcw=="
	testkit.Want(t, "another key", w.post("e", pushedEvent, other, now), 401)
	testkit.Want(t, "old", w.post("e", pushedEvent, eventsKey, now.Add(-6*time.Minute)), 401)
	testkit.Want(t, "early", w.post("e", pushedEvent, eventsKey, now.Add(6*time.Minute)), 401)
	testkit.Want(t, "no event", w.post("e", "[]", eventsKey, now), 400)
	testkit.Want(t, "too long", w.post("e", strings.Repeat(" ", 2<<20), eventsKey, now), 413)
	unsigned, err := http.NewRequest("POST", w.server.URL+ReceiverPath, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "no signature", w.do(unsigned).status, 401)
	testkit.Want(t, "received", len(w.Received()), 0)
	w = newReceiverWorld(t, "")
	testkit.Want(t, "without a key", w.post("e", pushedEvent, eventsKey, now), 401)
}

func TestTheReceiverFailsOnPurpose(t *testing.T) {
	w := newReceiverWorld(t, eventsKey)
	now := w.clock.Now()
	w.FailReceiver(1)
	testkit.Want(t, "failing", w.post("e-1", pushedEvent, eventsKey, now), 500)
	testkit.Want(t, "afterwards", w.post("e-1", pushedEvent, eventsKey, now), 204)
	r, err := http.NewRequest("POST", w.server.URL+"/sandbox/receiver?n=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the button", w.do(r).status, 303)
	testkit.Want(t, "failing again", w.post("e-2", pushedEvent, eventsKey, now), 500)
	testkit.Want(t, "received", len(w.Received()), 1)
}
