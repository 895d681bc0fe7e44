package connect

import (
	"context"
	"errors"
	"slices"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// Platforms returns the descriptions of the five platforms, in their order.
func (s *Service) Platforms() []provider.Description {
	var list []provider.Description
	for _, platform := range s.ledger.Platforms.All() {
		list = append(list, platform.Describe())
	}
	return list
}

// InstanceBindings lists all five platforms of an instance in their order, unbound ones too. It
// makes one call to the table.
func (s *Service) InstanceBindings(
	ctx context.Context, account string, i instance.Instance,
) ([]binding.View, error) {
	ctx = s.ledger.StartInvocation(ctx)
	recs, err := s.ledger.Table.InstanceBindings(ctx, account, i.Region, i.ID)
	if err != nil {
		return nil, ledger.Unavailable("listing the bindings", err)
	}
	var views []binding.View
	for _, name := range s.ledger.Platforms.Names() {
		at := slices.IndexFunc(recs, func(r binding.Record) bool { return r.Platform == name })
		if at >= 0 {
			views = append(views, s.ledger.View(recs[at]))
			continue
		}
		views = append(views, s.ledger.View(binding.Record{Key: binding.KeyOf(account, i, name)}))
	}
	return views, nil
}

// Filter narrows the list of an account's bindings. An empty Status or Platform matches all.
type Filter struct {
	Status   binding.Status
	Platform string
	// Instances are those of the catalogue that the caller may see. A binding of another instance
	// is not listed.
	Instances instance.List
	// Narrowed says that they are not all of the account's.
	Narrowed bool
}

// AccountBindings returns one page of an account's bindings. Unbound platforms have no record and
// are not listed.
func (s *Service) AccountBindings(
	ctx context.Context, account string, f Filter, cursor string,
) (table.Page[binding.View], error) {
	var none table.Page[binding.View]
	ctx = s.ledger.StartInvocation(ctx)
	page, err := s.accountRows(ctx, account, f, cursor)
	if errors.Is(err, table.ErrCursor) {
		return none, ledger.BadCursor()
	}
	if err != nil {
		return none, ledger.Unavailable("listing the account's bindings", err)
	}
	views := []binding.View{}
	for _, rec := range page.Items {
		v := s.ledger.View(rec)
		i, err := f.Instances.Find(rec.Region, rec.Instance)
		if err != nil || !rec.Bound() ||
			f.Status != "" && v.Status != f.Status ||
			f.Platform != "" && rec.Platform != f.Platform {
			continue
		}
		v.Instance = i
		views = append(views, v)
	}
	return table.Page[binding.View]{Items: views, Cursor: page.Cursor}, nil
}

// accountRows returns one page of an account's rows. Those of a narrowed caller are read instance
// by instance and are one page: a cursor names the last row of its page, which may be of an
// instance that the caller may not see.
func (s *Service) accountRows(
	ctx context.Context, account string, f Filter, cursor string,
) (table.Page[binding.Record], error) {
	if !f.Narrowed {
		return s.ledger.Table.AccountBindings(ctx, account, cursor, ledger.PageSize)
	}
	var page table.Page[binding.Record]
	if cursor != "" {
		return page, table.ErrCursor
	}
	for i := range f.Instances.All() {
		recs, err := s.ledger.Table.InstanceBindings(ctx, account, i.Region, i.ID)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, recs...)
	}
	return page, nil
}

// History returns one page of a binding's events, newest first. The first page includes the events
// that are still in the record.
func (s *Service) History(
	ctx context.Context, account string, i instance.Instance, platform, cursor string,
) (table.Page[binding.Event], error) {
	var none table.Page[binding.Event]
	ctx = s.ledger.StartInvocation(ctx)
	if _, ok := s.ledger.Platforms.Get(platform); !ok {
		return none, problem.New(problem.PlatformUnknown)
	}
	key := binding.KeyOf(account, i, platform)
	var waiting []binding.Event
	if cursor == "" {
		rec, err := s.ledger.Record(ctx, key)
		if err != nil {
			return none, err
		}
		waiting = rec.Events
	}
	page, err := s.ledger.Table.ListHistory(ctx, key, table.NewestFirst, cursor, ledger.PageSize)
	if errors.Is(err, table.ErrCursor) {
		return none, ledger.BadCursor()
	}
	if err != nil {
		return none, ledger.Unavailable("reading the history", err)
	}
	events := page.Items
	for _, e := range waiting {
		if !slices.ContainsFunc(page.Items, func(p binding.Event) bool { return p.ID == e.ID }) {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b binding.Event) int {
		return strings.Compare(b.Position(), a.Position())
	})
	return table.Page[binding.Event]{Items: events, Cursor: page.Cursor}, nil
}
