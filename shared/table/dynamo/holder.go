package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// SaveHolder is of [table.Holders].
func (t *Table) SaveHolder(ctx context.Context, h table.Holder) error {
	h.At = h.At.UTC()
	row, err := encode(rowkey.Holder(h), h)
	if err != nil {
		return failed("save a holder", err)
	}
	row[atAttribute] = text(rowkey.Stamp(h.At))
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: row})
	return failed("save a holder", err)
}

// ListHolders is of [table.Holders].
func (t *Table) ListHolders(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.Holder], error) {
	pk := rowkey.Identity(of)
	list, err := page(ctx, t, pk, spanOf(pk), cursor, limit, decode[table.Holder])
	return list, failed("list holders", err)
}

// DeleteHolder is of [table.Holders].
func (t *Table) DeleteHolder(ctx context.Context, h table.Holder) error {
	err := t.delete(ctx, rowkey.Holder(h), has(atAttribute, rowkey.Stamp(h.At)))
	if _, other := clashed(err); other {
		return nil
	}
	return failed("delete a holder", err)
}
