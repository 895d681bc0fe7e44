package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// AppendLog implements ledger.SubscriptionLog. It is one call, unless the service takes only some
// of the rows.
func (t *Table) AppendLog(ctx context.Context, id string, events []binding.SourceEvent) error {
	return t.failed("append to a subscription's log", t.appendLog(ctx, id, events))
}

func (t *Table) appendLog(ctx context.Context, id string, events []binding.SourceEvent) error {
	if len(events) > binding.MaxEvents {
		return fmt.Errorf("%d events, more than %d", len(events), binding.MaxEvents)
	}
	rows := map[Key]Row{} // a batch must not have a row twice
	for _, e := range events {
		if e.Number < 1 {
			return fmt.Errorf("an event has the number %d", e.Number)
		}
		row, err := encode(LogKey(id, e.Number), e)
		if err != nil {
			return err
		}
		rows[row.Key] = row
	}
	if len(rows) == 0 {
		return ctx.Err()
	}
	return t.driver.PutBatch(ctx, slices.Collect(maps.Values(rows)))
}

// LoggedEvent implements ledger.SubscriptionLog.
func (t *Table) LoggedEvent(
	ctx context.Context, id string, number int64,
) (none binding.SourceEvent, err error) {
	const doing = "read an event of a subscription's log"
	row, ok, err := t.driver.Get(ctx, LogKey(id, number))
	if err != nil {
		return none, t.failed(doing, err)
	}
	if !ok {
		return none, t.failed(doing, table.ErrNotFound)
	}
	e, err := decode[binding.SourceEvent](row)
	if err == nil && e.Number != number { // another event has the place
		err = table.ErrNotFound
	}
	if err != nil {
		return none, t.failed(doing, err)
	}
	return e, nil
}

// Log implements ledger.SubscriptionLog, by strong reads. It is one query, and a second one where
// it passes the ring's first row, as long as the rows fit into the replies of the service and none
// is left out.
func (t *Table) Log(
	ctx context.Context, id string, below int64, limit int,
) ([]binding.SourceEvent, error) {
	list, err := t.log(ctx, id, below, max(limit, 1))
	return list, t.failed("list a subscription's log", err)
}

func (t *Table) log(
	ctx context.Context, id string, below int64, limit int,
) (list []binding.SourceEvent, err error) {
	if below <= 1 {
		return nil, ctx.Err()
	}
	newest := LogKey(id, below-1).SK
	list, err = t.logDown(ctx, id, below, limit, newest+Above, "")
	if err != nil || len(list) == limit || below <= binding.MaxLogged {
		return list, err
	}
	older, err := t.logDown(ctx, id, below, limit-len(list), "", newest)
	return append(list, older...), err
}

// logDown reads the part of the ring from the row before after, or the last, down to the row behind
// end.
func (t *Table) logDown(
	ctx context.Context, id string, below int64, limit int, after, end string,
) (list []binding.SourceEvent, err error) {
	for {
		rows, last, err := query(ctx, t, Query{
			PK: LogPK(id), Backwards: true, After: after, Limit: limit - len(list),
		}, func(row Row) (Row, error) { return row, nil })
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Key.SK <= end {
				return list, nil
			}
			e, err := decode[binding.SourceEvent](row)
			if err != nil {
				return nil, err
			}
			if e.Number >= below-binding.MaxLogged && e.Number < below {
				list = append(list, e)
			}
		}
		if last == "" || len(list) == limit {
			return list, nil
		}
		after = last
	}
}

// deletedAtOnce is how many rows of a log a call deletes. With the query and the delete of the
// heads these are 25 calls.
const deletedAtOnce = 23

// DeleteLog implements ledger.SubscriptionLog. It is one query, and then deletes at once.
func (t *Table) DeleteLog(ctx context.Context, id string) (all bool, err error) {
	const doing = "delete a subscription's log"
	rows, more, err := t.driver.Query(ctx, Query{PK: LogPK(id), Limit: deletedAtOnce})
	if err == nil {
		err = checkPage(len(rows), more)
	}
	if err != nil {
		return false, t.failed(doing, err)
	}
	var keys []Key
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	if !more {
		keys = append(keys, HeadsKey(id))
	}
	var deletes sync.WaitGroup
	errs := make([]error, len(keys))
	for i, key := range keys {
		deletes.Go(func() { errs[i] = t.driver.Delete(ctx, key, Condition{}) })
	}
	deletes.Wait()
	err = errors.Join(errs...)
	return !more && err == nil, t.failed(doing, err)
}
