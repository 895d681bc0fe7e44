package otstest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

// do is called with the lock held.
func (s *Service) do(name string, body []byte) (message, error) {
	switch name {
	case "CreateTable":
		return operation(body, s.createTable)
	case "DescribeTable":
		return operation(body, s.describeTable)
	case "DeleteTable":
		return operation(body, s.deleteTable)
	case "GetRow":
		return operation(body, s.getRow)
	case "PutRow":
		return operation(body, s.putRow)
	case "DeleteRow":
		return operation(body, s.deleteRow)
	case "BatchWriteRow":
		return operation(body, s.batchWriteRow)
	case "GetRange":
		return operation(body, s.getRange)
	}
	return nil, failure{http.StatusBadRequest, "OTSUnsupportOperation", "no such operation here"}
}

// operation reads a request. In is the message's type, of which the pointer is the message.
func operation[In any, P interface {
	*In
	message
}](body []byte, do func(P) (message, error)) (message, error) {
	in := P(new(In))
	if err := unmarshal(body, in); err != nil {
		return nil, failure{http.StatusBadRequest, "OTSRequestBodyInvalid", "the message is broken"}
	}
	return do(in)
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)

func (s *Service) createTable(in *otsprotocol.CreateTableRequest) (message, error) {
	name := in.GetTableMeta().GetTableName()
	switch {
	case !tableName.MatchString(name):
		return nil, invalid("The name of the table isn't valid.")
	case s.tables[name] != nil:
		return nil, failure{
			http.StatusConflict, "OTSObjectAlreadyExist", "Requested table already exists.",
		}
	case len(in.GetIndexMetas()) > 0 &&
		(in.GetTableOptions().GetTimeToLive() != -1 || in.GetTableOptions().GetMaxVersions() != 1):
		return nil, invalid("A table with an index has no time to live and one version.")
	}
	t := newStored(nil)
	for _, key := range in.GetTableMeta().GetPrimaryKey() {
		t.keys = append(t.keys, key.GetName())
		t.kinds[key.GetName()] = "text"
		if key.GetType() == otsprotocol.PrimaryKeyType_INTEGER {
			t.kinds[key.GetName()] = "number"
		}
	}
	for _, column := range in.GetTableMeta().GetDefinedColumn() {
		t.kinds[column.GetName()] = "text"
		if column.GetType() == otsprotocol.DefinedColumnType_DCT_INTEGER {
			t.kinds[column.GetName()] = "number"
		}
	}
	for _, meta := range in.GetIndexMetas() {
		if !tableName.MatchString(meta.GetName()) || s.tables[meta.GetName()] != nil ||
			meta.GetIndexType() != otsprotocol.IndexType_IT_GLOBAL_INDEX {
			return nil, invalid("The index isn't valid.")
		}
		index := newStored(slices.Clone(meta.GetPrimaryKey()))
		for _, key := range t.keys { // the service adds those of the table
			if !slices.Contains(index.keys, key) {
				index.keys = append(index.keys, key)
			}
		}
		index.of, index.keyed, index.kinds = t, meta.GetPrimaryKey(), t.kinds
		t.indexes = append(t.indexes, index)
		s.tables[meta.GetName()] = index
	}
	s.tables[name] = t
	return &otsprotocol.CreateTableResponse{}, nil
}

func (s *Service) describeTable(in *otsprotocol.DescribeTableRequest) (message, error) {
	t := s.tables[in.GetTableName()]
	if t == nil || t.of != nil {
		return nil, notExist("Requested table does not exist.")
	}
	meta := &otsprotocol.TableMeta{TableName: in.TableName}
	for _, name := range t.keys {
		kind := otsprotocol.PrimaryKeyType_STRING
		if t.kinds[name] == "number" {
			kind = otsprotocol.PrimaryKeyType_INTEGER
		}
		meta.PrimaryKey = append(meta.PrimaryKey,
			&otsprotocol.PrimaryKeySchema{Name: proto.String(name), Type: &kind})
	}
	reply := &otsprotocol.DescribeTableResponse{
		TableMeta:   meta,
		TableStatus: otsprotocol.TableStatus_ACTIVE.Enum(),
		ReservedThroughputDetails: &otsprotocol.ReservedThroughputDetails{
			CapacityUnit: units(), LastIncreaseTime: proto.Int64(0),
		},
		TableOptions: &otsprotocol.TableOptions{
			TimeToLive: proto.Int32(-1), MaxVersions: proto.Int32(1),
			DeviationCellVersionInSec: proto.Int64(86400),
		},
	}
	for name, index := range s.tables {
		if index.of == t {
			reply.IndexMetas = append(reply.IndexMetas, &otsprotocol.IndexMeta{
				Name: proto.String(name), PrimaryKey: index.keys,
				IndexUpdateMode: otsprotocol.IndexUpdateMode_IUM_ASYNC_INDEX.Enum(),
				IndexType:       otsprotocol.IndexType_IT_GLOBAL_INDEX.Enum(),
			})
		}
	}
	return reply, nil
}

// deleteTable deletes the indexes too.
func (s *Service) deleteTable(in *otsprotocol.DeleteTableRequest) (message, error) {
	t, err := s.table(in.GetTableName(), false)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(s.tables, func(_ string, other *stored) bool {
		return other == t || other.of == t
	})
	return &otsprotocol.DeleteTableResponse{}, nil
}

func units() *otsprotocol.CapacityUnit {
	return &otsprotocol.CapacityUnit{Read: proto.Int32(0), Write: proto.Int32(1)}
}

func consumed() *otsprotocol.ConsumedCapacity {
	return &otsprotocol.ConsumedCapacity{CapacityUnit: units()}
}

// table is one that may be written to, or, with read, an index too.
func (s *Service) table(name string, read bool) (*stored, error) {
	t := s.tables[name]
	if t == nil || (t.of != nil && !read) {
		return nil, notExist("Requested table does not exist.")
	}
	return t, nil
}

// key reads a key of the table.
func (t *stored) key(text []byte, ends bool) ([]cell, error) {
	r, err := readRow(text)
	if err != nil || len(r.columns) > 0 {
		return nil, invalid("The primary key can't be read.")
	}
	return r.key, t.checkKey(r.key, ends)
}

func (s *Service) getRow(in *otsprotocol.GetRowRequest) (message, error) {
	t, err := s.table(in.GetTableName(), true)
	if err != nil {
		return nil, err
	}
	key, err := t.key(in.GetPrimaryKey(), false)
	switch {
	case err != nil:
		return nil, err
	case in.GetMaxVersions() != 1 || len(in.GetColumnsToGet()) > 0 || in.GetFilter() != nil ||
		in.TimeRange != nil || in.StartColumn != nil || in.TransactionId != nil:
		return nil, invalid("this fake service reads whole rows only")
	}
	reply := &otsprotocol.GetRowResponse{Consumed: consumed(), Row: []byte{}}
	if r, there := t.get(key); there {
		reply.Row = write(r)
	}
	return reply, nil
}

func (s *Service) getRange(in *otsprotocol.GetRangeRequest) (message, error) {
	t, err := s.table(in.GetTableName(), true)
	if err != nil {
		return nil, err
	}
	first, err := t.key(in.GetInclusiveStartPrimaryKey(), true)
	if err != nil {
		return nil, err
	}
	end, err := t.key(in.GetExclusiveEndPrimaryKey(), true)
	if err != nil {
		return nil, err
	}
	back := in.GetDirection() == otsprotocol.Direction_BACKWARD
	order := compareKeys(first, end)
	switch {
	case (order >= 0 && !back) || (order <= 0 && back):
		return nil, invalid("The start key is not on the right side of the end key.")
	case in.GetMaxVersions() != 1 || len(in.GetColumnsToGet()) > 0 || in.GetFilter() != nil ||
		in.TimeRange != nil || in.StartColumn != nil || in.TransactionId != nil || in.GetLimit() < 0:
		return nil, invalid("this fake service reads whole rows only")
	}
	found := t.span(first, end, back)
	limit := s.longest
	if in.Limit != nil {
		limit = min(limit, int(in.GetLimit()))
	}
	reply := &otsprotocol.GetRangeResponse{Consumed: consumed()}
	if len(found) > limit {
		reply.NextStartPrimaryKey = write(plainRow{key: found[limit].key})
		found = found[:limit]
	}
	if reply.Rows = write(found...); reply.Rows == nil {
		reply.Rows = []byte{}
	}
	return reply, nil
}
