package subscription

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// Get returns the subscription of a repository. [problem.SubscriptionUnknown].
func (s *Service) Get(ctx context.Context, in Target) (View, error) {
	ctx = s.ledger.StartInvocation(ctx)
	rec, sub, err := s.find(ctx, in)
	if err != nil {
		return View{}, err
	}
	return s.view(rec, sub), nil
}

// find reads the binding and the subscription of a repository. One that is ending is unknown.
func (s *Service) find(
	ctx context.Context, in Target,
) (rec binding.Record, sub binding.Subscription, err error) {
	rec, err = s.bound(ctx, in)
	if err != nil {
		return rec, sub, err
	}
	id, err := s.openRepository(rec, in.Repository)
	if err != nil {
		return rec, sub, err
	}
	entry, found, err := s.entry(ctx, rec.Key, id)
	if err == nil && found {
		sub, found, err = s.row(ctx, entry)
	}
	if err == nil && (!found || sub.Stage == binding.SubscriptionEnding) {
		err = problem.New(problem.SubscriptionUnknown)
	}
	return rec, sub, err
}

// bound reads a binding. [problem.PlatformUnknown], [problem.NotBound].
func (s *Service) bound(ctx context.Context, in Target) (binding.Record, error) {
	if _, err := s.platform(in.Platform); err != nil {
		return binding.Record{}, err
	}
	rec, err := s.ledger.Record(ctx, in.key())
	if err == nil && !rec.Bound() {
		err = problem.New(problem.NotBound).With("platform", s.ledger.Title(in.Platform))
	}
	return rec, err
}

// entry reads the entry of a repository, and reports whether there is one.
func (s *Service) entry(
	ctx context.Context, key binding.Key, repository string,
) (e binding.SubscriptionEntry, found bool, err error) {
	e, err = s.ledger.Table.SubscriptionEntry(ctx, key, provider.StableID(repository))
	switch {
	case errors.Is(err, table.ErrNotFound):
		return e, false, nil
	case err != nil:
		return e, false, ledger.Unavailable("reading a subscription's entry", err)
	}
	return e, true, nil
}

// errAnother means that an entry names the row of another repository or binding.
var errAnother = errors.New("subscription: the row is of another repository")

// row reads the row that an entry names, and reports whether there is one.
func (s *Service) row(
	ctx context.Context, e binding.SubscriptionEntry,
) (sub binding.Subscription, found bool, err error) {
	sub, err = s.ledger.Table.Subscription(ctx, e.Subscription)
	switch {
	case errors.Is(err, table.ErrNotFound):
		return sub, false, nil
	case err == nil && (sub.Binding != e.Binding ||
		!provider.SameRepository(sub.Repository.ID, e.RepositoryID)):
		err = errAnother
	}
	if err != nil {
		return sub, false, ledger.Unavailable("reading a subscription", err)
	}
	return sub, true, nil
}

// Page is a page of a binding's subscriptions.
type Page struct {
	Views  []View
	Cursor string // "" on the last page
}

const (
	// listSize is how many subscriptions a page has. Each is a call to the table.
	listSize = 50
	// maxConcurrentRows is how many rows one request reads or ends at the same time.
	maxConcurrentRows = 8
)

// List lists the subscriptions of a binding. It makes two calls to the table, and one for each
// subscription. A cursor of another binding or list is [problem.InputMalformed].
func (s *Service) List(ctx context.Context, in Target, cursor string) (Page, error) {
	ctx = s.ledger.StartInvocation(ctx)
	rec, err := s.bound(ctx, in)
	if err != nil {
		return Page{}, err
	}
	const list = "subscriptions"
	at, ok := binding.PlatformCursor(rec, cursor, list)
	if !ok {
		return Page{}, ledger.BadCursor()
	}
	entries, err := s.ledger.Table.SubscriptionEntries(ctx, rec.Key, at, listSize)
	if errors.Is(err, table.ErrCursor) {
		return Page{}, ledger.BadCursor()
	}
	if err != nil {
		return Page{}, ledger.Unavailable("listing the subscriptions", err)
	}
	rows := make([]binding.Subscription, len(entries.Items))
	var group errgroup.Group
	group.SetLimit(maxConcurrentRows)
	for i, e := range entries.Items {
		group.Go(func() (err error) { rows[i], _, err = s.row(ctx, e); return err })
	}
	if err := group.Wait(); err != nil {
		return Page{}, err
	}
	page := Page{Cursor: binding.RepositoryCursor(rec, entries.Cursor, list)}
	for _, sub := range rows {
		if sub.ID != "" && sub.Stage != binding.SubscriptionEnding {
			page.Views = append(page.Views, s.view(rec, sub))
		}
	}
	return page, nil
}
