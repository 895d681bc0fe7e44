package event_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// line returns what was written to the log, which must be one object.
func line(t *testing.T, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var text bytes.Buffer
	write(slog.New(slog.NewJSONHandler(&text, nil)))
	var entry map[string]any
	if err := json.Unmarshal(text.Bytes(), &entry); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	return entry
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("%s: got %s, want %s", what, a, b)
	}
}

func TestAnAuditLineNamesTheUserTheActionAndTheBinding(t *testing.T) {
	entry := line(t, func(log *slog.Logger) {
		event.Audit(context.Background(), log, event.Entry{
			Action:   "bind",
			User:     binding.User{Issuer: "https://id.example", Subject: "u-1", Account: "acme"},
			Target:   binding.Key{Account: "acme", Region: "r", Instance: "i", Platform: "github"},
			Outcome:  event.Done,
			Identity: binding.Identity{ID: "1", Username: "alice", Name: "Alice"},
			Previous: binding.Identity{ID: "2", Username: "bob"},
			Revoked:  true,
		})
	})
	delete(entry, "time")
	same(t, "the line", entry, map[string]any{
		"level": "INFO", "msg": "audit", "action": "bind", "outcome": "done",
		"account": "acme", "region": "r", "instance": "i", "platform": "github",
		"user": map[string]any{
			"issuer": "https://id.example", "subject": "u-1", "account": "acme",
		},
		"identity": map[string]any{"id": "1", "username": "alice"},
		"previous": map[string]any{"id": "2", "username": "bob"},
		"revoked":  true,
	})
}

func TestAnAuditLineOfBinderyItselfHasNoUser(t *testing.T) {
	entry := line(t, func(log *slog.Logger) {
		event.Audit(context.Background(), log, event.Entry{Action: "sweep", Outcome: event.Done})
	})
	for _, name := range []string{"user", "identity", "previous", "revoked"} {
		if _, there := entry[name]; there {
			t.Errorf("%s is there", name)
		}
	}
}

// TestAMetricIsOneLineInTheEmbeddedFormat checks the line against the format's rules
// (docs.aws.amazon.com, "CloudWatch embedded metric format specification"): each metric and each
// dimension that the directive names is a member of the root, numbers and strings.
func TestAMetricIsOneLineInTheEmbeddedFormat(t *testing.T) {
	entry := line(t, func(log *slog.Logger) {
		event.Metric(context.Background(), log, at,
			map[string]string{"Platform": "github", "Kind": "done"},
			map[string]float64{"Refreshes": 1, "DurationMs": 12.5})
	})
	var aws struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	text, _ := json.Marshal(entry["_aws"])
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&aws); err != nil {
		t.Fatal(err)
	}
	same(t, "timestamp", aws.Timestamp, at.UnixMilli())
	if len(aws.CloudWatchMetrics) != 1 {
		t.Fatalf("got %d directives, want 1", len(aws.CloudWatchMetrics))
	}
	d := aws.CloudWatchMetrics[0]
	same(t, "namespace", d.Namespace, "Bindery")
	same(t, "dimensions", d.Dimensions, [][]string{{"Kind", "Platform"}})
	for _, name := range d.Dimensions[0] {
		if _, text := entry[name].(string); !text {
			t.Errorf("the dimension %s is no string of the root", name)
		}
	}
	units := []string{"Count", "Milliseconds"} // of the many that CloudWatch knows
	for _, m := range d.Metrics {
		if _, number := entry[m.Name].(float64); !number || !slices.Contains(units, m.Unit) {
			t.Errorf("the metric %s in %s is no number of the root", m.Name, m.Unit)
		}
	}
	same(t, "metrics", len(d.Metrics), 2)
}

const key = "whsec_c2FuZGJveC1mYWtlLXdlYmhvb2sta2V5LTAxMjM="

// posted is a request that a receiver got.
type posted struct {
	header http.Header
	body   []byte
}

func receiver(t *testing.T, status int) (address string, came chan posted) {
	t.Helper()
	came = make(chan posted, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- posted{r.Header, body}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hook?key=in-the-address", came
}

func webhook(t *testing.T, address, key string, now func() time.Time) *event.Webhook {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	w, err := event.NewWebhook(address, "https://console.example", secret.New(key), client, now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var revoked = binding.Event{
	ID: "0123", Number: 3, Type: binding.EventRevoked, At: at,
	Actor:    binding.User{Issuer: "https://id.example", Subject: "u-1", Account: "acme"},
	Identity: binding.Identity{ID: "1", Username: "alice"},
	Problem: problem.New(problem.TokenRevoked).Because("revoked_at_platform").
		With("platform", "GitHub"),
}

var target = binding.Key{Account: "acme", Region: "r", Instance: "i", Platform: "github"}

func TestAWebhookIsSignedAsTheStandardRequires(t *testing.T) {
	address, came := receiver(t, http.StatusAccepted)
	if err := webhook(t, address, key, time.Now).Send(t.Context(), target, revoked); err != nil {
		t.Fatal(err)
	}
	got := <-came
	verifier, err := webhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("the standard's library: %v", err)
	}
	if err := verifier.Verify(append(got.body, ' '), got.header); err == nil {
		t.Error("another body is accepted")
	}
	other, _ := webhooks.NewWebhookRaw([]byte("another key"))
	if err := other.Verify(got.body, got.header); err == nil {
		t.Error("another key is accepted")
	}
	same(t, "webhook-id", got.header.Get("webhook-id"), revoked.ID)
	same(t, "Content-Type", got.header.Get("Content-Type"), "application/json")
	same(t, "body", json.RawMessage(got.body), json.RawMessage(`{"type":"binding.revoked",
		"timestamp":"2026-05-01T12:00:00Z","data":{"account":"acme","region":"r","instance":"i",
		"platform":"github","number":3,"actor":"u-1","identity":{"id":"1","username":"alice"},
		"problem":{"code":"token_revoked","reason":"revoked_at_platform",
		"params":{"platform":"GitHub"}},
		"console":"https://console.example/#/r/i/github"}}`))
}

func TestTheSameEventLaterHasTheSameIDAndBodyAndANewTime(t *testing.T) {
	address, came := receiver(t, http.StatusNoContent)
	clock := testkit.NewClock()
	w := webhook(t, address, key, clock.Now)
	var both []posted
	for range 2 {
		if err := w.Send(t.Context(), target, revoked); err != nil {
			t.Fatal(err)
		}
		both = append(both, <-came)
		clock.Advance(time.Minute)
	}
	same(t, "id", both[1].header["Webhook-Id"], both[0].header["Webhook-Id"])
	same(t, "body", string(both[1].body), string(both[0].body))
	same(t, "times differ", both[1].header["Webhook-Timestamp"][0] !=
		both[0].header["Webhook-Timestamp"][0], true)
}

func TestOnlyA2xxIsAcceptedAndNoRedirectFollowed(t *testing.T) {
	for status, taken := range map[int]bool{
		200: true, 299: true, 302: false, 307: false, 400: false, 410: false, 500: false,
	} {
		address, came := receiver(t, status)
		err := webhook(t, address, key, time.Now).Send(t.Context(), target, revoked)
		same(t, http.StatusText(status), err == nil, taken)
		same(t, "requests", len(came), 1)
		if err != nil && strings.Contains(err.Error(), "in-the-address") {
			t.Error("the error shows the address")
		}
	}
}

func TestNoErrorOfAWebhookShowsItsAddressOrItsKey(t *testing.T) {
	for _, address := range []string{
		"http://127.0.0.1:1/?key=in-the-address", "http://127.0.0.1:1/%zz?key=in-the-address",
		"nothing://in-the-address",
	} {
		err := webhook(t, address, key, time.Now).Send(t.Context(), target, revoked)
		if err == nil || strings.Contains(err.Error(), "in-the-address") {
			t.Errorf("got %v, want an error without the address", err != nil)
		}
	}
	_, err := event.NewWebhook("http://127.0.0.1", "", secret.New("whsec_in the key"), nil, time.Now)
	if err == nil || strings.Contains(err.Error(), "in the key") {
		t.Error("a key that is not base64 is accepted, or shown")
	}
}
