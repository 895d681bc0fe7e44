package vaulttest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// Rows is a table in memory for vault/envelope. It makes the calls of an [engine.Driver] that a
// vault needs. The zero value is empty.
type Rows struct {
	mu   sync.Mutex
	rows map[engine.Key]engine.Row
}

// Get reads a row.
func (r *Rows) Get(ctx context.Context, key engine.Key) (engine.Row, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[key]
	return row, ok, ctx.Err()
}

// Put writes a row if the condition holds.
func (r *Rows) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	there, ok := r.rows[row.Key]
	if is.On == engine.Absent && ok || is.On == engine.VersionIs && there.Version != is.Value {
		return table.ErrConflict
	}
	if r.rows == nil {
		r.rows = map[engine.Key]engine.Row{}
	}
	r.rows[row.Key] = row
	return nil
}

// Delete deletes a row.
func (r *Rows) Delete(ctx context.Context, key engine.Key, _ engine.Condition) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(r.rows, key)
	return nil
}

// Scan reads the rows in the order of their keys.
func (r *Rows) Scan(
	ctx context.Context, prefix string, after engine.Key, limit int,
) (rows []engine.Row, next engine.Key, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(r.rows), func(a, b engine.Key) int {
		return cmp.Compare(a.PK, b.PK)
	})
	for _, key := range keys {
		switch {
		case !strings.HasPrefix(key.PK, prefix) || key.PK <= after.PK:
		case len(rows) == limit:
			return rows, rows[limit-1].Key, ctx.Err()
		default:
			rows = append(rows, r.rows[key])
		}
	}
	return rows, engine.Key{}, ctx.Err()
}
