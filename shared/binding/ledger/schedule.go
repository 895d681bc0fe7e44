package ledger

import (
	"time"

	"bindery/shared/binding"
)

// Due returns when a record next needs work: at once while it carries events; else at the first of its
// next webhook, its next check and its first listed secret. An unbound record without any of these
// is due when it can be deleted. Zero means never.
func (l *Ledger) Due(rec binding.Record) time.Time {
	if len(rec.Events) > 0 {
		return l.Now()
	}
	next := binding.Earliest(binding.CheckDueAt(rec), binding.SecretsDueAt(rec))
	if rec.Delivery.Waiting > 0 {
		next = binding.Earliest(next, rec.Delivery.At)
	}
	if next.IsZero() && !rec.Bound() {
		return rec.EventAt.Add(OrphanGracePeriod)
	}
	return next
}

// CheckInterval is the time between two checks of a binding: short enough that a revoked token
// is known before the next morning's builds, and that no token expires from disuse (GitHub
// deletes one after a year). A check costs one or two calls to the platform, nine for Codeup.
const CheckInterval = 24 * time.Hour

// WarningDays returns the days before a token's expiry at which its owner is warned, once each.
func WarningDays() []int { return []int{14, 7, 1} }

// Day is 24 hours.
const Day = 24 * time.Hour

// NextCheck returns when a healthy binding is next checked: in a day, less a random part of two
// hours, or earlier if its owner must be warned of the token's expiry before.
func (l *Ledger) NextCheck(rec binding.Record) time.Time {
	next := l.Now().Add(CheckInterval - l.Jitter(2*time.Hour))
	expiry := rec.Token.ExpiresAt
	if expiry.IsZero() || rec.Token.Refreshable {
		return next
	}
	moments := []time.Time{expiry}
	for _, days := range WarningDays() {
		moments = append(moments, expiry.Add(-time.Duration(days)*Day))
	}
	for _, at := range moments {
		if at.After(l.Now()) && at.Before(next) {
			next = at
		}
	}
	return next
}
