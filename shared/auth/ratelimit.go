package auth

import (
	"container/heap"
	"sync"
	"time"
)

// maxCallers limits what a limiter remembers, to some 2 MB.
const maxCallers = 10_000

// RateLimiter limits how often one caller may do something. Each caller has a bucket of a minute's
// calls, which refills evenly. The buckets are in the memory of one process, so the limit reduces a
// flood and isn't exact. Its methods may be called at once from many goroutines.
type RateLimiter struct {
	perMinute int
	now       func() time.Time

	mu      sync.Mutex
	callers map[string]*bucket
	buckets fullestFirst // the same buckets
}

// bucket is the bucket of one caller. Since all refill at the same rate, the one that is full again
// first is the fullest.
type bucket struct {
	caller string
	full   time.Time // when it is full again
	index  int       // in the heap
}

// NewRateLimiter returns a limiter of perMinute calls a minute; below 1 every call is refused.
func NewRateLimiter(perMinute int, now func() time.Time) *RateLimiter {
	return &RateLimiter{perMinute: max(perMinute, 0), now: now, callers: map[string]*bucket{}}
}

// Allow takes one call from the caller's bucket. If the bucket is empty, ok is false and retryAfter
// is the time until the next call is allowed; a refused call costs nothing.
func (l *RateLimiter) Allow(caller string) (retryAfter time.Duration, ok bool) {
	if l.perMinute == 0 {
		return time.Minute, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now, interval := l.now(), time.Minute/time.Duration(l.perMinute)
	b := l.callers[caller]
	if b == nil {
		b = l.add(caller, now)
	}
	full := now.Add(interval)
	if b.full.After(now) {
		full = b.full.Add(interval)
	}
	if wait := full.Sub(now) - time.Duration(l.perMinute)*interval; wait > 0 {
		return wait, false
	}
	b.full = full
	heap.Fix(&l.buckets, b.index)
	return 0, true
}

// add adds a full bucket for a caller. If there are too many, it removes the fullest: a full one is
// no loss, because a new caller's bucket is full too.
func (l *RateLimiter) add(caller string, now time.Time) *bucket {
	if len(l.buckets) >= maxCallers {
		delete(l.callers, heap.Pop(&l.buckets).(*bucket).caller)
	}
	b := &bucket{caller: caller, full: now}
	l.callers[caller] = b
	heap.Push(&l.buckets, b)
	return b
}

// fullestFirst is a [heap.Interface]: its first bucket is the fullest.
type fullestFirst []*bucket

func (f fullestFirst) Len() int           { return len(f) }
func (f fullestFirst) Less(i, j int) bool { return f[i].full.Before(f[j].full) }

func (f fullestFirst) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].index, f[j].index = i, j
}

func (f *fullestFirst) Push(b any) {
	b.(*bucket).index = len(*f)
	*f = append(*f, b.(*bucket))
}

func (f *fullestFirst) Pop() any {
	last := len(*f) - 1
	b := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	return b
}
