package bolt

import (
	"context"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

func identityKey(k table.IdentityKey) string { return table.Join(k.Platform, k.Address, k.ID) }

func holderKey(h table.IdentityEntry) string {
	if h.Authorization != "" {
		return identityKey(h.Of) + table.Join("authorization", h.Authorization)
	}
	return identityKey(h.Of) + table.Join("binding") + h.Binding.String()
}

// SaveIdentityEntry is of [table.IdentityIndex].
func (t *Table) SaveIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	h.At = h.At.UTC()
	_, err := write(ctx, t, "save a holder", func(tx *bbolt.Tx) (nothing, error) {
		return nothing{}, put(tx, holdersBucket, holderKey(h), h)
	})
	return err
}

// ListIdentityEntries is of [table.IdentityIndex].
func (t *Table) ListIdentityEntries(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.IdentityEntry], error) {
	run := prefixed(holdersBucket, identityKey(of))
	name := table.Join("holders") + identityKey(of)
	return read(ctx, t, "list holders", func(tx *bbolt.Tx) (table.Page[table.IdentityEntry], error) {
		return page(tx, name, run, cursor, limit, decode[table.IdentityEntry])
	})
}

// DeleteIdentityEntry is of [table.IdentityIndex].
func (t *Table) DeleteIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	_, err := write(ctx, t, "delete a holder", func(tx *bbolt.Tx) (nothing, error) {
		bucket, key := tx.Bucket([]byte(holdersBucket)), []byte(holderKey(h))
		value := bucket.Get(key)
		if value == nil {
			return nothing{}, nil
		}
		there, err := decode[table.IdentityEntry](value)
		if err != nil || !there.At.Equal(h.At) {
			return nothing{}, err
		}
		return nothing{}, bucket.Delete(key)
	})
	return err
}
