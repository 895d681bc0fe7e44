package auth_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/auth"
	"bindery/shared/testkit"
)

func TestD12_ACallerIsLimitedAndOthersAreNot(t *testing.T) {
	c := testkit.NewClock()
	limit := auth.NewRateLimiter(30, c.Now)
	for n := range 30 {
		if _, ok := limit.Allow("ann"); !ok {
			t.Fatalf("call %d of 30 is refused", n+1)
		}
	}
	for range 3 { // a refused call doesn't postpone the next one
		wait, ok := limit.Allow("ann")
		if ok || wait != 2*time.Second {
			t.Fatalf("after 30 calls: %v and a wait of %v, want a refusal and 2s", ok, wait)
		}
	}
	if _, ok := limit.Allow("bob"); !ok {
		t.Error("another caller is refused")
	}
	c.Advance(2 * time.Second)
	if _, ok := limit.Allow("ann"); !ok {
		t.Error("refused after the wait that was named")
	}
	if _, ok := limit.Allow("ann"); ok {
		t.Error("the wait gave more than one call")
	}
}

func TestD12_ManyAtOnceGetNoMoreThanTheLimit(t *testing.T) {
	limit := auth.NewRateLimiter(30, testkit.NewClock().Now)
	var allowed atomic.Int32
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, ok := limit.Allow("ann"); ok {
				allowed.Add(1)
			}
		})
	}
	all.Wait()
	if allowed.Load() != 30 {
		t.Errorf("%d calls were let through, want 30", allowed.Load())
	}
}

func TestD12_ALimitOfZeroRefusesEveryCall(t *testing.T) {
	if wait, ok := auth.NewRateLimiter(-1, testkit.NewClock().Now).Allow("ann"); ok || wait <= 0 {
		t.Errorf("got %v and %v", wait, ok)
	}
}

// The memory for callers is limited, and many callers don't push out one that is at its limit.
func TestD12_ManyCallersDoNotFreeACallerAtItsLimit(t *testing.T) {
	c := testkit.NewClock()
	limit := auth.NewRateLimiter(2, c.Now)
	limit.Allow("ann")
	limit.Allow("ann")
	for n := range 10_050 {
		limit.Allow(fmt.Sprint("visitor", n))
	}
	if _, ok := limit.Allow("ann"); ok {
		t.Error("many callers made the limiter forget a caller")
	}
	c.Advance(time.Minute)
	limit.Allow("someone")
	if _, ok := limit.Allow("ann"); !ok {
		t.Error("refused a minute later")
	}
}
