package dynamo

import (
	"context"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table/engine"
)

// limitOf is a limit as DynamoDB takes it. Without one a reply ends after a megabyte.
func limitOf(limit int) *int32 {
	if limit == 0 {
		return nil
	}
	return aws.Int32(int32(min(limit, math.MaxInt32)))
}

// Query implements [engine.Driver]. A prefix isn't asked for by begins_with, which some servers
// that speak DynamoDB's protocol read without regard to case.
func (d *driver) Query(
	ctx context.Context, q engine.Query,
) (rows []engine.Row, more bool, err error) {
	where, values := pkAttribute+" = :pk", item{":pk": text(q.PK)}
	switch {
	case q.Prefix != "":
		where += " AND " + skAttribute + " BETWEEN :first AND :last"
		values[":first"], values[":last"] = text(q.Prefix), text(q.Prefix+engine.Above)
		if q.After != "" {
			// Of such keys none begins with another, so that nothing is between one and this.
			values[":first"] = text(q.After + engine.Above)
		}
	case q.After != "":
		order := " > :after"
		if q.Backwards {
			order = " < :after"
		}
		where += " AND " + skAttribute + order
		values[":after"] = text(q.After)
	}
	got, err := d.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &d.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: &where, ExpressionAttributeValues: values,
		ScanIndexForward: aws.Bool(!q.Backwards), Limit: limitOf(q.Limit),
	})
	if err != nil {
		return nil, false, err
	}
	return rowsOf(got.Items), got.LastEvaluatedKey != nil, nil
}

// Scan implements [engine.Driver]. It looks at as many rows as the limit says, of any kind, and so
// most pages are short; in all, each row of the table is read once.
func (d *driver) Scan(
	ctx context.Context, prefix string, after engine.Key, limit int,
) (rows []engine.Row, next engine.Key, err error) {
	var start map[string]types.AttributeValue
	if after != (engine.Key{}) {
		start = keyItem(after)
	}
	got, err := d.client.Scan(ctx, &dynamodb.ScanInput{
		TableName: &d.name, ConsistentRead: aws.Bool(true), Limit: limitOf(limit),
		FilterExpression:          aws.String("begins_with(" + pkAttribute + ", :prefix)"),
		ExpressionAttributeValues: item{":prefix": text(prefix)},
		ExclusiveStartKey:         start,
	})
	if err != nil {
		return nil, next, err
	}
	return rowsOf(got.Items), keyOf(got.LastEvaluatedKey), nil
}

// beforeAll sorts before every sort key of the index, because they begin with a year.
const beforeAll = "0"

// dueKey is a row's sort key in the index.
func dueKey(p engine.Place) string { return p.At + p.Key.PK + p.Key.SK }

// Due implements [engine.Driver].
func (d *driver) Due(
	ctx context.Context, shard int, after engine.Place, until string, limit int,
) (places []engine.Place, more bool, err error) {
	first := beforeAll
	if after != (engine.Place{}) {
		// No sort key begins with another, so that nothing is between one and this.
		first = dueKey(after) + engine.Above
	}
	where := dueShardAttribute + " = :shard AND " + dueAtAttribute + " BETWEEN :first AND :last"
	got, err := d.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &d.name, IndexName: aws.String(dueIndex), KeyConditionExpression: &where,
		ExpressionAttributeValues: item{
			":shard": number(shard), ":first": text(first), ":last": text(until + engine.Above),
		},
		Limit: limitOf(limit),
	})
	if err != nil {
		return nil, false, err
	}
	for _, i := range got.Items {
		at := textOf(i, dueAtAttribute)
		at = at[:min(len(at), engine.SortableTimeLength)]
		places = append(places, engine.Place{At: at, Key: keyOf(i)})
	}
	return places, got.LastEvaluatedKey != nil, nil
}
