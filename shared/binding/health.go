package binding

import (
	"slices"
	"time"

	"bindery/shared/problem"
)

// Health is what the platform's last definite answer says about a binding's token.
type Health string

// The states of health. A transient failure does not change the state.
const (
	HealthGood         Health = ""
	HealthRevoked      Health = "revoked"
	HealthExpired      Health = "expired"
	HealthUnauthorized Health = "unauthorized"
)

// NewerVersionRetry is how long a build waits before it asks again for a credential of a binding
// that a newer version has written: an update or a rollback takes about that long.
const NewerVersionRetry = time.Minute

// FromNewerVersion reports whether a record holds a health or a problem code that only a newer
// version of Bindery knows. Such a record is shown, and can be bound again, unbound and revoked by
// the operator. Its token is neither handed out nor checked, for this version can't tell what the
// newer one has found. What the operator has revoked is revoked in every version.
func FromNewerVersion(rec Record) bool {
	if !rec.Bound() || IsRevokedByOperator(rec) {
		return false
	}
	switch rec.Health {
	case HealthGood, HealthRevoked, HealthExpired, HealthUnauthorized:
	default:
		return true
	}
	unknown := func(p problem.Problem) bool { return !problem.Known(p.Code) }
	return rec.Problem != nil && unknown(*rec.Problem) ||
		rec.Backoff.Problem != nil && unknown(*rec.Backoff.Problem) ||
		slices.ContainsFunc(rec.Warnings, unknown)
}

// RevokedByOperator is the reason of [problem.TokenRevoked] for a token that the operator revoked.
const RevokedByOperator = "revoked_by_operator"

// IsRevokedByOperator reports whether the operator has revoked a binding's token.
func IsRevokedByOperator(rec Record) bool {
	return rec.Health == HealthRevoked && rec.Problem != nil &&
		rec.Problem.Reason == RevokedByOperator
}
