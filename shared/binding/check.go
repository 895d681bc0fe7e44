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
	// retryCheckInterval is the time to the next check after one without an answer.
	retryCheckInterval = time.Hour
	// checkLeaseTTL keeps a record that is being checked from coming due again at once when its
	// check crashes.
	checkLeaseTTL = 15 * time.Minute
	// maxCheckAttempts is how many checks in a row may crash before a record is quarantined.
	maxCheckAttempts = 10
	// missingInstancePeriod is how long an instance may be missing from the catalogue before its
	// bindings are unbound.
	missingInstancePeriod = 7 * 24 * time.Hour
)

// CheckNow checks a binding at once, for a user who has corrected something. [problem.NotBound].
// The result of the check is in the view, not in the error. A binding that the operator has
// revoked, or that a newer version has written, is returned without a check.
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
		return View{}, s.unusable(rec)
	case isRevokedByOperator(rec), fromNewerVersion(rec):
		return s.view(rec), nil
	}
	if rec, err = s.claim(ctx, rec); err != nil {
		if errors.Is(err, table.ErrConflict) {
			return View{}, problem.New(problem.Conflict)
		}
		return View{}, unavailable("claiming the binding", err)
	}
	rec, _, err = s.checkClaimed(ctx, rec)
	if err != nil {
		return View{}, err
	}
	return s.view(rec), nil
}

// claim counts an attempt and moves a record's due time back before the record is checked, so that
// a crash does not make it come first again. CheckAt moves too, because a refresh during the check
// computes the due time from it.
func (s *Service) claim(ctx context.Context, rec table.Binding) (table.Binding, error) {
	rec.Attempts++
	rec.CheckAt = s.now().Add(checkLeaseTTL)
	rec.DueAt = earliest(rec.CheckAt, secretsDueAt(rec))
	return s.table.SaveBinding(ctx, rec)
}

// checkClaimed checks a claimed record. Attempts count crashes, so an attempt that the table or the
// vault has failed is taken back: a vault that is down for hours must not quarantine every record.
// A missing secret counts, for it does not come back.
func (s *Service) checkClaimed(
	ctx context.Context, rec table.Binding,
) (table.Binding, checkOutcome, error) {
	rec, out, err := s.runCheck(ctx, rec)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		s.unclaim(ctx, rec)
	}
	return rec, out, err
}

// unclaim takes back an attempt that ended without a crash. If that fails too, the attempt counts.
// A refresh may have changed the record since it was claimed.
func (s *Service) unclaim(ctx context.Context, rec table.Binding) {
	_, _ = s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Token.Secret != rec.Token.Secret || b.Attempts == 0 {
			return false
		}
		b.Attempts--
		b.DueAt = earliest(s.now().Add(checkLeaseTTL), secretsDueAt(*b))
		return true
	})
}

// runCheck asks the platform about a claimed record and saves the result.
func (s *Service) runCheck(
	ctx context.Context, before table.Binding,
) (table.Binding, checkOutcome, error) {
	rec, result, cause := s.askPlatform(ctx, before)
	if problem.Is(cause, problem.StorageUnavailable) {
		return rec, checkOutcome{}, cause
	}
	checked := rec.Token
	out := checkOutcome{
		refreshed: checked.Secret == before.Token.Secret &&
			checked.Generation != before.Token.Generation,
		recovered: before.Health != table.Healthy && rec.Health == table.Healthy,
	}
	rec, err := s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Token.Secret != checked.Secret || isRevokedByOperator(*b) || fromNewerVersion(*b) {
			return false // bound again, or written by the operator or a newer version, in the meantime
		}
		b.Attempts = 0
		b.MissingSince = before.MissingSince
		if b.Token.Generation == checked.Generation { // else the result is of an earlier token
			out = out.and(s.applyCheckResult(b, result, cause)).and(s.warnOfExpiry(b))
		}
		b.DueAt = s.due(*b)
		return true
	})
	return rec, out, err
}

// askPlatform asks the platform by a real call with the token. A token that has expired, or that
// the platform refuses, is refreshed first.
func (s *Service) askPlatform(ctx context.Context, rec table.Binding) (
	table.Binding, provider.CheckResult, error,
) {
	if rec.Health == table.Revoked && rec.Token.Refreshable {
		next, err := s.recheckRevoked(ctx, rec)
		if err == nil && next.Health == table.Revoked {
			err = revocation(next)
		}
		if err != nil {
			return next, provider.CheckResult{}, err
		}
		rec = next
	}
	rec, err := s.commitLeftover(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	if rec.Token.Refreshable && !s.tokenValid(rec) {
		return s.refreshAndAsk(ctx, rec)
	}
	result, err := s.checkToken(ctx, rec)
	if isRefused(err) && rec.Token.Refreshable {
		// The user's consent may be valid though this token is not: a refresh tells.
		return s.refreshAndAsk(ctx, rec)
	}
	return rec, result, err
}

// revocation returns the problem with which a binding was revoked.
func revocation(rec table.Binding) error {
	if rec.Problem == nil {
		return problem.New(problem.TokenRevoked)
	}
	return rec.Problem
}

// refreshAndAsk refreshes the token and then asks the platform. A platform that refuses the token
// that it has just issued has not ended the consent: some of its servers may not know the token
// yet.
func (s *Service) refreshAndAsk(ctx context.Context, rec table.Binding) (
	table.Binding, provider.CheckResult, error,
) {
	next, err := s.refresh(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	result, err := s.checkToken(ctx, next)
	if isRefused(err) {
		err = problem.New(problem.PlatformError).With("platform", s.title(rec.Platform)).From(err)
	}
	return next, result, err
}

// isRefused reports whether a platform has definitely refused a token.
func isRefused(err error) bool {
	return problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
}

// commitLeftover commits a generation that a refresh has stored in the vault and not in the record.
// A valid token is not refreshed for that: on GitHub a refresh ends the token that a running build
// uses.
func (s *Service) commitLeftover(ctx context.Context, rec table.Binding) (table.Binding, error) {
	abandoned := rec.Lease != (table.Lease{}) && !rec.Lease.Until.After(s.now())
	if !rec.Token.Refreshable || !abandoned && !rec.RefreshUnclear {
		return rec, nil
	}
	k, err := s.fetchNext(ctx, rec)
	if err == nil {
		return s.commit(ctx, rec, k)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return rec, unavailable("looking for the next token", err)
	}
	owner := rec.Lease.Owner
	return s.change(ctx, rec, func(b *table.Binding) bool {
		if !abandoned || b.Lease.Owner != owner {
			return false
		}
		b.Lease, b.RefreshUnclear = table.Lease{}, true
		return true
	})
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
	return platform.Check(ctx, credentialOf(rec, k))
}
