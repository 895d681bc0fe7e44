package otstest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// The documented limits.
const (
	mostRows       = 5000 // of a page
	longestKey     = 1024
	longestColumn  = 2 << 20
	mostBatchRows  = 200
	longestColName = 255
)

// stored is a table, or an index, with its rows by their written key.
type stored struct {
	keys []string // the names of its key columns
	rows map[string]plainRow
	// of is, for an index, its table, and keyed the names of the keys that are the index's own.
	of    *stored
	keyed []string

	indexes []*stored
	// kinds are the types of the columns that an index may have.
	kinds map[string]string
}

func newStored(keys []string) *stored {
	return &stored{keys: keys, rows: map[string]plainRow{}, kinds: map[string]string{}}
}

// compareValues orders values of keys: numbers before text, and the two ends around all.
func compareValues(a, b value) int {
	rank := func(v value) int {
		switch v {
		case lowest:
			return 0
		case highest:
			return 3
		}
		if _, number := v.(int64); number {
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case string:
		return strings.Compare(a, b.(string))
	}
	return 0
}

func compareKeys(a, b []cell) int {
	for i := range a {
		if c := compareValues(a[i].value, b[i].value); c != 0 {
			return c
		}
	}
	return 0
}

// checkKey returns nil for a key of the table. ends allows the ends of a range in it.
func (t *stored) checkKey(key []cell, ends bool) error {
	if len(key) != len(t.keys) {
		return invalid("The number of primary key columns doesn't match.")
	}
	for i, c := range key {
		_, isEnd := c.value.(end)
		text, isText := c.value.(string)
		_, isNumber := c.value.(int64)
		switch {
		case c.name != t.keys[i]:
			return invalid("The name of a primary key column doesn't match.")
		case isEnd && ends:
		case isNumber != (t.kinds[c.name] == "number") || isEnd:
			return invalid("The type of a primary key column doesn't match.")
		case isText && (len(text) > longestKey || !utf8.ValidString(text)):
			return invalid("The length of a primary key column exceeds 1024, or it isn't UTF-8.")
		}
	}
	return nil
}

func (t *stored) checkColumns(columns []cell) error {
	for i, c := range columns {
		text, isText := c.value.(string)
		_, isNumber := c.value.(int64)
		kind, predefined := t.kinds[c.name]
		switch {
		case c.name == "" || len(c.name) > longestColName || slices.Contains(t.keys, c.name):
			return invalid("The name of a column isn't valid.")
		case slices.ContainsFunc(columns[:i], func(o cell) bool { return o.name == c.name }):
			return invalid("A column is there twice.")
		case isText && (len(text) > longestColumn || !utf8.ValidString(text)):
			return invalid("A column is too long, or it isn't UTF-8.")
		case predefined && isNumber != (kind == "number"):
			return invalid("The type of a predefined column doesn't match.")
		}
	}
	return nil
}

// put writes a row in place of what is there, in the indexes too unless they lag.
func (t *stored) put(r plainRow, lags bool) {
	t.rows[string(write(plainRow{key: r.key}))] = r
	if !lags {
		t.catchUp()
	}
}

func (t *stored) delete(key []cell, lags bool) {
	delete(t.rows, string(write(plainRow{key: key})))
	if !lags {
		t.catchUp()
	}
}

func (t *stored) get(key []cell) (plainRow, bool) {
	r, there := t.rows[string(write(plainRow{key: key}))]
	return r, there
}

// catchUp makes the indexes anew. A row that lacks one of an index's columns isn't in it.
func (t *stored) catchUp() {
	for _, index := range t.indexes {
		clear(index.rows)
		for _, r := range t.rows {
			if entry, whole := index.entry(r); whole {
				index.rows[string(write(entry))] = entry
			}
		}
	}
}

// entry is what an index has of a row: the columns that are its keys.
func (t *stored) entry(r plainRow) (entry plainRow, whole bool) {
	for _, name := range t.keys {
		i := slices.IndexFunc(r.columns, func(c cell) bool { return c.name == name })
		j := slices.IndexFunc(r.key, func(c cell) bool { return c.name == name })
		switch {
		case i >= 0:
			entry.key = append(entry.key, r.columns[i])
		case j >= 0:
			entry.key = append(entry.key, r.key[j])
		default:
			return plainRow{}, false
		}
	}
	return entry, true
}

// span lists the rows from the first key, which belongs to it, up to the end, which doesn't.
func (t *stored) span(first, end []cell, back bool) []plainRow {
	var found []plainRow
	for _, r := range t.rows {
		behindFirst, beforeEnd := compareKeys(r.key, first), compareKeys(r.key, end)
		if back {
			behindFirst, beforeEnd = -behindFirst, -beforeEnd
		}
		if behindFirst >= 0 && beforeEnd < 0 {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b plainRow) int {
		if back {
			a, b = b, a
		}
		return compareKeys(a.key, b.key)
	})
	return found
}

func notExist(message string) error {
	return failure{http.StatusNotFound, "OTSObjectNotExist", message}
}
