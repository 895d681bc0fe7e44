package cache_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/cache"
	"bindery/shared/testkit"
)

var errAway = errors.New("away")

// origin serves the number of its calls, and can be unavailable.
type origin struct {
	clock *testkit.Clock
	asked atomic.Int32
	away  atomic.Bool
}

func newOrigin() *origin { return &origin{clock: testkit.NewClock()} }

func (o *origin) get(context.Context) (int32, error) {
	n := o.asked.Add(1)
	if o.away.Load() {
		return -1, errAway
	}
	return n, nil
}

func (o *origin) policy() cache.Policy {
	return cache.Policy{
		TTL: time.Hour, Timeout: time.Minute,
		RetryInterval: time.Minute, RetryEmptyInterval: 5 * time.Second,
		Now: o.clock.Now,
	}
}

func TestADocumentIsFetchedOnceForAllAndAgainWhenItIsOld(t *testing.T) {
	o := newOrigin()
	d := cache.New(o.get, o.policy())
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if value, version, err := d.Current(t.Context()); value != 1 || version != 1 || err != nil {
				t.Errorf("got %d, version %d, %v", value, version, err)
			}
		})
	}
	all.Wait()
	o.clock.Advance(time.Hour)
	if value, version, err := d.Current(t.Context()); value != 2 || version != 2 || err != nil {
		t.Errorf("after an hour: got %d, version %d, %v", value, version, err)
	}
}

func TestAPrefetchedDocumentIsFetchedOnce(t *testing.T) {
	o := newOrigin()
	d := cache.New(o.get, o.policy())
	for range 3 {
		d.Prefetch(t.Context())
	}
	for range 2 {
		value, version, err := d.Current(t.Context())
		if value != 1 || version != 1 || err != nil {
			t.Errorf("got %d, version %d, %v", value, version, err)
		}
	}
	d.Prefetch(t.Context())
	testkit.Want(t, "calls of its origin", o.asked.Load(), 1)
}

// A process may be frozen in the middle of a prefetch, which then fails.
func TestAFailedPrefetchDelaysNoCaller(t *testing.T) {
	o := newOrigin()
	begun, end := make(chan struct{}), make(chan struct{})
	d := cache.New(func(ctx context.Context) (int32, error) {
		n, _ := o.get(ctx)
		if n == 1 {
			close(begun)
			<-end
			return 0, errAway
		}
		return n, nil
	}, o.policy())
	d.Prefetch(t.Context())
	<-begun
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if value, version, err := d.Current(t.Context()); value != 2 || version != 1 || err != nil {
				t.Errorf("got %d, version %d, %v", value, version, err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.Current(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone got %v", err)
	}
	close(end)
	all.Wait()
	testkit.Want(t, "calls of its origin", o.asked.Load(), 2)
}

func TestTheOldDocumentIsUsedWhileItsOriginIsUnavailable(t *testing.T) {
	o := newOrigin()
	d := cache.New(o.get, o.policy())
	_, _, _ = d.Current(t.Context())
	o.away.Store(true)
	o.clock.Advance(time.Hour)
	for range 3 {
		if value, version, err := d.Current(t.Context()); value != 1 || version != 1 || err != nil {
			t.Errorf("got %d, version %d, %v", value, version, err)
		}
	}
	if got := o.asked.Load(); got != 2 {
		t.Errorf("its origin was asked %d times, want 2", got)
	}
}

func TestWithoutADocumentTheErrorHasTheCauseAndTheOriginIsCalledAgainSoon(t *testing.T) {
	o := newOrigin()
	o.away.Store(true)
	d := cache.New(o.get, o.policy())
	for range 3 {
		if _, _, err := d.Current(t.Context()); !errors.Is(err, cache.ErrNone) ||
			!errors.Is(err, errAway) {
			t.Errorf("got %v", err)
		}
	}
	o.away.Store(false)
	o.clock.Advance(5 * time.Second)
	if value, _, err := d.Current(t.Context()); value != 2 || err != nil {
		t.Errorf("got %d, %v", value, err)
	}
}

func TestNewerFetchesOnlyIfNoOtherCallHas(t *testing.T) {
	o := newOrigin()
	d := cache.New(o.get, o.policy())
	_, _, _ = d.Current(t.Context())
	for _, step := range []struct {
		later   time.Duration
		than    int
		value   int32
		version int
	}{
		{later: 59 * time.Second, than: 1, value: 1, version: 1}, // too recent
		{later: time.Second, than: 1, value: 2, version: 2},
		{later: time.Minute, than: 1, value: 2, version: 2}, // another call has fetched it
		{later: 0, than: 2, value: 3, version: 3},
	} {
		o.clock.Advance(step.later)
		value, version, err := d.Newer(t.Context(), step.than)
		if value != step.value || version != step.version || err != nil {
			t.Errorf("%+v: got %d, version %d, %v", step, value, version, err)
		}
	}
}

func TestACancelledCallerDoesNotEndTheFetchForTheOthers(t *testing.T) {
	o := newOrigin()
	asked, release := make(chan struct{}), make(chan struct{})
	d := cache.New(func(ctx context.Context) (int32, error) {
		close(asked)
		<-release
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return o.get(ctx)
	}, o.policy())
	ctx, leave := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		if _, _, err := d.Current(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled caller got %v", err)
		}
	})
	<-asked
	leave()
	first.Wait()
	close(release)
	if value, _, err := d.Current(t.Context()); value != 1 || err != nil {
		t.Errorf("the next got %d, %v", value, err)
	}
}

func TestCallersDuringAFetchGetTheOldDocument(t *testing.T) {
	o := newOrigin()
	asked, release := make(chan struct{}), make(chan struct{})
	d := cache.New(func(ctx context.Context) (int32, error) {
		value, err := o.get(ctx)
		if value == 2 {
			close(asked)
			<-release
		}
		return value, err
	}, o.policy())
	_, _, _ = d.Current(t.Context())
	o.clock.Advance(time.Hour)
	first, second := make(chan int32, 1), make(chan int32, 1)
	current := func(into chan int32) {
		value, _, _ := d.Current(t.Context())
		into <- value
	}
	go current(first)
	<-asked
	go current(second)
	select {
	case got := <-second:
		if got != 1 {
			t.Errorf("a caller during the fetch got %d, want the old 1", got)
		}
	case <-time.After(10 * time.Second): // only when it fails
		t.Error("a caller during the fetch had to wait")
	}
	close(release)
	if got := <-first; got != 2 {
		t.Errorf("the caller that started the fetch got %d, want the new 2", got)
	}
}

func TestWebAcceptsOnlyAPlainSmallReply(t *testing.T) {
	var followed atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/right", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("12345"))
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("123456"))
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Filler", strings.Repeat("a", 100<<10))
		_, _ = w.Write([]byte("12345"))
	})
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = w.Write([]byte("1"))
	})
	mux.HandleFunc("/error", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "12345", http.StatusTeapot)
	})
	mux.Handle("/moved", http.RedirectHandler("/followed", http.StatusFound))
	mux.HandleFunc("/followed", func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	server := httptest.NewServer(mux)
	defer server.Close()
	// A proxy of the environment isn't used either.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")

	for _, client := range []*http.Client{nil, server.Client()} {
		body, err := cache.Web(server.URL+"/right", client, 5)(t.Context())
		if string(body) != "12345" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		for _, address := range []string{
			server.URL + "/long?canary", server.URL + "/half?canary", server.URL + "/error?canary",
			server.URL + "/moved?canary", "http://127.0.0.1:1/?canary", "http://[canary",
		} {
			body, err := cache.Web(address, client, 5)(t.Context())
			if err == nil {
				t.Errorf("%s: got %q", address, body)
			} else if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the address: %v", err)
			}
		}
	}
	if body, err := cache.Web(server.URL+"/header", nil, 5)(t.Context()); err == nil {
		t.Errorf("a header of 100 KB: got %q, want an error", body)
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}
