package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// SaveIdentityEntry is of [table.IdentityIndex].
func (t *Table) SaveIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	h.At = h.At.UTC()
	row, err := encode(rowkey.IdentityEntry(h), h)
	if err != nil {
		return failed("save a holder", err)
	}
	row[atAttribute] = text(rowkey.SortableTime(h.At))
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: row})
	return failed("save a holder", err)
}

// ListIdentityEntries is of [table.IdentityIndex].
func (t *Table) ListIdentityEntries(
	ctx context.Context, of table.IdentityKey, cursor string, limit int,
) (table.Page[table.IdentityEntry], error) {
	pk := rowkey.Identity(of)
	list, err := page(ctx, t, pk, spanOf(pk), cursor, limit, decode[table.IdentityEntry])
	return list, failed("list holders", err)
}

// DeleteIdentityEntry is of [table.IdentityIndex].
func (t *Table) DeleteIdentityEntry(ctx context.Context, h table.IdentityEntry) error {
	err := t.delete(ctx, rowkey.IdentityEntry(h), has(atAttribute, rowkey.SortableTime(h.At)))
	if _, other := clashed(err); other {
		return nil
	}
	return failed("delete a holder", err)
}
