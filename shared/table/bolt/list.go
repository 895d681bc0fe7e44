package bolt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"go.etcd.io/bbolt"

	"bindery/shared/table"
)

// above follows every key with the prefix before it: keys go on with a digit, or end.
const above = "\xff"

// all is the limit of a list that has none.
const all = math.MaxInt

// span is a run of a bucket's keys, lo <= key < hi, forwards or backwards.
type span struct {
	bucket string
	lo, hi string
	back   bool
}

// prefixed is the run of the keys with the prefix.
func prefixed(bucket, prefix string) span {
	return span{bucket: bucket, lo: prefix, hi: prefix + above}
}

// after is what is left of the run behind the key.
func (s span) after(key string) span {
	if s.back {
		s.hi = min(s.hi, key)
	} else {
		s.lo = max(s.lo, key+"\x00")
	}
	return s
}

// begin places the cursor on the run's first key; nil if it is empty.
func (s span) begin(c *bbolt.Cursor) (key, value []byte) {
	if !s.back {
		return c.Seek([]byte(s.lo))
	}
	if k, _ := c.Seek([]byte(s.hi)); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func (s span) holds(key []byte) bool {
	return key != nil && bytes.Compare(key, []byte(s.lo)) >= 0 &&
		bytes.Compare(key, []byte(s.hi)) < 0
}

// collect decodes the run's values up to the limit. last is the key of the last of them if there
// are more, or else "".
func collect[T any](
	tx *bbolt.Tx, s span, limit int, decode func([]byte) (T, error),
) (found []T, last string, err error) {
	c := tx.Bucket([]byte(s.bucket)).Cursor()
	step := c.Next
	if s.back {
		step = c.Prev
	}
	for key, value := s.begin(c); s.holds(key); key, value = step() {
		if len(found) == max(limit, 1) {
			return found, last, nil
		}
		item, err := decode(value)
		if err != nil {
			return nil, "", err
		}
		found, last = append(found, item), string(key)
	}
	return found, "", nil
}

// page is the part of the run behind the cursor. A cursor is the list's name and the last key, so
// that it fits this list alone; name is made by [table.Join].
func page[T any](
	tx *bbolt.Tx, name string, s span, cursor string, limit int, decode func([]byte) (T, error),
) (table.Page[T], error) {
	if cursor != "" {
		text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
		key, ok := strings.CutPrefix(string(text), name)
		if err != nil || !ok || key == "" {
			return table.Page[T]{}, table.ErrCursor
		}
		s = s.after(key)
	}
	found, last, err := collect(tx, s, limit, decode)
	if err != nil || last == "" {
		return table.Page[T]{Items: found}, err
	}
	return table.Page[T]{
		Items:  found,
		Cursor: base64.RawURLEncoding.EncodeToString([]byte(name + last)),
	}, nil
}

// put writes the value's JSON.
func put(tx *bbolt.Tx, bucket, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", bucket, err)
	}
	return tx.Bucket([]byte(bucket)).Put([]byte(key), text)
}

// decode is for the buckets whose values have no version.
func decode[T any](value []byte) (item T, err error) {
	if err := json.Unmarshal(value, &item); err != nil {
		return item, fmt.Errorf("decode: %w", err)
	}
	return item, nil
}
