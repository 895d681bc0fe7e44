package tablestore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// most is how many rows a page of the service's has at most.
const most = 5000

// span is a run of rows in the order of their keys, or backwards: from the first, which belongs to
// it, up to the end, which doesn't. A part of a key is text, a number, or one of the two ends.
type span struct {
	in         string // the table, or its index
	columns    []string
	first, end []any
	back       bool
}

// endless comes before or after everything.
type endless bool

const (
	lowest  endless = false
	highest endless = true
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

// spanOf is all of one pk.
func (t *Table) spanOf(pk string) span {
	return span{
		in: t.name, columns: rowColumns(), first: []any{pk, lowest}, end: []any{pk, highest},
	}
}

func (s span) backwards() span {
	s.first, s.end, s.back = s.end, s.first, true
	return s
}

// page reads rows, at most limit of them, and reports whether there are more. They may be fewer and
// yet not all.
func (t *Table) page(ctx context.Context, s span, limit int) (found []row, more bool, err error) {
	direction := sdk.FORWARD
	if s.back {
		direction = sdk.BACKWARD
	}
	err = t.client.call(ctx, func(client *sdk.TableStoreClient) error {
		found = nil
		got, err := client.GetRange(&sdk.GetRangeRequest{
			RangeRowQueryCriteria: &sdk.RangeRowQueryCriteria{
				TableName: s.in, Direction: direction, MaxVersion: 1,
				StartPrimaryKey: s.primary(s.first), EndPrimaryKey: s.primary(s.end),
				Limit: int32(min(max(limit, 1), most)),
			},
		})
		if err != nil {
			return err
		}
		for _, r := range got.Rows {
			found = append(found, rowOf(r.PrimaryKey, r.Columns))
		}
		more = got.NextStartPrimaryKey != nil
		return nil
	})
	return found, more, goesOn(found, more, err)
}

// goesOn is an error for a page without a row to go on from, though there is more: the list would
// seem to be at its end, or would have none.
func goesOn(found []row, more bool, err error) error {
	if err == nil && more && len(found) == 0 {
		return errors.New("a page is empty and not the last")
	}
	return err
}

// behind reads rows behind the one with which the span begins, which may be gone by now.
func (t *Table) behind(
	ctx context.Context, s span, limit int, last func(row) bool,
) (found []row, more bool, err error) {
	limit = min(max(limit, 1), most-1)
	found, more, err = t.page(ctx, s, limit+1)
	if len(found) > 0 && last(found[0]) {
		found = found[1:]
	}
	if len(found) > limit {
		found, more = found[:limit], true
	}
	return found, more, goesOn(found, more, err)
}

// list is a page of a span behind the cursor. The cursor fits the list of this name alone.
func list[T any](
	ctx context.Context, t *Table, name string, s span, cursor string, limit int,
	decode func(row) (T, error),
) (table.Page[T], error) {
	var (
		none  table.Page[T]
		found []row
		more  bool
		err   error
	)
	if cursor == "" {
		found, more, err = t.page(ctx, s, limit)
	} else {
		var last place
		if last, err = parseCursor(name, cursor); err != nil {
			return none, err
		}
		// Whoever asks may have written it, to read the rows of another pk on the way to this one's.
		if s.first[0] == s.end[0] && last.PK != s.first[0] {
			return none, table.ErrCursor
		}
		s.first = []any{last.PK, last.SK}
		found, more, err = t.behind(ctx, s, limit, func(r row) bool {
			return r.key == rowkey.Key{PK: last.PK, SK: last.SK}
		})
	}
	if err != nil {
		return none, err
	}
	items, err := decodeAll(found, decode)
	if err != nil || !more {
		return table.Page[T]{Items: items}, err
	}
	last := found[len(found)-1].key
	return table.Page[T]{
		Items: items, Cursor: newCursor(place{List: name, PK: last.PK, SK: last.SK}),
	}, nil
}

func decodeAll[T any](found []row, decode func(row) (T, error)) ([]T, error) {
	var list []T
	for _, r := range found {
		record, err := decode(r)
		if err != nil {
			return nil, err
		}
		list = append(list, record)
	}
	return list, nil
}

// place is what a cursor remembers: the list, by a name made of [table.Join], and the last row. At
// is set in the list of what is due alone.
type place struct {
	List string `json:"list"`
	At   string `json:"at,omitempty"`
	PK   string `json:"pk"`
	SK   string `json:"sk"`
}

func newCursor(last place) string {
	encoded, _ := json.Marshal(last) // text alone never fails
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// parseCursor returns [table.ErrCursor] for what newCursor didn't write for this list.
func parseCursor(list, cursor string) (place, error) {
	var p place
	encoded, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || json.Unmarshal(encoded, &p) != nil || p.List != list ||
		p.PK == "" || p.SK == "" || len(p.PK) > longestKey || len(p.SK) > longestKey {
		return place{}, table.ErrCursor
	}
	return p, nil
}

// InstanceBindings is of [table.Bindings]. It is one call, as long as an instance's records come to
// less than 4 MB.
func (t *Table) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]table.Binding, error) {
	s := t.spanOf(rowkey.Account(account))
	first := table.Join(region, instance)
	s.first[1], s.end[1] = first, first+rowkey.Above
	var all []row
	for {
		found, more, err := t.behind(ctx, s, most, func(r row) bool { return r.key.SK == s.first[1] })
		if err != nil {
			return nil, failed("list an instance", err)
		}
		if all = append(all, found...); !more {
			break
		}
		s.first[1] = found[len(found)-1].key.SK
	}
	list, err := decodeAll(all, t.bindings.decode)
	return list, failed("list an instance", err)
}

// AccountBindings is of [table.Bindings], and strong.
func (t *Table) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (table.Page[table.Binding], error) {
	pk := rowkey.Account(account)
	found, err := list(ctx, t, pk, t.spanOf(pk), cursor, limit, t.bindings.decode)
	return found, failed("list an account", err)
}

// AllBindings is of [table.Bindings], and strong. It reads no rows but bindings, which lie
// together.
func (t *Table) AllBindings(
	ctx context.Context, cursor string, limit int,
) (table.Page[table.Binding], error) {
	kind := table.Join(rowkey.BindingKind)
	s := span{
		in: t.name, columns: rowColumns(),
		first: []any{kind, lowest}, end: []any{kind + rowkey.Above, lowest},
	}
	found, err := list(ctx, t, table.Join("all"), s, cursor, limit, t.bindings.decode)
	return found, failed("list bindings", err)
}
