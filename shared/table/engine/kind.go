package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// kind is one kind of records: those that have a version. Most may come due.
type kind[T any] struct {
	name       string // of one, for errors
	key        func(T) Key
	version    func(*T) *string
	attributes func(*T) *any
	due        func(T) time.Time
}

func bindings() kind[binding.Record] {
	return kind[binding.Record]{
		name:       "a binding",
		key:        func(b binding.Record) Key { return BindingKey(b.Key) },
		version:    func(b *binding.Record) *string { return &b.Version },
		attributes: func(b *binding.Record) *any { return &b.Attributes },
		due:        func(b binding.Record) time.Time { return b.DueAt },
	}
}

func authorizations() kind[binding.Authorization] {
	return kind[binding.Authorization]{
		name:       "an authorization",
		key:        func(a binding.Authorization) Key { return AuthorizationKey(a.ID) },
		version:    func(a *binding.Authorization) *string { return &a.Version },
		attributes: func(a *binding.Authorization) *any { return &a.Attributes },
		due:        func(a binding.Authorization) time.Time { return a.DueAt },
	}
}

func subscriptions() kind[binding.Subscription] {
	return kind[binding.Subscription]{
		name:       "a subscription",
		key:        func(s binding.Subscription) Key { return SubscriptionKey(s.ID) },
		version:    func(s *binding.Subscription) *string { return &s.Version },
		attributes: func(s *binding.Subscription) *any { return &s.Attributes },
		due:        func(s binding.Subscription) time.Time { return s.DueAt },
	}
}

func subscriptionEntries() kind[binding.SubscriptionEntry] {
	return kind[binding.SubscriptionEntry]{
		name: "the entry of a subscription",
		key: func(e binding.SubscriptionEntry) Key {
			return SubscriptionEntryKey(e.Binding, e.RepositoryID)
		},
		version:    func(e *binding.SubscriptionEntry) *string { return &e.Version },
		attributes: func(e *binding.SubscriptionEntry) *any { return &e.Attributes },
		due:        func(binding.SubscriptionEntry) time.Time { return time.Time{} },
	}
}

// encode makes a row of a record, under a new version.
func (k kind[T]) encode(record T) (Row, error) {
	row, err := encode(k.key(record), record)
	row.Version, row.Format = table.NewVersion(), Format
	row.Attributes = *k.attributes(&record)
	if due := k.due(record); !due.IsZero() {
		row.DueAt = SortableTime(due)
	}
	return row, err
}

func (k kind[T]) decode(row Row) (T, error) {
	var none T
	record, err := decode[T](row)
	if err != nil {
		return none, err
	}
	if row.Version == "" {
		return none, errors.New("the row has no version")
	}
	if k.key(record) != row.Key { // its reader would act for the record's account
		return none, table.ErrMisplaced
	}
	*k.version(&record), *k.attributes(&record) = row.Version, row.Attributes
	return record, nil
}

// encode makes a row of a record and nothing else.
func encode(key Key, record any) (Row, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return Row{}, fmt.Errorf("encode: %w", err)
	}
	return Row{Key: key, Record: string(encoded)}, nil
}

func decode[T any](row Row) (record T, err error) {
	read := func(text []byte) error { return json.Unmarshal(text, &record) }
	if own, ok := any(&record).(json.Unmarshaler); ok {
		read = own.UnmarshalJSON // json.Unmarshal would read the text twice more to find its end
	}
	if err := read([]byte(row.Record)); err != nil {
		return record, fmt.Errorf("decode: %w", err)
	}
	return record, nil
}

func decodeAll[T any](rows []Row, decode func(Row) (T, error)) ([]T, error) {
	var list []T
	for _, row := range rows {
		record, err := decode(row)
		if err != nil {
			return nil, err
		}
		list = append(list, record)
	}
	return list, nil
}

// get reads the row whose key is that of like. It fails with [table.ErrUnchanged] if like has a
// version and the row has the same.
func get[T any](ctx context.Context, t *Table, k kind[T], like T) (T, error) {
	var none T
	row, ok, err := t.driver.Get(ctx, k.key(like))
	known := *k.version(&like)
	switch {
	case err != nil:
	case !ok:
		err = table.ErrNotFound
	case known != "" && row.Version == known:
		err = table.ErrUnchanged
	}
	if err != nil {
		return none, t.failed("read "+k.name, err)
	}
	record, err := k.decode(row)
	return record, t.failed("read "+k.name, err)
}

// BindingUnless implements ledger.Bindings.
func (t *Table) BindingUnless(
	ctx context.Context, key binding.Key, version string,
) (binding.Record, error) {
	if driver, ok := t.driver.(VersionReader); ok && version != "" {
		switch same, err := driver.HasVersion(ctx, BindingKey(key), version); {
		case err != nil:
			return binding.Record{}, t.failed("read "+t.bindings.name, err)
		case same:
			return binding.Record{}, table.ErrUnchanged
		}
	}
	return get(ctx, t, t.bindings, binding.Record{Key: key, Version: version})
}

// save writes the record under a new version if the row is there in the record's version, or if
// there is no row for "".
func save[T any](ctx context.Context, t *Table, k kind[T], record T) (T, error) {
	var none T
	row, err := k.encode(record)
	if err == nil {
		is := Condition{VersionIs, *k.version(&record)}
		if is.Value == "" {
			is.On = Absent
		}
		err = t.driver.Put(ctx, row, is)
	}
	if err != nil {
		return none, t.failed("save "+k.name, err)
	}
	*k.version(&record) = row.Version
	return record, nil
}

// remove deletes the row if it is there in the record's version.
func remove[T any](ctx context.Context, t *Table, k kind[T], record T) error {
	err := t.driver.Delete(ctx, k.key(record), Condition{VersionIs, *k.version(&record)})
	return t.failed("delete "+k.name, err)
}

// Binding implements ledger.Bindings.
func (t *Table) Binding(ctx context.Context, key binding.Key) (binding.Record, error) {
	return get(ctx, t, t.bindings, binding.Record{Key: key})
}

// SaveBinding implements ledger.Bindings.
func (t *Table) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	return save(ctx, t, t.bindings, b)
}

// DeleteBinding implements ledger.Bindings.
func (t *Table) DeleteBinding(ctx context.Context, b binding.Record) error {
	return remove(ctx, t, t.bindings, b)
}

// Authorization implements ledger.Authorizations.
func (t *Table) Authorization(ctx context.Context, id string) (binding.Authorization, error) {
	return get(ctx, t, t.authorizations, binding.Authorization{ID: id})
}

// SaveAuthorization implements ledger.Authorizations.
func (t *Table) SaveAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, error) {
	return save(ctx, t, t.authorizations, a)
}

// DeleteAuthorization implements ledger.Authorizations.
func (t *Table) DeleteAuthorization(ctx context.Context, a binding.Authorization) error {
	return remove(ctx, t, t.authorizations, a)
}
