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

func TestD12_AnIdleCallerSavesUpNoMoreThanAMinutesCalls(t *testing.T) {
	c := testkit.NewClock()
	limit := auth.NewRateLimiter(30, c.Now)
	for _, step := range []struct {
		idle time.Duration
		want int
	}{{0, 30}, {time.Hour, 30}, {time.Minute - 1, 29}, {1, 1}, {6 * time.Second, 3}} {
		c.Advance(step.idle)
		calls := 0
		for ; calls < 100; calls++ {
			if _, ok := limit.Allow("ann"); !ok {
				break
			}
		}
		testkit.Want(t, "calls after another "+step.idle.String(), calls, step.want)
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

// The caller that is forgotten has used the least, in whatever order they came.
func TestD12_TheCallerWithTheFullestBucketIsForgotten(t *testing.T) {
	limit := auth.NewRateLimiter(3, testkit.NewClock().Now)
	allowed := func(caller string, calls int) (n int) {
		for range calls {
			if _, ok := limit.Allow(caller); ok {
				n++
			}
		}
		return n
	}
	users := map[int][]string{} // by how often they call
	for n := range 10_000 {
		calls, name := 1+n*7%10/3, fmt.Sprint("user", n)
		users[calls] = append(users[calls], name)
		allowed(name, calls)
	}
	for n := range users[1] { // each pushes out a caller that called once
		allowed(fmt.Sprint("visitor", n), 2)
	}
	for _, c := range []struct{ calls, left int }{{4, 0}, {3, 0}, {2, 1}, {1, 3}} {
		for _, name := range users[c.calls] {
			if got := allowed(name, 4); got != c.left {
				t.Fatalf("%s called %d times and may call %d times more, want %d", name, c.calls, got,
					c.left)
			}
		}
	}
}

func BenchmarkRateLimiter(b *testing.B) {
	for _, known := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprint("a new caller, of ", known, " known"), func(b *testing.B) {
			c := testkit.NewClock()
			limit := auth.NewRateLimiter(30, c.Now)
			for n := range known {
				limit.Allow(fmt.Sprint("user", n))
				limit.Allow(fmt.Sprint("user", n))
			}
			var names []string
			for n := range 100_000 {
				names = append(names, fmt.Sprint("visitor", n))
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if known < 10_000 && n%5000 == 0 { // stay below the limit
					limit = auth.NewRateLimiter(30, c.Now)
				}
				limit.Allow(names[n%len(names)])
			}
		})
	}
}
