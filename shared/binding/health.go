package binding

import (
	"slices"
	"time"

	"bindery/shared/problem"
)

// newerVersionRetry is when a build may ask again for a credential of a binding that a newer
// version has written: an update or a rollback takes about that long.
const NewerVersionRetry = time.Minute

// fromNewerVersion reports whether a record holds a health or a problem code that only a newer
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

const RevokedByOperator = "revoked_by_operator"

// isRevokedByOperator reports whether the operator has revoked a binding's token.
func IsRevokedByOperator(rec Record) bool {
	return rec.Health == HealthRevoked && rec.Problem != nil &&
		rec.Problem.Reason == RevokedByOperator
}
