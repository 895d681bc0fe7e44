package binding

import (
	"context"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// postpone leaves a record for later without asking its host.
func (s *Service) postpone(ctx context.Context, rec table.Binding, wait time.Duration) error {
	rec.CheckAt = s.now().Add(wait + s.jitter(checkLeaseTTL))
	rec.DueAt = earliest(rec.CheckAt, secretsDueAt(rec)) // not for a lease that was left behind
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

// checkDue claims a record and examines it.
func (s *Service) checkDue(
	ctx context.Context, rec table.Binding, part *SweepResult,
) (heard, error) {
	if fromNewerVersion(rec) {
		return heard{}, s.postpone(ctx, rec, checkLeaseTTL)
	}
	if rec.Attempts >= maxCheckAttempts {
		part.Parked++
		return heard{}, s.quarantine(ctx, rec)
	}
	rec, err := s.claim(ctx, rec)
	if err != nil {
		return heard{}, err
	}
	if gone, err := s.instanceGone(ctx, &rec); gone || err != nil {
		return heard{}, err
	}
	if rec.Health == table.Revoked && (isRevokedByOperator(rec) || rec.RecheckAt.IsZero()) {
		return heard{}, s.rest(ctx, rec)
	}
	_, out, err := s.checkClaimed(ctx, rec)
	part.Checked++
	part.Refreshed += one(out.refreshed)
	part.Warned += one(out.warned)
	part.Recovered += one(out.recovered)
	part.Failed += one(out.failed)
	if err != nil {
		return heard{}, err
	}
	if out.transient == nil {
		return heard{asked: true, well: true}, nil
	}
	return heard{asked: true, wait: out.transient.RetryAfter}, nil
}

// quarantine stops the scheduled checks of a record: every worker that has tried to check it has
// crashed. A check that its user asks for, or a bind, starts them again.
func (s *Service) quarantine(ctx context.Context, rec table.Binding) error {
	s.log.ErrorContext(ctx, "a binding is not checked any more: every check of it has crashed",
		"alarm", "parked", "binding", describe(rec.Key), "attempts", rec.Attempts)
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (table.Lease{})
	rec.CheckAt, rec.RecheckAt, rec.Lease = time.Time{}, time.Time{}, table.Lease{}
	rec.DueAt = s.due(rec)
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

// rest leaves a revoked binding until tomorrow. The platform is not asked again; that the instance
// is still there was looked at. What a refresh has brought after the operator ended the token is
// revoked too.
func (s *Service) rest(ctx context.Context, rec table.Binding) error {
	if look := rec.RecheckAt; !look.IsZero() && !look.After(s.now()) {
		if err := s.revokeLate(ctx, rec); err != nil {
			return err
		}
		rec.RecheckAt = time.Time{}
	}
	rec.Attempts = 0
	rec.CheckAt = s.now().Add(checkInterval - s.jitter(2*time.Hour))
	rec.DueAt = s.due(rec)
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// instanceGone unbinds a binding whose instance has been away from the catalogue for a week. A
// catalogue that can't be read says nothing.
func (s *Service) instanceGone(ctx context.Context, rec *table.Binding) (bool, error) {
	if s.instances == nil {
		return false, nil
	}
	_, err := s.instances.Find(ctx, rec.Account, rec.Region, rec.Instance)
	switch {
	case err == nil:
		rec.MissingSince = time.Time{}
		return false, nil
	case !problem.Is(err, problem.InstanceUnknown):
		return false, nil
	case rec.MissingSince.IsZero():
		rec.MissingSince = s.now()
	}
	if s.now().Sub(rec.MissingSince) < missingInstancePeriod {
		return false, nil
	}
	old, err := s.unbind(ctx, rec.Key, nil, table.User{})
	if err == nil {
		event.Audit(ctx, s.log, event.Entry{
			Action: "instance gone", Target: rec.Key, Outcome: event.Done, Previous: old.Identity,
		})
	}
	return true, err
}
