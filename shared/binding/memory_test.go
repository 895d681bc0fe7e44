package binding_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// memory is a table in maps, for tests that run thousands of orders of calls. It has the
// calls that these need, and gives every list as one page. The same tests run on a real table too.
type memory struct {
	ledger.Table // for the other calls: none

	mu             sync.Mutex
	bindings       map[binding.Key]binding.Record
	authorizations map[string]binding.Authorization
	holders        map[binding.IdentityEntry]time.Time // the entry without its time
	history        map[binding.Key]map[string]binding.Event
}

func newMemory() *memory {
	return &memory{
		bindings:       map[binding.Key]binding.Record{},
		authorizations: map[string]binding.Authorization{},
		holders:        map[binding.IdentityEntry]time.Time{},
		history:        map[binding.Key]map[string]binding.Event{},
	}
}

// enter begins a call.
func (m *memory) enter(ctx context.Context) (leave func(), err error) {
	m.mu.Lock()
	return m.mu.Unlock, ctx.Err()
}

func get[K comparable, R any](
	ctx context.Context, m *memory, rows map[K]R, key K,
) (R, error) {
	leave, err := m.enter(ctx)
	defer leave()
	row, ok := rows[key]
	if err == nil && !ok {
		err = table.ErrNotFound
	}
	return row, err
}

// save writes a row, or deletes it if gone is true.
func save[K comparable, R any](
	ctx context.Context, m *memory, rows map[K]R, key K, row R, version func(*R) *string, gone bool,
) (R, error) {
	leave, err := m.enter(ctx)
	defer leave()
	if err != nil {
		return row, err
	}
	there, ok := rows[key]
	if *version(&there) != *version(&row) || ok != (*version(&row) != "") {
		return row, table.ErrConflict
	}
	if gone {
		delete(rows, key)
		return row, nil
	}
	*version(&row) = table.NewVersion()
	rows[key] = row
	return row, nil
}

// inOrder is the one page of a list, in the order of the items' names.
func inOrder[R any](items map[string]R) table.Page[R] {
	var page table.Page[R]
	for _, name := range slices.Sorted(maps.Keys(items)) {
		page.Items = append(page.Items, items[name])
	}
	return page
}

func bindingVersion(b *binding.Record) *string              { return &b.Version }
func authorizationVersion(a *binding.Authorization) *string { return &a.Version }

func (m *memory) Binding(ctx context.Context, key binding.Key) (binding.Record, error) {
	return get(ctx, m, m.bindings, key)
}

func (m *memory) BindingUnless(
	ctx context.Context, key binding.Key, version string,
) (binding.Record, error) {
	rec, err := m.Binding(ctx, key)
	if err == nil && version != "" && rec.Version == version {
		return binding.Record{}, table.ErrUnchanged
	}
	return rec, err
}

func (m *memory) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	b.Events, b.Secrets = slices.Clone(b.Events), slices.Clone(b.Secrets)
	return save(ctx, m, m.bindings, b.Key, b, bindingVersion, false)
}

func (m *memory) DeleteBinding(ctx context.Context, b binding.Record) error {
	_, err := save(ctx, m, m.bindings, b.Key, b, bindingVersion, true)
	return err
}

func (m *memory) Authorization(ctx context.Context, id string) (binding.Authorization, error) {
	return get(ctx, m, m.authorizations, id)
}

func (m *memory) SaveAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, error) {
	return save(ctx, m, m.authorizations, a.ID, a, authorizationVersion, false)
}

func (m *memory) DeleteAuthorization(ctx context.Context, a binding.Authorization) error {
	_, err := save(ctx, m, m.authorizations, a.ID, a, authorizationVersion, true)
	return err
}

// SubscriptionEntries lists nothing: there are no subscriptions.
func (m *memory) SubscriptionEntries(
	ctx context.Context, _ binding.Key, _ string, _ int,
) (page table.Page[binding.SubscriptionEntry], err error) {
	return page, ctx.Err()
}

func (m *memory) AllBindings(
	ctx context.Context, _ string, _ int,
) (table.Page[binding.Record], error) {
	leave, err := m.enter(ctx)
	defer leave()
	return table.Page[binding.Record]{Items: slices.Collect(maps.Values(m.bindings))}, err
}

func (m *memory) AllAuthorizations(
	ctx context.Context, _ string, _ int,
) (table.Page[binding.Authorization], error) {
	leave, err := m.enter(ctx)
	defer leave()
	all := slices.Collect(maps.Values(m.authorizations))
	return table.Page[binding.Authorization]{Items: all}, err
}

func (m *memory) DueBefore(
	ctx context.Context, until time.Time, _ string, _ int,
) (table.Page[table.DueEntry], error) {
	leave, err := m.enter(ctx)
	defer leave()
	if err != nil {
		return table.Page[table.DueEntry]{}, err
	}
	items := map[string]table.DueEntry{}
	add := func(at time.Time, name string, e table.DueEntry) {
		if e.At = at.UTC(); !at.IsZero() && !at.After(until) {
			items[e.At.Format("2006-01-02T15:04:05.000000000")+name] = e
		}
	}
	for key, b := range m.bindings {
		add(b.DueAt, "binding "+key.String(), table.DueEntry{Binding: key})
	}
	for id, a := range m.authorizations {
		add(a.DueAt, "authorization "+id, table.DueEntry{Authorization: id})
	}
	return inOrder(items), nil
}

func (m *memory) SaveIdentityEntry(ctx context.Context, h binding.IdentityEntry) error {
	leave, err := m.enter(ctx)
	defer leave()
	if err == nil {
		at := h.At
		h.At = time.Time{}
		m.holders[h] = at
	}
	return err
}

func (m *memory) DeleteIdentityEntry(ctx context.Context, h binding.IdentityEntry) error {
	leave, err := m.enter(ctx)
	defer leave()
	at := h.At
	h.At = time.Time{}
	if there, ok := m.holders[h]; err == nil && ok && there.Equal(at) {
		delete(m.holders, h)
	}
	return err
}

func (m *memory) ListIdentityEntries(
	ctx context.Context, of binding.IdentityKey, _ string, _ int,
) (table.Page[binding.IdentityEntry], error) {
	leave, err := m.enter(ctx)
	defer leave()
	if err != nil {
		return table.Page[binding.IdentityEntry]{}, err
	}
	items := map[string]binding.IdentityEntry{}
	for h, at := range m.holders {
		if h.Of == of {
			h.At = at
			items[h.Binding.String()+h.Authorization] = h
		}
	}
	return inOrder(items), nil
}

func (m *memory) AppendHistory(
	ctx context.Context, key binding.Key, events []binding.Event,
) error {
	leave, err := m.enter(ctx)
	defer leave()
	if len(events) > binding.MaxEvents {
		err = errors.New("too many events at once")
	}
	if err != nil {
		return err
	}
	if m.history[key] == nil {
		m.history[key] = map[string]binding.Event{}
	}
	for _, e := range events {
		if _, ok := m.history[key][e.Position()]; !ok {
			m.history[key][e.Position()] = e
		}
	}
	return nil
}

func (m *memory) ListHistory(
	ctx context.Context, key binding.Key, order table.Order, _ string, _ int,
) (table.Page[binding.Event], error) {
	leave, err := m.enter(ctx)
	defer leave()
	page := inOrder(m.history[key])
	if order == table.NewestFirst {
		slices.Reverse(page.Items)
	}
	return page, err
}

// memoryVault is a vault in a map.
type memoryVault struct {
	mu     sync.Mutex
	values map[vault.SecretName]map[int]secret.Text
}

func newMemoryVault() *memoryVault {
	return &memoryVault{values: map[vault.SecretName]map[int]secret.Text{}}
}

func (m *memoryVault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(vault.CheckValue(name, generation, value), ctx.Err()); err != nil {
		return err
	}
	if m.values[name] == nil {
		if generation > 1 {
			return vault.ErrNotFound
		}
		m.values[name] = map[int]secret.Text{}
	}
	there, ok := m.values[name][generation]
	if ok && !there.Equal(value) {
		return vault.ErrExists
	}
	m.values[name][generation] = value
	return nil
}

func (m *memoryVault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(vault.Check(name, generation), ctx.Err()); err != nil {
		return secret.Text{}, err
	}
	value, ok := m.values[name][generation]
	if !ok {
		return secret.Text{}, vault.ErrNotFound
	}
	return value, nil
}

func (m *memoryVault) Delete(ctx context.Context, name vault.SecretName) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(vault.Check(name, 1), ctx.Err()); err != nil {
		return err
	}
	delete(m.values, name)
	return nil
}

func (m *memoryVault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	generations := slices.Sorted(maps.Keys(m.values[name]))
	if len(generations) == 0 {
		return 0, cmp.Or(vault.Check(name, 1), ctx.Err(), vault.ErrNotFound)
	}
	return generations[len(generations)-1], ctx.Err()
}

func (m *memoryVault) List(ctx context.Context, _ string) (page vault.Page, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.values {
		page.Secrets = append(page.Secrets, vault.Listed{Name: name})
	}
	return page, ctx.Err()
}
