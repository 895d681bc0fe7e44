package binding

import "time"

// CheckDueAt returns when a record's token is next checked: at its next check, at the end of a
// lease that may be left behind, or at the recheck of a revoked one. Zero: it is not bound, or never.
func CheckDueAt(rec Record) time.Time {
	if !rec.Bound() {
		return time.Time{}
	}
	return Earliest(rec.CheckAt, rec.Lease.Until, rec.RecheckAt)
}

// SecretsDueAt returns when the first entry of a record's list of secrets is due. Zero: the list is
// empty.
func SecretsDueAt(rec Record) time.Time {
	var first time.Time
	for _, o := range rec.Secrets {
		first = Earliest(first, o.DueAt)
	}
	return first
}

// Earliest returns the first of the times that are not zero, and zero if all are.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, at := range times {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
