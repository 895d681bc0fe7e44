package subscription

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/table"
	"bindery/shared/vault"
)

const (
	// maxEndTries is how often the run tries to remove the webhook of a subscription that ends: for
	// about two days.
	maxEndTries = 15
	// maxLogDeletions bounds the calls that delete the log of one subscription.
	maxLogDeletions = 50
)

// Delete ends the subscription and removes its webhook. If the platform doesn't, the subscription
// ends nevertheless, and the webhook is returned as remaining; the run tries again, unless the
// platform has refused permanently. No subscription is nil.
func (s *Service) Delete(ctx context.Context, in Target) (*Remaining, error) {
	ctx = s.ledger.StartInvocation(ctx)
	rec, err := s.bound(ctx, in)
	if err != nil {
		return nil, err
	}
	id, err := s.openRepository(rec, in.Repository)
	if err != nil {
		return nil, err
	}
	entry, found, err := s.entry(ctx, rec.Key, id)
	if err != nil || !found {
		return nil, err
	}
	at, err := s.siteOrNone(ctx, rec.Key)
	if err != nil {
		return nil, err
	}
	sub, err := s.endEntry(ctx, entry)
	if err != nil {
		return nil, err
	}
	left, _, err := s.finishEnd(ctx, at, sub)
	if errors.Is(err, table.ErrNotFound) {
		err = nil // another call was faster
	}
	return left, err
}

// siteOrNone returns a binding's platform with a token, nil if the binding has none that may be
// used. If that is not known now, the site has the cause and no token.
func (s *Service) siteOrNone(ctx context.Context, key binding.Key) (*site, error) {
	at, err := s.site(ctx, key)
	switch {
	case problem.Is(err, problem.StorageUnavailable):
		return nil, err
	case err != nil && isPermanent(err):
		return nil, nil // a subscription ends without a token too
	case err != nil:
		return &site{cause: err}, nil
	}
	return &at, nil
}

// endTimeout is how long the platform may take to have all webhooks of a binding removed.
const endTimeout = 12 * time.Second

// EndAll makes the subscriptions of a binding that is about to end refuse deliveries, and removes
// their webhooks while its token is valid. It returns the webhooks that could not be removed: once
// the platform is unreachable it isn't asked for the rest. The run deletes what else there is,
// because an unbind may delete no secret. It makes one call to the table if there are no
// subscriptions. After a crash the binding is there, with the subscriptions that had not begun to
// end; the run ends the others.
func (s *Service) EndAll(ctx context.Context, rec binding.Record) ([]Remaining, error) {
	ctx = s.ledger.StartInvocation(ctx)
	e := &bindingEnd{Service: s}
	for cursor := ""; ; {
		page, err := s.ledger.Table.SubscriptionEntries(ctx, rec.Key, cursor, ledger.PageSize)
		if err != nil {
			return nil, ledger.Unavailable("listing the subscriptions", err)
		}
		if e.asking == nil && len(page.Items) > 0 {
			if e.at, err = s.siteOrNone(ctx, rec.Key); err != nil {
				return nil, err
			}
			var cancel func()
			e.asking, cancel = context.WithTimeout(ctx, endTimeout)
			defer cancel()
		}
		var group errgroup.Group
		group.SetLimit(maxConcurrentRows)
		for _, entry := range page.Items {
			group.Go(func() error { return e.end(ctx, entry) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		if cursor = page.Cursor; cursor == "" {
			return e.left, nil
		}
	}
}

// bindingEnd is the end of a binding's subscriptions.
type bindingEnd struct {
	*Service
	asking context.Context // of the calls to the platform

	mu   sync.Mutex // guards what follows
	at   *site      // nil if there is no token
	left []Remaining
}

// HoldAll makes a binding's subscriptions refuse deliveries until a sync has found that the user
// with this id, to whom the binding is about to be bound again, may administer them. Those that
// were last seen with the same user are only synced. The syncs are due when the bind is over.
func (s *Service) HoldAll(ctx context.Context, key binding.Key, identityID string) error {
	for cursor := ""; ; {
		page, err := s.ledger.Table.SubscriptionEntries(ctx, key, cursor, ledger.PageSize)
		if err != nil {
			return ledger.Unavailable("listing the subscriptions", err)
		}
		var group errgroup.Group
		group.SetLimit(maxConcurrentRows)
		for _, entry := range page.Items {
			group.Go(func() error { return s.hold(ctx, entry, identityID) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// hold holds the subscription of an entry.
func (s *Service) hold(
	ctx context.Context, entry binding.SubscriptionEntry, identityID string,
) error {
	sub, found, err := s.row(ctx, entry)
	if err != nil || !found {
		return err
	}
	_, err = s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if row.Stage == binding.SubscriptionEnding {
			return false
		}
		row.Held = row.Held || row.IdentityID != identityID
		row.Asked = binding.AskedToken{}           // it is about to be replaced
		row.SyncAt = s.ledger.Now().Add(claimWait) // the save of the bind is the next call
		return true
	})
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	return err
}

// end does of the end of an entry's subscription what needs the token, which ends now.
func (e *bindingEnd) end(ctx context.Context, entry binding.SubscriptionEntry) error {
	sub, err := e.endEntry(ctx, entry)
	if err != nil || sub.Secret == "" || sub.WebhookGone {
		return err
	}
	e.mu.Lock()
	at := e.at
	e.mu.Unlock()
	switch err := e.endWebhook(e.asking, at, sub); {
	case isStorage(err):
		return err
	case err != nil: // the run gives it up
		e.mu.Lock()
		defer e.mu.Unlock()
		e.left = append(e.left, *e.remaining(sub))
		if problem.Is(err, problem.PlatformUnreachable) {
			e.at = &site{cause: err}
		}
		return nil
	}
	_, err = e.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		row.WebhookGone = row.Claim.IsZero() // else it may be made again
		return row.WebhookGone
	})
	if errors.Is(err, table.ErrNotFound) {
		return nil // the run was faster
	}
	return err
}

// endEntry marks the subscription of an entry as ending, and returns its row.
func (s *Service) endEntry(
	ctx context.Context, entry binding.SubscriptionEntry,
) (binding.Subscription, error) {
	for range ledger.MaxTries {
		sub, found, err := s.row(ctx, entry)
		if err != nil {
			return sub, err
		}
		raced := table.ErrNotFound // by the run, which has ended it
		if found {
			sub, err = s.markEnding(ctx, sub, false)
		} else {
			sub, err = s.occupy(ctx, entry)
			raced = table.ErrConflict // with the request that makes it
		}
		if !errors.Is(err, raced) {
			return sub, err
		}
	}
	return binding.Subscription{}, problem.New(problem.Conflict)
}

// occupy writes an ending row for an entry without a row: a request has left it, or is about to
// write the row, which then fails. It has no secret, so nothing was made for it.
func (s *Service) occupy(
	ctx context.Context, entry binding.SubscriptionEntry,
) (binding.Subscription, error) {
	now := s.ledger.Now()
	return s.save(ctx, binding.Subscription{
		ID: entry.Subscription, Binding: entry.Binding, CreatedAt: now,
		Repository: binding.SubscribedRepository{ID: entry.RepositoryID},
		Stage:      binding.SubscriptionEnding,
		SyncAt:     now.Add(ledger.OrphanGracePeriod),
	})
}

// end ends a subscription that this invocation has claimed. at is nil if there is no token.
func (s *Service) end(
	ctx context.Context, at *site, sub binding.Subscription,
) (*Remaining, error) {
	sub, err := s.markEnding(ctx, sub, true)
	if err != nil {
		return nil, err
	}
	left, _, err := s.finishEnd(ctx, at, sub)
	return left, err
}

// markEnding makes a subscription refuse deliveries, and leaves the rest to the run if this
// invocation doesn't do it. claimed says that this invocation has claimed the row.
func (s *Service) markEnding(
	ctx context.Context, sub binding.Subscription, claimed bool,
) (binding.Subscription, error) {
	return s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if row.Stage == binding.SubscriptionEnding {
			return false
		}
		row.Stage, row.SyncAt, row.SyncTries = binding.SubscriptionEnding, s.ledger.Now(), 0
		if claimed {
			row.Claim = time.Time{}
		}
		return true
	})
}

// finishEnd removes the webhook of an ending subscription, and then what is left of it. If another
// invocation may still be making a webhook, the row stays until that one is over, and the webhook
// is looked for again. left is a webhook that could not be removed.
func (s *Service) finishEnd(
	ctx context.Context, at *site, sub binding.Subscription,
) (left *Remaining, ended bool, err error) {
	now := s.ledger.Now()
	if sub.Secret == "" {
		if now.Before(sub.SyncAt) {
			return nil, false, nil
		}
		return nil, true, s.remove(ctx, sub)
	}
	if sub.WebhookGone {
		return nil, true, s.remove(ctx, sub)
	}
	err = s.endWebhook(ctx, at, sub)
	if isStorage(err) {
		return nil, false, err
	}
	if err != nil {
		left = s.remaining(sub)
		if !isPermanent(err) && sub.SyncTries < maxEndTries {
			return left, false, s.postponeEnd(ctx, sub, err)
		}
		s.ledger.Log.WarnContext(ctx, "a webhook was left at its platform", "subscription", sub.ID,
			"binding", binding.Describe(sub.Binding), "error", err)
	}
	if free := sub.Claim.Add(ledger.OrphanGracePeriod); !sub.Claim.IsZero() && now.Before(free) {
		_, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
			row.SyncAt = free
			return true
		})
		return left, false, err
	}
	return left, true, s.remove(ctx, sub)
}

// endWebhook removes the webhook of an ending subscription. at is nil if there is no token.
func (s *Service) endWebhook(ctx context.Context, at *site, sub binding.Subscription) error {
	if at == nil {
		return problem.New(problem.NotBound).With("platform", s.ledger.Title(sub.Binding.Platform))
	}
	if at.cause != nil {
		return at.cause
	}
	return s.removeWebhook(ctx, *at, sub)
}

// postponeEnd leaves the removal of a webhook to a later run.
func (s *Service) postponeEnd(ctx context.Context, sub binding.Subscription, why error) error {
	_, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		row.SyncTries++
		row.SyncAt = s.ledger.Now().Add(s.syncBackoff(row.SyncTries, why))
		return true
	})
	return err
}

func (s *Service) remaining(sub binding.Subscription) *Remaining {
	left := &Remaining{Repository: sub.Repository}
	if platform, err := s.platform(sub.Binding.Platform); err == nil {
		left.WebhooksURL = platform.WebhooksURL(sub.Repository.WebURL)
	}
	return left
}

// remove deletes what is left of a subscription whose webhook is gone: its secret, its log, its
// entry, and last its row, so that the run continues after a crash.
func (s *Service) remove(ctx context.Context, sub binding.Subscription) error {
	if err := s.deleteSecret(ctx, sub); err != nil {
		return err
	}
	all := false
	for i := 0; !all; i++ {
		var err error
		if all, err = s.ledger.Table.DeleteLog(ctx, sub.ID); err != nil || i == maxLogDeletions {
			return ledger.Unavailable("deleting the log", err)
		}
	}
	entry, found, err := s.entry(ctx, sub.Binding, sub.Repository.ID)
	if err != nil {
		return err
	}
	if found && entry.Subscription == sub.ID {
		err := s.ledger.Table.DeleteSubscriptionEntry(ctx, entry)
		if err != nil && !errors.Is(err, table.ErrConflict) { // with another invocation's end
			return ledger.Unavailable("deleting a subscription's entry", err)
		}
	}
	return s.deleteRow(ctx, sub)
}

// deleteRow deletes the row of a subscription, which an invocation that still forwards its events
// may have changed.
func (s *Service) deleteRow(ctx context.Context, sub binding.Subscription) error {
	var err error
	for range ledger.MaxTries {
		if err = s.ledger.Table.DeleteSubscription(ctx, sub); !errors.Is(err, table.ErrConflict) {
			break
		}
		sub, err = s.ledger.Table.Subscription(ctx, sub.ID)
		if errors.Is(err, table.ErrNotFound) {
			return nil
		} else if err != nil {
			break
		}
	}
	if err != nil {
		return ledger.Unavailable("deleting the subscription", err)
	}
	return nil
}

// deleteSecret deletes a subscription's secret if the vault says that it is its own. A row that
// names another's can't have that deleted: the alarm is raised.
func (s *Service) deleteSecret(ctx context.Context, sub binding.Subscription) error {
	if sub.Secret == "" {
		return nil
	}
	_, err := s.ledger.WebhookSecret(ctx, sub)
	switch {
	case errors.Is(err, vault.ErrNotFound), problem.Is(err, problem.TokenMismatch):
		return nil
	case err == nil:
		err = s.ledger.Vault.Delete(ctx, sub.Secret)
	}
	if err != nil {
		return ledger.Unavailable("deleting a webhook's secret", err)
	}
	return nil
}
