package tablestore

import (
	"context"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// SaveIdentityEntry is of [table.IdentityIndex].
func (t *Table) SaveIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	h.At = h.At.UTC()
	made, err := encode(rowkey.IdentityEntry(h), h)
	if err != nil {
		return failed("save a holder", err)
	}
	made.set(atColumn, rowkey.SortableTime(h.At))
	_, err = t.put(ctx, made, always())
	return failed("save a holder", err)
}

// ListIdentityEntries is of [table.IdentityIndex].
func (t *Table) ListIdentityEntries(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.IdentityEntry], error) {
	pk := rowkey.Identity(of)
	found, err := list(ctx, t, pk, t.spanOf(pk), cursor, limit, decode[table.IdentityEntry])
	return found, failed("list holders", err)
}

// DeleteIdentityEntry is of [table.IdentityIndex].
func (t *Table) DeleteIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	err := t.delete(ctx, rowkey.IdentityEntry(h), has(atColumn, rowkey.SortableTime(h.At)))
	if clashed(err) {
		return nil
	}
	return failed("delete a holder", err)
}
