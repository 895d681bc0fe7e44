package binding

import (
	"context"
	"errors"
	"time"

	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

const (
	// A binding is checked once a day: often enough that a revoked token is known before the next
	// morning's builds, and that no unused token dies (GitHub drops one after a year). It costs one
	// or two calls to the platform, for Codeup nine.
	checkInterval = 24 * time.Hour
	// After a check without an answer the next comes sooner.
	checkAgain = time.Hour
	// claimed keeps a record that is being checked from coming up again at once, when its check
	// dies.
	claimed = 15 * time.Minute
	// maxCheckAttempts is how many checks in a row may die before a record is parked.
	maxCheckAttempts = 10
	// missingInstancePeriod is how long an instance may be away from the catalogue before it is unbound.
	missingInstancePeriod = 7 * 24 * time.Hour
)

// warnAt are the days before a token's end at which its owner is warned, once each.
func warnAt() []int { return []int{14, 7, 1} }

const day = 24 * time.Hour

// nextCheck is when a binding that is well is next checked: in a day, a little spread out, and at
// each moment at which its owner must be told something about the token's end.
func (s *Service) nextCheck(rec table.Binding) time.Time {
	next := s.now().Add(checkInterval - s.jitter(2*time.Hour))
	ends := rec.Token.ExpiresAt
	if ends.IsZero() || rec.Token.Refreshable {
		return next
	}
	moments := []time.Time{ends}
	for _, days := range warnAt() {
		moments = append(moments, ends.Add(-time.Duration(days)*day))
	}
	for _, at := range moments {
		if at.After(s.now()) && at.Before(next) {
			next = at
		}
	}
	return next
}

// CheckNow checks a binding at once, after its user has mended something. [problem.NotBound];
// what the check finds is in the view, not in the error.
func (s *Service) CheckNow(
	ctx context.Context, account string, i instance.Instance, platform string,
) (View, error) {
	ctx = s.startInvocation(ctx)
	if _, ok := s.platforms.Get(platform); !ok {
		return View{}, problem.New(problem.PlatformUnknown)
	}
	rec, err := s.record(ctx, keyOf(account, i, platform))
	if err != nil {
		return View{}, err
	}
	switch {
	case !rec.Bound():
		return View{}, s.ended(rec)
	case revokedByTheOperator(rec):
		return s.view(rec), nil // a check must not bring it back
	}
	if rec, err = s.claim(ctx, rec); err != nil {
		if errors.Is(err, table.ErrConflict) {
			return View{}, problem.New(problem.Conflict)
		}
		return View{}, unavailable("claiming the binding", err)
	}
	rec, _, err = s.attempt(ctx, rec)
	if err != nil {
		return View{}, err
	}
	return s.view(rec), nil
}

// claim pushes a record's due time back before it is worked on, so that neither a crash nor a
// record that crashes whoever works on it comes first again. The check's own time goes with it, for
// a refresh on the way saves the record as due by that.
func (s *Service) claim(ctx context.Context, rec table.Binding) (table.Binding, error) {
	rec.Attempts++
	rec.CheckAt = s.now().Add(claimed)
	rec.DueAt = earliest(rec.CheckAt, secretsDueAt(rec))
	return s.table.SaveBinding(ctx, rec)
}

// outcome is what a check found.
type outcome struct {
	refreshed, warned, recovered, failed bool
	// passing is the failure that says nothing of the token, if there was one.
	passing *problem.Problem
}

// attempt examines a claimed record. Attempts count deaths: when table or vault fails, nobody has
// died, and a vault that is down for hours must not park every record. A secret that isn't there
// counts, for it won't come back.
func (s *Service) attempt(
	ctx context.Context, rec table.Binding,
) (table.Binding, outcome, error) {
	rec, out, err := s.examine(ctx, rec)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		s.unclaim(ctx, rec)
	}
	return rec, out, err
}

// unclaim takes back an attempt that ended without a death; if that fails too, it is counted. A
// refresh may have written to the record since it was claimed.
func (s *Service) unclaim(ctx context.Context, rec table.Binding) {
	checked := rec.Token.Secret
	_ = s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Token.Secret != checked || b.Attempts == 0 {
			return false
		}
		b.Attempts--
		b.DueAt = earliest(s.now().Add(claimed), secretsDueAt(*b))
		return true
	}, &rec)
}

// examine asks the platform about a claimed record, and saves what came out.
func (s *Service) examine(ctx context.Context, rec table.Binding) (table.Binding, outcome, error) {
	var out outcome
	before := rec
	rec, finding, cause := s.ask(ctx, rec)
	if problem.Is(cause, problem.StorageUnavailable) {
		return rec, out, cause
	}
	checked := rec.Token
	out.refreshed = checked.Secret == before.Token.Secret &&
		checked.Generation != before.Token.Generation
	out.recovered = before.Health != table.Healthy && rec.Health == table.Healthy
	err := s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Token.Secret != checked.Secret || revokedByTheOperator(*b) {
			return false // bound again, or ended by the operator, in the meantime
		}
		b.Attempts = 0
		b.MissingSince = before.MissingSince
		if b.Token.Generation == checked.Generation { // else it says nothing of the token there
			s.applyCheckResult(b, finding, cause, &out)
			s.warn(b, &out)
		}
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	return rec, out, err
}

// ask refreshes what has ended, and asks the platform by a real call with the token.
func (s *Service) ask(ctx context.Context, rec table.Binding) (
	table.Binding, provider.CheckResult, error,
) {
	if rec.Health == table.Revoked && rec.Token.Refreshable {
		next, err := s.lastLook(ctx, rec)
		if err != nil || next.Health == table.Revoked {
			return next, provider.CheckResult{}, either(err, next.Problem)
		}
		rec = next
	}
	rec, err := s.recoverNext(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	if rec.Token.Refreshable && !s.lives(rec) {
		return s.askRenewed(ctx, rec)
	}
	finding, err := s.checkToken(ctx, rec)
	if dead(err) && rec.Token.Refreshable {
		// Perhaps only this token is dead, not the consent: the refresh token knows.
		return s.askRenewed(ctx, rec)
	}
	return rec, finding, err
}

// askRenewed refreshes first. If the platform refuses the token that it issued a moment ago, the
// consent lives all the same: perhaps not all of its servers know the token yet.
func (s *Service) askRenewed(ctx context.Context, rec table.Binding) (
	table.Binding, provider.CheckResult, error,
) {
	next, err := s.refreshUntilUsable(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	finding, err := s.checkToken(ctx, next)
	if dead(err) {
		err = problem.New(problem.PlatformError).With("platform", s.title(rec.Platform)).From(err)
	}
	return next, finding, err
}

// dead reports whether a platform refuses a token for good.
func dead(err error) bool {
	return problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
}

// recoverNext commits a generation that a refresh has left in the vault and not in the record. A
// token that lives is not refreshed for that: on GitHub it would kill what a running build holds.
func (s *Service) recoverNext(ctx context.Context, rec table.Binding) (table.Binding, error) {
	left := rec.Lease != (table.Lease{}) && !rec.Lease.Until.After(s.now())
	if !rec.Token.Refreshable || !left && !rec.RefreshUnclear {
		return rec, nil
	}
	k, err := s.successor(ctx, rec)
	if err == nil {
		return s.commit(ctx, rec, k)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return rec, unavailable("looking for the next token", err)
	}
	owner := rec.Lease.Owner
	err = s.change(ctx, rec, func(b *table.Binding) bool {
		if !left || b.Lease.Owner != owner {
			return false
		}
		b.Lease, b.RefreshUnclear = table.Lease{}, true
		return true
	}, &rec)
	return rec, err
}

func either(err error, p *problem.Problem) error {
	if err != nil {
		return err
	}
	if p == nil {
		return problem.New(problem.TokenRevoked)
	}
	return p
}

func (s *Service) checkToken(ctx context.Context, rec table.Binding) (provider.CheckResult, error) {
	platform, ok := s.platforms.Get(rec.Platform)
	if !ok {
		return provider.CheckResult{}, problem.New(problem.PlatformUnknown)
	}
	k, err := s.cachedTokenBundle(ctx, rec.Token)
	if err != nil {
		return provider.CheckResult{}, unavailable("reading the token", err)
	}
	if _, err := s.enforceDeadline(ctx, "Check"); err != nil {
		return provider.CheckResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	return platform.Check(ctx, heldBy(rec, k))
}
