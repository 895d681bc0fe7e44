package ledger

import (
	"context"

	"bindery/shared/binding"
)

// makeRoom drains a record's events to the history when it has no room for so many more. They leave
// the row with its next save. Until then they are in both places, and the history has each once.
func (l *Ledger) makeRoom(
	ctx context.Context, rec binding.Record, more int,
) (binding.Record, error) {
	if len(rec.Events)+more <= binding.MaxEvents {
		return rec, nil
	}
	if err := l.Table.AppendHistory(ctx, rec.Key, rec.Events); err != nil {
		return binding.Record{}, Unavailable("draining the events", err)
	}
	l.RemoveEvents(&rec)
	return rec, nil
}

// RemoveEvents removes a record's events, which are in the history now, and counts those for which
// a webhook must be sent.
func (l *Ledger) RemoveEvents(rec *binding.Record) {
	if d := &rec.Delivery; l.Webhook != nil && len(rec.Events) > 0 {
		if d.Waiting == 0 {
			// The position just before the first: events from before the webhook was set up are not
			// sent.
			before := rec.Events[0]
			before.Number--
			d.Sent, d.Tries, d.At = before.Position(), 0, l.Now()
		}
		d.Waiting += len(rec.Events)
	}
	rec.Events = nil
}

// AddEvent adds an event to a record that has room for it, and sets when the record is due.
func (l *Ledger) AddEvent(rec *binding.Record, e binding.Event) {
	e.ID = l.Random(16)
	e.Number = rec.EventCount + 1
	e.At = l.Now()
	if e.At.Before(rec.EventAt) { // another machine's clock is ahead: keep the order
		e.At = rec.EventAt
	}
	rec.Events = append(append([]binding.Event(nil), rec.Events...), e)
	rec.EventCount, rec.EventAt = e.Number, e.At
	rec.DueAt = l.Due(*rec)
}

type actorKey struct{}

// WithActor returns a context in which a user is the actor of the events that [Ledger.Change]
// saves.
func WithActor(ctx context.Context, by binding.User) context.Context {
	return context.WithValue(ctx, actorKey{}, by)
}

// setActor sets the actor of the events after the one with a number, if the context has one.
func setActor(ctx context.Context, rec binding.Record, after int64) {
	by, asked := ctx.Value(actorKey{}).(binding.User)
	for i := range rec.Events {
		if e := &rec.Events[i]; asked && e.Number > after {
			e.Actor = by
		}
	}
}
