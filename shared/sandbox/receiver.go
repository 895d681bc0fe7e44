package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/sandbox/page"
	"bindery/shared/sandbox/platform"
)

// ReceiverPath is where the sandbox receives events as a build system does: Bindery posts them
// there, a person reads them as a page, and a program that accepts application/json as JSON.
const ReceiverPath = "/events-receiver"

const (
	maxReceived  = 5000 // events that are kept
	shownEvents  = 50   // on the page
	maxClockSkew = 5 * time.Minute
)

// Received is an event that was received, or one more try of it.
type Received struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Platform   string    `json:"platform"`
	Repository string    `json:"repository"` // its name; "" for an event of a binding
	Ref        string    `json:"ref"`
	Before     string    `json:"before"` // "" for null
	Commit     string    `json:"commit"` // "" for null
	CaughtUp   bool      `json:"caughtUp"`
	Number     int64     `json:"number"`
	At         time.Time `json:"at"` // when it was received
}

// receiver receives events.
type receiver struct {
	verifier *webhooks.Webhook // nil without a key
	now      func() time.Time

	mu     sync.Mutex // guards what follows
	events []Received
	fail   int // of the next requests
}

func newReceiver(o Options) *receiver {
	r := &receiver{now: o.Now}
	if !o.EventsKey.Empty() {
		verifier, err := webhooks.NewWebhook(o.EventsKey.Reveal())
		if err != nil {
			panic("sandbox: Options.EventsKey is not base64")
		}
		r.verifier = verifier
	}
	return r
}

// Received returns the events that were received, oldest first, at most the last 5,000.
func (s *Sandbox) Received() []Received { return s.receiver.list() }

// FailReceiver lets the receiver answer 500 to the next n requests.
func (s *Sandbox) FailReceiver(n int) {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	s.receiver.fail = n
}

// postReceiver is FailReceiver as a button of the page: {n}.
func (s *Sandbox) postReceiver(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 0 {
		http.Error(w, "sandbox: n is not a number", http.StatusBadRequest)
		return
	}
	s.FailReceiver(n)
	http.Redirect(w, r, ReceiverPath, http.StatusSeeOther)
}

func (r *receiver) list() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// failing counts a request, and reports whether it fails on purpose.
func (r *receiver) failing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail == 0 {
		return false
	}
	r.fail--
	return true
}

// post receives one event.
func (r *receiver) post(w http.ResponseWriter, in *http.Request) {
	if r.failing() {
		http.Error(w, "sandbox: this failure is on purpose", http.StatusInternalServerError)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, in.Body, platform.MaxBody))
	if err != nil {
		http.Error(w, "sandbox: the event is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if !r.authentic(in.Header, body) {
		http.Error(w, "sandbox: the signature or its time is wrong", http.StatusUnauthorized)
		return
	}
	var event struct {
		Type string
		Data struct {
			Received
			Repository struct{ Name string } `json:"repository"`
		}
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, "sandbox: not an event", http.StatusBadRequest)
		return
	}
	got := event.Data.Received
	got.ID, got.Type = in.Header.Get(webhooks.HeaderWebhookID), event.Type
	got.Repository, got.At = event.Data.Repository.Name, r.now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == maxReceived {
		r.events = slices.Delete(r.events, 0, maxReceived/10)
	}
	r.events = append(r.events, got)
	w.WriteHeader(http.StatusNoContent)
}

// authentic verifies the signature, and its time by the sandbox's clock.
func (r *receiver) authentic(header http.Header, body []byte) bool {
	if r.verifier == nil || r.verifier.VerifyIgnoringTimestamp(body, header) != nil {
		return false
	}
	seconds, err := strconv.ParseInt(header.Get(webhooks.HeaderWebhookTimestamp), 10, 64)
	return err == nil && r.now().Sub(time.Unix(seconds, 0)).Abs() <= maxClockSkew
}

// show shows the last events, newest first, or all of them as JSON, oldest first.
func (r *receiver) show(w http.ResponseWriter, in *http.Request) {
	all := r.list()
	if in.Header.Get("Accept") == "application/json" {
		platform.WriteJSON(w, http.StatusOK, platform.Object{"events": append([]Received{}, all...)})
		return
	}
	slices.Reverse(all)
	page.Write(w, http.StatusOK, "events.html", struct {
		Events []Received
		HasKey bool
	}{all[:min(len(all), shownEvents)], r.verifier != nil})
}
