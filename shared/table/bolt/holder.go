package bolt

import (
	"context"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

func identityKey(k table.IdentityKey) string { return table.Join(k.Platform, k.Address, k.ID) }

func holderKey(h table.Holder) string {
	if h.Authorization != "" {
		return identityKey(h.Of) + table.Join("authorization", h.Authorization)
	}
	return identityKey(h.Of) + table.Join("binding") + h.Binding.String()
}

// SaveHolder is of [table.Holders].
func (t *Table) SaveHolder(ctx context.Context, h table.Holder) error {
	h.At = h.At.UTC()
	_, err := write(ctx, t, "save a holder", func(tx *bbolt.Tx) (nothing, error) {
		return nothing{}, put(tx, holdersBucket, holderKey(h), h)
	})
	return err
}

// ListHolders is of [table.Holders].
func (t *Table) ListHolders(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.Holder], error) {
	run := prefixed(holdersBucket, identityKey(of))
	name := table.Join("holders") + identityKey(of)
	return read(ctx, t, "list holders", func(tx *bbolt.Tx) (table.Page[table.Holder], error) {
		return page(tx, name, run, cursor, limit, decode[table.Holder])
	})
}

// DeleteHolder is of [table.Holders].
func (t *Table) DeleteHolder(ctx context.Context, h table.Holder) error {
	_, err := write(ctx, t, "delete a holder", func(tx *bbolt.Tx) (nothing, error) {
		bucket, key := tx.Bucket([]byte(holdersBucket)), []byte(holderKey(h))
		value := bucket.Get(key)
		if value == nil {
			return nothing{}, nil
		}
		there, err := decode[table.Holder](value)
		if err != nil || !there.At.Equal(h.At) {
			return nothing{}, err
		}
		return nothing{}, bucket.Delete(key)
	})
	return err
}
