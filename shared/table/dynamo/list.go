package dynamo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// span is a run of one partition's rows, in the order of their sort keys or backwards.
type span struct {
	back bool
	// where is what holds for the sort keys, in DynamoDB's words; "" for all of them.
	where  string
	values item
}

func spanOf(pk string) span { return span{values: item{":pk": text(pk)}} }

// beginning is the span's part whose sort keys begin with the key of the first parts. It isn't
// said by begins_with, which some servers that speak DynamoDB's protocol read without regard to
// case.
func (s span) beginning(first string) span {
	s.where = skAttribute + " BETWEEN :first AND :last"
	s.values[":first"], s.values[":last"] = text(first), text(first+rowkey.Above)
	return s
}

// behind is the span's part behind a row, which may be gone by now.
func (s span) behind(sk string) span {
	s.where = skAttribute + " > :sk"
	if s.back {
		s.where = skAttribute + " < :sk"
	}
	s.values[":sk"] = text(sk)
	return s
}

// query is strong. start is nil for the span's beginning, or what the call before returned as
// next, which is nil at the span's end. Without a limit it ends after a megabyte.
func (t *Table) query(
	ctx context.Context, s span, start item, limit *int32,
) (items []item, next item, err error) {
	condition := pkAttribute + " = :pk"
	if s.where != "" {
		condition += " AND " + s.where
	}
	got, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: &condition, ExpressionAttributeValues: s.values,
		ScanIndexForward: aws.Bool(!s.back), Limit: limit, ExclusiveStartKey: start,
	})
	if err != nil {
		return nil, nil, err
	}
	return got.Items, got.LastEvaluatedKey, nil
}

// most is a limit as DynamoDB takes it.
func most(limit int) *int32 { return aws.Int32(int32(min(max(limit, 1), math.MaxInt32))) }

func decodeAll[T any](items []item, decode func(item) (T, error)) ([]T, error) {
	var list []T
	for _, i := range items {
		record, err := decode(i)
		if err != nil {
			return nil, err
		}
		list = append(list, record)
	}
	return list, nil
}

// page is a span's part behind the cursor. The cursor fits the list of this name alone.
func page[T any](
	ctx context.Context, t *Table, list string, s span, cursor string, limit int,
	decode func(item) (T, error),
) (table.Page[T], error) {
	if cursor != "" {
		last, err := parseCursor(list, cursor)
		if err != nil {
			return table.Page[T]{}, err
		}
		s = s.behind(last.SK)
	}
	items, next, err := t.query(ctx, s, nil, most(limit))
	if err != nil {
		return table.Page[T]{}, err
	}
	found, err := decodeAll(items, decode)
	if err != nil || next == nil {
		return table.Page[T]{Items: found}, err
	}
	return table.Page[T]{Items: found, Cursor: newCursor(list, keyOf(next))}, nil
}

// place is what a cursor remembers: the list, by a name made of [table.Join], and the last row.
type place struct {
	List string `json:"list"`
	PK   string `json:"pk"`
	SK   string `json:"sk"`
}

func newCursor(list string, last rowkey.Key) string {
	encoded, _ := json.Marshal(place{list, last.PK, last.SK}) // text alone never fails
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// parseCursor returns [table.ErrCursor] for what newCursor didn't write for this list.
func parseCursor(list, cursor string) (last rowkey.Key, err error) {
	var p place
	encoded, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || json.Unmarshal(encoded, &p) != nil || p.List != list ||
		p.PK == "" || p.SK == "" || len(p.SK) > longestSK {
		return rowkey.Key{}, table.ErrCursor
	}
	return rowkey.Key{PK: p.PK, SK: p.SK}, nil
}

// InstanceBindings is of [table.Bindings]. It is one query, as long as an instance's records come
// to less than a megabyte.
func (t *Table) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]table.Binding, error) {
	s := spanOf(rowkey.Account(account)).beginning(table.Join(region, instance))
	var found []item
	for next := item(nil); ; {
		var items []item
		var err error
		if items, next, err = t.query(ctx, s, next, nil); err != nil {
			return nil, failed("list an instance", err)
		}
		if found = append(found, items...); next == nil {
			break
		}
	}
	list, err := decodeAll(found, t.bindings.decode)
	return list, failed("list an instance", err)
}

// AccountBindings is of [table.Bindings], and strong.
func (t *Table) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (table.Page[table.Binding], error) {
	pk := rowkey.Account(account)
	list, err := page(ctx, t, pk, spanOf(pk), cursor, limit, t.bindings.decode)
	return list, failed("list an account", err)
}

// AllBindings is of [table.Bindings], and strong. A page looks at as many rows as the limit says,
// of any kind, and so most are short; in all, each row of the table is read once.
func (t *Table) AllBindings(
	ctx context.Context, cursor string, limit int,
) (table.Page[table.Binding], error) {
	list, err := t.scan(ctx, cursor, limit)
	return list, failed("list bindings", err)
}

func (t *Table) scan(
	ctx context.Context, cursor string, limit int,
) (table.Page[table.Binding], error) {
	var none table.Page[table.Binding]
	list := table.Join("all")
	in := &dynamodb.ScanInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), Limit: most(limit),
		FilterExpression:          aws.String("begins_with(" + pkAttribute + ", :kind)"),
		ExpressionAttributeValues: item{":kind": text(table.Join(rowkey.BindingKind))},
	}
	if cursor != "" {
		last, err := parseCursor(list, cursor)
		if err != nil {
			return none, err
		}
		in.ExclusiveStartKey = itemOf(last)
	}
	got, err := t.client.Scan(ctx, in)
	if err != nil {
		return none, err
	}
	found, err := decodeAll(got.Items, t.bindings.decode)
	if err != nil || got.LastEvaluatedKey == nil {
		return table.Page[table.Binding]{Items: found}, err
	}
	return table.Page[table.Binding]{
		Items: found, Cursor: newCursor(list, keyOf(got.LastEvaluatedKey)),
	}, nil
}
