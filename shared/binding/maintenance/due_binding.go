package maintenance

import (
	"context"
	"fmt"

	"bindery/shared/binding"
)

// dueBinding reads a record that the index says is due. If it is not, rec.Version is "". Events are
// drained to the history and no longer in rec; the row still has them until rec is saved.
func (r *run) dueBinding(
	ctx context.Context, key binding.Key,
) (rec binding.Record, err error) {
	if rec, err = r.ledger.Record(ctx, key); err != nil {
		return rec, err
	}
	if rec.DueAt.IsZero() || rec.DueAt.After(r.ledger.Now()) {
		return binding.Record{}, nil // the index lags
	}
	if r.ledger.Webhook == nil {
		rec.Delivery = binding.Delivery{} // no webhook is set up any more
	}
	if len(rec.Events) > 0 {
		if err := r.ledger.Table.AppendHistory(ctx, key, rec.Events); err != nil {
			return rec, fmt.Errorf("draining the events: %w", err)
		}
		r.ledger.RemoveEvents(&rec)
		r.count(RunResult{Drained: 1})
	}
	return rec, nil
}

// finishRecord works on what is left of a due record once its due secrets are swept: it deletes the
// row of an unbound one, and reports whether the record's token is to be checked. If so, nothing is
// saved yet: the claim does that.
func (r *run) finishRecord(
	ctx context.Context, rec binding.Record,
) (after binding.Record, check bool, err error) {
	now := r.ledger.Now()
	next := r.ledger.Due(rec)
	if !rec.Bound() && len(rec.Secrets) == 0 && rec.Delivery.Waiting == 0 && !next.After(now) {
		if err := r.ledger.Table.DeleteBinding(ctx, rec); err != nil {
			return rec, false, fmt.Errorf("deleting an unbound row: %w", err)
		}
		r.count(RunResult{Removed: 1})
		return rec, false, nil
	}
	if at := binding.CheckDueAt(rec); !at.IsZero() && !at.After(now) {
		return rec, true, nil
	}
	if rec.Delivery.Waiting > 0 && !rec.Delivery.At.After(now) {
		rec.Delivery.At = now.Add(CheckLeaseTTL) // another run sends them if this one crashes
	}
	rec.DueAt = r.ledger.Due(rec)
	if rec, err = r.ledger.Table.SaveBinding(ctx, rec); err != nil {
		return rec, false, fmt.Errorf("saving the drained record: %w", err)
	}
	return rec, false, nil
}
