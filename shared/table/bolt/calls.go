package bolt

import (
	"context"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

// nothing is the result of a call that has none.
type nothing = struct{}

// Binding is of [table.Bindings].
func (t *Table) Binding(ctx context.Context, key table.Key) (table.Binding, error) {
	return read(ctx, t, "read a binding", func(tx *bbolt.Tx) (table.Binding, error) {
		return t.bindings.get(tx, table.Binding{Key: key})
	})
}

// InstanceBindings is of [table.Bindings].
func (t *Table) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]table.Binding, error) {
	return read(ctx, t, "list an instance", func(tx *bbolt.Tx) ([]table.Binding, error) {
		run := prefixed(bindingsBucket, table.Join(account, region, instance))
		found, _, err := collect(tx, run, all, t.bindings.decode)
		return found, err
	})
}

// AccountBindings is of [table.Bindings].
func (t *Table) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (table.Page[table.Binding], error) {
	run := prefixed(bindingsBucket, table.Join(account))
	return read(ctx, t, "list an account", func(tx *bbolt.Tx) (table.Page[table.Binding], error) {
		return page(tx, table.Join("account", account), run, cursor, limit, t.bindings.decode)
	})
}

// AllBindings is of [table.Bindings].
func (t *Table) AllBindings(
	ctx context.Context, cursor string, limit int,
) (table.Page[table.Binding], error) {
	run := prefixed(bindingsBucket, "")
	return read(ctx, t, "list bindings", func(tx *bbolt.Tx) (table.Page[table.Binding], error) {
		return page(tx, table.Join("all"), run, cursor, limit, t.bindings.decode)
	})
}

// SaveBinding is of [table.Bindings].
func (t *Table) SaveBinding(ctx context.Context, b table.Binding) (table.Binding, error) {
	return write(ctx, t, "save a binding", func(tx *bbolt.Tx) (table.Binding, error) {
		return t.bindings.save(tx, b)
	})
}

// DeleteBinding is of [table.Bindings].
func (t *Table) DeleteBinding(ctx context.Context, b table.Binding) error {
	_, err := write(ctx, t, "delete a binding", func(tx *bbolt.Tx) (nothing, error) {
		return nothing{}, t.bindings.delete(tx, b)
	})
	return err
}

// Authorization is of [table.Authorizations].
func (t *Table) Authorization(ctx context.Context, id string) (table.Authorization, error) {
	return read(ctx, t, "read an authorization", func(tx *bbolt.Tx) (table.Authorization, error) {
		return t.authorizations.get(tx, table.Authorization{ID: id})
	})
}

// SaveAuthorization is of [table.Authorizations].
func (t *Table) SaveAuthorization(
	ctx context.Context, a table.Authorization,
) (table.Authorization, error) {
	return write(ctx, t, "save an authorization", func(tx *bbolt.Tx) (table.Authorization, error) {
		return t.authorizations.save(tx, a)
	})
}

// DeleteAuthorization is of [table.Authorizations].
func (t *Table) DeleteAuthorization(ctx context.Context, a table.Authorization) error {
	_, err := write(ctx, t, "delete an authorization", func(tx *bbolt.Tx) (nothing, error) {
		return nothing{}, t.authorizations.delete(tx, a)
	})
	return err
}
