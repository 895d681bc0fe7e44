package binding_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/provider"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/testkit"
)

func TestACheckCostsWhatIsDueAndNotTheTable(t *testing.T) {
	const due = 100
	var first map[string]int
	for _, size := range []int{1_000, 10_000, 100_000} {
		m := newFleet(t)
		now := m.clock().Now()
		m.fill(due, "due", m.url, []token{aliceToken}, now)
		for i := range size - due { // without a secret, which no check reads
			m.seed(fmt.Sprint("later-", i), "later", ledger.TokenBundle{}, now.Add(time.Hour))
		}
		var done maintenance.RunResult
		calls := m.counted(func() { done = m.mustRun() })
		testkit.Want(t, "checked", done.Checked, due)
		testkit.Want(t, "reads", calls["Binding"], due)
		testkit.Want(t, "writes", calls["SaveBinding"], 2*due)
		if first == nil {
			first = calls
		}
		if !maps.Equal(calls, first) {
			t.Errorf("with %d records: got the calls %v, want %v", size, calls, first)
		}
	}
}

// wire counts the requests that reach DynamoDB, by operation.
type wire struct {
	mu    sync.Mutex
	calls map[string]int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	w.calls[operation]++
	w.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// onDynamoDB is a fleet whose records are in a table of DynamoDB's protocol.
func onDynamoDB(t *testing.T) (fleet, ledger.Table, *wire) {
	t.Helper()
	client, err := dynamoClient(dynamotest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Create(t.Context(), client, tableName); err != nil {
		t.Fatal(err)
	}
	counting := &wire{calls: map[string]int{}}
	rows := dynamo.New(dynamodb.New(client.Options(), func(o *dynamodb.Options) {
		o.HTTPClient = counting
	}), tableName)
	m := newFleet(t)
	m.serve(rows, m.values)
	return m, rows, counting
}

// TestACheckCostsWhatIsDueAndNotTheTableOnDynamoDB counts the requests themselves, in
// which a further page shows.
func TestACheckCostsWhatIsDueAndNotTheTableOnDynamoDB(t *testing.T) {
	const due = 100
	m, rows, counting := onDynamoDB(t)
	var first map[string]int
	there := 0
	for _, size := range []int{1_000, 10_000} {
		now := m.clock().Now()
		var group errgroup.Group
		group.SetLimit(16)
		save := func(rec binding.Record) {
			rec.Version = ""
			group.Go(func() error {
				_, err := rows.SaveBinding(t.Context(), rec)
				return err
			})
		}
		if there == 0 {
			m.fill(due, "due", m.url, []token{aliceToken}, now)
			for _, rec := range m.rows.bindings {
				save(rec)
			}
			there = due
		}
		for ; there < size; there++ {
			save(binding.Record{
				Key: key(fmt.Sprint("later-", there), provider.GitLab), Revision: "s",
				Token: binding.Token{Secret: "later", Generation: 1},
				DueAt: now.Add(1000 * time.Hour), CheckAt: now.Add(1000 * time.Hour),
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		clear(counting.calls)
		done := m.mustRun()
		testkit.Want(t, "checked", done.Checked, due)
		if first == nil {
			first = maps.Clone(counting.calls)
		}
		if !maps.Equal(counting.calls, first) {
			t.Errorf("with %d records: got the requests %v, want %v", size, counting.calls, first)
		}
		t.Logf("%d records, %d due: %v", size, due, counting.calls)
		// the same are due again, in whatever order
		m.clock().Advance(ledger.CheckInterval + ledger.CheckInterval/2)
	}
}
