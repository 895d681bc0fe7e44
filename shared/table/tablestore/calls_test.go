package tablestore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
	"bindery/shared/table/tablestore/otstest"
)

func eventsOf(count int) (list []binding.Event) {
	for i := range count {
		list = append(list, binding.Event{ID: fmt.Sprint(i), Number: int64(i), At: base})
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

// call is a method of a table, with arguments, and the calls that it makes to the service.
type call struct {
	name  string
	make  func(ctx context.Context, t *engine.Table) error
	asks  string
	times int
}

// allCalls are calls of every method. Each can be made again and again.
func allCalls() []call {
	k := keyOfInstance("1")
	calls := callsOf("Binding", (*engine.Table).Binding, k,
		(*engine.Table).SaveBinding, (*engine.Table).DeleteBinding,
		binding.Record{Key: k, DueAt: base}, binding.Record{Key: k, Version: "x"})
	calls = append(calls, callsOf("Authorization", (*engine.Table).Authorization, "1",
		(*engine.Table).SaveAuthorization, (*engine.Table).DeleteAuthorization,
		binding.Authorization{ID: "1", DueAt: base}, binding.Authorization{ID: "1", Version: "x"})...)
	calls = append(calls, callsOf("Subscription", (*engine.Table).Subscription, "1",
		(*engine.Table).SaveSubscription, (*engine.Table).DeleteSubscription,
		binding.Subscription{ID: "1", DueAt: base}, binding.Subscription{ID: "1", Version: "x"})...)
	entry := func(t *engine.Table, ctx context.Context, id string) (binding.SubscriptionEntry, error) {
		return t.SubscriptionEntry(ctx, k, id)
	}
	calls = append(calls, callsOf("SubscriptionEntry", entry, "1",
		(*engine.Table).SaveSubscriptionEntry, (*engine.Table).DeleteSubscriptionEntry,
		binding.SubscriptionEntry{Binding: k, RepositoryID: "1"},
		binding.SubscriptionEntry{Binding: k, RepositoryID: "1", Version: "x"})...)
	calls = append(calls, callsOf("RunLease", (*engine.Table).RunLease, "1",
		(*engine.Table).SaveRunLease, (*engine.Table).DeleteRunLease,
		binding.RunLease{Schedule: "1"}, binding.RunLease{Schedule: "1", Version: "x"})...)
	return slices.Concat(calls, listCalls(k), otherCalls(k), logCalls())
}

// callsOf are the calls on one kind of rows. other is a version that is never there.
func callsOf[K, T any](
	name string, get func(*engine.Table, context.Context, K) (T, error), key K,
	save func(*engine.Table, context.Context, T) (T, error),
	remove func(*engine.Table, context.Context, T) error, record, other T,
) []call {
	return []call{
		{name, func(ctx context.Context, t *engine.Table) error {
			_, err := get(t, ctx, key)
			return known(err, table.ErrNotFound)
		}, "GetRow", 1},
		{"Save" + name, func(ctx context.Context, t *engine.Table) error {
			_, err := save(t, ctx, record)
			return known(err, table.ErrConflict)
		}, "PutRow", 1},
		{"Delete" + name, func(ctx context.Context, t *engine.Table) error {
			return known(remove(t, ctx, other), table.ErrConflict)
		}, "DeleteRow", 1},
	}
}

func listCalls(k binding.Key) []call {
	just := func(_ any, err error) error { return err }
	return []call{
		{"InstanceBindings", func(ctx context.Context, t *engine.Table) error {
			return just(t.InstanceBindings(ctx, k.Account, k.Region, k.Instance))
		}, "GetRange", 1},
		{"AccountBindings", func(ctx context.Context, t *engine.Table) error {
			return just(t.AccountBindings(ctx, k.Account, "", 10))
		}, "GetRange", 1},
		{"AllBindings", func(ctx context.Context, t *engine.Table) error {
			return just(t.AllBindings(ctx, "", 10))
		}, "GetRange", 1},
		{"AllAuthorizations", func(ctx context.Context, t *engine.Table) error {
			return just(t.AllAuthorizations(ctx, "", 10))
		}, "GetRange", 1},
		{"DueBefore", func(ctx context.Context, t *engine.Table) error {
			return just(t.DueBefore(ctx, base, "", 10))
		}, "GetRange", engine.Shards},
		{"AllSubscriptions", func(ctx context.Context, t *engine.Table) error {
			return just(t.AllSubscriptions(ctx, "", 10))
		}, "GetRange", 1},
		{"DueSubscriptions", func(ctx context.Context, t *engine.Table) error {
			return just(t.DueSubscriptions(ctx, base, "", 10))
		}, "GetRange", engine.SubscriptionShards},
		{"SubscriptionEntries", func(ctx context.Context, t *engine.Table) error {
			return just(t.SubscriptionEntries(ctx, k, "", 10))
		}, "GetRange", 1},
	}
}

func otherCalls(k binding.Key) []call {
	h := binding.IdentityEntry{
		Of: binding.IdentityKey{Platform: "github", ID: "1"}, Binding: k, At: base,
	}
	return []call{
		{"SaveIdentityEntry", func(ctx context.Context, t *engine.Table) error {
			return t.SaveIdentityEntry(ctx, h)
		}, "PutRow", 1},
		{"ListIdentityEntries", func(ctx context.Context, t *engine.Table) error {
			_, err := t.ListIdentityEntries(ctx, h.Of, "", 10)
			return err
		}, "GetRange", 1},
		{"DeleteIdentityEntry", func(ctx context.Context, t *engine.Table) error {
			return t.DeleteIdentityEntry(ctx, h)
		}, "DeleteRow", 1},
		{"AppendHistory", func(ctx context.Context, t *engine.Table) error {
			return t.AppendHistory(ctx, k, eventsOf(binding.MaxEvents))
		}, "BatchWriteRow", 1},
		{"ListHistory", func(ctx context.Context, t *engine.Table) error {
			_, err := t.ListHistory(ctx, k, table.NewestFirst, "", 10)
			return err
		}, "GetRange", 1},
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
	w := newHarness(t)
	for range 2 { // without rows and with some
		for _, c := range allCalls() {
			got := w.count(func() {
				if err := c.make(t.Context(), w.table); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
			if want := map[string]int{c.asks: c.times}; !maps.Equal(got, want) {
				t.Errorf("%s: asked %v, want %v", c.name, got, want)
			}
		}
	}
}

func TestThrottlingAndOtherFailuresAreNoConflict(t *testing.T) {
	for name, fault := range map[string]struct {
		fault otstest.Fault
		tries int
	}{
		"busy": {otstest.Busy, 3}, "broken": {otstest.Broken, 3}, "timed out": {otstest.TimedOut, 3},
		"another writer": {otstest.Met, 3}, "lost": {otstest.Lost, 3}, "a page": {otstest.Page, 3},
		"denied": {otstest.Denied, 1}, "refused": {otstest.Refused, 1},
		"garbled": {otstest.Garbled, 1}, "empty": {otstest.Empty, 1},
		"redirected": {otstest.Redirected, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t)
			for _, c := range allCalls() {
				if name == "empty" && c.asks == "BatchWriteRow" {
					continue // answers for no row: see the next test
				}
				w.service.Fail(c.asks, fault.tries*c.times, fault.fault)
				asked := w.count(func() { unknown(t, c.name, c.make(t.Context(), w.table)) })
				if want := map[string]int{c.asks: fault.tries * c.times}; !maps.Equal(asked, want) {
					t.Errorf("%s: asked %v, want %v", c.name, asked, want)
				}
				if fault.tries > 1 && name != "lost" {
					w.service.Fail(c.asks, fault.tries-1, fault.fault)
					if err := c.make(t.Context(), w.table); c.times == 1 && err != nil {
						t.Errorf("%s, which fails twice: %v", c.name, err)
					}
				}
			}
		})
	}
}

func TestABatchThatAnswersForNoRowIsAnError(t *testing.T) {
	w := newHarness(t)
	w.service.Fail("BatchWriteRow", 1, otstest.Empty)
	unknown(t, "AppendHistory", w.table.AppendHistory(t.Context(), keyOfInstance("1"), eventsOf(2)))
}

func TestRowsThatAreTurnedAwayAreSentAgain(t *testing.T) {
	w := newHarness(t)
	key := keyOfInstance("1")
	w.service.Fail("BatchWriteRow", 2, otstest.OneRefused)
	if err := w.table.AppendHistory(t.Context(), key, eventsOf(binding.MaxEvents)); err != nil {
		t.Error(err)
	}
	page, err := w.table.ListHistory(t.Context(), key, table.OldestFirst, "", 100)
	if err != nil || len(page.Items) != binding.MaxEvents {
		t.Errorf("got %d events, error %v, want %d", len(page.Items), err, binding.MaxEvents)
	}
	w.service.Fail("BatchWriteRow", 3, otstest.OneRefused)
	unknown(t, "AppendHistory", w.table.AppendHistory(t.Context(), key, eventsOf(2)))
}

func TestAConditionThatFailedIsAConflictAndNotTriedAgain(t *testing.T) {
	w := newHarness(t)
	asked := w.count(func() {
		_, err := w.table.SaveAuthorization(t.Context(), binding.Authorization{ID: "1", Version: "x"})
		if !errors.Is(err, table.ErrConflict) {
			t.Errorf("got error %v, want %v", err, table.ErrConflict)
		}
	})
	if want := map[string]int{"PutRow": 1}; !maps.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestASaveWhoseReplyWasLostIsASuccess(t *testing.T) {
	w := newHarness(t)
	ctx, b := t.Context(), binding.Record{Key: keyOfInstance("1")}
	for _, doing := range []string{"create", "replace", "replace again"} {
		w.service.Fail("PutRow", 1, otstest.Lost)
		var err error
		asked := w.count(func() { b, err = w.table.SaveBinding(ctx, b) })
		if want := map[string]int{"PutRow": 2, "GetRow": 1}; err != nil || !maps.Equal(asked, want) {
			t.Fatalf("%s: got error %v after %v, want none after %v", doing, err, asked, want)
		}
		if got, err := w.table.Binding(ctx, b.Key); err != nil || got.Version != b.Version {
			t.Errorf("%s: got version %q, error %v, want %q", doing, got.Version, err, b.Version)
		}
	}
	stale := b
	if _, err := w.table.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	w.service.Fail("PutRow", 1, otstest.Lost)
	if _, err := w.table.SaveBinding(ctx, stale); !errors.Is(err, table.ErrConflict) {
		t.Errorf("a conflict whose reply was lost: got error %v, want %v", err, table.ErrConflict)
	}
	// The read that decides fails too: nothing is known.
	w.service.Fail("PutRow", 1, otstest.Lost)
	w.service.Fail("GetRow", 3, otstest.Busy)
	_, err := w.table.SaveAuthorization(ctx, binding.Authorization{ID: "1"})
	unknown(t, "SaveAuthorization", err)
}

func TestASaveThatAnotherReplacedBeforeItsSecondSendingIsAConflict(t *testing.T) {
	w := newHarness(t)
	ctx, key := t.Context(), keyOfInstance("1")
	w.service.Fail("PutRow", 1, otstest.Lost)
	var puts atomic.Int32
	var others binding.Record
	w.onCall = func(operation string) {
		// Between the two sendings another reads what the first left, and saves.
		if operation != "PutRow" || puts.Add(1) != 2 {
			return
		}
		there, err := w.table.Binding(ctx, key)
		if err != nil {
			t.Error(err)
		}
		if others, err = w.table.SaveBinding(ctx, there); err != nil {
			t.Error(err)
		}
	}
	_, err := w.table.SaveBinding(ctx, binding.Record{Key: key})
	if !errors.Is(err, table.ErrConflict) {
		t.Errorf("got error %v, want %v", err, table.ErrConflict)
	}
	if got, err := w.table.Binding(ctx, key); err != nil || got.Version != others.Version {
		t.Errorf("got version %q, error %v, want the other's %q", got.Version, err, others.Version)
	}
}

func TestOfManyWritersOneWinsThoughRepliesAreLost(t *testing.T) {
	w := newHarness(t)
	const writers = 32
	b, err := w.table.SaveBinding(t.Context(), binding.Record{Key: keyOfInstance("1")})
	if err != nil {
		t.Fatal(err)
	}
	w.service.Fail("PutRow", writers, otstest.Lost)
	var (
		all   sync.WaitGroup
		saved [writers]binding.Record
		errs  [writers]error
	)
	for i := range writers {
		all.Go(func() { saved[i], errs[i] = w.table.SaveBinding(t.Context(), b) })
	}
	all.Wait()
	there, err := w.table.Binding(t.Context(), b.Key)
	if err != nil {
		t.Fatal(err)
	}
	winners := 0
	for i, err := range errs {
		// A writer that lost every reply knows nothing. One that was answered must know the truth.
		won := saved[i].Version == there.Version
		if err == nil && won {
			winners++
		}
		if err == nil && !won {
			t.Error("a writer was told that it won, and the row is another's")
		}
	}
	if winners > 1 {
		t.Errorf("%d of %d writers won, want 1 at most", winners, writers)
	}
}

func TestCredentialsMayChangeBetweenTwoCalls(t *testing.T) {
	w := newHarness(t)
	if _, err := w.table.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	w.become("second")
	if _, err := w.table.Authorization(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	w.service.SetCredentials("third", "key", "")
	_, err := w.table.Authorization(t.Context(), "1")
	unknown(t, "Authorization with the credentials of before", err)
}

func TestACallEndsWithItsContext(t *testing.T) {
	w := newHarness(t)
	asked, release := make(chan struct{}, engine.Shards), make(chan struct{})
	slow := New(w.clientOf(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})), tableName)
	t.Cleanup(func() { close(release) }) // before the server is closed, which waits for it
	for _, c := range allCalls() {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.make(ctx, slow) }()
		for range c.times {
			<-asked
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want context.Canceled", c.name, err)
		}
	}
}

func TestD1_NoErrorOfTablestoreShowsTheCredentials(t *testing.T) {
	for name, fault := range map[string]otstest.Fault{
		"busy": otstest.Busy, "lost": otstest.Lost, "page": otstest.Page, "denied": otstest.Denied,
		"garbled": otstest.Garbled, "redirected": otstest.Redirected,
	} {
		w := newHarness(t)
		for _, c := range allCalls() {
			w.service.Fail(c.asks, 3*c.times, fault)
			err := c.make(t.Context(), w.table)
			for ; err != nil; err = errors.Unwrap(err) {
				for _, format := range []string{"%v", "%+v", "%#v"} {
					if strings.Contains(fmt.Sprintf(format, err), "canary") {
						t.Errorf("%s: the error of %s shows the credentials", name, c.name)
					}
				}
			}
		}
	}
}

func TestAnOperatorReadsWhatIsWrong(t *testing.T) {
	w := newHarness(t)
	const doing = "tablestore: read an authorization: "
	for fault, want := range map[otstest.Fault]string{
		otstest.Denied: doing + "the service answered OTSNoPermissionAccess: You have",
		otstest.Busy:   doing + "the service answered OTSServerBusy (request 0",
		otstest.Page:   doing + "the service answered OTSServerUnavailable",
		otstest.Lost:   doing + "asking the service: EOF",
		otstest.Empty:  doing + "the reply of Tablestore can't be read",
	} {
		w.service.Fail("GetRow", 3, fault)
		_, err := w.table.Authorization(t.Context(), "1")
		if text := fmt.Sprint(err); !strings.HasPrefix(text, want) {
			t.Errorf("got %q, want %q", text, want)
		}
		for range 3 { // what is left over of the plan
			_, _ = w.table.Authorization(t.Context(), "1")
		}
	}
	_, err := New(w.client, "another").Authorization(t.Context(), "1")
	if want := "OTSObjectNotExist: Requested table does not exist."; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("a table that isn't there: got %v, want %q", err, want)
	}
}

// TestA15_ACursorLeadsIntoNoOtherAccount: a cursor comes from the caller, who may have written it.
func TestA15_ACursorLeadsIntoNoOtherAccount(t *testing.T) {
	w := newHarness(t)
	for _, account := range []string{"acct-1", "acct-2"} {
		_, err := w.table.SaveBinding(t.Context(), binding.Record{Key: binding.Key{
			Account: account, Region: "cn-hangzhou", Instance: "cri-1", Platform: "gitee",
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	made, err := json.Marshal(map[string]string{
		"list": engine.AccountPK("acct-2"), "pk": engine.AccountPK("acct-1"), "sk": "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	written := base64.RawURLEncoding.EncodeToString(made)
	page, err := w.table.AccountBindings(t.Context(), "acct-2", written, 10)
	if !errors.Is(err, table.ErrCursor) {
		t.Errorf("got %d rows and %v, want %v", len(page.Items), err, table.ErrCursor)
	}
}
