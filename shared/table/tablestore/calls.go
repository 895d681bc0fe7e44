package tablestore

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

// Note is of [table.Notes].
func (t *Table) Note(ctx context.Context, secret string) (table.Note, error) {
	return t.notes.get(ctx, t, table.Note{Secret: secret})
}

// SaveNote is of [table.Notes].
func (t *Table) SaveNote(ctx context.Context, n table.Note) (table.Note, error) {
	return t.notes.save(ctx, t, n)
}

// DeleteNote is of [table.Notes].
func (t *Table) DeleteNote(ctx context.Context, n table.Note) error {
	return t.notes.delete(ctx, t, n)
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
