package binding

import (
	"time"

	"bindery/shared/table"
)

// checkInterval is the time between two checks of a binding: short enough that a revoked token
// is known before the next morning's builds, and that no token expires from disuse (GitHub
// deletes one after a year). A check costs one or two calls to the platform, nine for Codeup.
const checkInterval = 24 * time.Hour

// warningDays returns the days before a token's expiry at which its owner is warned, once each.
func warningDays() []int { return []int{14, 7, 1} }

const day = 24 * time.Hour

// nextCheck returns when a healthy binding is next checked: in a day, less a random part of two
// hours, or earlier if its owner must be warned of the token's expiry before.
func (s *Service) nextCheck(rec table.Binding) time.Time {
	next := s.now().Add(checkInterval - s.jitter(2*time.Hour))
	expiry := rec.Token.ExpiresAt
	if expiry.IsZero() || rec.Token.Refreshable {
		return next
	}
	moments := []time.Time{expiry}
	for _, days := range warningDays() {
		moments = append(moments, expiry.Add(-time.Duration(days)*day))
	}
	for _, at := range moments {
		if at.After(s.now()) && at.Before(next) {
			next = at
		}
	}
	return next
}
