package tablestore

import (
	"context"
	"errors"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table/engine"
)

// maxPage is the number of rows that a page of the service's has at most.
const maxPage = 5000

// span is a run of rows in the order of their keys, or backwards: from the first, which belongs to
// it, up to the end, which doesn't. A part of a key is text, a number, or one of the two ends.
type span struct {
	table      string // or its index
	columns    []string
	first, end []any
	backwards  bool
	// resumed says that the first is the last row of a page before, which may be gone by now.
	resumed bool
}

// infinity sorts before or after everything.
type infinity bool

const (
	lowest  infinity = false
	highest infinity = true
)

func (s span) primary(parts []any) *sdk.PrimaryKey {
	p := &sdk.PrimaryKey{}
	for i, part := range parts {
		switch part {
		case lowest:
			p.AddPrimaryKeyColumnWithMinValue(s.columns[i])
		case highest:
			p.AddPrimaryKeyColumnWithMaxValue(s.columns[i])
		default:
			p.AddPrimaryKeyColumn(s.columns[i], part)
		}
	}
	return p
}

func rowColumns() []string { return []string{pkColumn, skColumn} }

// read reads a page of the span. Of a resumed span it reads one row more, because the service can
// only be asked for the rows from a key on, and leaves out the one that it resumes behind.
func (d *driver) read(
	ctx context.Context, s span, limit int,
) (rows []columns, more bool, err error) {
	if s.resumed {
		limit = min(limit, maxPage-1)
		rows, more, err = d.getRange(ctx, s, limit+1)
		if len(rows) > 0 && s.begins(rows[0]) {
			rows = rows[1:]
		}
	} else {
		rows, more, err = d.getRange(ctx, s, limit)
	}
	if len(rows) > limit {
		rows, more = rows[:limit], true
	}
	return rows, more, err
}

// begins reports whether the row's key is the one with which the span begins.
func (s span) begins(row columns) bool {
	for i, name := range s.columns {
		if row[name] != s.first[i] {
			return false
		}
	}
	return true
}

func (d *driver) getRange(
	ctx context.Context, s span, limit int,
) (rows []columns, more bool, err error) {
	direction := sdk.FORWARD
	if s.backwards {
		direction = sdk.BACKWARD
	}
	err = d.client.call(ctx, func(client *sdk.TableStoreClient) error {
		got, err := client.GetRange(&sdk.GetRangeRequest{
			RangeRowQueryCriteria: &sdk.RangeRowQueryCriteria{
				TableName: s.table, Direction: direction, MaxVersion: 1,
				StartPrimaryKey: s.primary(s.first), EndPrimaryKey: s.primary(s.end),
				Limit: int32(min(limit, maxPage)),
			},
		})
		if err != nil {
			return err
		}
		rows, more = nil, got.NextStartPrimaryKey != nil
		for _, r := range got.Rows {
			rows = append(rows, columnsOf(r.PrimaryKey, r.Columns))
		}
		return nil
	})
	return rows, more, err
}

func rowsOf(found []columns) (rows []engine.Row) {
	for _, c := range found {
		rows = append(rows, rowOf(c))
	}
	return rows
}

// Query implements [engine.Driver].
func (d *driver) Query(
	ctx context.Context, q engine.Query,
) (rows []engine.Row, more bool, err error) {
	s := span{
		table: d.name, columns: rowColumns(), first: []any{q.PK, lowest}, end: []any{q.PK, highest},
	}
	if q.Prefix != "" {
		s.first[1], s.end[1] = q.Prefix, q.Prefix+engine.Above
	}
	if q.Backwards {
		s.first, s.end, s.backwards = s.end, s.first, true
	}
	if q.After != "" {
		s.first[1], s.resumed = q.After, true
	}
	limit := q.Limit
	if limit == 0 {
		limit = maxPage
	}
	found, more, err := d.read(ctx, s, limit)
	return rowsOf(found), more, err
}

// Scan implements [engine.Driver]. It reads no rows of other kinds, because those of a kind are
// stored together.
func (d *driver) Scan(
	ctx context.Context, prefix string, after engine.Key, limit int,
) (rows []engine.Row, next engine.Key, err error) {
	s := span{
		table: d.name, columns: rowColumns(),
		first: []any{prefix, lowest}, end: []any{prefix + engine.Above, lowest},
	}
	if after != (engine.Key{}) {
		s.first, s.resumed = []any{after.PK, after.SK}, true
	}
	found, more, err := d.read(ctx, s, limit)
	rows = rowsOf(found)
	if err == nil && more {
		if len(rows) == 0 {
			return nil, next, errors.New("a page is empty and not the last")
		}
		next = rows[len(rows)-1].Key
	}
	return rows, next, err
}

// Due implements [engine.Driver].
func (d *driver) Due(
	ctx context.Context, shard int, after engine.Place, until string, limit int,
) (places []engine.Place, more bool, err error) {
	s := span{
		table: d.name + dueIndex, columns: []string{dueShardColumn, dueAtColumn, pkColumn, skColumn},
		first: []any{int64(shard), lowest, lowest, lowest},
		end:   []any{int64(shard), until + engine.Above, lowest, lowest},
	}
	if after != (engine.Place{}) {
		s.first = []any{int64(shard), after.At, after.Key.PK, after.Key.SK}
		s.resumed = true
	}
	found, more, err := d.read(ctx, s, limit)
	for _, c := range found {
		places = append(places, engine.Place{At: textOf(c, dueAtColumn), Key: keyOf(c)})
	}
	return places, more, err
}
