package ledger

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// MaxTries bounds the loops that begin again after a conflict. Each conflict means that another
// call has made progress, so ten in a row have another cause.
const MaxTries = 10

// Change edits a record, saves it, and returns the row as it is then. edit is given the current
// row, adds at most two events to it, and reports whether there is anything to save; if not, Change
// returns the row without a save. The events have the actor of [WithActor]. After a conflict, and
// after an error that leaves the outcome open, the row is read again and edit is called again. On
// an error the record is returned as it was given.
func (l *Ledger) Change(
	ctx context.Context, rec binding.Record, edit func(*binding.Record) bool,
) (binding.Record, error) {
	row := rec
	for try := range MaxTries {
		next, err := l.makeRoom(ctx, row, 2)
		if err != nil {
			return rec, err
		}
		count := next.EventCount
		if !edit(&next) {
			return row, nil
		}
		setActor(ctx, next, count)
		saved, err := l.Table.SaveBinding(ctx, next)
		if err == nil {
			return saved, nil
		}
		if !errors.Is(err, table.ErrConflict) && try >= 2 {
			return rec, Unavailable("saving the binding", err)
		}
		if row, err = l.Record(ctx, rec.Key); err != nil {
			return rec, err
		}
	}
	return rec, Unavailable("saving the binding", table.ErrConflict)
}
