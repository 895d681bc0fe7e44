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

// replaceToken makes a record replaceToken at the secret in next.Token, which is held by a note. The record was
// read as rec; next is built on whatever is there when it is saved. It returns the record as
// saved, and as it was before.
//
// If somebody else has bound or unbound in between, that is [problem.Conflict]; a refresh in
// between is not. Nothing is cleaned up here: the sweep does that.
func (s *Service) replaceToken(
	ctx context.Context, rec table.Binding, next func(table.Binding) table.Binding,
) (saved, old table.Binding, err error) {
	for range maxTries {
		if err := s.retireSecret(ctx, rec); err != nil {
			return table.Binding{}, table.Binding{}, err
		}
		if rec, err = s.makeRoom(ctx, rec, 1); err != nil {
			return table.Binding{}, table.Binding{}, err
		}
		want := next(rec)
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
			return there, rec, nil // it was saved: the reply was lost
		case !errors.Is(saveErr, table.ErrConflict):
			return table.Binding{}, table.Binding{}, unavailable("saving the binding", saveErr)
		case !sameBinding(rec, there):
			return table.Binding{}, table.Binding{}, problem.New(problem.Conflict)
		}
		rec = there
	}
	return table.Binding{}, table.Binding{}, problem.New(problem.Conflict)
}

// sameBinding reports whether nobody has bound or unbound between two reads. An unbound row that
// the sweep has deleted is still unbound.
func sameBinding(before, after table.Binding) bool {
	return before.Revision == after.Revision || (!before.Bound() && after.Version == "")
}

// retireSecret notes the secret that a record points at, before the record is pointed elsewhere.
func (s *Service) retireSecret(ctx context.Context, rec table.Binding) error {
	if !rec.Bound() {
		return nil
	}
	note := table.Note{Secret: rec.Token.Secret}
	for range maxTries {
		note.Binding = rec.Key
		note.Generation = rec.Token.Generation
		note.State = table.Disowned
		note.DueAt = s.now().Add(orphanGracePeriod)
		_, err := s.table.SaveNote(ctx, note)
		if err == nil {
			return nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return unavailable("noting the old secret", err)
		}
		note, err = s.table.Note(ctx, rec.Token.Secret)
		switch {
		case errors.Is(err, table.ErrNotFound): // the sweep was done with it: create it
			note = table.Note{Secret: rec.Token.Secret}
		case err != nil:
			return unavailable("reading the old secret's note", err)
		case note.State == table.Collecting:
			return nil // the sweep is deleting it already
		}
	}
	return problem.New(problem.Conflict)
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

// due is when a record next needs work: at once while it carries events, and for a webhook that
// waits; when unbound, once it has settled; else when its token is to be checked. Zero means never.
func (s *Service) due(rec table.Binding) time.Time {
	switch {
	case len(rec.Events) > 0:
		return s.now()
	case rec.Delivery.Waiting > 0:
		return earliest(rec.Delivery.At, s.checkDueAt(rec))
	case !rec.Bound():
		return rec.EventAt.Add(orphanGracePeriod)
	}
	return s.checkDueAt(rec)
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
