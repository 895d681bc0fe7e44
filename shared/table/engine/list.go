package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// The longest parts of a key, in bytes, that any of the services takes.
const (
	longestPK = 2048
	longestSK = 1024
)

// cursor is what the text of a cursor encodes: the list, by a name made by [binding.Join], and the
// last row. At is set in the list of what is due only.
type cursor struct {
	List string `json:"list"`
	At   string `json:"at,omitempty"`
	PK   string `json:"pk"`
	SK   string `json:"sk"`
}

func (c cursor) key() Key { return Key{c.PK, c.SK} }

func encodeCursor(c cursor) string {
	encoded, _ := json.Marshal(c) // strings never fail
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// decodeCursor returns [table.ErrCursor] for what encodeCursor did not write for this list.
func decodeCursor(list, text string) (cursor, error) {
	var c cursor
	encoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || json.Unmarshal(encoded, &c) != nil || c.List != list ||
		c.PK == "" || c.SK == "" || len(c.PK) > longestPK || len(c.SK) > longestSK {
		return cursor{}, table.ErrCursor
	}
	return c, nil
}

// query makes a query, and returns the SK to continue after, "" at the end.
func query[T any](
	ctx context.Context, t *Table, q Query, decode func(Row) (T, error),
) (list []T, last string, err error) {
	rows, more, err := t.driver.Query(ctx, q)
	if err == nil {
		err = checkPage(len(rows), more)
	}
	if err != nil {
		return nil, "", err
	}
	list, err = decodeAll(rows, decode)
	if err != nil || !more {
		return list, "", err
	}
	return list, rows[len(rows)-1].Key.SK, nil
}

// page is the page of a PK's rows after the cursor, which fits the list of this PK only.
func page[T any](
	ctx context.Context, t *Table, pk, text string, limit int, decode func(Row) (T, error),
) (table.Page[T], error) {
	q := Query{PK: pk, Limit: max(limit, 1)}
	if text != "" {
		c, err := decodeCursor(pk, text)
		if err != nil {
			return table.Page[T]{}, err
		}
		// The caller may have written the cursor, to read rows of another PK.
		if c.PK != pk {
			return table.Page[T]{}, table.ErrCursor
		}
		q.After = c.SK
	}
	list, last, err := query(ctx, t, q, decode)
	if err != nil || last == "" {
		return table.Page[T]{Items: list}, err
	}
	return table.Page[T]{Items: list, Cursor: encodeCursor(cursor{List: pk, PK: pk, SK: last})}, nil
}

// InstanceBindings implements ledger.Bindings. It is one query, as long as an instance's records
// fit into one reply of the service.
func (t *Table) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]binding.Record, error) {
	var all []binding.Record
	q := Query{PK: AccountPK(account), Prefix: binding.Join(region, instance)}
	for {
		list, last, err := query(ctx, t, q, t.bindings.decode)
		if err != nil {
			return nil, t.failed("list an instance", err)
		}
		if all = append(all, list...); last == "" {
			return all, nil
		}
		q.After = last
	}
}

// AccountBindings implements ledger.Bindings, by strong reads.
func (t *Table) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (table.Page[binding.Record], error) {
	list, err := page(ctx, t, AccountPK(account), cursor, limit, t.bindings.decode)
	return list, t.failed("list an account", err)
}

// AllBindings implements ledger.Bindings, by strong reads. A page may be short: a service may look
// at as many rows of any kind as the limit says.
func (t *Table) AllBindings(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Record], error) {
	list, err := scan(ctx, t, BindingKind, binding.Join("all"), cursor, limit, t.bindings.decode)
	return list, t.failed("list bindings", err)
}

// AllAuthorizations implements ledger.Authorizations, as AllBindings does ledger.Bindings.
func (t *Table) AllAuthorizations(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Authorization], error) {
	list, err := scan(ctx, t, AuthorizationKind, binding.Join("all", AuthorizationKind), cursor, limit,
		t.authorizations.decode)
	return list, t.failed("list authorizations", err)
}

// scan is a page of all rows of a kind. The list's name makes its cursors fit no other list.
func scan[T any](
	ctx context.Context, t *Table, kind, list, text string, limit int, decode func(Row) (T, error),
) (none table.Page[T], err error) {
	var c cursor
	if text != "" {
		if c, err = decodeCursor(list, text); err != nil {
			return none, err
		}
	}
	rows, next, err := t.driver.Scan(ctx, binding.Join(kind), c.key(), max(limit, 1))
	if err != nil {
		return none, err
	}
	items, err := decodeAll(rows, decode)
	if err != nil || next == (Key{}) {
		return table.Page[T]{Items: items}, err
	}
	return table.Page[T]{
		Items: items, Cursor: encodeCursor(cursor{List: list, PK: next.PK, SK: next.SK}),
	}, nil
}

// SaveIdentityEntry implements ledger.IdentityIndex.
func (t *Table) SaveIdentityEntry(ctx context.Context, e binding.IdentityEntry) error {
	e.At = e.At.UTC()
	row, err := encode(IdentityEntryKey(e), e)
	if err == nil {
		row.At = SortableTime(e.At)
		err = t.driver.Put(ctx, row, Condition{})
	}
	return t.failed("save an identity entry", err)
}

// ListIdentityEntries implements ledger.IdentityIndex.
func (t *Table) ListIdentityEntries(
	ctx context.Context, of binding.IdentityKey, cursor string, limit int,
) (table.Page[binding.IdentityEntry], error) {
	list, err := page(ctx, t, IdentityPK(of), cursor, limit, decode[binding.IdentityEntry])
	return list, t.failed("list identity entries", err)
}

// DeleteIdentityEntry implements ledger.IdentityIndex.
func (t *Table) DeleteIdentityEntry(ctx context.Context, e binding.IdentityEntry) error {
	err := t.driver.Delete(ctx, IdentityEntryKey(e), Condition{AtIs, SortableTime(e.At)})
	if errors.Is(err, table.ErrConflict) {
		return nil
	}
	return t.failed("delete an identity entry", err)
}
