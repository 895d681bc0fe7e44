package ledger

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
)

func (l *Ledger) AuditBound(
	ctx context.Context, by binding.User, saved, old binding.Record, revoked bool,
) {
	event.Audit(ctx, l.Log, event.Entry{
		Action:   "bind",
		User:     by,
		Target:   saved.Key,
		Outcome:  event.Done,
		Identity: saved.Identity,
		Previous: old.Identity,
		Revoked:  revoked,
	})
}

// maxTries bounds the loops that begin again after a conflict. Each conflict means that another
// call has made progress, so ten in a row have another cause.
const MaxTries = 10

// replaceToken points a record at the secret in next.Token, which this record or an authorization
// lists. The record was read as rec; next is built on the row that is there when it is saved, and
// lists the old secret as retired in the same write. It returns the record as saved, and as it was
// before.
//
// [problem.Conflict] if another caller has bound or unbound in between, or if the list is full; a
// refresh in between is no conflict. Nothing is cleaned up here: the sweep does that.
func (l *Ledger) ReplaceToken(
	ctx context.Context, rec binding.Record, next func(binding.Record) binding.Record,
) (saved, old binding.Record, err error) {
	for range MaxTries {
		if rec, err = l.makeRoom(ctx, rec, 1); err != nil {
			return binding.Record{}, binding.Record{}, err
		}
		want := next(rec)
		if len(want.Secrets) >= MaxOwnedSecrets {
			return binding.Record{}, binding.Record{}, l.listFull(rec)
		}
		saved, saveErr := l.Table.SaveBinding(ctx, want)
		if saveErr == nil {
			return saved, rec, nil
		}
		there, err := l.Record(ctx, rec.Key) // what is there counts
		if err != nil {
			return binding.Record{}, binding.Record{}, err
		}
		switch {
		case there.Token.Secret == want.Token.Secret:
			return there, rec, nil // it was saved, and the reply was lost
		case !errors.Is(saveErr, table.ErrConflict):
			return binding.Record{}, binding.Record{}, Unavailable("saving the binding", saveErr)
		case !sameBinding(rec, there):
			return binding.Record{}, binding.Record{}, problem.New(problem.Conflict)
		}
		rec = there
	}
	return binding.Record{}, binding.Record{}, problem.New(problem.Conflict)
}

// sameBinding reports whether no bind and no unbind was saved between two reads. An unbound row
// that the sweep has deleted is still unbound, and so is a row that only lists secrets.
func sameBinding(before, after binding.Record) bool {
	return before.Revision == after.Revision || (!before.Bound() && after.Revision == "")
}

// unbind points the record at nothing and returns it as it was before.
func (l *Ledger) Unbind(
	ctx context.Context, key binding.Key, match binding.Match, by binding.User,
) (binding.Record, error) {
	stamp := l.Random(16)
	var before binding.Record
	for range MaxTries {
		rec, err := l.Record(ctx, key)
		switch {
		case err != nil:
			return binding.Record{}, err
		case before.Bound() && rec.Revision == stamp:
			return before, nil // it was saved: the reply was lost
		case !match.Allows(rec):
			return binding.Record{}, problem.New(problem.PreconditionFailed)
		case !rec.Bound():
			return rec, nil
		}
		if rec, err = l.makeRoom(ctx, rec, 1); err != nil {
			return binding.Record{}, err
		}
		before = rec
		_, err = l.Table.SaveBinding(ctx, l.emptied(rec, stamp, by))
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return l.afterUnclear(ctx, rec, stamp, err)
		}
	}
	return binding.Record{}, problem.New(problem.Conflict)
}

// afterUnclear reads the row again after a save whose outcome is not known.
func (l *Ledger) afterUnclear(
	ctx context.Context, before binding.Record, stamp string, cause error,
) (binding.Record, error) {
	rec, err := l.Record(ctx, before.Key)
	if err != nil {
		return binding.Record{}, err
	}
	if rec.Revision != stamp {
		return binding.Record{}, Unavailable("saving the binding", cause)
	}
	return before, nil
}

// emptied is the record without its binding. It keeps its events and its list of
// secrets; the sweep deletes it when both are empty.
func (l *Ledger) emptied(rec binding.Record, stamp string, by binding.User) binding.Record {
	next := binding.Record{
		Key:        rec.Key,
		Version:    rec.Version,
		Revision:   stamp,
		Secrets:    l.nextSecrets(rec, ""),
		Method:     rec.Method,
		Events:     rec.Events,
		EventCount: rec.EventCount,
		EventAt:    rec.EventAt,
		Delivery:   rec.Delivery,
	}.WithUnknown(rec)
	l.Happened(&next, binding.Event{Type: binding.EventUnbound, Actor: by, Previous: rec.Identity})
	return next
}
