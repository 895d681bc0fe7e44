package subscription

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

const (
	// SyncInterval is the time between two syncs of a subscription that works, or that is broken.
	SyncInterval = 24 * time.Hour
	// confirmInterval is the time to the sync that confirms a new subscription, or what a sync has
	// repaired.
	confirmInterval = 10 * time.Minute
	// minSyncBackoff is the time to the next sync after one that had no definite answer. It doubles
	// with each one in a row.
	minSyncBackoff = time.Minute
	maxSyncBackoff = 6 * time.Hour
	// maxFailedSyncs is how many syncs in a row may fail before the subscription is degraded.
	maxFailedSyncs = 3
)

// Sync compares the webhook and the heads of the refs now, and repairs and catches up. What is
// broken is in the view, not in the error. [problem.SubscriptionUnknown] if it ends meanwhile.
// [problem.Conflict], with RetryAfter, while another request makes or syncs it.
func (s *Service) Sync(ctx context.Context, in Target) (v View, err error) {
	ctx = s.ledger.StartInvocation(ctx)
	for range ledger.MaxTries { // deliveries may be stored before the claim
		if v, err = s.syncOnce(ctx, in); !errors.Is(err, table.ErrConflict) {
			return v, err
		}
	}
	return View{}, problem.New(problem.Conflict).After(time.Second)
}

// syncOnce is [Service.Sync] with the row as it finds it. [table.ErrConflict] if that has changed.
func (s *Service) syncOnce(ctx context.Context, in Target) (View, error) {
	rec, sub, err := s.find(ctx, in)
	if err != nil {
		return View{}, err
	}
	entry := binding.SubscriptionEntry{
		Binding: sub.Binding, RepositoryID: sub.Repository.ID, Subscription: sub.ID,
	}
	if sub.Claim.After(s.ledger.Now()) {
		var found bool
		if sub, found, err = s.unclaimed(ctx, entry); err == nil && !found {
			err = problem.New(problem.SubscriptionUnknown)
		}
		if err != nil {
			return View{}, err
		}
	}
	sub, found, err := s.work(ctx, sub)
	if found.ended || sub.Stage == binding.SubscriptionEnding {
		err = problem.New(problem.SubscriptionUnknown)
	}
	if err == nil && found.cause != nil && sub.Health != binding.SubscriptionBroken {
		err = refused(found.cause)
	}
	if err != nil {
		return View{}, err
	}
	return s.view(rec, sub), nil
}

// work claims a row that is creating or active, and completes its creation or syncs it, with the
// binding's token as it is now.
func (s *Service) work(
	ctx context.Context, sub binding.Subscription,
) (binding.Subscription, outcome, error) {
	sub, err := s.claim(ctx, sub, func(*binding.Subscription) {})
	if err != nil {
		return sub, outcome{}, err
	}
	at, err := s.site(ctx, sub.Binding)
	switch {
	case isStorage(err):
		return sub, outcome{}, err
	case problem.Is(err, problem.NotBound),
		err != nil && problem.Of(err).Reason == binding.RevokedByOperator:
		_, err = s.end(ctx, nil, sub)
		return sub, outcome{ended: err == nil}, err
	case err != nil:
		return s.failSync(ctx, sub, finding{}, err)
	case sub.Stage == binding.SubscriptionCreating:
		sub, err = s.finishCreation(ctx, at, sub, true)
		if err != nil && !isStorage(err) && sub.Stage == binding.SubscriptionCreating {
			return s.failSync(ctx, sub, finding{}, err)
		}
		return sub, outcome{}, err
	}
	sub, found, err := s.sync(ctx, at, sub, false)
	if err == nil && found.caughtUp > 0 {
		next, sent, err := s.deliveries.Forward(ctx, sub)
		if found.sent = sent; err == nil {
			sub = next
		}
	}
	return sub, found, err
}

// isStorage reports whether an error is of the table or the vault and says nothing about the
// platform.
func isStorage(err error) bool {
	return problem.Is(err, problem.StorageUnavailable) || problem.Is(err, problem.TokenMismatch) ||
		errors.Is(err, table.ErrConflict)
}

// outcome is what a sync has led to.
type outcome struct {
	repaired, broken, ended bool
	caughtUp                int
	sent                    delivery.ForwardCounts
	cause                   error // why not everything could be compared
}

// finding is what a sync has found at the platform.
type finding struct {
	repository *binding.SubscribedRepository
	hook       *provider.Webhook
	secretHash string
	asked      binding.AskedToken
	repaired   bool
	changed    bool // the row was changed by a user, and the webhook is not yet what it should be
	created    bool // an unbind may have overlooked the subscription
	heads      comparison
}

// sync compares a claimed row with the platform. changed says that a user has changed the row, and
// the webhook therefore differs.
func (s *Service) sync(
	ctx context.Context, at site, sub binding.Subscription, changed bool,
) (binding.Subscription, outcome, error) {
	f := finding{changed: changed}
	sub, err := s.look(ctx, at, sub, &f)
	switch {
	case isStorage(err):
		return sub, outcome{}, err
	case err != nil:
		return s.failSync(ctx, sub, f, err)
	}
	saved, out, err := s.finishSync(ctx, sub, f)
	if err == nil && saved.Stage == binding.SubscriptionEnding {
		saved.Claim = time.Time{} // it was this invocation's own
		_, out.ended, err = s.finishEnd(ctx, &at, saved)
	}
	return saved, out, err
}

// look asks the platform about everything that a sync compares, and repairs the webhook.
func (s *Service) look(
	ctx context.Context, at site, sub binding.Subscription, f *finding,
) (binding.Subscription, error) {
	repository, err := s.repository(ctx, at, sub.Repository.ID)
	if err != nil {
		return sub, err
	}
	subscribed := subscribed(at.record, repository)
	f.repository = &subscribed
	if repository.Archived {
		return sub, s.problem(at, problem.RepositoryArchived)
	}
	sub, hook, repaired, err := s.ensureWebhook(ctx, at, sub)
	if err != nil {
		return sub, err
	}
	f.hook, f.repaired, f.secretHash, f.asked = &hook, repaired, sub.SecretHash, at.asked()
	if f.heads, err = s.compareHeads(ctx, at, sub); err == nil {
		s.describe(ctx, at, sub, &f.heads)
	}
	return sub, err
}

// apply writes what was found into a row.
func (f finding) apply(row *binding.Subscription) {
	if f.repository != nil {
		row.Repository = *f.repository
	}
	if f.hook != nil {
		f.applyHook(row)
	}
	row.Claim = time.Time{}
}

// applyHook writes the webhook that was found, and with whose token, into a row.
func (f finding) applyHook(row *binding.Subscription) {
	row.HookID, row.Signed, row.SecretHash = f.hook.ID, f.hook.Signed, f.secretHash
	if f.hook.Signed {
		row.SecretHash = "" // no delivery has the secret
	}
	row.IdentityID, row.Asked = f.asked.IdentityID, f.asked
}

// askedSince reports whether another invocation has asked for a sync since the row was claimed: a
// delivery that is not stored, or a bind. What this sync has found may be older.
func askedSince(row *binding.Subscription) bool {
	return !row.SyncAt.Equal(row.Claim.Add(ledger.OrphanGracePeriod - claimTTL))
}

// finishSync saves the result of a sync that has compared everything: the events that make up for
// what was missed, and then the heads that they tell of.
func (s *Service) finishSync(
	ctx context.Context, sub binding.Subscription, f finding,
) (binding.Subscription, outcome, error) {
	out := outcome{repaired: f.repaired && !f.changed}
	if err := s.saveFirstHeads(ctx, sub, f.heads); err != nil {
		return sub, outcome{}, err
	}
	var told map[string]string
	var wasBroken bool
	saved, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if row.Stage != binding.SubscriptionActive {
			return false // it has ended in the meantime
		}
		asked := askedSince(row) // before an event without room asks for a sync
		var left refsLeft
		var added int
		added, told, left = s.catchUp(row, f.heads)
		if !row.Claim.Equal(sub.Claim) { // a save whose reply was lost, or another has the claim
			out.caughtUp = max(out.caughtUp, added)
			return added > 0
		}
		out.caughtUp = added
		row.Held = row.Held && asked
		f.apply(row)
		if row.AllHeads = false; len(f.heads.cut) == 0 {
			row.NoteAllHeads(headList(told))
		}
		wasBroken = row.Health == binding.SubscriptionBroken
		row.SyncTries, row.SyncedAt = 0, s.ledger.Now()
		row.RefsNotWatched = len(f.heads.cut) > 0
		row.Health, row.Problem = binding.SubscriptionGood, nil
		next := row.SyncedAt.Add(SyncInterval - s.ledger.Jitter(2*time.Hour))
		if out.repaired || left.full {
			row.Health = binding.SubscriptionDegraded
		}
		if row.Health == binding.SubscriptionDegraded || out.caughtUp > 0 || left.changed || f.created {
			next = row.SyncedAt.Add(confirmInterval)
		}
		f.heads.noteMerges(row)
		if !asked || next.Before(row.SyncAt) {
			row.SyncAt = next
		}
		return true
	})
	if errors.Is(err, table.ErrNotFound) { // it has ended, perhaps before its first heads were saved
		_, _ = s.ledger.Table.DeleteLog(ctx, sub.ID)
	}
	if err != nil || saved.Stage != binding.SubscriptionActive {
		return saved, out, err
	}
	if wasBroken {
		s.tell(ctx, saved, binding.EventSubscriptionRecovered, nil)
	}
	return saved, out, s.saveToldHeads(ctx, saved, f.heads, told)
}

// isPermanent reports whether the same token would get the same answer again.
func isPermanent(err error) bool {
	switch problem.Of(err).Code {
	case problem.WebhooksForbidden, problem.WebhooksFull, problem.RepositoryArchived,
		problem.RepositoryUnknown, problem.TokenRevoked, problem.TokenExpired, problem.NotBound,
		problem.PlatformUnknown:
		return true
	}
	return false
}

// isBroken reports whether a subscription whose sync ended with an error has no working webhook.
func isBroken(err error) bool {
	return isPermanent(err) || problem.Is(err, problem.WebhookLost) ||
		problem.Is(err, problem.WebhookDisabled)
}

// failSync saves the result of a sync that the platform or the binding has ended. A permanent
// failure breaks the subscription until a later sync goes well. Others are tried again soon, and
// only a few of them in a row are shown.
func (s *Service) failSync(
	ctx context.Context, sub binding.Subscription, f finding, cause error,
) (binding.Subscription, outcome, error) {
	out := outcome{cause: cause}
	p := problem.Of(cause)
	saved, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if row.Stage == binding.SubscriptionEnding || !row.Claim.Equal(sub.Claim) {
			return false // a save whose reply was lost, or another invocation has the claim
		}
		asked := askedSince(row)
		f.apply(row)
		if isPermanent(cause) {
			row.Asked = binding.AskedToken{} // it may be dead: the binding knows
		}
		out.broken = isBroken(cause) && row.Health != binding.SubscriptionBroken
		switch {
		case isBroken(cause):
			row.Health, row.Problem = binding.SubscriptionBroken, p
		case row.Health == binding.SubscriptionBroken:
		case f.changed || row.SyncTries >= maxFailedSyncs:
			row.Health, row.Problem = binding.SubscriptionDegraded, p
		}
		next := s.ledger.Now().Add(s.syncBackoff(row.SyncTries, cause))
		if !asked || next.Before(row.SyncAt) {
			row.SyncAt = next
		}
		return true
	})
	if err == nil && out.broken {
		s.tell(ctx, saved, binding.EventSubscriptionBroken, p)
	}
	return saved, out, err
}

// syncBackoff returns the time to the next sync after so many have failed in a row.
func (s *Service) syncBackoff(tries int, cause error) time.Duration {
	if isPermanent(cause) {
		return SyncInterval - s.ledger.Jitter(2*time.Hour)
	}
	pause := min(minSyncBackoff<<min(max(tries, 1)-1, 20), maxSyncBackoff)
	return max(pause, problem.Of(cause).RetryAfter) + s.ledger.Jitter(pause/4)
}

// tell writes that a subscription has broken, or works again, to the log and to the events of its
// binding.
func (s *Service) tell(
	ctx context.Context, sub binding.Subscription, what string, why *problem.Problem,
) {
	if why != nil {
		s.ledger.Log.WarnContext(ctx, "a subscription is broken", "subscription", sub.ID,
			"repository", sub.Repository.Name, "binding", binding.Describe(sub.Binding), "error", why)
		event.Metric(ctx, s.ledger.Log, s.ledger.Now(),
			map[string]string{"Platform": sub.Binding.Platform},
			map[string]float64{"SubscriptionsBroken": 1})
	} else {
		s.ledger.Log.InfoContext(ctx, "a subscription works again", "subscription", sub.ID,
			"binding", binding.Describe(sub.Binding))
	}
	rec, err := s.ledger.Record(ctx, sub.Binding)
	if err == nil && rec.Bound() {
		_, err = s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
			if !b.Bound() {
				return false
			}
			s.ledger.AddEvent(b, binding.Event{
				Type: what, Identity: b.Identity, Problem: why,
				Repository: binding.EventRepository{Key: sub.Repository.Key, Name: sub.Repository.Name},
			})
			return true
		})
	}
	if err != nil {
		s.ledger.Log.WarnContext(ctx, "an event of a subscription was not noted", "error", err)
	}
}
