// Package tablestore keeps the records in one table of Tablestore. It is the table of a deployment
// on Alibaba Cloud. Package table says what a call promises, and package engine what the keys of
// the rows are.
//
// # Columns
//
// The table has the primary key columns pk and sk, both text. Each row has its record as JSON in
// the column record. Bindings, authorizations, subscriptions and their entries have version, text,
// and format, a number; identity entries have at. Columns that this version does not know are kept
// when it saves a row.
//
// Rows that come due have two more columns, which other rows lack: dueShard, a number, and dueAt,
// the time in a fixed width. A global secondary index, named like the table with "_due" appended,
// has them as its keys before pk and sk. A row that lacks one of them isn't in it, so that it
// holds what comes due and nothing else. The service fills it after the write has ended: it lags.
// Nothing relies on a time-to-live, which an index forbids.
//
// # Consistency
//
// Every read of the table itself is strong; only the index lags. A write carries its condition and
// its version, and is sent again when no answer came. If the first request was carried out after
// all, the second fails on the version that the first wrote; then the row is read, which tells
// this from a conflict: it is a success. A delete leaves nothing that tells: it is a conflict
// then, and the caller reads again and finds the row gone.
//
// # Limits
//
// A key column holds 1,024 bytes and another column 2 MB. A page has at most 5,000 rows or 4 MB.
// The table's name is made of letters, digits and _.
//
// # Rights
//
// The calls need ots:GetRow, PutRow, DeleteRow, GetRange and BatchWriteRow on the table, and
// GetRange on its index for what is due.
package tablestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// New returns a table that [Create] or the deployment made. It makes no call, so that a start
// costs no round trip.
func New(client *Client, tableName string) *engine.Table {
	return engine.New("tablestore", NewDriver(client, tableName))
}

// NewDriver returns the calls to a table, for rows that the engine's table does not have. Those
// need no index.
func NewDriver(client *Client, tableName string) engine.Driver {
	return &driver{client, tableName}
}

// driver makes the engine's calls to Tablestore.
type driver struct {
	client *Client
	name   string
}

var _ engine.Driver = (*driver)(nil)

// failed says what was being done. Nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tablestore: %s: %w", doing, err)
}

// Get implements [engine.Driver].
func (d *driver) Get(ctx context.Context, key engine.Key) (row engine.Row, ok bool, err error) {
	err = d.client.call(ctx, func(client *sdk.TableStoreClient) error {
		got, err := client.GetRow(&sdk.GetRowRequest{
			SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
				TableName: d.name, PrimaryKey: primaryOf(key), MaxVersion: 1,
			},
		})
		if err != nil {
			return err
		}
		row, ok = engine.Row{}, len(got.PrimaryKey.PrimaryKeys) > 0
		if ok {
			row = rowOf(columnsOf(&got.PrimaryKey, got.Columns))
		}
		if ok && row.Key != key {
			return errors.New("another row than was asked for")
		}
		return nil
	})
	return row, ok, err
}

// Put implements [engine.Driver]. It is two calls if a reply was lost and the next one is a failed
// condition.
func (d *driver) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	unclear, err := d.client.callUnclear(ctx, func(client *sdk.TableStoreClient) error {
		change := d.changeOf(row)
		change.Condition = conditionOf(is)
		_, err := client.PutRow(&sdk.PutRowRequest{PutRowChange: change})
		return err
	})
	switch {
	case !conditionFailed(err):
		return err
	case !unclear:
		return table.ErrConflict
	}
	there, ok, err := d.Get(ctx, row.Key)
	if err == nil && (!ok || there.Version != row.Version) {
		return table.ErrConflict
	}
	return err
}

// Delete implements [engine.Driver].
func (d *driver) Delete(ctx context.Context, key engine.Key, is engine.Condition) error {
	err := d.client.call(ctx, func(client *sdk.TableStoreClient) error {
		_, err := client.DeleteRow(&sdk.DeleteRowRequest{DeleteRowChange: &sdk.DeleteRowChange{
			TableName: d.name, PrimaryKey: primaryOf(key), Condition: conditionOf(is),
		}})
		return err
	})
	if conditionFailed(err) {
		return table.ErrConflict
	}
	return err
}

// PutBatch implements [engine.Driver]. It is one call, unless rows are refused for a transient
// reason; then all are sent again.
func (d *driver) PutBatch(ctx context.Context, rows []engine.Row) error {
	return d.client.call(ctx, func(client *sdk.TableStoreClient) error {
		batch := &sdk.BatchWriteRowRequest{}
		for _, row := range rows {
			change := d.changeOf(row)
			change.Condition = conditionOf(engine.Condition{})
			batch.AddRowChange(change)
		}
		got, err := client.BatchWriteRow(batch)
		if err != nil {
			return err
		}
		return checkBatch(got.TableToRowsResult[d.name], len(rows))
	})
}

// checkBatch returns nil if every row of a batch was written. The error is as if the batch were
// one row.
func checkBatch(results []sdk.RowResult, want int) error {
	if len(results) != want {
		return fmt.Errorf("%d rows were answered for, want %d", len(results), want)
	}
	for _, result := range results {
		if !result.IsSucceed {
			return &sdk.OtsError{
				Code: result.Error.Code, Message: result.Error.Message,
				HttpStatusCode: http.StatusForbidden, // a row has no status of its own
			}
		}
	}
	return nil
}
