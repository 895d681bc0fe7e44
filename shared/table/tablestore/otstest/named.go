package otstest

import "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

// Named returns the tables and indexes that a request of the operation names, on which a role needs
// rights. It returns none for a request that can't be read, and for operations that are not on
// rows.
func Named(operation string, body []byte) (all []string) {
	var one interface{ GetTableName() string }
	var err error
	switch operation {
	case "GetRow":
		one, err = readAs[otsprotocol.GetRowRequest](body)
	case "PutRow":
		one, err = readAs[otsprotocol.PutRowRequest](body)
	case "DeleteRow":
		one, err = readAs[otsprotocol.DeleteRowRequest](body)
	case "GetRange":
		one, err = readAs[otsprotocol.GetRangeRequest](body)
	case "BatchWriteRow":
		batch, err := readAs[otsprotocol.BatchWriteRowRequest](body)
		if err != nil {
			return nil
		}
		for _, t := range batch.GetTables() {
			all = append(all, t.GetTableName())
		}
		return all
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return []string{one.GetTableName()}
}

// readAs reads a message of the type In.
func readAs[In any, P interface {
	*In
	message
}](body []byte) (P, error) {
	in := P(new(In))
	return in, unmarshal(body, in)
}
