// Package dynamo keeps the records in one table of DynamoDB. It is the table of a deployment on
// AWS. Package table says what a call promises, and package engine what the keys of the rows are.
//
// # Attributes
//
// The table has the keys pk and sk, both text. Each row has its record as JSON in the attribute
// record. Bindings, authorizations, subscriptions and their entries have version, text, and
// format, a number; identity entries have at. Attributes that this version does not know are kept
// when it saves a row.
//
// Rows that come due have two more attributes, which other rows lack: dueShard, a number, and
// dueAt, the time in a fixed width followed by pk and sk. The index "due" has them as its keys, so
// that it holds what comes due and nothing else. Nothing relies on a time-to-live.
//
// # Consistency
//
// Every read of the table itself is strong; only the index may lag. A write carries its condition
// and its version, and the client sends it again when no answer came. If the first request was
// carried out after all, the second fails on the version that the first wrote. The failure returns
// the row, which tells this from a conflict: it is a success. A delete leaves nothing that
// tells: it is a conflict then, and the caller reads again and finds the row gone.
//
// # Rights
//
// The calls need GetItem, PutItem, DeleteItem, Query and BatchWriteItem on the table, Query on its
// index for what is due, and Scan only for the operators' lists of all bindings, authorizations
// and subscriptions.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/engine"
	"bindery/shared/timing"
)

// New returns a table that [Create] or the deployment made. It makes no call, so that a start
// costs no round trip. The client decides how often and for how long it tries a call.
func New(client *dynamodb.Client, tableName string) *engine.Table {
	return engine.New("dynamodb", NewDriver(client, tableName))
}

// NewDriver returns the calls to a table, for rows that the engine's table does not have. Those
// need no index.
func NewDriver(client *dynamodb.Client, tableName string) engine.Driver {
	return &driver{client, tableName}
}

// driver makes the engine's calls to DynamoDB.
type driver struct {
	client *dynamodb.Client
	name   string
}

var _ engine.Driver = (*driver)(nil)

// failed says what was being done. Nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamodb: %s: %w", doing, err)
}

// Get implements [engine.Driver].
func (d *driver) Get(ctx context.Context, key engine.Key) (row engine.Row, ok bool, err error) {
	got, err := d.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &d.name, Key: keyItem(key), ConsistentRead: aws.Bool(true),
	})
	if err != nil || got.Item == nil {
		return engine.Row{}, false, err
	}
	return rowOf(got.Item), true, nil
}

// Put implements [engine.Driver].
func (d *driver) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	expression, names, values := condition(is)
	_, err := d.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &d.name, Item: itemOf(row), ConditionExpression: expression,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		// The row that is there tells a conflict from this Put, sent before and not answered.
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failure *types.ConditionalCheckFailedException
	switch {
	case !errors.As(err, &failure):
		return err
	case row.Version != "" && textOf(failure.Item, versionAttribute) == row.Version:
		return nil
	}
	return table.ErrConflict
}

// condition writes a condition in DynamoDB's words. The attribute has another name in the
// expression, because DynamoDB reserves many words.
func condition(is engine.Condition) (expression *string, names map[string]string, values item) {
	attribute := versionAttribute
	switch is.On {
	case engine.Always:
		return nil, nil, nil
	case engine.Absent:
		return aws.String("attribute_not_exists(" + pkAttribute + ")"), nil, nil
	case engine.AtIs:
		attribute = atAttribute
	}
	return aws.String("#attribute = :value"), map[string]string{"#attribute": attribute},
		item{":value": text(is.Value)}
}

// Delete implements [engine.Driver].
func (d *driver) Delete(ctx context.Context, key engine.Key, is engine.Condition) error {
	expression, names, values := condition(is)
	_, err := d.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &d.name, Key: keyItem(key), ConditionExpression: expression,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	var failure *types.ConditionalCheckFailedException
	if errors.As(err, &failure) {
		return table.ErrConflict
	}
	return err
}

// Rows of a batch that DynamoDB hands back for lack of throughput are sent again: at most this
// many tries in all, with a wait that doubles between two of them.
const (
	batchTries   = 4
	batchBackoff = 50 * time.Millisecond
)

// PutBatch implements [engine.Driver]. It is one call, unless rows are handed back for lack of
// throughput.
func (d *driver) PutBatch(ctx context.Context, rows []engine.Row) error {
	var puts []types.WriteRequest
	for _, row := range rows {
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: itemOf(row)}})
	}
	wait := batchBackoff
	for try := 1; ; try++ {
		got, err := d.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{d.name: puts},
		})
		if err != nil {
			return err
		}
		if puts = got.UnprocessedItems[d.name]; len(puts) == 0 {
			return nil
		}
		if try == batchTries {
			return fmt.Errorf("%d rows were not taken in %d tries", len(puts), batchTries)
		}
		if err := timing.Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}
