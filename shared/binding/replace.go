package binding

import (
	"context"
	"errors"
	"time"

	"bindery/shared/problem"
	"bindery/shared/table"
)

// maxTries bounds the loops that begin again after a conflict. Each conflict means that somebody
// else got on, so that ten in a row are a sign of something else.
const maxTries = 10

// replaceToken points a record at the secret in next.Token, which this record or an authorization
// lists. The record was read as rec; next is built on the row that is there when it is saved, and
// lists the old secret as retired in the same write. It returns the record as saved, and as it was
// before.
//
// [problem.Conflict] if another caller has bound or unbound in between, or if the list is full; a
// refresh in between is no conflict. Nothing is cleaned up here: the sweep does that.
func (s *Service) replaceToken(
	ctx context.Context, rec table.Binding, next func(table.Binding) table.Binding,
) (saved, old table.Binding, err error) {
	for range maxTries {
		if rec, err = s.makeRoom(ctx, rec, 1); err != nil {
			return table.Binding{}, table.Binding{}, err
		}
		want := next(rec)
		if len(want.Secrets) >= maxOwnedSecrets {
			return table.Binding{}, table.Binding{}, s.listFull(rec)
		}
		saved, saveErr := s.table.SaveBinding(ctx, want)
		if saveErr == nil {
			return saved, rec, nil
		}
		there, err := s.record(ctx, rec.Key) // what is there counts
		if err != nil {
			return table.Binding{}, table.Binding{}, err
		}
		switch {
		case there.Token.Secret == want.Token.Secret:
			return there, rec, nil // it was saved, and the reply was lost
		case !errors.Is(saveErr, table.ErrConflict):
			return table.Binding{}, table.Binding{}, unavailable("saving the binding", saveErr)
		case !sameBinding(rec, there):
			return table.Binding{}, table.Binding{}, problem.New(problem.Conflict)
		}
		rec = there
	}
	return table.Binding{}, table.Binding{}, problem.New(problem.Conflict)
}

// sameBinding reports whether no bind and no unbind was saved between two reads. An unbound row that
// the sweep has deleted is still unbound, and so is a row that only lists secrets.
func sameBinding(before, after table.Binding) bool {
	return before.Revision == after.Revision || (!before.Bound() && after.Revision == "")
}

// makeRoom drains a record's events to the history when it can't carry so many more. They leave the
// record with its next save; until then they are in both places, once.
func (s *Service) makeRoom(
	ctx context.Context, rec table.Binding, more int,
) (table.Binding, error) {
	if len(rec.Events)+more <= table.MaxEvents {
		return rec, nil
	}
	if err := s.table.AppendHistory(ctx, rec.Key, rec.Events); err != nil {
		return table.Binding{}, unavailable("draining the events", err)
	}
	s.drained(&rec)
	return rec, nil
}

// drained empties a record's events, which are in the history now, and counts those that a webhook
// is to be sent for.
func (s *Service) drained(rec *table.Binding) {
	if d := &rec.Delivery; s.webhook != nil && len(rec.Events) > 0 {
		if d.Waiting == 0 {
			// Right before the first of them: what was before this webhook was set up is not sent.
			before := rec.Events[0]
			before.Number--
			d.Sent, d.Tries, d.At = before.Position(), 0, s.now()
		}
		d.Waiting += len(rec.Events)
	}
	rec.Events = nil
}

// happened adds an event to a record that has room for it, and sets when the record is due.
func (s *Service) happened(rec *table.Binding, e table.Event) {
	e.ID = s.random(16)
	e.Number = rec.EventCount + 1
	e.At = s.now()
	if e.At.Before(rec.EventAt) { // another machine's clock is ahead: keep the order
		e.At = rec.EventAt
	}
	rec.Events = append(append([]table.Event(nil), rec.Events...), e)
	rec.EventCount, rec.EventAt = e.Number, e.At
	rec.DueAt = s.due(*rec)
}

// due is when a record next needs work: at once while it carries events; else at the first of its
// next webhook, its next check and its first listed secret. An unbound record without any of these
// is due when it can be deleted. Zero means never.
func (s *Service) due(rec table.Binding) time.Time {
	if len(rec.Events) > 0 {
		return s.now()
	}
	next := earliest(s.checkDueAt(rec), secretsDueAt(rec))
	if rec.Delivery.Waiting > 0 {
		next = earliest(next, rec.Delivery.At)
	}
	if next.IsZero() && !rec.Bound() {
		return rec.EventAt.Add(orphanGracePeriod)
	}
	return next
}

// checkDueAt is when a record's token is to be looked at: at its next check, at the end of a lease
// that may be left behind, or for a last look.
func (s *Service) checkDueAt(rec table.Binding) time.Time {
	if !rec.Bound() {
		return time.Time{}
	}
	return earliest(rec.CheckAt, rec.Lease.Until, rec.RecheckAt)
}

// earliest is the first of some times, of which zero ones are none.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, at := range times {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
