package binding

import "slices"

// Match is the condition of an If-Match header: ETags without their quotes, or "*" for any
// binding. Nil is no condition.
type Match []string

// allows reports whether the condition holds for a record (RFC 9110, 13.1.1).
func (m Match) Allows(rec Record) bool {
	if m == nil {
		return true
	}
	return rec.Bound() && (slices.Contains(m, "*") || slices.Contains(m, rec.Revision))
}
