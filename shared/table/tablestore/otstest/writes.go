package otstest

import (
	"net/http"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

func (s *Service) putRow(in *otsprotocol.PutRowRequest) (message, error) {
	if in.ReturnContent != nil || in.TransactionId != nil {
		return nil, invalid("this fake service returns nothing and knows no transactions")
	}
	if err := s.write(in.GetTableName(), in.GetRow(), in.GetCondition(), false); err != nil {
		return nil, err
	}
	return &otsprotocol.PutRowResponse{Consumed: consumed()}, nil
}

func (s *Service) deleteRow(in *otsprotocol.DeleteRowRequest) (message, error) {
	if in.ReturnContent != nil || in.TransactionId != nil {
		return nil, invalid("this fake service returns nothing and knows no transactions")
	}
	if err := s.write(in.GetTableName(), in.GetPrimaryKey(), in.GetCondition(), true); err != nil {
		return nil, err
	}
	return &otsprotocol.DeleteRowResponse{Consumed: consumed()}, nil
}

// batchWriteRow writes each row by itself: some may be written and others not.
func (s *Service) batchWriteRow(in *otsprotocol.BatchWriteRowRequest) (message, error) {
	if in.GetIsAtomic() || in.TransactionId != nil {
		return nil, invalid("this fake service knows no transactions")
	}
	reply := &otsprotocol.BatchWriteRowResponse{}
	for _, t := range in.GetTables() {
		if len(t.GetRows()) == 0 || len(t.GetRows()) > mostBatchRows || twice(t.GetRows()) {
			return nil, invalid("The batch has too few or many rows, or one twice.")
		}
		results := &otsprotocol.TableInBatchWriteRowResponse{TableName: t.TableName}
		for i, row := range t.GetRows() {
			var err error
			switch {
			case s.turnsAway && i == 0:
				err = Busy.refusal()
			case row.GetType() != otsprotocol.OperationType_PUT:
				err = invalid("this fake service knows batches of puts only")
			default:
				err = s.write(t.GetTableName(), row.GetRowChange(), row.GetCondition(), false)
			}
			result := &otsprotocol.RowInBatchWriteRowResponse{
				IsOk: proto.Bool(err == nil), Consumed: consumed(),
			}
			if f, refused := err.(failure); refused {
				result.Error = f.asMessage()
			}
			results.Rows = append(results.Rows, result)
		}
		reply.Tables = append(reply.Tables, results)
	}
	return reply, nil
}

func twice(rows []*otsprotocol.RowInBatchWriteRowRequest) bool {
	seen := map[string]bool{}
	return slices.ContainsFunc(rows, func(r *otsprotocol.RowInBatchWriteRowRequest) bool {
		change, _ := readRow(r.GetRowChange())
		key := string(write(plainRow{key: change.key}))
		known := seen[key]
		seen[key] = true
		return known
	})
}

// write puts or deletes one row, if the condition holds.
func (s *Service) write(
	name string, text []byte, is *otsprotocol.Condition, deletes bool,
) error {
	t, err := s.table(name, false)
	if err != nil {
		return err
	}
	r, err := readRow(text)
	if err != nil || r.deleted != deletes || (deletes && len(r.columns) > 0) {
		return invalid("The row can't be read.")
	}
	if err := t.checkKey(r.key, false); err != nil {
		return err
	}
	if err := t.checkColumns(r.columns); err != nil {
		return err
	}
	there, exists := t.get(r.key)
	switch held, err := holds(is, there, exists); {
	case err != nil:
		return err
	case !held:
		return failure{http.StatusForbidden, "OTSConditionCheckFail", "Condition check failed."}
	case deletes:
		t.delete(r.key, s.lags)
	default:
		t.put(r, s.lags)
	}
	return nil
}

// holds reads a condition.
func holds(is *otsprotocol.Condition, there plainRow, exists bool) (bool, error) {
	switch is.GetRowExistence() {
	case otsprotocol.RowExistenceExpectation_EXPECT_EXIST:
		if !exists {
			return false, nil
		}
	case otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST:
		if exists {
			return false, nil
		}
	}
	if is.ColumnCondition == nil {
		return true, nil
	}
	var filter otsprotocol.Filter
	var equal otsprotocol.SingleColumnValueFilter
	if unmarshal(is.ColumnCondition, &filter) != nil ||
		filter.GetType() != otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE ||
		unmarshal(filter.GetFilter(), &equal) != nil ||
		equal.GetComparator() != otsprotocol.ComparatorType_CT_EQUAL {
		return false, invalid("this fake service knows one column's equality only")
	}
	i := slices.IndexFunc(there.columns, func(c cell) bool { return c.name == equal.GetColumnName() })
	if i < 0 {
		return !equal.GetFilterIfMissing(), nil
	}
	return string(bare(there.columns[i].value)) == string(equal.GetColumnValue()), nil
}
