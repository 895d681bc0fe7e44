package ledger

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// maxConflictPause is how long ChangeSubscription waits at most before it tries again.
const maxConflictPause = 250 * time.Millisecond

// ChangeSubscription edits the row of a subscription, as [Ledger.Change] does with a binding's, and
// sets when it is due. A row that has gone is [table.ErrNotFound].
func (l *Ledger) ChangeSubscription(
	ctx context.Context, sub binding.Subscription, edit func(*binding.Subscription) bool,
) (binding.Subscription, error) {
	row := sub
	for try := range MaxTries {
		next := row
		if !edit(&next) {
			return row, nil
		}
		next.DueAt = next.DueTime()
		saved, err := l.Table.SaveSubscription(ctx, next)
		if err == nil {
			return saved, nil
		}
		if !errors.Is(err, table.ErrConflict) && try >= 2 {
			return sub, Unavailable("saving the subscription", err)
		}
		// Many deliveries may come at once.
		if err := l.Sleep(ctx, l.Jitter(min(10*time.Millisecond<<try, maxConflictPause))); err != nil {
			return sub, Unavailable("saving the subscription", err)
		}
		if row, err = l.Table.Subscription(ctx, sub.ID); err != nil {
			return sub, Unavailable("reading the subscription", err)
		}
	}
	return sub, Unavailable("saving the subscription", table.ErrConflict)
}
