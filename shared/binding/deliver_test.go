package binding_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/workqueue"
	"bindery/shared/event"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const webhookKey = "whsec_c2FuZGJveC1mYWtlLXdlYmhvb2sta2V5LTAxMjM="

// receiver is an operator's webhook: it checks each signature with the standard's own library, and
// keeps the events that it accepted.
type receiver struct {
	t        testing.TB
	verifier *webhooks.Webhook
	now      func() time.Time
	url      string

	mu     sync.Mutex
	status int             // what it answers, 0 for 204
	wait   chan struct{}   // if set, it answers when this is closed
	took   []arrival       // accepted, with a 2xx
	tried  map[string]int  // by id
	wake   func(id string) // called with the id of each that arrives
	broken map[string]bool // types that it never accepts
}

// arrival is an event as it arrived.
type arrival struct {
	ID   string
	Type string `json:"type"`
	Data struct {
		Instance string `json:"instance"`
		Platform string `json:"platform"`
		Number   int64  `json:"number"`
	} `json:"data"`
}

// newReceiver sets up the harness's webhook.
func (b *harness) newReceiver() *receiver {
	b.Helper()
	verifier, err := webhooks.NewWebhook(webhookKey)
	if err != nil {
		b.Fatal(err)
	}
	r := &receiver{t: b, verifier: verifier, now: b.clock().Now, tried: map[string]int{}}
	server := httptest.NewServer(r)
	b.Cleanup(server.Close)
	r.url = server.URL
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	b.services.Ledger.Webhook, err = event.NewWebhook(
		server.URL+"/?key=in-the-address", "", secret.New(webhookKey), client, b.clock().Now)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	// The library compares the time with the machine's clock, so the time is checked below instead.
	if err := r.verifier.VerifyIgnoringTimestamp(body, q.Header); err != nil {
		r.t.Errorf("the signature: %v", err)
	}
	at := fmt.Sprint(r.now().Unix())
	if got := q.Header.Get("webhook-timestamp"); got != at {
		r.t.Errorf("webhook-timestamp: got %s, want %s", got, at)
	}
	e := arrival{ID: q.Header.Get("webhook-id")}
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.tried[e.ID]++
	status, wait, wake := r.status, r.wait, r.wake
	if status == 0 && r.broken[e.Type] {
		status = http.StatusInternalServerError
	}
	r.mu.Unlock()
	if wake != nil {
		wake(e.ID)
	}
	if wait != nil {
		select {
		case <-wait:
		case <-q.Context().Done():
			return
		}
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, e)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// types returns the types of one instance's events, in the order in which they arrived.
func (r *receiver) types(id string) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.took {
		if e.Data.Instance == id {
			all = append(all, e.Type)
		}
	}
	return all
}

func (r *receiver) wants(id string, want ...string) {
	r.t.Helper()
	if got := r.types(id); !slices.Equal(got, want) {
		r.t.Errorf("events of %s that were sent: got %q, want %q", id, got, want)
	}
}

// runSchedule runs the schedule for a time, every 15 minutes.
func (b *harness) runSchedule(d time.Duration) (sent int) {
	b.Helper()
	for until := b.clock().Now().Add(d); b.clock().Now().Before(until); {
		b.clock().Advance(15 * time.Minute)
		sent += b.mustRun().Sent
	}
	return sent
}

func TestEventsArriveInTheirOrderSigned(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	for range 5 {
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-1", bobToken)
	}
	b.mustBind("i-2", aliceToken)
	b.mustUnbind("i-1", false)
	testkit.Want(t, "sent", b.runSchedule(time.Hour), 12)
	testkit.Want(t, "waiting", b.row("i-2", provider.GitLab).Delivery.Waiting, 0)
	types := append([]string{binding.EventBound}, slices.Repeat([]string{binding.EventRebound}, 9)...)
	r.wants("i-1", append(types, binding.EventUnbound)...)
	r.wants("i-2", binding.EventBound)
	r.mu.Lock()
	defer r.mu.Unlock()
	var last int64
	for _, e := range r.took {
		if e.Data.Instance == "i-1" {
			testkit.Want(t, "number", e.Data.Number, last+1)
			last = e.Data.Number
		}
		testkit.Want(t, "times sent", r.tried[e.ID], 1)
	}
}

func TestNothingIsLostWhileTheReceiverIsDownForADayAndAHalf(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	r.answers(http.StatusServiceUnavailable)
	b.mustBind("i-1", aliceToken)
	b.runSchedule(12 * time.Hour)
	b.mustBind("i-1", bobToken)
	b.runSchedule(12 * time.Hour)
	b.mustUnbind("i-1", false)
	b.runSchedule(12 * time.Hour)
	r.wants("i-1")
	testkit.Want(t, "the unbound row stays", b.row("i-1", provider.GitLab).Version != "", true)
	r.answers(0)
	b.runSchedule(9 * time.Hour)
	r.wants("i-1", binding.EventBound, binding.EventRebound, binding.EventUnbound)
	testkit.Want(t, "the row goes", b.row("i-1", provider.GitLab).Version, "")
	testkit.Want(t, "alarm", strings.Contains(b.log.String(), "alarm=webhook"), false)
}

func TestAnEventThatIsNeverAcceptedIsSkippedWithAnAlarmAndTheNextIsSent(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	r.broken = map[string]bool{binding.EventRebound: true}
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-1", bobToken)
	b.runSchedule(time.Hour)
	b.mustUnbind("i-1", false)
	b.runSchedule(36 * time.Hour)
	r.wants("i-1", binding.EventBound)
	testkit.Want(t, "alarm", strings.Contains(b.log.String(), "alarm=webhook"), false)
	b.runSchedule(36 * time.Hour)
	r.wants("i-1", binding.EventBound, binding.EventUnbound)
	testkit.Want(t, "alarms", strings.Count(b.log.String(), "alarm=webhook"), 1)
	tries := 0
	for _, n := range r.tried {
		tries = max(tries, n)
	}
	testkit.Want(t, "tries", tries, maintenance.MaxDeliveryTries+1)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventRebound,
		binding.EventUnbound)
}

func TestTheAddressOfAWebhookIsInNoLog(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	b.mustBind("i-1", aliceToken)
	r.answers(http.StatusForbidden)
	b.runSchedule(time.Hour)
	var err error
	b.services.Ledger.Webhook, err = event.NewWebhook("http://127.0.0.1:1/?key=in-the-address", "",
		secret.New(webhookKey), http.DefaultClient, b.clock().Now)
	if err != nil {
		t.Fatal(err)
	}
	b.runSchedule(2 * time.Hour)
	log := b.log.String()
	testkit.Want(t, "refused", strings.Contains(log, "the receiver answers 403"), true)
	testkit.Want(t, "unreachable", strings.Contains(log, "connection refused"), true)
	testkit.Want(t, "the address", strings.Contains(log, "in-the-address"), false)
}

// TestASlowReceiverDelaysNoBindAndNoCheck blocks the receiver's answer until another binding
// has been checked, and a further one bound.
func TestASlowReceiverDelaysNoBindAndNoCheck(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.settled()
	r := b.newReceiver()
	b.mustBind("i-2", bobToken)
	b.clock().Advance(ledger.CheckInterval)
	arrived, checked := make(chan string, 10), make(chan struct{}, 10)
	r.wait, r.wake = make(chan struct{}), func(id string) { arrived <- id }
	look := func(q sandbox.Request) {
		if strings.HasSuffix(q.Path, "/user") {
			checked <- struct{}{}
		}
	}
	b.world.asked.Store(&look)
	b.mustRun() // drains; the check of i-2 comes first
	for len(checked) > 0 {
		<-checked
	}
	b.clock().Advance(ledger.CheckInterval)
	b.mustBind("i-3", bobToken)
	<-checked
	ended := make(chan maintenance.RunResult)
	go func() { ended <- b.mustRun() }()
	<-arrived
	<-checked
	b.mustBind("i-4", bobToken)
	close(r.wait)
	done := <-ended
	testkit.Want(t, "checked", done.Checked > 0, true)
	testkit.Want(t, "sent", done.Sent > 0, true)
}

func TestWhatWasBeforeTheWebhookIsNotSent(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.runSchedule(time.Hour)
	r := b.newReceiver()
	b.mustBind("i-1", bobToken)
	b.runSchedule(time.Hour)
	r.wants("i-1", binding.EventRebound)
}

func TestARemovedWebhookLeavesNothingBehind(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	r.answers(http.StatusServiceUnavailable)
	b.mustBind("i-1", aliceToken)
	b.runSchedule(time.Hour)
	b.mustUnbind("i-1", false)
	b.runSchedule(time.Hour)
	b.services.Ledger.Webhook = nil
	b.runSchedule(9 * time.Hour)
	testkit.Want(t, "the row", b.row("i-1", provider.GitLab).Version, "")
	b.settled()
}

// TestASweepThatCrashesAfterSendingSendsAgainWithTheSameID crashes after sending, before
// the delivery is saved.
func TestASweepThatCrashesAfterSendingSendsAgainWithTheSameID(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	b.mustBind("i-1", aliceToken)
	b.clock().Advance(15 * time.Minute)
	var saves atomic.Int32
	crashed := b.crashingRun(func(call string) bool {
		return call == "SaveBinding" && saves.Add(1) == 2
	})
	testkit.Want(t, "crashed", crashed, true)
	b.runSchedule(2 * time.Hour)
	r.wants("i-1", binding.EventBound, binding.EventBound)
	testkit.Want(t, "ids", len(r.tried), 1)
}

func TestASlowReceiverIsSentToForASweepAndNotLonger(t *testing.T) {
	b := newHarness(t)
	r := b.newReceiver()
	for range 25 {
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-1", bobToken)
		b.dropSecrets("i-1", provider.GitLab) // there is no room for so many
	}
	b.runSchedule(15 * time.Minute)
	r.mu.Lock()
	r.wake = func(string) { b.clock().Advance(4 * time.Second) } // each takes so long
	r.mu.Unlock()
	for range 12 {
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-1", bobToken)
		b.mustBind("i-1", bobToken)
		b.dropSecrets("i-1", provider.GitLab)
	}
	for range 6 {
		b.clock().Advance(15 * time.Minute)
		began := b.clock().Now()
		done := b.mustRun()
		if took := b.clock().Now().Sub(began); took > workqueue.RunTimeout+5*time.Second {
			t.Errorf("the sweep ran for %v", took)
		}
		testkit.Want(t, "sent in time", done.Sent <= 24, true)
	}
	ids := map[string]bool{}
	for _, e := range r.took {
		ids[e.ID] = true
	}
	testkit.Want(t, "events", len(ids), 86)
	testkit.Want(t, "sent twice", len(r.took)-len(ids), 0)
}

func TestARefreshIsCountedInTheLog(t *testing.T) {
	b := newHarness(t)
	var log testkit.Log
	b.services.Ledger.Log = log.Logger()
	b.bound("i-1", provider.GitHub)
	b.clock().Advance(ledger.CheckInterval)
	b.mustRun()
	found := false
	for _, metric := range log.Records(t, "metric") {
		found = found || metric["Refreshes"] == 1.0 && metric["Platform"] == "github" &&
			metric["Kind"] == event.Done
	}
	testkit.Want(t, "the refresh is counted", found, true)
}
