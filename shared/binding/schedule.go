package binding

import "time"

// authorizationTTL is how long an authorization lives, from start to confirm.
const AuthorizationTTL = 15 * time.Minute

// earliest is the first of some times, of which zero ones are none.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, at := range times {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
