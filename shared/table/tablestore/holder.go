package tablestore

import (
	"context"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// SaveHolder is of [table.Holders].
func (t *Table) SaveHolder(ctx context.Context, h table.Holder) error {
	h.At = h.At.UTC()
	made, err := encode(rowkey.Holder(h), h)
	if err != nil {
		return failed("save a holder", err)
	}
	made.set(atColumn, rowkey.Stamp(h.At))
	_, err = t.put(ctx, made, always())
	return failed("save a holder", err)
}

// ListHolders is of [table.Holders].
func (t *Table) ListHolders(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.Holder], error) {
	pk := rowkey.Identity(of)
	found, err := list(ctx, t, pk, t.spanOf(pk), cursor, limit, decode[table.Holder])
	return found, failed("list holders", err)
}

// DeleteHolder is of [table.Holders].
func (t *Table) DeleteHolder(ctx context.Context, h table.Holder) error {
	err := t.delete(ctx, rowkey.Holder(h), has(atColumn, rowkey.Stamp(h.At)))
	if clashed(err) {
		return nil
	}
	return failed("delete a holder", err)
}
