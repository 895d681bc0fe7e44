package binding

import (
	"time"

	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// Status is the state of a binding as its users see it.
type Status string

// The statuses. The first that applies is a binding's status.
const (
	StatusUnbound      Status = "unbound"
	StatusUnknown      Status = "unknown" // written by a newer version of Bindery
	StatusRevoked      Status = "revoked"
	StatusExpired      Status = "expired"
	StatusUnauthorized Status = "unauthorized"
	StatusUnreachable  Status = "unreachable"
	StatusExpiring     Status = "expiring"
	StatusBound        Status = "bound"
)

// Statuses returns all statuses, in the order in which they apply.
func Statuses() []Status {
	return []Status{
		StatusUnbound, StatusUnknown, StatusRevoked, StatusExpired, StatusUnauthorized,
		StatusUnreachable, StatusExpiring, StatusBound,
	}
}

const (
	// expiringPeriod is how long before its expiry a token that its owner must renew is shown as
	// expiring.
	expiringPeriod = 14 * 24 * time.Hour
	// MinUnansweredChecks is how many checks in a row get no answer before a binding is
	// unreachable.
	MinUnansweredChecks = 3
)

// StatusOf returns a record's status at the time now.
func StatusOf(rec Record, now time.Time) Status {
	expiry := rec.Token.ExpiresAt
	refreshable := rec.Token.Refreshable
	switch {
	case !rec.Bound():
		return StatusUnbound
	case FromNewerVersion(rec):
		return StatusUnknown
	case rec.Health == HealthRevoked:
		return StatusRevoked
	case rec.Health == HealthExpired, !expiry.IsZero() && !expiry.After(now) && !refreshable:
		return StatusExpired
	case rec.Health == HealthUnauthorized:
		return StatusUnauthorized
	case rec.Unanswered >= MinUnansweredChecks:
		return StatusUnreachable
	case !expiry.IsZero() && !expiry.After(now.Add(expiringPeriod)) && !refreshable:
		return StatusExpiring
	}
	return StatusBound
}

// View is a binding as its account may see it.
type View struct {
	Record Record
	Status Status
	// Method is how the platform is bound; "" if this version does not know the platform.
	Method provider.Method
	// Instance is set in the list of an account's bindings only.
	Instance instance.Instance
	// CheckProblem is set after a check that its user asked for and that has not settled the state of
	// the token: no answer, or a refusal that is to be confirmed. The status is the one before it,
	// unless this is the check without an answer that makes the binding unreachable.
	CheckProblem *problem.Problem
}
