package binding

import (
	"context"
	"errors"

	"bindery/shared/table"
)

// change saves a record after edit and returns the row as it is then. Edit is given the current row,
// adds at most two events to it, and reports whether there is anything to save; if not, change
// returns the row without a save. After a conflict, and after an error that leaves the outcome open,
// the row is read again and edit is called again. On an error the record is returned as it was given.
func (s *Service) change(
	ctx context.Context, rec table.Binding, edit func(*table.Binding) bool,
) (table.Binding, error) {
	row := rec
	for try := range maxTries {
		next, err := s.makeRoom(ctx, row, 2)
		if err != nil {
			return rec, err
		}
		if !edit(&next) {
			return row, nil
		}
		saved, err := s.table.SaveBinding(ctx, next)
		if err == nil {
			return saved, nil
		}
		if !errors.Is(err, table.ErrConflict) && try >= 2 {
			return rec, unavailable("saving the binding", err)
		}
		if row, err = s.record(ctx, rec.Key); err != nil {
			return rec, err
		}
	}
	return rec, unavailable("saving the binding", table.ErrConflict)
}
