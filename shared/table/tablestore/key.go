package tablestore

import (
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table/rowkey"
)

// longestKey is how long a key column may be, in bytes.
const longestKey = 1024

// primaryOf is the library's form of a key.
func primaryOf(k rowkey.Key) *sdk.PrimaryKey {
	p := &sdk.PrimaryKey{}
	p.AddPrimaryKeyColumn(pkColumn, k.PK)
	p.AddPrimaryKeyColumn(skColumn, k.SK)
	return p
}
