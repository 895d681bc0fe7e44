package tablestore

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/engine"
	"bindery/shared/table/tablestore/otstest"
)

const tableName = "bindery_test"

// harness is a table on a pretend service, with credentials that may change, and without waits.
type harness struct {
	table   *engine.Table
	driver  *driver // of the table
	client  *Client
	service *otstest.Service
	onCall  func(operation string)

	mu          sync.Mutex
	credentials alibabacloud.Credentials
	slept       []time.Duration
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	w := &harness{}
	w.service = otstest.New(otstest.Options{Instance: "test", OnCall: func(operation string) {
		if w.onCall != nil {
			w.onCall(operation)
		}
	}})
	w.become("first")
	w.client = w.clientOf(t, w.service)
	if err := Create(t.Context(), w.client, tableName); err != nil {
		t.Fatal(err)
	}
	w.table, w.driver = New(w.client, tableName), &driver{w.client, tableName}
	return w
}

// become changes the credentials of both sides.
func (w *harness) become(id string) {
	w.service.SetCredentials(id, "canary-key", "canary-session-"+id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credentials = alibabacloud.Credentials{
		ID: id, Key: secret.New("canary-key"), Token: secret.New("canary-session-" + id),
	}
}

func (w *harness) clientOf(t *testing.T, service http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	c, err := NewClient(ClientOptions{
		Environment: alibabacloud.Environment{
			Region: "cn-test",
			Credentials: func() alibabacloud.Credentials {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.credentials
			},
		},
		Instance: "test", Endpoint: server.URL,
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.slept = append(w.slept, d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// count is what the calls asked of the service.
func (w *harness) count(calls func()) map[string]int {
	before := w.service.Calls()
	calls()
	asked := w.service.Calls()
	for operation, n := range before {
		if asked[operation] -= n; asked[operation] == 0 {
			delete(asked, operation)
		}
	}
	return asked
}

var base = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func keyOfInstance(instance string) table.Key {
	return table.Key{Account: "a", Region: "r", Instance: instance, Platform: "github"}
}
