package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCallers bounds what a cap remembers, some 2 MB.
const maxCallers = 10_000

// RateLimiter limits how often one caller may do something: a bucket of a minute's calls for each, which
// refills evenly. It lives in one warm process, so it blunts a flood and counts nothing exactly;
// the gateway's throttle stands before it. Its methods may be called at once from many goroutines.
type RateLimiter struct {
	perMinute int
	now       func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// NewRateLimiter makes a cap of so many calls a minute; below 1 nothing is let through.
func NewRateLimiter(perMinute int, now func() time.Time) *RateLimiter {
	return &RateLimiter{perMinute: max(perMinute, 0), now: now, buckets: map[string]*rate.Limiter{}}
}

// Allow takes one call out of who's bucket. If it is empty, ok is false and retryAfter says when
// there will be one; a refused call costs nothing.
func (c *RateLimiter) Allow(who string) (retryAfter time.Duration, ok bool) {
	if c.perMinute == 0 {
		return time.Minute, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	bucket := c.buckets[who]
	if bucket == nil {
		c.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(float64(c.perMinute)/60), c.perMinute)
		c.buckets[who] = bucket
	}
	call := bucket.ReserveN(now, 1)
	if wait := call.DelayFrom(now); wait > 0 {
		call.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// makeRoom forgets callers once there are too many: those whose bucket is full, for that is what
// a new one has, and else the one whose bucket is fullest.
func (c *RateLimiter) makeRoom(now time.Time) {
	if len(c.buckets) < maxCallers {
		return
	}
	fullest, most := "", -1.0
	for who, bucket := range c.buckets {
		tokens := bucket.TokensAt(now)
		if tokens >= float64(c.perMinute) {
			delete(c.buckets, who)
		} else if tokens > most {
			fullest, most = who, tokens
		}
	}
	if len(c.buckets) >= maxCallers {
		delete(c.buckets, fullest)
	}
}
