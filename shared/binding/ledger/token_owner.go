package ledger

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
)

// TokenOwner is the binding or attempt that a token belongs to. The vault keeps it with the token.
//
// When a token is revoked, its owner's own entry in the identity index does not keep it valid; the
// entries of others with the same token do.
type TokenOwner struct {
	// Binding has no region and no instance for an attempt whose user has not chosen them yet.
	Binding binding.Key
	// Attempt is the id of the authorization that the token was issued to, while no binding has used
	// it; "" for the token of a binding. Each consent issues a token of its own, so such a token does
	// not wait for other attempts.
	Attempt string
}

// OwnerOf returns the owner of the token of an attempt.
func OwnerOf(a binding.Authorization) TokenOwner {
	key := a.Binding
	if key == (binding.Key{}) {
		key = binding.TargetOf(a)
	}
	return TokenOwner{Binding: key, Attempt: a.ID}
}

// mismatch returns [problem.TokenMismatch] for a row that names the token or the record of another,
// and raises the alarm. A program with rights on the table must have written the row, because
// Bindery never does.
func (l *Ledger) mismatch(ctx context.Context, key binding.Key, details ...any) error {
	l.Log.With("alarm", string(problem.TokenMismatch), "binding", binding.Describe(key)).
		ErrorContext(ctx, "a row names what belongs to another", details...)
	event.Metric(ctx, l.Log, l.Now(), map[string]string{"Platform": key.Platform},
		map[string]float64{"TokenMismatches": 1})
	event.Audit(ctx, l.Log, event.Entry{
		Action: "read token", Target: key, Outcome: string(problem.TokenMismatch),
	})
	return problem.New(problem.TokenMismatch)
}
