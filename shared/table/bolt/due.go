package bolt

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

// stamp writes a time so that times sort as text.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// dueKey begins with the time. Its first name says which of the entry's names is set.
func dueKey(e table.DueEntry) string {
	switch {
	case e.Authorization != "":
		return stamp(e.At) + table.Join("authorization", e.Authorization)
	default:
		return stamp(e.At) + table.Join("binding") + e.Binding.String()
	}
}

func addDue(tx *bbolt.Tx, e table.DueEntry) error {
	if e.At.IsZero() {
		return nil
	}
	e.At = e.At.UTC()
	return put(tx, dueBucket, dueKey(e), e)
}

func removeDue(tx *bbolt.Tx, e table.DueEntry) error {
	if e.At.IsZero() {
		return nil
	}
	return tx.Bucket([]byte(dueBucket)).Delete([]byte(dueKey(e)))
}

// DueBefore is of [table.Due].
func (t *Table) DueBefore(
	ctx context.Context, until time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	run := span{bucket: dueBucket, hi: stamp(until) + above}
	return read(ctx, t, "list what is due", func(tx *bbolt.Tx) (table.Page[table.DueEntry], error) {
		return page(tx, table.Join("due"), run, cursor, limit, decode[table.DueEntry])
	})
}
