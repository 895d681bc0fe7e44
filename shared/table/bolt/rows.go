package bolt

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

// rows are the rows of one kind: those that have a version and may come due.
type rows[T any] struct {
	bucket  string
	key     func(T) string
	version func(*T) *string
	due     func(T) table.DueEntry
}

func bindingRows() rows[table.Binding] {
	return rows[table.Binding]{
		bucket:  bindingsBucket,
		key:     func(b table.Binding) string { return b.Key.String() },
		version: func(b *table.Binding) *string { return &b.Version },
		due: func(b table.Binding) table.DueEntry {
			return table.DueEntry{At: b.DueAt, Binding: b.Key}
		},
	}
}

func authorizationRows() rows[table.Authorization] {
	return rows[table.Authorization]{
		bucket:  authorizationsBucket,
		key:     func(a table.Authorization) string { return table.Join(a.ID) },
		version: func(a *table.Authorization) *string { return &a.Version },
		due: func(a table.Authorization) table.DueEntry {
			return table.DueEntry{At: a.DueAt, Authorization: a.ID}
		},
	}
}

// row is what a bucket holds: the records leave their version out of their JSON.
type row[T any] struct {
	Version string `json:"version"`
	Record  T      `json:"record"`
}

func (r rows[T]) decode(value []byte) (T, error) {
	var stored row[T]
	if err := json.Unmarshal(value, &stored); err != nil {
		var none T
		return none, fmt.Errorf("decode a row of %s: %w", r.bucket, err)
	}
	*r.version(&stored.Record) = stored.Version
	return stored.Record, nil
}

// find returns nil for a row that isn't there.
func (r rows[T]) find(tx *bbolt.Tx, key string) (*T, error) {
	value := tx.Bucket([]byte(r.bucket)).Get([]byte(key))
	if value == nil {
		return nil, nil
	}
	record, err := r.decode(value)
	return &record, err
}

// get reads the row whose key is that of k.
func (r rows[T]) get(tx *bbolt.Tx, k T) (T, error) {
	record, err := r.find(tx, r.key(k))
	switch {
	case err != nil:
		return k, err
	case record == nil:
		return k, table.ErrNotFound
	}
	return *record, nil
}

// release takes the row out of the index of what is due, if it is there in the version given.
func (r rows[T]) release(tx *bbolt.Tx, record T) error {
	old, err := r.find(tx, r.key(record))
	if err != nil {
		return err
	}
	there := ""
	if old != nil {
		there = *r.version(old)
	}
	if there != *r.version(&record) {
		return table.ErrConflict
	}
	if old == nil {
		return nil
	}
	return removeDue(tx, r.due(*old))
}

func (r rows[T]) save(tx *bbolt.Tx, record T) (T, error) {
	if err := r.release(tx, record); err != nil {
		return record, err
	}
	version := table.NewVersion()
	value, err := json.Marshal(row[T]{version, record})
	if err != nil {
		return record, fmt.Errorf("encode a row of %s: %w", r.bucket, err)
	}
	if err := tx.Bucket([]byte(r.bucket)).Put([]byte(r.key(record)), value); err != nil {
		return record, err
	}
	*r.version(&record) = version
	return record, addDue(tx, r.due(record))
}

func (r rows[T]) delete(tx *bbolt.Tx, record T) error {
	if err := r.release(tx, record); err != nil {
		return err
	}
	return tx.Bucket([]byte(r.bucket)).Delete([]byte(r.key(record)))
}
