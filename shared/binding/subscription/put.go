package subscription

import (
	"context"
	"errors"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// Put subscribes to a repository, or changes its subscription. created reports whether there was
// none. The same call twice has the same result, and of two at once one makes the subscription. The
// refs that the subscription did not ask for before are taken as they are: nothing is forwarded of
// them until they change.
//
// [problem.ReceiverMissing], [problem.InputMalformed], [problem.RepositoryArchived],
// [problem.WebhooksFull] and [problem.WebhooksForbidden] leave no new subscription. After another
// failure of the platform there may be one, which the next Put or the run completes.
// [problem.Conflict], with RetryAfter, while another request makes, syncs or ends it.
func (s *Service) Put(ctx context.Context, in PutRequest) (v View, created bool, err error) {
	ctx = s.ledger.StartInvocation(ctx)
	if err := in.check(); err != nil {
		return View{}, false, err
	}
	if s.ledger.Webhook == nil {
		return View{}, false, problem.New(problem.ReceiverMissing)
	}
	at, err := s.site(ctx, in.key())
	if err != nil {
		return View{}, false, err
	}
	id, err := s.openRepository(at.record, in.Repository)
	if err != nil {
		return View{}, false, err
	}
	var sub binding.Subscription
	for range ledger.MaxTries {
		sub, created, err = s.put(ctx, at, id, in)
		if !errors.Is(err, table.ErrConflict) {
			break
		}
	}
	if errors.Is(err, table.ErrConflict) {
		err = problem.New(problem.Conflict).From(err)
	}
	if err != nil {
		return View{}, false, refused(err)
	}
	return s.view(at.record, sub), created, nil
}

// put does what there is to do, from what it finds. [table.ErrConflict] if that has changed in the
// meantime.
func (s *Service) put(
	ctx context.Context, at site, id string, in PutRequest,
) (sub binding.Subscription, created bool, err error) {
	entry, found, err := s.entry(ctx, at.record.Key, id)
	if err != nil {
		return sub, false, err
	}
	if found {
		if sub, found, err = s.unclaimed(ctx, entry); err != nil {
			return sub, false, err
		}
	}
	switch {
	case !found:
		sub, err = s.create(ctx, at, entry, id, in)
		return sub, true, err
	case sub.Stage == binding.SubscriptionEnding:
		_, ended, err := s.finishEnd(ctx, &at, sub)
		if err == nil && !ended {
			err = s.busy(s.endsAt(sub))
		} else if err == nil {
			err = table.ErrConflict
		}
		return sub, false, err
	case sub.Stage == binding.SubscriptionCreating:
		if sub, err = s.claim(ctx, sub, in.apply); err == nil {
			sub, err = s.finishCreation(ctx, at, sub, true)
		}
		return sub, true, err
	}
	sub, err = s.update(ctx, at, sub, id, in)
	return sub, false, err
}

// apply makes a row what was asked for.
func (in PutRequest) apply(sub *binding.Subscription) {
	sub.Kinds, sub.Branches = slices.Clone(in.Kinds), slices.Clone(in.Branches)
}

// unclaimed reads the row that an entry names when no other invocation has claimed it. It waits for
// a few seconds.
func (s *Service) unclaimed(
	ctx context.Context, entry binding.SubscriptionEntry,
) (sub binding.Subscription, found bool, err error) {
	for waited := time.Duration(0); ; waited += claimPollInterval {
		sub, found, err = s.row(ctx, entry)
		if err != nil || !found || !sub.Claim.After(s.ledger.Now()) {
			return sub, found, err
		}
		if waited >= claimWait || s.ledger.Sleep(ctx, claimPollInterval) != nil {
			return sub, false, s.busy(sub.Claim)
		}
	}
}

// busy returns the problem of a subscription on which another invocation works until then.
func (s *Service) busy(until time.Time) error {
	return problem.New(problem.Conflict).After(max(time.Second, until.Sub(s.ledger.Now())))
}

// endsAt returns when an ending subscription of which something is left is next worked on: after
// the request that may be making something of it, else when the platform may answer again.
func (s *Service) endsAt(sub binding.Subscription) time.Time {
	switch {
	case sub.Secret == "":
		return sub.SyncAt
	case sub.Claim.IsZero():
		return s.ledger.Now().Add(minSyncBackoff)
	}
	return sub.Claim.Add(ledger.OrphanGracePeriod)
}

// claim claims a row and edits it in the same save. [table.ErrConflict] if it has changed.
func (s *Service) claim(
	ctx context.Context, sub binding.Subscription, edit func(*binding.Subscription),
) (binding.Subscription, error) {
	edit(&sub)
	s.setClaim(&sub)
	return s.save(ctx, sub)
}

// setClaim claims a row. If this invocation crashes, the run works on the row after
// [ledger.OrphanGracePeriod].
func (s *Service) setClaim(sub *binding.Subscription) {
	now := s.ledger.Now()
	sub.Claim, sub.SyncAt = now.Add(claimTTL), now.Add(ledger.OrphanGracePeriod)
	sub.SyncTries++
}

func (s *Service) save(
	ctx context.Context, sub binding.Subscription,
) (binding.Subscription, error) {
	sub.DueAt = sub.DueTime()
	saved, err := s.ledger.Table.SaveSubscription(ctx, sub)
	if err != nil && !errors.Is(err, table.ErrConflict) {
		err = ledger.Unavailable("saving the subscription", err)
	}
	return saved, err
}

// create makes a subscription of a repository that has none. entry is the one that an invocation
// has left, or zero.
func (s *Service) create(
	ctx context.Context, at site, entry binding.SubscriptionEntry, id string, in PutRequest,
) (binding.Subscription, error) {
	found, err := s.repository(ctx, at, id)
	if err != nil {
		return binding.Subscription{}, err
	}
	if found.Archived {
		return binding.Subscription{}, s.problem(at, problem.RepositoryArchived)
	}
	if entry.Version == "" {
		entry.Binding, entry.RepositoryID = at.record.Key, provider.StableID(id)
		entry.Subscription = s.ledger.Random(16)
	}
	// An entry that was read may have been deleted with its row in the meantime: then this fails, and
	// no row is made that no entry names.
	if _, err := s.ledger.Table.SaveSubscriptionEntry(ctx, entry); err != nil {
		return binding.Subscription{}, saveFailed("saving a subscription's entry", err)
	}
	sub := binding.Subscription{
		ID:         entry.Subscription,
		Binding:    at.record.Key,
		Repository: subscribed(at.record, found),
		CreatedAt:  s.ledger.Now(),
		CreatedBy:  in.By,
		Stage:      binding.SubscriptionCreating,
		Secret:     vault.SecretName(s.ledger.Random(16)),
		Health:     binding.SubscriptionDegraded,
	}
	if sub, err = s.claim(ctx, sub, in.apply); err != nil {
		return sub, err
	}
	return s.finishCreation(ctx, at, sub, false)
}

// saveFailed returns the error of a save. A conflict stays one.
func saveFailed(doing string, err error) error {
	if errors.Is(err, table.ErrConflict) {
		return err
	}
	return ledger.Unavailable(doing, err)
}

func (s *Service) problem(at site, code problem.Code) *problem.Problem {
	return problem.New(code).With("platform", s.ledger.Title(at.record.Platform))
}

// repository asks the platform about a repository.
func (s *Service) repository(
	ctx context.Context, at site, id string,
) (provider.Repository, error) {
	return ask(ctx, s, at, "Repository", func(ctx context.Context) (provider.Repository, error) {
		return at.Repository(ctx, at.credential, id)
	})
}

// subscribed returns a repository as a row keeps it.
func subscribed(rec binding.Record, r provider.Repository) binding.SubscribedRepository {
	return binding.SubscribedRepository{
		ID: r.ID, Key: binding.RepositoryKey(rec, r.ID), Name: r.Name, URL: r.URL, WebURL: r.WebURL,
	}
}

// update makes a subscription what is asked for. One that works and is that already costs nothing
// more. One whose repository has another id now was renamed: the row gets its new name.
func (s *Service) update(
	ctx context.Context, at site, sub binding.Subscription, id string, in PutRequest,
) (binding.Subscription, error) {
	same := slices.Equal(sub.Kinds, in.Kinds) && slices.Equal(sub.Branches, in.Branches)
	if same && sub.Health != binding.SubscriptionBroken && !sub.Held && sub.Repository.ID == id {
		return sub, nil
	}
	next := sub
	in.apply(&next)
	if !same {
		if err := s.addBaseline(ctx, at, sub, next); err != nil {
			return sub, err
		}
	}
	sub, err := s.claim(ctx, sub, func(row *binding.Subscription) {
		row.Heads = slices.DeleteFunc(slices.Clone(row.Heads), func(h binding.Head) bool {
			return !watches(*row, h.Ref) && watches(next, h.Ref)
		})
		row.AllHeads = row.AllHeads && same
		in.apply(row)
	})
	if err != nil {
		return sub, err
	}
	sub, _, err = s.sync(ctx, at, sub, true)
	if err == nil && sub.Stage == binding.SubscriptionEnding {
		err = problem.New(problem.Conflict).After(time.Second)
	}
	return sub, err
}
