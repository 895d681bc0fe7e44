// Package tablestore keeps the records in one table of Tablestore. It is the table of a deployment
// on Alibaba Cloud; what a call promises is said in package table.
//
// # Keys
//
// The table has the primary key columns pk and sk, both text, made of [table.Join]'ed parts. The
// first part of every pk is its kind, so that no two kinds share a row, and the rows of a kind lie
// together.
//
//	row            pk                                       sk
//	binding        "binding" account                        region instance platform
//	authorization  "authorization" id                       "-"
//	holder         "holder" platform address id             "binding" and the binding's four parts,
//	                                                        or "authorization" id
//	event          "history" account region instance plat.  Event.Position()
//
// Each row has its record as JSON in the column record. The first three kinds have their version
// in version, holders their time in at: the columns that conditions are put on.
//
// # What is due
//
// Rows with a DueAt have two columns more, which other rows lack: dueShard, a number, and dueAt,
// the time in a fixed width. A global secondary index, named as the table with "_due" behind it,
// has them as its keys before pk and sk. A row that lacks one of them isn't in it, so that it holds
// what comes due and nothing else. The service fills it after the write has ended: it lags. Nothing
// relies on a time-to-live, which an index forbids.
//
// # Consistency
//
// Every read of the table itself is strong; the index alone lags. A write carries its condition
// and its version, and is sent again when no answer came. Where the first sending got through after
// all, the second fails on its own version; then the row is read, so that this is told from a
// conflict and is a success. Of a delete nothing is left to tell it by: it is a conflict then, and
// the caller, who reads again, finds the row gone.
//
// # Limits
//
// A key column holds 1,024 bytes and another one 2 MB. A page has at most 5,000 rows or 4 MB. The
// table's name is made of letters, digits and _.
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

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// The columns, and what the index is called behind the table's name.
const (
	pkColumn       = "pk"
	skColumn       = "sk"
	recordColumn   = "record"
	versionColumn  = "version"
	atColumn       = "at"
	dueShardColumn = "dueShard"
	dueAtColumn    = "dueAt"

	dueIndex = "_due"
)

// Table is a [table.Table] in Tablestore. Its methods may be called at once from many goroutines
// and processes.
type Table struct {
	client *Client
	name   string

	bindings       rows[table.Binding]
	authorizations rows[table.Authorization]
}

var _ table.Table = (*Table)(nil)

// New uses a table that [Create] or the deployment made. It asks nothing of it, so that a start
// costs no round trip.
func New(client *Client, tableName string) *Table {
	return &Table{
		client: client, name: tableName,
		bindings:       rows[table.Binding]{rowkey.Bindings()},
		authorizations: rows[table.Authorization]{rowkey.Authorizations()},
	}
}

// row is a row as Tablestore has it.
type row struct {
	key     rowkey.Key
	columns map[string]any // string or int64
}

func (r row) set(column string, value any) { r.columns[column] = value }

// text is "" for a column that isn't there or isn't text.
func (r row) text(column string) string {
	s, _ := r.columns[column].(string)
	return s
}

// put is the library's form of it.
func (r row) put(tableName string) *sdk.PutRowChange {
	change := &sdk.PutRowChange{TableName: tableName, PrimaryKey: primaryOf(r.key)}
	for _, name := range []string{
		recordColumn, versionColumn, atColumn, dueShardColumn, dueAtColumn,
	} {
		if value, set := r.columns[name]; set {
			change.AddColumn(name, value)
		}
	}
	return change
}

// rowOf reads what the library read.
func rowOf(primary *sdk.PrimaryKey, columns []*sdk.AttributeColumn) row {
	r := row{columns: map[string]any{}}
	for _, column := range primary.PrimaryKeys {
		r.set(column.ColumnName, column.Value)
	}
	for _, column := range columns {
		r.set(column.ColumnName, column.Value)
	}
	r.key = rowkey.Key{PK: r.text(pkColumn), SK: r.text(skColumn)}
	return r
}

// failed says what was being done. Nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tablestore: %s: %w", doing, err)
}

// get reads one row, strongly. there reports whether there is one.
func (t *Table) get(ctx context.Context, key rowkey.Key) (found row, there bool, err error) {
	err = t.client.call(ctx, func(client *sdk.TableStoreClient) error {
		got, err := client.GetRow(&sdk.GetRowRequest{
			SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
				TableName: t.name, PrimaryKey: primaryOf(key), MaxVersion: 1,
			},
		})
		if err != nil {
			return err
		}
		found, there = row{}, len(got.PrimaryKey.PrimaryKeys) > 0
		if there {
			found = rowOf(&got.PrimaryKey, got.Columns)
		}
		if there && found.key != key {
			return errors.New("another row than was asked for")
		}
		return nil
	})
	return found, there, err
}
