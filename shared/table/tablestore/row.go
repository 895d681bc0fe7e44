package tablestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// rows are the rows of one kind.
type rows[T any] struct{ rowkey.Kind[T] }

// get reads the row whose key is that of like.
func (r rows[T]) get(ctx context.Context, t *Table, like T) (T, error) {
	var none T
	found, there, err := t.get(ctx, r.Key(like))
	if err == nil && !there {
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

func (r rows[T]) decode(found row) (T, error) {
	record, err := decode[T](found)
	if err != nil {
		var none T
		return none, err
	}
	version := found.text(versionColumn)
	if version == "" {
		return record, errors.New("the row has no version")
	}
	*r.Version(&record) = version
	return record, nil
}

// save writes the row under a new version if it is there in the record's.
func (r rows[T]) save(ctx context.Context, t *Table, record T) (T, error) {
	var none T
	made, err := encode(r.Key(record), record)
	if err != nil {
		return none, failed("save "+r.Name, err)
	}
	version := table.NewVersion()
	made.set(versionColumn, version)
	addDue(made, r.Due(record))

	unsure, err := t.put(ctx, made, inVersion(*r.Version(&record)))
	if clashed(err) {
		err = table.ErrConflict
		if unsure {
			err = t.saved(ctx, made.key, version)
		}
	}
	if err != nil {
		return none, failed("save "+r.Name, err)
	}
	*r.Version(&record) = version
	return record, nil
}

// saved tells a conflict from a save that was sent before and not answered: nil if the row is there
// in this version.
func (t *Table) saved(ctx context.Context, key rowkey.Key, version string) error {
	found, there, err := t.get(ctx, key)
	switch {
	case err != nil:
		return err
	case !there || found.text(versionColumn) != version:
		return table.ErrConflict
	}
	return nil
}

func (r rows[T]) delete(ctx context.Context, t *Table, record T) error {
	err := t.delete(ctx, r.Key(record), has(versionColumn, *r.Version(&record)))
	if clashed(err) {
		err = table.ErrConflict
	}
	return failed("delete "+r.Name, err)
}

// inVersion holds if the row is there in the version, or isn't there for "".
func inVersion(version string) *sdk.RowCondition {
	if version == "" {
		return &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_NOT_EXIST}
	}
	return has(versionColumn, version)
}

// has holds if the row has the column with this value. No row has "".
func has(column, value string) *sdk.RowCondition {
	equal := sdk.NewSingleColumnCondition(column, sdk.CT_EQUAL, value)
	equal.FilterIfMissing = true // a row without the column doesn't pass
	equal.LatestVersionOnly = true
	return &sdk.RowCondition{
		RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: equal,
	}
}

// always holds.
func always() *sdk.RowCondition {
	return &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_IGNORE}
}

// put writes a row in place of what is there. unsure is as [Client.callUnsure] has it.
func (t *Table) put(ctx context.Context, r row, is *sdk.RowCondition) (unsure bool, err error) {
	return t.client.callUnsure(ctx, func(client *sdk.TableStoreClient) error {
		change := r.put(t.name)
		change.Condition = is
		_, err := client.PutRow(&sdk.PutRowRequest{PutRowChange: change})
		return err
	})
}

func (t *Table) delete(ctx context.Context, key rowkey.Key, is *sdk.RowCondition) error {
	return t.client.call(ctx, func(client *sdk.TableStoreClient) error {
		_, err := client.DeleteRow(&sdk.DeleteRowRequest{DeleteRowChange: &sdk.DeleteRowChange{
			TableName: t.name, PrimaryKey: primaryOf(key), Condition: is,
		}})
		return err
	})
}

// encode makes a row of a record.
func encode(key rowkey.Key, record any) (row, error) {
	encoded, err := json.Marshal(record)
	if err != nil {
		return row{}, fmt.Errorf("encode: %w", err)
	}
	return row{key, map[string]any{recordColumn: string(encoded)}}, nil
}

func decode[T any](found row) (record T, err error) {
	if err := json.Unmarshal([]byte(found.text(recordColumn)), &record); err != nil {
		return record, fmt.Errorf("decode: %w", err)
	}
	return record, nil
}
