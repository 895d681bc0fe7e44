package tablestore

import (
	"maps"
	"slices"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table/engine"
)

// The columns, and what follows the table's name in its index's.
const (
	pkColumn       = "pk"
	skColumn       = "sk"
	recordColumn   = "record"
	versionColumn  = "version"
	formatColumn   = "format"
	atColumn       = "at"
	dueShardColumn = "dueShard"
	dueAtColumn    = "dueAt"

	dueIndex = "_due"
)

// columns are values by their column: text, int64, or another type of the library's.
type columns = map[string]any

// textOf returns "" for a column that isn't there or isn't text.
func textOf(c columns, name string) string {
	s, _ := c[name].(string)
	return s
}

// primaryOf is the library's form of a key.
func primaryOf(k engine.Key) *sdk.PrimaryKey {
	p := &sdk.PrimaryKey{}
	p.AddPrimaryKeyColumn(pkColumn, k.PK)
	p.AddPrimaryKeyColumn(skColumn, k.SK)
	return p
}

// changeOf is the library's form of a row.
func (d *driver) changeOf(row engine.Row) *sdk.PutRowChange {
	c := columns{}
	if unknown, ok := row.Attributes.(columns); ok {
		maps.Copy(c, unknown)
	}
	c[recordColumn] = row.Record
	if row.Version != "" {
		c[versionColumn], c[formatColumn] = row.Version, int64(row.Format)
	}
	if row.At != "" {
		c[atColumn] = row.At
	}
	if row.DueAt != "" {
		c[dueShardColumn], c[dueAtColumn] = int64(engine.Shard(row.Key)), row.DueAt
	}
	change := &sdk.PutRowChange{TableName: d.name, PrimaryKey: primaryOf(row.Key)}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		change.AddColumn(name, c[name])
	}
	return change
}

// columnsOf reads what the library read.
func columnsOf(primary *sdk.PrimaryKey, attributes []*sdk.AttributeColumn) columns {
	c := columns{}
	for _, column := range primary.PrimaryKeys {
		c[column.ColumnName] = column.Value
	}
	for _, column := range attributes {
		c[column.ColumnName] = column.Value
	}
	return c
}

func keyOf(c columns) engine.Key {
	return engine.Key{PK: textOf(c, pkColumn), SK: textOf(c, skColumn)}
}

// rowOf leaves out what only writing needs: the format, and when the row is due.
func rowOf(c columns) engine.Row {
	row := engine.Row{
		Key: keyOf(c), Record: textOf(c, recordColumn), Version: textOf(c, versionColumn),
		At: textOf(c, atColumn),
	}
	unknown := maps.Clone(c)
	for _, known := range []string{
		pkColumn, skColumn, recordColumn, versionColumn, formatColumn, atColumn, dueShardColumn,
		dueAtColumn,
	} {
		delete(unknown, known)
	}
	if len(unknown) > 0 {
		row.Attributes = unknown
	}
	return row
}

// conditionOf is the library's form of a condition.
func conditionOf(is engine.Condition) *sdk.RowCondition {
	column := versionColumn
	switch is.On {
	case engine.Always:
		return &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_IGNORE}
	case engine.Absent:
		return &sdk.RowCondition{
			RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_NOT_EXIST,
		}
	case engine.AtIs:
		column = atColumn
	}
	equal := sdk.NewSingleColumnCondition(column, sdk.CT_EQUAL, is.Value)
	equal.FilterIfMissing = true // a row without the column doesn't pass
	equal.LatestVersionOnly = true
	return &sdk.RowCondition{
		RowExistenceExpectation: sdk.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: equal,
	}
}
