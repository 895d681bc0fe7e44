package dynamo

import (
	"maps"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table/engine"
)

// The attributes, and the index.
const (
	pkAttribute       = "pk"
	skAttribute       = "sk"
	recordAttribute   = "record"
	versionAttribute  = "version"
	formatAttribute   = "format"
	atAttribute       = "at"
	dueShardAttribute = "dueShard"
	dueAtAttribute    = "dueAt"

	dueIndex = "due"
)

// item is a row as DynamoDB has it.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// textOf returns "" for an attribute that isn't there or isn't text.
func textOf(i item, attribute string) string {
	if s, ok := i[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func keyItem(k engine.Key) item { return item{pkAttribute: text(k.PK), skAttribute: text(k.SK)} }

func keyOf(i item) engine.Key {
	return engine.Key{PK: textOf(i, pkAttribute), SK: textOf(i, skAttribute)}
}

func itemOf(row engine.Row) item {
	i := keyItem(row.Key)
	if unknown, ok := row.Attributes.(item); ok {
		maps.Copy(i, unknown)
	}
	i[recordAttribute] = text(row.Record)
	if row.Version != "" {
		i[versionAttribute], i[formatAttribute] = text(row.Version), number(row.Format)
	}
	if row.At != "" {
		i[atAttribute] = text(row.At)
	}
	if row.DueAt != "" {
		i[dueShardAttribute] = number(engine.Shard(row.Key))
		i[dueAtAttribute] = text(dueKey(engine.Place{At: row.DueAt, Key: row.Key}))
	}
	return i
}

// rowOf leaves out what only writing needs: the format, and when the row is due.
func rowOf(i item) engine.Row {
	row := engine.Row{
		Key: keyOf(i), Record: textOf(i, recordAttribute), Version: textOf(i, versionAttribute),
		At: textOf(i, atAttribute),
	}
	unknown := maps.Clone(i)
	for _, known := range []string{
		pkAttribute, skAttribute, recordAttribute, versionAttribute, formatAttribute, atAttribute,
		dueShardAttribute, dueAtAttribute,
	} {
		delete(unknown, known)
	}
	if len(unknown) > 0 {
		row.Attributes = unknown
	}
	return row
}

func rowsOf(items []item) (rows []engine.Row) {
	for _, i := range items {
		rows = append(rows, rowOf(i))
	}
	return rows
}
