package ledger

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// ReplaceResult is what [Ledger.ReplaceToken] has saved.
type ReplaceResult struct {
	Saved binding.Record // the record as saved
	Old   binding.Record // as it was before
}

// ReplaceToken points a record at the secret in next.Token, which this record or an authorization
// lists. The record was read as rec. What is saved is built on the row that is there at that time:
// what belongs to the row stays, what belonged to the old token goes, and the old secret is listed
// as retired in the same write.
//
// [problem.Conflict] if another caller has bound or unbound in between, or if the list is full; a
// refresh in between is no conflict. Nothing is cleaned up here: the sweep does that.
func (l *Ledger) ReplaceToken(
	ctx context.Context, rec, next binding.Record,
) (ReplaceResult, error) {
	var none ReplaceResult
	for range MaxTries {
		var err error
		if rec, err = l.makeRoom(ctx, rec, 1); err != nil {
			return none, err
		}
		want := l.inPlaceOf(rec, next)
		if len(want.Secrets) >= MaxOwnedSecrets {
			return none, l.listFull(rec)
		}
		saved, saveErr := l.Table.SaveBinding(ctx, want)
		if saveErr == nil {
			return ReplaceResult{Saved: saved, Old: rec}, nil
		}
		there, err := l.Record(ctx, rec.Key) // what is there counts
		switch {
		case err != nil:
			return none, err
		case there.Token.Secret == want.Token.Secret: // it was saved, and the reply was lost
			return ReplaceResult{Saved: there, Old: rec}, nil
		case !errors.Is(saveErr, table.ErrConflict):
			return none, Unavailable("saving the binding", saveErr)
		case !sameBinding(rec, there):
			return none, problem.New(problem.Conflict)
		}
		rec = there
	}
	return none, problem.New(problem.Conflict)
}

// inPlaceOf returns next as the record that is saved in place of rec.
func (l *Ledger) inPlaceOf(rec, next binding.Record) binding.Record {
	next = next.WithUnknown(rec)
	next.Key, next.Version = rec.Key, rec.Version
	next.Secrets = l.nextSecrets(rec, next.Token.Secret)
	next.Events, next.EventCount, next.EventAt = rec.Events, rec.EventCount, rec.EventAt
	next.Delivery = rec.Delivery
	e := binding.Event{Type: binding.EventBound, Actor: next.BoundBy, Identity: next.Identity}
	if rec.Bound() {
		e.Type, e.Previous = binding.EventRebound, rec.Identity
	}
	l.AddEvent(&next, e)
	return next
}

// sameBinding reports whether no bind and no unbind was saved between two reads. An unbound row
// that the sweep has deleted is still unbound, and so is a row that only lists secrets.
func sameBinding(before, after binding.Record) bool {
	return before.Revision == after.Revision || (!before.Bound() && after.Revision == "")
}

// AuditBound writes the audit line of a bind. revoked says that the platform no longer accepts the
// old token.
func (l *Ledger) AuditBound(ctx context.Context, by binding.User, r ReplaceResult, revoked bool) {
	event.Audit(ctx, l.Log, event.Entry{
		Action:   "bind",
		User:     by,
		Target:   r.Saved.Key,
		Outcome:  event.Done,
		Identity: r.Saved.Identity,
		Previous: r.Old.Identity,
		Revoked:  revoked,
	})
}
