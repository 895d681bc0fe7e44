package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// driver keeps each kind of rows in a bucket of its own. A row's key there is the engine's PK,
// without the kind, and SK, so that it begins with a digit. The value of a row with a version is a
// JSON object with version, format and record; members that this version does not know are kept.
// The value of another row is its record. The bucket due has an entry for each row that comes due:
// the key is the time and the row's kind and key, the value a [table.DueEntry]. The bucket
// dueSubscriptions has those of subscriptions, without values.
type driver struct{ db *bbolt.DB }

var (
	_ engine.Driver        = (*driver)(nil)
	_ engine.VersionReader = (*driver)(nil)
)

// bucketByPrefix has the bucket of each kind by the prefix of its PKs.
var bucketByPrefix = map[string]string{
	binding.Join(engine.BindingKind):       bindingsBucket,
	binding.Join(engine.AuthorizationKind): authorizationsBucket,
	binding.Join(engine.IdentityKind):      holdersBucket,
	binding.Join(engine.HistoryKind):       historyBucket,
	binding.Join(engine.SubscriptionKind):  subscriptionsBucket,
	binding.Join(engine.SubscribedKind):    subscribedBucket,
	binding.Join(engine.SourceKind):        sourceBucket,
	binding.Join(engine.HeadsKind):         headsBucket,
	binding.Join(engine.LeaseKind):         leasesBucket,
	binding.Join(engine.SecretKind):        secretsBucket,
}

// bucketOf returns the bucket for the rows of a PK, and the part of the PK that is in its keys.
func bucketOf(pk string) (bucket, inBucket string) {
	for prefix, bucket := range bucketByPrefix {
		if rest, ok := strings.CutPrefix(pk, prefix); ok {
			return bucket, rest
		}
	}
	panic("bolt: no bucket for the rows of " + pk) // the engine has no other kinds
}

// skOf is what an SK adds to a key in a bucket: nothing for a row that shares its PK with no other.
func skOf(key engine.Key) string { return strings.TrimPrefix(key.SK, engine.OnlyRow) }

func bucketKey(tx *bbolt.Tx, key engine.Key) (bucket *bbolt.Bucket, inBucket []byte) {
	name, pk := bucketOf(key.PK)
	return tx.Bucket([]byte(name)), []byte(pk + skOf(key))
}

func encode(row engine.Row) ([]byte, error) {
	if row.Version == "" {
		return []byte(row.Record), nil
	}
	members := map[string]any{}
	if unknown, ok := row.Attributes.(map[string]json.RawMessage); ok {
		for name, value := range unknown {
			members[name] = value
		}
	}
	members["version"], members["format"] = row.Version, row.Format
	members["record"] = json.RawMessage(row.Record)
	return json.Marshal(members)
}

func decode(key engine.Key, value []byte) (row engine.Row, err error) {
	row = engine.Row{Key: key, Record: string(value)}
	switch bucket, _ := bucketOf(key.PK); bucket {
	case holdersBucket, historyBucket, sourceBucket:
		return row, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return row, fmt.Errorf("decode a row: %w", err)
	}
	_ = json.Unmarshal(members["version"], &row.Version) // the engine refuses a row without one
	row.Record = string(members["record"])
	for _, name := range []string{"version", "format", "record"} {
		delete(members, name)
	}
	if len(members) > 0 {
		row.Attributes = members
	}
	return row, nil
}

// dueKey is a row's key in the bucket of what is due.
func dueKey(p engine.Place) string { return p.At + p.Key.PK + skOf(p.Key) }

// dueBucketOf returns the bucket of what is due that has a row's entry.
func dueBucketOf(key engine.Key) string {
	if bucket, _ := bucketOf(key.PK); bucket == subscriptionsBucket {
		return dueSubscriptionsBucket
	}
	return dueBucket
}

// Get implements [engine.Driver].
func (d *driver) Get(ctx context.Context, key engine.Key) (row engine.Row, ok bool, err error) {
	err = d.view(ctx, func(tx *bbolt.Tx) error {
		row, ok, err = find(tx, key)
		return err
	})
	return row, ok, err
}

// HasVersion implements [engine.VersionReader]. A row ends with its version, as [encode] writes it,
// unless it has members of a newer version of this code behind it.
func (d *driver) HasVersion(
	ctx context.Context, key engine.Key, version string,
) (same bool, err error) {
	err = d.view(ctx, func(tx *bbolt.Tx) error {
		bucket, inBucket := bucketKey(tx, key)
		same = bytes.HasSuffix(bucket.Get(inBucket), []byte(`,"version":"`+version+`"}`))
		return nil
	})
	return same, err
}

func find(tx *bbolt.Tx, key engine.Key) (row engine.Row, ok bool, err error) {
	bucket, inBucket := bucketKey(tx, key)
	value := bucket.Get(inBucket)
	if value == nil {
		return row, false, nil
	}
	row, err = decode(key, value)
	return row, err == nil, err
}

// Put implements [engine.Driver].
func (d *driver) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	return d.update(ctx, func(tx *bbolt.Tx) error {
		if err := release(tx, row.Key, is); err != nil {
			return err
		}
		return put(tx, row)
	})
}

// Delete implements [engine.Driver].
func (d *driver) Delete(ctx context.Context, key engine.Key, is engine.Condition) error {
	return d.update(ctx, func(tx *bbolt.Tx) error {
		if err := release(tx, key, is); err != nil {
			return err
		}
		bucket, inBucket := bucketKey(tx, key)
		return bucket.Delete(inBucket)
	})
}

// PutBatch implements [engine.Driver]. All of the rows are written or none.
func (d *driver) PutBatch(ctx context.Context, rows []engine.Row) error {
	return d.update(ctx, func(tx *bbolt.Tx) error {
		for _, row := range rows {
			if err := put(tx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// release checks the condition and removes the row that is there from the index of what is due.
func release(tx *bbolt.Tx, key engine.Key, is engine.Condition) error {
	if is.On == engine.Always {
		return nil // of a row that never comes due
	}
	row, ok, err := find(tx, key)
	if err != nil {
		return err
	}
	var times struct { // of a record that comes due, and of an identity entry
		DueAt time.Time `json:"dueAt"`
		At    time.Time
	}
	if ok {
		if err := json.Unmarshal([]byte(row.Record), &times); err != nil {
			return fmt.Errorf("decode the row that is there: %w", err)
		}
	}
	holds := ok == (is.On != engine.Absent)
	switch is.On {
	case engine.VersionIs:
		holds = holds && row.Version == is.Value
	case engine.AtIs:
		holds = holds && engine.SortableTime(times.At) == is.Value
	}
	if !holds {
		return table.ErrConflict
	}
	if times.DueAt.IsZero() {
		return nil
	}
	at := engine.SortableTime(times.DueAt)
	place := engine.Place{At: at, Key: key}
	return tx.Bucket([]byte(dueBucketOf(key))).Delete([]byte(dueKey(place)))
}

func put(tx *bbolt.Tx, row engine.Row) error {
	value, err := encode(row)
	if err != nil {
		return fmt.Errorf("encode a row: %w", err)
	}
	bucket, inBucket := bucketKey(tx, row.Key)
	if err := bucket.Put(inBucket, value); err != nil || row.DueAt == "" {
		return err
	}
	place, name := engine.Place{At: row.DueAt, Key: row.Key}, dueBucketOf(row.Key)
	if value, err = dueValue(name, place); err != nil {
		return fmt.Errorf("encode an entry of what is due: %w", err)
	}
	return tx.Bucket([]byte(name)).Put([]byte(dueKey(place)), value)
}

func dueValue(bucket string, place engine.Place) ([]byte, error) {
	if bucket == dueSubscriptionsBucket {
		return nil, nil
	}
	entry, _, err := engine.DueEntry(place)
	if err != nil {
		return nil, err
	}
	return json.Marshal(entry)
}

// view runs f in a transaction that changes nothing.
func (d *driver) view(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.db.View(f)
}

// update runs f in a transaction that is on the disk when update returns, or undone if f fails.
func (d *driver) update(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.db.Update(f)
}

// Query implements [engine.Driver].
func (d *driver) Query(
	ctx context.Context, q engine.Query,
) (rows []engine.Row, more bool, err error) {
	bucket, pk := bucketOf(q.PK)
	s := span{bucket, pk + q.Prefix, pk + q.Prefix + above, q.Backwards}
	if q.After != "" {
		s = s.after(pk + q.After)
	}
	more, err = d.collect(ctx, s, q.Limit, func(key string, value []byte) error {
		row, err := decode(engine.Key{PK: q.PK, SK: key[len(pk):]}, value)
		rows = append(rows, row)
		return err
	})
	return rows, more, err
}

// Scan implements [engine.Driver], for kinds whose PK has one part behind the kind.
func (d *driver) Scan(
	ctx context.Context, prefix string, after engine.Key, limit int,
) (rows []engine.Row, next engine.Key, err error) {
	bucket, rest := bucketOf(prefix)
	s := span{bucket, rest, rest + above, false}
	if after != (engine.Key{}) {
		_, pk := bucketOf(after.PK)
		s = s.after(pk + skOf(after))
	}
	more, err := d.collect(ctx, s, limit, func(key string, value []byte) error {
		parts := engine.Split(key)
		if len(parts) == 0 {
			return fmt.Errorf("%q in the bucket %s is no row's key", key, bucket)
		}
		pk := binding.Join(parts[0])
		sk := cmp.Or(key[len(pk):], engine.OnlyRow) // see skOf
		row, err := decode(engine.Key{PK: prefix + pk, SK: sk}, value)
		rows = append(rows, row)
		return err
	})
	if err == nil && more {
		next = rows[len(rows)-1].Key
	}
	return rows, next, err
}

// Due implements [engine.Driver]. All entries are in the first shard, and those of subscriptions in
// the first of theirs.
func (d *driver) Due(
	ctx context.Context, shard int, after engine.Place, until string, limit int,
) (places []engine.Place, more bool, err error) {
	s := span{dueBucket, "", until + above, false}
	switch shard {
	case 0:
	case engine.Shards:
		s.bucket = dueSubscriptionsBucket
	default:
		return nil, false, ctx.Err()
	}
	if after != (engine.Place{}) {
		s = s.after(dueKey(after))
	}
	more, err = d.collect(ctx, s, limit, func(key string, value []byte) error {
		var entry table.DueEntry
		if s.bucket == dueBucket {
			if err := json.Unmarshal(value, &entry); err != nil {
				return fmt.Errorf("decode an entry of what is due: %w", err)
			}
		}
		at := key[:min(len(key), engine.SortableTimeLength)]
		row := engine.Key{PK: key[len(at):], SK: engine.OnlyRow}
		if entry.Binding != (binding.Key{}) {
			row = engine.BindingKey(entry.Binding)
		}
		places = append(places, engine.Place{At: at, Key: row})
		return nil
	})
	return places, more, err
}

// above follows every key with the prefix before it: keys continue with a digit, or end.
const above = "\xff"

// span is a run of a bucket's keys, lo <= key < hi, forwards or backwards.
type span struct {
	bucket    string
	lo, hi    string
	backwards bool
}

// after is the part of the run behind the key.
func (s span) after(key string) span {
	if s.backwards {
		s.hi = min(s.hi, key)
	} else {
		s.lo = max(s.lo, key+"\x00")
	}
	return s
}

// begin places the cursor on the run's first key; nil if it is empty.
func (s span) begin(c *bbolt.Cursor) (key, value []byte) {
	if !s.backwards {
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

// collect calls add for each of the run's entries up to the limit, which is 0 for none. more
// reports whether there are more.
func (d *driver) collect(
	ctx context.Context, s span, limit int, add func(key string, value []byte) error,
) (more bool, err error) {
	err = d.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(s.bucket)).Cursor()
		step := c.Next
		if s.backwards {
			step = c.Prev
		}
		count := 0
		for key, value := s.begin(c); s.holds(key); key, value = step() {
			if count++; limit > 0 && count > limit {
				more = true
				return nil
			}
			if err := add(string(key), value); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}
