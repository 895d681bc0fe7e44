package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

var base = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func keyOfInstance(instance string) binding.Key {
	return binding.Key{Account: "a", Region: "r", Instance: instance, Platform: "github"}
}

func eventsOf(count int) (list []binding.Event) {
	for i := range count {
		at := base.Add(time.Duration(i) * time.Millisecond)
		list = append(list, binding.Event{ID: fmt.Sprint(i), Number: int64(i), At: at})
	}
	return list
}

// unknown expects an error that says that the outcome is unknown.
func unknown(t *testing.T, doing string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", doing)
	}
	for _, other := range []error{table.ErrNotFound, table.ErrConflict, table.ErrCursor} {
		if errors.Is(err, other) {
			t.Errorf("%s: got error %v, want none of package table's", doing, err)
		}
	}
}

// call is a method of a table, with arguments, and the calls that it makes to DynamoDB.
type call struct {
	name string
	make func(ctx context.Context) error
	asks string
}

// allCalls are calls of every method. Each can be made again and again.
func allCalls(t *engine.Table) []call {
	k := keyOfInstance("1")
	calls := callsOf("Binding", t.Binding, k, t.SaveBinding, t.DeleteBinding,
		binding.Record{Key: k, DueAt: base}, binding.Record{Key: k, Version: "x"})
	calls = append(calls, callsOf("Authorization", t.Authorization, "1",
		t.SaveAuthorization, t.DeleteAuthorization, binding.Authorization{ID: "1", DueAt: base},
		binding.Authorization{ID: "1", Version: "x"})...)
	calls = append(calls, callsOf("Subscription", t.Subscription, "1",
		t.SaveSubscription, t.DeleteSubscription, binding.Subscription{ID: "1", DueAt: base},
		binding.Subscription{ID: "1", Version: "x"})...)
	entry := func(ctx context.Context, id string) (binding.SubscriptionEntry, error) {
		return t.SubscriptionEntry(ctx, k, id)
	}
	calls = append(calls, callsOf("SubscriptionEntry", entry, "1",
		t.SaveSubscriptionEntry, t.DeleteSubscriptionEntry,
		binding.SubscriptionEntry{Binding: k, RepositoryID: "1"},
		binding.SubscriptionEntry{Binding: k, RepositoryID: "1", Version: "x"})...)
	calls = append(calls, callsOf("RunLease", t.RunLease, "1", t.SaveRunLease, t.DeleteRunLease,
		binding.RunLease{Schedule: "1"}, binding.RunLease{Schedule: "1", Version: "x"})...)
	return slices.Concat(calls, listCalls(t, k), otherCalls(t, k), logCalls(t))
}

// callsOf are the calls on one kind of rows. other is a version that is never there.
func callsOf[K, T any](
	name string, get func(context.Context, K) (T, error), key K,
	save func(context.Context, T) (T, error), remove func(context.Context, T) error, record, other T,
) []call {
	return []call{
		{name, func(ctx context.Context) error {
			_, err := get(ctx, key)
			return known(err, table.ErrNotFound)
		}, "1 GetItem"},
		{"Save" + name, func(ctx context.Context) error {
			_, err := save(ctx, record)
			return known(err, table.ErrConflict)
		}, "1 PutItem"},
		{"Delete" + name, func(ctx context.Context) error {
			return known(remove(ctx, other), table.ErrConflict)
		}, "1 DeleteItem"},
	}
}

func listCalls(t *engine.Table, k binding.Key) []call {
	just := func(_ any, err error) error { return err }
	return []call{
		{"InstanceBindings", func(ctx context.Context) error {
			return just(t.InstanceBindings(ctx, k.Account, k.Region, k.Instance))
		}, "1 Query"},
		{"AccountBindings", func(ctx context.Context) error {
			return just(t.AccountBindings(ctx, k.Account, "", 10))
		}, "1 Query"},
		{"AllBindings", func(ctx context.Context) error {
			return just(t.AllBindings(ctx, "", 10))
		}, "1 Scan"},
		{"AllAuthorizations", func(ctx context.Context) error {
			return just(t.AllAuthorizations(ctx, "", 10))
		}, "1 Scan"},
		{"DueBefore", func(ctx context.Context) error {
			return just(t.DueBefore(ctx, base, "", 10))
		}, "4 Query"}, // one a shard
		{"AllSubscriptions", func(ctx context.Context) error {
			return just(t.AllSubscriptions(ctx, "", 10))
		}, "1 Scan"},
		{"DueSubscriptions", func(ctx context.Context) error {
			return just(t.DueSubscriptions(ctx, base, "", 10))
		}, "2 Query"}, // one a shard of theirs
		{"SubscriptionEntries", func(ctx context.Context) error {
			return just(t.SubscriptionEntries(ctx, k, "", 10))
		}, "1 Query"},
	}
}

func otherCalls(t *engine.Table, k binding.Key) []call {
	h := binding.IdentityEntry{
		Of: binding.IdentityKey{Platform: "github", ID: "1"}, Binding: k, At: base,
	}
	return []call{
		{"SaveIdentityEntry", func(ctx context.Context) error {
			return t.SaveIdentityEntry(ctx, h)
		}, "1 PutItem"},
		{"ListIdentityEntries", func(ctx context.Context) error {
			_, err := t.ListIdentityEntries(ctx, h.Of, "", 10)
			return err
		}, "1 Query"},
		{"DeleteIdentityEntry", func(ctx context.Context) error {
			return t.DeleteIdentityEntry(ctx, h)
		}, "1 DeleteItem"},
		{"AppendHistory", func(ctx context.Context) error {
			return t.AppendHistory(ctx, k, eventsOf(binding.MaxEvents))
		}, "1 BatchWriteItem"},
		{"ListHistory", func(ctx context.Context) error {
			_, err := t.ListHistory(ctx, k, table.NewestFirst, "", 10)
			return err
		}, "1 Query"},
	}
}

// known is nil for an error that a call may end with.
func known(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func TestEachCallIsOneRequest(t *testing.T) {
	opened, p := open(t)
	for range 2 { // without rows and with some
		for _, c := range allCalls(opened) {
			got := p.count(func() {
				if err := c.make(t.Context()); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
			if got != c.asks {
				t.Errorf("%s: asked %s, want %s", c.name, got, c.asks)
			}
		}
	}
}

// The server of these tests has one copy of each row, so that a weak read would not show.
func TestEveryReadButTheIndexsIsStrong(t *testing.T) {
	opened, p := open(t)
	var mu sync.Mutex
	p.answering(func(_ http.ResponseWriter, operation, body string) bool {
		mu.Lock()
		defer mu.Unlock()
		var request struct {
			ConsistentRead bool
			IndexName      string
		}
		if err := json.Unmarshal([]byte(body), &request); err != nil {
			t.Error(err)
		}
		reads := slices.Contains([]string{"GetItem", "Query", "Scan"}, operation)
		if want := reads && request.IndexName == ""; request.ConsistentRead != want {
			t.Errorf("%s of index %q: strong %v, want %v",
				operation, request.IndexName, request.ConsistentRead, want)
		}
		return false
	})
	for _, c := range allCalls(opened) {
		if err := c.make(t.Context()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// refusing answers every request with DynamoDB's error of this name.
func refusing(status int, code string) func(http.ResponseWriter, string, string) bool {
	return func(w http.ResponseWriter, _, _ string) bool {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, code)
		return true
	}
}

func TestThrottlingAndOtherFailuresAreNoConflict(t *testing.T) {
	opened, p := open(t)
	for _, c := range []struct {
		status int
		code   string
		tries  int
	}{
		{400, "ProvisionedThroughputExceededException", 3},
		{400, "ThrottlingException", 3},
		{400, "RequestLimitExceeded", 3},
		{500, "InternalServerError", 3},
		{503, "ServiceUnavailable", 3},
		{400, "TransactionConflictException", 1},
		{400, "ResourceNotFoundException", 1}, // of the table, not of a row
		{400, "ValidationException", 1},
		{400, "ItemCollectionSizeLimitExceededException", 1},
		{400, "AccessDeniedException", 1},
		{400, "ExpiredTokenException", 1},
	} {
		p.answering(refusing(c.status, c.code))
		for _, call := range allCalls(opened) {
			name := call.name + " at a " + c.code
			got := p.count(func() { unknown(t, name, call.make(t.Context())) })
			if want := times(c.tries, call.asks); got != want {
				t.Errorf("%s: asked %s, want %s", name, got, want)
			}
		}
	}
}

// times is "6 Query" for 3 and "2 Query".
func times(tries int, asks string) string {
	var n int
	var operation string
	_, _ = fmt.Sscan(asks, &n, &operation)
	return fmt.Sprint(n*tries, " ", operation)
}

func TestAConditionThatFailedIsAConflictAndNotTriedAgain(t *testing.T) {
	opened, p := open(t)
	p.answering(refusing(400, "ConditionalCheckFailedException"))
	asked := p.count(func() {
		_, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"})
		if !errors.Is(err, table.ErrConflict) {
			t.Errorf("got error %v, want %v", err, table.ErrConflict)
		}
	})
	if asked != "1 PutItem" {
		t.Errorf("asked %s, want 1 PutItem", asked)
	}
}

// once is true for the first call only.
func once() func(operation, body string) bool {
	var lost atomic.Bool
	return func(string, string) bool { return lost.CompareAndSwap(false, true) }
}

func TestASaveWhoseReplyWasLostIsASuccess(t *testing.T) {
	opened, p := open(t)
	ctx, b := t.Context(), binding.Record{Key: keyOfInstance("1")}
	for _, doing := range []string{"create", "replace", "replace again"} {
		p.losing(once())
		var err error
		asked := p.count(func() { b, err = opened.SaveBinding(ctx, b) })
		if err != nil || asked != "2 PutItem" {
			t.Fatalf("%s: got error %v after %s, want none after 2 PutItem", doing, err, asked)
		}
		if got, err := opened.Binding(ctx, b.Key); err != nil || got.Version != b.Version {
			t.Errorf("%s: got version %q, error %v, want %q", doing, got.Version, err, b.Version)
		}
	}
	stale := b
	if _, err := opened.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	p.losing(once())
	if _, err := opened.SaveBinding(ctx, stale); !errors.Is(err, table.ErrConflict) {
		t.Errorf("a conflict whose reply was lost: got error %v, want %v", err, table.ErrConflict)
	}
}

func TestASaveThatAnotherReplacedBeforeItsSecondSendingIsAConflict(t *testing.T) {
	opened, p := open(t)
	ctx, key := t.Context(), keyOfInstance("1")
	first := once()
	var others binding.Record
	p.losing(func(operation, body string) bool {
		return operation == "PutItem" && first(operation, body)
	})
	var second atomic.Bool
	p.answering(func(_ http.ResponseWriter, operation, _ string) bool {
		// Between the two sendings another reads what the first left, and saves.
		if operation == "PutItem" && second.Swap(true) {
			p.answering(nil)
			there, err := opened.Binding(ctx, key)
			if err != nil {
				t.Error(err)
			}
			if others, err = opened.SaveBinding(ctx, there); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	_, err := opened.SaveBinding(ctx, binding.Record{Key: key})
	if !errors.Is(err, table.ErrConflict) {
		t.Errorf("got error %v, want %v", err, table.ErrConflict)
	}
	if got, err := opened.Binding(ctx, key); err != nil || got.Version != others.Version {
		t.Errorf("got version %q, error %v, want the other's %q", got.Version, err, others.Version)
	}
}

func TestCallsWithoutAVersionMayLoseTheirReplyToo(t *testing.T) {
	opened, p := open(t)
	ctx, key := t.Context(), keyOfInstance("1")
	n, err := opened.SaveAuthorization(ctx, binding.Authorization{ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	p.losing(once())
	if err := opened.DeleteAuthorization(ctx, n); !errors.Is(err, table.ErrConflict) {
		t.Errorf("a delete: got error %v, want %v", err, table.ErrConflict)
	}
	if _, err := opened.Authorization(ctx, "1"); !errors.Is(err, table.ErrNotFound) {
		t.Errorf("the row after the delete: got error %v, want %v", err, table.ErrNotFound)
	}
	h := binding.IdentityEntry{Of: binding.IdentityKey{ID: "1"}, Binding: key, At: base}
	for name, call := range map[string]func() error{
		"SaveIdentityEntry":   func() error { return opened.SaveIdentityEntry(ctx, h) },
		"DeleteIdentityEntry": func() error { return opened.DeleteIdentityEntry(ctx, h) },
		"AppendHistory":       func() error { return opened.AppendHistory(ctx, key, eventsOf(3)) },
	} {
		p.losing(once())
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	history, err := opened.ListHistory(ctx, key, table.OldestFirst, "", 10)
	if err != nil || len(history.Items) != 3 {
		t.Errorf("the history: got %d events, error %v, want 3", len(history.Items), err)
	}
}

func TestOfManyWritersOneWinsThoughRepliesAreLost(t *testing.T) {
	opened, p := open(t)
	const writers = 64
	b, err := opened.SaveBinding(t.Context(), binding.Record{Key: keyOfInstance("1")})
	if err != nil {
		t.Fatal(err)
	}
	var sent sync.Map // each writer's first reply is lost: a request is the same when it is sent again
	p.losing(func(_, body string) bool {
		_, before := sent.LoadOrStore(body, true)
		return !before
	})
	var (
		all   sync.WaitGroup
		saved [writers]binding.Record
		errs  [writers]error
	)
	for i := range writers {
		all.Go(func() { saved[i], errs[i] = opened.SaveBinding(t.Context(), b) })
	}
	all.Wait()
	p.losing(nil)
	there, err := opened.Binding(t.Context(), b.Key)
	if err != nil {
		t.Fatal(err)
	}
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil && saved[i].Version == there.Version:
			winners++
		case !errors.Is(err, table.ErrConflict):
			t.Errorf("got error %v, want %v", err, table.ErrConflict)
		}
	}
	if winners != 1 {
		t.Errorf("%d of %d writers won, want 1", winners, writers)
	}
}

// Every writer reads, adds its mark and saves, until the mark is there. Each fifth reply is lost.
func TestOfManyWritersNoneIsLost(t *testing.T) {
	opened, p := open(t)
	const writers, rounds = 16, 200
	key := keyOfInstance("1")
	if _, err := opened.SaveBinding(t.Context(), binding.Record{Key: key}); err != nil {
		t.Fatal(err)
	}
	var puts atomic.Int32
	p.losing(func(operation, _ string) bool { return operation == "PutItem" && puts.Add(1)%5 == 0 })
	write := func(mark string) error {
		for range rounds {
			b, err := opened.Binding(t.Context(), key)
			if err != nil || slices.Contains(b.Token.Scopes, mark) {
				return err
			}
			b.Token.Scopes = append(b.Token.Scopes, mark)
			_, _ = opened.SaveBinding(t.Context(), b) // however it ends, the row says what counts
		}
		return fmt.Errorf("mark %s isn't there after %d rounds", mark, rounds)
	}
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			if err := write(fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b, err := opened.Binding(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(b.Token.Scopes)
	if got := slices.Compact(slices.Clone(b.Token.Scopes)); len(got) != writers ||
		len(b.Token.Scopes) != writers {
		t.Errorf("got the marks %q, want each of %d once", b.Token.Scopes, writers)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	opened, p := open(t)
	ended := make(chan struct{})
	for _, c := range allCalls(opened) {
		ctx, cancel := context.WithCancel(t.Context())
		p.answering(func(http.ResponseWriter, string, string) bool {
			cancel()
			<-ended
			return true
		})
		err := c.make(ctx)
		unknown(t, c.name, err)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want %v", c.name, err, context.Canceled)
		}
	}
	close(ended)
}
