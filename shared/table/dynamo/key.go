package dynamo

import "bindery/shared/table/rowkey"

// longestSK is how long DynamoDB lets a sort key be, in bytes.
const longestSK = 1024

func itemOf(k rowkey.Key) item { return item{pkAttribute: text(k.PK), skAttribute: text(k.SK)} }

func keyOf(i item) rowkey.Key {
	return rowkey.Key{PK: textOf(i, pkAttribute), SK: textOf(i, skAttribute)}
}
