package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
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
	buckets map[string]*rate.Limiter
}

// NewRateLimiter returns a limiter of perMinute calls a minute; below 1 every call is refused.
func NewRateLimiter(perMinute int, now func() time.Time) *RateLimiter {
	return &RateLimiter{perMinute: max(perMinute, 0), now: now, buckets: map[string]*rate.Limiter{}}
}

// Allow takes one call from the caller's bucket. If the bucket is empty, ok is false and retryAfter
// is the time until the next call is allowed; a refused call costs nothing.
func (l *RateLimiter) Allow(caller string) (retryAfter time.Duration, ok bool) {
	if l.perMinute == 0 {
		return time.Minute, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	bucket := l.buckets[caller]
	if bucket == nil {
		l.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
		l.buckets[caller] = bucket
	}
	call := bucket.ReserveN(now, 1)
	if wait := call.DelayFrom(now); wait > 0 {
		call.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// makeRoom removes callers once there are too many: those with a full bucket, because a new
// caller's bucket is full too, and otherwise the caller with the fullest bucket.
func (l *RateLimiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxCallers {
		return
	}
	fullest, most := "", -1.0
	for caller, bucket := range l.buckets {
		tokens := bucket.TokensAt(now)
		if tokens >= float64(l.perMinute) {
			delete(l.buckets, caller)
		} else if tokens > most {
			fullest, most = caller, tokens
		}
	}
	if len(l.buckets) >= maxCallers {
		delete(l.buckets, fullest)
	}
}
