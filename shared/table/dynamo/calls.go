package dynamo

import (
	"context"

	"bindery/shared/table"
)

// Binding is of [table.Bindings].
func (t *Table) Binding(ctx context.Context, key table.Key) (table.Binding, error) {
	return t.bindings.get(ctx, t, table.Binding{Key: key})
}

// SaveBinding is of [table.Bindings].
func (t *Table) SaveBinding(ctx context.Context, b table.Binding) (table.Binding, error) {
	return t.bindings.save(ctx, t, b)
}

// DeleteBinding is of [table.Bindings].
func (t *Table) DeleteBinding(ctx context.Context, b table.Binding) error {
	return t.bindings.delete(ctx, t, b)
}

// Authorization is of [table.Authorizations].
func (t *Table) Authorization(ctx context.Context, id string) (table.Authorization, error) {
	return t.authorizations.get(ctx, t, table.Authorization{ID: id})
}

// SaveAuthorization is of [table.Authorizations].
func (t *Table) SaveAuthorization(
	ctx context.Context, a table.Authorization,
) (table.Authorization, error) {
	return t.authorizations.save(ctx, t, a)
}

// DeleteAuthorization is of [table.Authorizations].
func (t *Table) DeleteAuthorization(ctx context.Context, a table.Authorization) error {
	return t.authorizations.delete(ctx, t, a)
}
