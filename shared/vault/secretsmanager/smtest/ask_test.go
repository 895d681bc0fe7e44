package smtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/testkit"
	"bindery/shared/vault/secretsmanager/smtest"
)

// exchange is one request and its reply.
type exchange struct {
	operation      string
	status         int
	request, reply map[string]any
}

func (e exchange) code() string {
	code, _ := e.reply["__type"].(string)
	return code
}

// fixture is a fake service behind a socket that records every exchange.
type fixture struct {
	*smtest.Service
	clock *testkit.Clock
	url   string

	mu        sync.Mutex // guards exchanges
	exchanges []exchange
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{clock: testkit.NewClockAt(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))}
	w.Service = smtest.New(smtest.Options{Now: w.clock.Now})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *fixture) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	w.Service.ServeHTTP(rec, r)
	e := exchange{
		operation: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager."),
		status:    rec.Code,
	}
	_ = json.Unmarshal(body, &e.request)
	_ = json.Unmarshal(rec.Body.Bytes(), &e.reply)
	w.mu.Lock()
	w.exchanges = append(w.exchanges, e)
	w.mu.Unlock()
	for name, values := range rec.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(rec.Code)
	_, _ = rw.Write(rec.Body.Bytes())
}

// request returns a signed request.
func (w *fixture) request(t *testing.T, operation, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager."+operation)
	r.Header.Set("X-Amz-Date", "20260301T080000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+
		"Credential=AKID/20260301/eu-test-1/secretsmanager/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, "+
		"Signature="+strings.Repeat("0a", 32))
	return r
}

// ask makes a call, expects the error ("" for none), and returns the reply.
func (w *fixture) ask(t *testing.T, operation, body, want string) map[string]any {
	t.Helper()
	reply, err := http.DefaultClient.Do(w.request(t, operation, body))
	if err != nil {
		t.Fatal(err)
	}
	_ = reply.Body.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.exchanges[len(w.exchanges)-1]
	if last.code() != want {
		t.Errorf("%s %.200s: got %d %q, want %q", operation, body, last.status, last.code(), want)
	}
	return last.reply
}
