package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// rows are the rows of one kind.
type rows[T any] struct{ rowkey.Kind[T] }

// get reads the row whose key is that of like.
func (r rows[T]) get(ctx context.Context, t *Table, like T) (T, error) {
	var none T
	found, err := t.get(ctx, r.Key(like))
	if err == nil && found == nil {
		err = table.ErrNotFound
	}
	if err != nil {
		return none, failed("read "+r.Name, err)
	}
	record, err := r.decode(found)
	if err != nil {
		return none, failed("read "+r.Name, err)
	}
	return record, nil
}

func (r rows[T]) decode(i item) (T, error) {
	record, err := decode[T](i)
	if err != nil {
		var none T
		return none, err
	}
	version := textOf(i, versionAttribute)
	if version == "" {
		return record, errors.New("the row has no version")
	}
	*r.Version(&record) = version
	return record, nil
}

// save writes the row under a new version if it is there in the record's.
func (r rows[T]) save(ctx context.Context, t *Table, record T) (T, error) {
	var none T
	row, err := encode(r.Key(record), record)
	if err != nil {
		return none, failed("save "+r.Name, err)
	}
	version := table.NewVersion()
	row[versionAttribute] = text(version)
	addDue(row, r.Due(record))

	is := inVersion(*r.Version(&record))
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: row,
		ConditionExpression:       &is.expression,
		ExpressionAttributeNames:  is.names,
		ExpressionAttributeValues: is.values,
		// What is there tells a conflict from this very save, sent before and not answered.
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	there, conflict := clashed(err)
	switch {
	case conflict && textOf(there, versionAttribute) == version:
	case conflict:
		return none, failed("save "+r.Name, table.ErrConflict)
	case err != nil:
		return none, failed("save "+r.Name, err)
	}
	*r.Version(&record) = version
	return record, nil
}

func (r rows[T]) delete(ctx context.Context, t *Table, record T) error {
	err := t.delete(ctx, r.Key(record), inVersion(*r.Version(&record)))
	if _, conflict := clashed(err); conflict {
		err = table.ErrConflict
	}
	return failed("delete "+r.Name, err)
}

// condition is what must hold for a write.
type condition struct {
	expression string
	names      map[string]string
	values     item
}

// inVersion holds if the row is there in the version, or isn't there for "".
func inVersion(version string) condition {
	if version == "" {
		return condition{expression: "attribute_not_exists(" + pkAttribute + ")"}
	}
	return has(versionAttribute, version)
}

// has holds if the row has the attribute with this value. The attribute goes by another name in
// the expression, for DynamoDB reserves many words.
func has(attribute, value string) condition {
	return condition{
		expression: "#attribute = :value",
		names:      map[string]string{"#attribute": attribute},
		values:     item{":value": text(value)},
	}
}

func (t *Table) delete(ctx context.Context, key rowkey.Key, is condition) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &t.name, Key: itemOf(key),
		ConditionExpression:       &is.expression,
		ExpressionAttributeNames:  is.names,
		ExpressionAttributeValues: is.values,
	})
	return err
}

// encode makes a row of a record.
func encode(key rowkey.Key, record any) (item, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	row := itemOf(key)
	row[recordAttribute] = text(string(encoded))
	return row, nil
}

func decode[T any](i item) (record T, err error) {
	if err := json.Unmarshal([]byte(textOf(i, recordAttribute)), &record); err != nil {
		return record, fmt.Errorf("decode: %w", err)
	}
	return record, nil
}
