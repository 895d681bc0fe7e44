package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// cachedCallerTTL is how long a verified caller is kept at most.
	cachedCallerTTL = time.Minute
	// callersPerGeneration limits the cache's memory: to some 2 MB, or 16 MB if every token is as
	// long as possible.
	callersPerGeneration = 1000
)

// callerCache keeps the callers of verified tokens by the SHA-256 of the token. It never has the
// token. Its methods may be called at once from many goroutines.
//
// It has two generations. A full new one becomes the old one, whose callers are dropped, so that no
// call has to look for what to drop.
type callerCache struct {
	mu     sync.Mutex
	recent map[[sha256.Size]byte]cachedCaller
	older  map[[sha256.Size]byte]cachedCaller
}

type cachedCaller struct {
	caller      Caller
	keysVersion int // of the issuer's keys that verified the token
	until       time.Time
}

// cachedUntil returns the time from which a token must be verified again. It is a time of the wall
// clock, because the monotonic clock may stand still while a function is frozen.
func cachedUntil(now, expiry time.Time) time.Time {
	if until := now.Round(0).Add(cachedCallerTTL); until.Before(expiry) {
		return until
	}
	return expiry
}

func (c *callerCache) get(hash [sha256.Size]byte) (cachedCaller, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.recent[hash]
	if !ok {
		known, ok = c.older[hash]
	}
	return known, ok
}

func (c *callerCache) put(hash [sha256.Size]byte, verified cachedCaller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil || len(c.recent) >= callersPerGeneration {
		c.older, c.recent = c.recent, map[[sha256.Size]byte]cachedCaller{}
	}
	c.recent[hash] = verified
}
