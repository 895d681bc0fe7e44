package ledger

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// Unbind points the record, which was read as rec, at nothing, lists its secret as retired in the
// same write, and returns the record as it was before. For an unbound record it does nothing.
//
// [problem.PreconditionFailed] if match does not allow the record, and [problem.Conflict] if the
// record changes again and again.
func (l *Ledger) Unbind(
	ctx context.Context, rec binding.Record, match binding.Match, by binding.User,
) (binding.Record, error) {
	revision := l.Random(16)
	var before binding.Record
	for range MaxTries {
		var err error
		switch {
		case before.Bound() && rec.Revision == revision:
			return before, nil // it was saved, and the reply was lost
		case !match.Allows(rec):
			return binding.Record{}, problem.New(problem.PreconditionFailed)
		case !rec.Bound():
			return rec, nil
		}
		if rec, err = l.makeRoom(ctx, rec, 1); err != nil {
			return binding.Record{}, err
		}
		before = rec
		_, err = l.Table.SaveBinding(ctx, l.emptied(rec, revision, by))
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return l.afterUnclear(ctx, rec, revision, err)
		}
		if rec, err = l.Record(ctx, rec.Key); err != nil {
			return binding.Record{}, err
		}
	}
	return binding.Record{}, problem.New(problem.Conflict)
}

// afterUnclear reads the row again after a save whose outcome is not known, and returns before if
// the save worked.
func (l *Ledger) afterUnclear(
	ctx context.Context, before binding.Record, revision string, cause error,
) (binding.Record, error) {
	rec, err := l.Record(ctx, before.Key)
	if err != nil {
		return binding.Record{}, err
	}
	if rec.Revision != revision {
		return binding.Record{}, Unavailable("saving the binding", cause)
	}
	return before, nil
}

// emptied returns the record without its binding. It keeps its events and its list of secrets; the
// sweep deletes it when both are empty.
func (l *Ledger) emptied(rec binding.Record, revision string, by binding.User) binding.Record {
	next := binding.Record{
		Key:        rec.Key,
		Version:    rec.Version,
		Revision:   revision,
		Secrets:    l.nextSecrets(rec, ""),
		Method:     rec.Method,
		Events:     rec.Events,
		EventCount: rec.EventCount,
		EventAt:    rec.EventAt,
		Delivery:   rec.Delivery,
	}.WithUnknown(rec)
	l.AddEvent(&next, binding.Event{Type: binding.EventUnbound, Actor: by, Previous: rec.Identity})
	return next
}
