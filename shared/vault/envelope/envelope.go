// Package envelope implements [vault.Vault] in a table of its own: every value is sealed under a
// data key, and one key of a key service wraps the data keys. A month costs by the calls, and not
// by the number of secrets.
//
// # Rows
//
// A secret is one row, so that a delete removes all generations at once and a late writer meets
// the version that it read. The row has the newest [Kept] generations. No reader needs an older
// one: the next generation is only created from the record's, so a record is at the newest or the
// one before, and the third is for a caller that read the record before a refresh. A generation
// that was removed doesn't exist for Get, and is [vault.ErrExists] for Put.
//
// # Sealing
//
// A value is sealed with AES-256-GCM and a random nonce. Its associated data are the secret's
// name, the generation and the owner that the value names, so that no part of a row opens in
// another row or generation, or under another owner's name. Each generation names the key that
// wrapped its data key, and has the wrapped data key with it.
//
// # Data keys
//
// A data key seals at most [MaxSeals] values and is used for at most [KeyTTL], as is one that was
// unwrapped to open a value. The next call drops it from the memory. So of the calls to the key service a busy process makes few,
// and a key that was disabled there opens nothing after that time.
//
// # Rotation
//
// A [Wrapper] wraps with one key and unwraps with several. After a change of the key, rows are
// read with the key that they name, and [Vault.Move] seals them anew.
package envelope

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/engine"
	"bindery/shared/vault"
)

// Kept is how many generations of a secret its row has.
const Kept = 3

// format is the format of the rows that this version writes.
const format = 1

// maxTries bounds the calls that begin again because another caller has changed the row.
const maxTries = 20

// Store has the rows. An [engine.Driver] is one; its comments say what each method promises.
type Store interface {
	Get(ctx context.Context, key engine.Key) (row engine.Row, ok bool, err error)
	Put(ctx context.Context, row engine.Row, is engine.Condition) error
	Delete(ctx context.Context, key engine.Key, is engine.Condition) error
	Scan(
		ctx context.Context, prefix string, after engine.Key, limit int,
	) (rows []engine.Row, next engine.Key, err error)
}

// Options says what a vault uses.
type Options struct {
	Store   Store
	Wrapper Wrapper
	// Owner returns whose a value is, in a form that may be stored in clear.
	Owner func(value secret.Text) string
	// Now is the clock by which data keys grow old.
	Now func() time.Time
}

// Vault is a [vault.Vault] in a table. Create one with [New].
type Vault struct {
	store Store
	owner func(secret.Text) string
	now   func() time.Time
	keys  *dataKeys
}

// New returns a vault. It makes no call.
func New(o Options) *Vault {
	// Without the monotonic reading, which stands still while a function's process is frozen.
	now := func() time.Time { return o.Now().Round(0) }
	return &Vault{store: o.Store, owner: o.Owner, now: now, keys: newDataKeys(o.Wrapper, now)}
}

// record is a secret as its row has it. The generations are in their order.
type record struct {
	CreatedAt   time.Time `json:"createdAt"`
	Generations []sealed  `json:"generations"`

	version string // of the row; "" for a secret that doesn't exist
}

func (r record) find(generation int) (sealed, bool) {
	i := slices.IndexFunc(r.Generations, func(s sealed) bool { return s.Generation == generation })
	if i < 0 {
		return sealed{}, false
	}
	return r.Generations[i], true
}

// missing returns the error of a Put whose generation the row doesn't have, or nil if it may be
// added.
func (r record) missing(generation int) error {
	switch {
	case r.version == "" && generation > 1:
		return vault.ErrNotFound
	case r.version != "" && generation == 1,
		len(r.Generations) == Kept && generation < r.Generations[0].Generation:
		return vault.ErrExists // it was there and has been removed since
	}
	return nil
}

// with returns the record with one more generation, without those that it no longer keeps.
func (r record) with(added sealed) record {
	at := len(r.Generations)
	for at > 0 && r.Generations[at-1].Generation > added.Generation {
		at--
	}
	r.Generations = slices.Insert(slices.Clone(r.Generations), at, added)
	r.Generations = r.Generations[max(0, len(r.Generations)-Kept):]
	return r
}

// Put implements [vault.Vault]. Generation 1 is one call to the store, another generation two, and
// the data key is one to the key service for many puts.
func (v *Vault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	if err := vault.CheckValue(name, generation, value); err != nil {
		return err
	}
	if err := v.put(ctx, name, generation, value); err != nil {
		return fmt.Errorf("putting %s/%d: %w", name, generation, err)
	}
	return nil
}

func (v *Vault) put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	var there record
	added, err := sealed{}, error(nil)
	for try := range maxTries {
		if generation > 1 || try > 0 {
			if there, err = v.read(ctx, name); err != nil {
				return err
			}
		}
		if stored, ok := there.find(generation); ok {
			return v.compare(ctx, name, stored, value)
		}
		if err := there.missing(generation); err != nil {
			return err
		}
		if added.Value == nil {
			if added, err = v.seal(ctx, name, generation, value); err != nil {
				return err
			}
		}
		if there.version == "" {
			there.CreatedAt = v.now().UTC().Truncate(time.Millisecond)
		}
		if err = v.write(ctx, name, there.with(added)); !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
	return errTooBusy
}

var errTooBusy = errors.New("other callers change the secret all the time")

// compare returns nil if the stored generation has the value, and [vault.ErrExists] if not.
func (v *Vault) compare(
	ctx context.Context, name vault.SecretName, stored sealed, value secret.Text,
) error {
	there, err := v.open(ctx, name, stored)
	if err == nil && !value.Equal(there) {
		err = vault.ErrExists
	}
	return err
}

// Get implements [vault.Vault]. It is one call to the store, and one to the key service if the
// process does not have the data key.
func (v *Vault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	if err := vault.Check(name, generation); err != nil {
		return secret.Text{}, err
	}
	value, err := v.get(ctx, name, generation)
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading %s/%d: %w", name, generation, err)
	}
	return value, nil
}

func (v *Vault) get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	there, err := v.read(ctx, name)
	if err != nil {
		return secret.Text{}, err
	}
	stored, ok := there.find(generation)
	if !ok {
		return secret.Text{}, vault.ErrNotFound
	}
	return v.open(ctx, name, stored)
}

// Delete implements [vault.Vault]. It is one call to the store. Backups of the table may still
// have the row, sealed.
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := vault.Check(name, 1); err != nil {
		return err
	}
	if err := v.store.Delete(ctx, keyOf(name), engine.Condition{}); err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}

// Newest implements [vault.Vault]. It is one call to the store.
func (v *Vault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	if err := vault.Check(name, 1); err != nil {
		return 0, err
	}
	there, err := v.read(ctx, name)
	if err == nil && there.version == "" {
		err = vault.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("looking for the newest of %s: %w", name, err)
	}
	return there.Generations[len(there.Generations)-1].Generation, nil
}

// pageSize is how many secrets a page of the list has at most.
const pageSize = 100

// List implements [vault.Vault]. A page is one call to the store. A cursor is the last name of a
// page.
func (v *Vault) List(ctx context.Context, cursor string) (vault.Page, error) {
	return v.list(ctx, cursor, func(record) bool { return true })
}

// ListUnmoved implements [vault.Mover]: it lists the secrets that the current key doesn't wrap.
func (v *Vault) ListUnmoved(ctx context.Context, cursor string) (vault.Page, error) {
	return v.list(ctx, cursor, func(r record) bool {
		return slices.ContainsFunc(r.Generations, v.isUnmoved)
	})
}

func (v *Vault) isUnmoved(s sealed) bool { return s.WrappedBy != v.keys.wrapper.Current() }

func (v *Vault) list(
	ctx context.Context, cursor string, wanted func(record) bool,
) (page vault.Page, err error) {
	var after engine.Key
	if cursor != "" {
		if !vault.SecretName(cursor).Valid() {
			return page, vault.ErrCursor
		}
		after = keyOf(vault.SecretName(cursor))
	}
	rows, next, err := v.store.Scan(ctx, binding.Join(engine.SecretKind), after, pageSize)
	if err != nil {
		return page, fmt.Errorf("listing the vault: %w", err)
	}
	for _, row := range rows {
		there, err := decode(row)
		if err != nil {
			return vault.Page{}, fmt.Errorf("listing the vault: %w", err)
		}
		if wanted(there) {
			page.Secrets = append(page.Secrets, vault.Listed{
				Name: nameOf(row.Key), CreatedAt: there.CreatedAt,
			})
		}
	}
	if next != (engine.Key{}) {
		page.Cursor = string(nameOf(next))
	}
	return page, nil
}

// Move implements [vault.Mover]: it seals the generations anew whose data key another key than the
// current one has wrapped. A secret that doesn't exist has none. It is safe also while the secret
// is deleted.
func (v *Vault) Move(ctx context.Context, name vault.SecretName, _ int) (bool, error) {
	moved, err := v.reseal(ctx, name)
	if err != nil {
		return false, fmt.Errorf("sealing %s anew: %w", name, err)
	}
	return moved, nil
}

func (v *Vault) reseal(ctx context.Context, name vault.SecretName) (bool, error) {
	for range maxTries {
		there, err := v.read(ctx, name)
		if err != nil || !slices.ContainsFunc(there.Generations, v.isUnmoved) {
			return false, err
		}
		there.Generations = slices.Clone(there.Generations)
		for i, old := range there.Generations {
			value, err := v.open(ctx, name, old)
			if err != nil {
				return false, err
			}
			there.Generations[i], err = v.seal(ctx, name, old.Generation, value)
			if err != nil {
				return false, err
			}
		}
		if err = v.write(ctx, name, there); !errors.Is(err, table.ErrConflict) {
			return err == nil, err
		}
	}
	return false, errTooBusy
}

// Close closes a store that can be closed.
func (v *Vault) Close() error {
	if closer, ok := v.store.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// read reads a secret. One that doesn't exist has no version.
func (v *Vault) read(ctx context.Context, name vault.SecretName) (record, error) {
	row, ok, err := v.store.Get(ctx, keyOf(name))
	if err != nil || !ok {
		return record{}, err
	}
	return decode(row)
}

// write writes a secret in place of the row that was read. [table.ErrConflict].
func (v *Vault) write(ctx context.Context, name vault.SecretName, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	is := engine.Condition{On: engine.Absent}
	if r.version != "" {
		is = engine.Condition{On: engine.VersionIs, Value: r.version}
	}
	return v.store.Put(ctx, engine.Row{
		Key: keyOf(name), Record: string(text), Version: table.NewVersion(), Format: format,
	}, is)
}

// decode reads a row. A row without a version or a generation is not one that this package wrote.
func decode(row engine.Row) (record, error) {
	r := record{version: row.Version}
	err := json.Unmarshal([]byte(row.Record), &r)
	if err != nil || r.version == "" || len(r.Generations) == 0 {
		return record{}, errors.New("the row of the secret is damaged")
	}
	return r, nil
}

func keyOf(name vault.SecretName) engine.Key {
	return engine.Key{PK: binding.Join(engine.SecretKind, string(name)), SK: engine.OnlyRow}
}

func nameOf(key engine.Key) vault.SecretName {
	parts := engine.Split(key.PK)
	return vault.SecretName(parts[len(parts)-1])
}
