// Package dynamo keeps the records in one table of DynamoDB. It is the table of a deployment on
// AWS; what a call promises is said in package table.
//
// # Keys
//
// The table has the keys pk and sk, both text, made of [table.Join]'ed parts. The first part of
// every pk is its kind, so that no two kinds share a row.
//
//	row            pk                                       sk
//	binding        "binding" account                        region instance platform
//	authorization  "authorization" id                       "-"
//	holder         "holder" platform address id             "binding" and the binding's four parts,
//	                                                        or "authorization" id
//	event          "history" account region instance plat.  Event.Position()
//
// Each row has its record as JSON in the attribute record. The first three kinds have their
// version in version, holders their time in at: the attributes that conditions are put on.
//
// # What is due
//
// Rows with a DueAt have two attributes more, which other rows lack: dueShard, a number, and
// dueAt, the time in a fixed width followed by pk and sk. The index "due" has them as its keys,
// so that it holds what comes due and nothing else. Nothing relies on a time-to-live.
//
// # Consistency
//
// Every read of the table itself is strong; the index alone may lag. A write carries its
// condition and its version, and the library sends it again when no answer came. Where the first
// sending got through after all, the second fails on its own version; the failure brings the row
// along, so that this is told from a conflict and is a success. Of a delete nothing is left to
// tell it by: it is a conflict then, and the caller, who reads again, finds the row gone.
//
// # Rights
//
// The calls need GetItem, PutItem, DeleteItem, Query and BatchWriteItem on the table, Query on its
// index for what is due, and Scan for the operators' list of all bindings alone.
package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// The attributes, and the index.
const (
	pkAttribute       = "pk"
	skAttribute       = "sk"
	recordAttribute   = "record"
	versionAttribute  = "version"
	atAttribute       = "at"
	dueShardAttribute = "dueShard"
	dueAtAttribute    = "dueAt"

	dueIndex = "due"
)

// Table is a [table.Table] in DynamoDB. Its methods may be called at once from many goroutines
// and processes. How often and how long a call is tried is up to the client.
type Table struct {
	client *dynamodb.Client
	name   string

	bindings       rows[table.Binding]
	authorizations rows[table.Authorization]
}

var _ table.Table = (*Table)(nil)

// New uses a table that [Create] or the deployment made. It asks nothing of it, so that a start
// costs no round trip.
func New(client *dynamodb.Client, tableName string) *Table {
	return &Table{
		client: client, name: tableName,
		bindings:       rows[table.Binding]{rowkey.Bindings()},
		authorizations: rows[table.Authorization]{rowkey.Authorizations()},
	}
}

// item is a row as DynamoDB has it.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// textOf is "" for an attribute that isn't there or isn't text.
func textOf(i item, attribute string) string {
	if s, ok := i[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// failed says what was being done. Nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamodb: %s: %w", doing, err)
}

// clashed is the item that a failed condition brought along, which is nil where there is none. ok
// reports whether it was a condition that failed: throttling and the rest are not.
func clashed(err error) (there item, ok bool) {
	var failure *types.ConditionalCheckFailedException
	if !errors.As(err, &failure) {
		return nil, false
	}
	return failure.Item, true
}

// get reads one row, strongly. It is nil if there is none.
func (t *Table) get(ctx context.Context, key rowkey.Key) (item, error) {
	got, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: itemOf(key), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return got.Item, nil
}
