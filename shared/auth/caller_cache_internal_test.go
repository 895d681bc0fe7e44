package auth

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"bindery/shared/testkit"
)

func TestD13_ACallerIsCachedForAMinuteAtMost(t *testing.T) {
	now := time.Now() // has a monotonic reading
	wall := now.Round(0)
	for expiry, want := range map[time.Duration]time.Duration{
		time.Hour: time.Minute, 61 * time.Second: time.Minute, 59 * time.Second: 59 * time.Second,
	} {
		// With == a monotonic reading counts: there must be none.
		testkit.Want(t, "until", cachedUntil(now, wall.Add(expiry)), wall.Add(want))
	}
}

func TestTheCacheOfCallersIsBoundedAndHasTheNewest(t *testing.T) {
	var c callerCache
	hash := func(n int) [sha256.Size]byte { return sha256.Sum256([]byte(fmt.Sprint(n))) }
	for n := range 5 * callersPerGeneration {
		c.put(hash(n), cachedCaller{keysVersion: n})
		if kept := len(c.recent) + len(c.older); kept > 2*callersPerGeneration {
			t.Fatalf("%d callers are kept", kept)
		}
		oldest := max(0, n-callersPerGeneration+1)
		if known, ok := c.get(hash(oldest)); !ok || known.keysVersion != oldest {
			t.Fatalf("after %d callers, number %d is %+v, %v", n, oldest, known, ok)
		}
	}
}
