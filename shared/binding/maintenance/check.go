package maintenance

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// CheckNow checks a binding at once, for a user who has corrected something, and who is the actor
// of the events of what it finds. [problem.NotBound].
// The result of the check is in the view, not in the error. A binding that the operator has
// revoked, or that a newer version has written, is returned without a check.
func (s *Service) CheckNow(
	ctx context.Context, by binding.User, i instance.Instance, platform string,
) (binding.View, error) {
	ctx = ledger.WithActor(s.ledger.StartInvocation(ctx), by)
	if _, ok := s.ledger.Platforms.Get(platform); !ok {
		return binding.View{}, problem.New(problem.PlatformUnknown)
	}
	rec, err := s.ledger.Record(ctx, binding.KeyOf(by.Account, i, platform))
	if err != nil {
		return binding.View{}, err
	}
	switch {
	case !rec.Bound():
		return binding.View{}, s.credentials.Unusable(rec)
	case binding.IsRevokedByOperator(rec), binding.FromNewerVersion(rec):
		return s.ledger.View(rec), nil
	}
	asked, c := origin{byUser: true, next: rec.CheckAt}, checker{s}
	if rec, err = c.claim(ctx, rec); err != nil {
		if errors.Is(err, table.ErrConflict) {
			return binding.View{}, problem.New(problem.Conflict)
		}
		return binding.View{}, ledger.Unavailable("claiming the binding", err)
	}
	rec, out, err := c.checkClaimed(ctx, rec, asked)
	if err != nil {
		return binding.View{}, err
	}
	c.alarmLost(ctx, one(out.lost))
	c.alarmFailing(ctx, out.failing, one(out.failing != (failingHost{})))
	view := s.ledger.View(rec)
	if view.CheckProblem = out.transient; view.CheckProblem == nil && rec.Doubted() {
		view.CheckProblem = rec.DoubtedProblem
	}
	return view, nil
}

// claim counts an attempt and moves a record's due time back before the record is checked, so that
// a crash does not make it come first again. CheckAt moves too, because a refresh during the check
// computes the due time from it.
func (c checker) claim(ctx context.Context, rec binding.Record) (binding.Record, error) {
	rec.CheckAttempts++
	rec.CheckAt = c.ledger.Now().Add(CheckLeaseTTL)
	rec.DueAt = binding.Earliest(rec.CheckAt, binding.SecretsDueAt(rec))
	return c.ledger.Table.SaveBinding(ctx, rec)
}

// checkClaimed checks a claimed record. CheckAttempts counts crashes, so an attempt that the table
// or the vault has failed is taken back: a vault that is down for hours must not park every record.
func (c checker) checkClaimed(
	ctx context.Context, rec binding.Record, by origin,
) (binding.Record, checkOutcome, error) {
	rec, out, err := c.runCheck(ctx, rec, by)
	if err != nil {
		c.unclaim(ctx, rec)
	}
	return rec, out, err
}

// unclaim takes back an attempt that ended without a crash. If that fails too, the attempt counts.
// A refresh may have changed the record since it was claimed.
func (c checker) unclaim(ctx context.Context, rec binding.Record) {
	_, _ = c.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if b.Token.Secret != rec.Token.Secret || b.CheckAttempts == 0 {
			return false
		}
		b.CheckAttempts--
		b.DueAt = binding.Earliest(c.ledger.Now().Add(CheckLeaseTTL), binding.SecretsDueAt(*b))
		return true
	})
}

// runCheck asks the platform about a claimed record and saves the result. A check that a user has
// asked for confirms a refusal at once, so that the user gets the result.
func (c checker) runCheck(
	ctx context.Context, before binding.Record, by origin,
) (binding.Record, checkOutcome, error) {
	rec, result, cause := c.askPlatform(ctx, before)
	confirmed := false
	if lost := c.credentials.Lost(rec.Platform, cause); lost != nil {
		cause = lost
	}
	if by.byUser && c.mustConfirm(rec, problem.Of(cause)) {
		rec, result, cause, confirmed = c.askAgain(ctx, rec, result, cause)
	}
	if problem.Is(cause, problem.StorageUnavailable) || problem.Is(cause, problem.TokenMismatch) {
		return rec, checkOutcome{}, cause // neither says anything about the binding's token
	}
	checked := rec.Token
	out := checkOutcome{
		refreshed: checked.Secret == before.Token.Secret &&
			checked.Generation != before.Token.Generation,
		recovered: before.Health != binding.HealthGood && rec.Health == binding.HealthGood,
	}
	rec, err := c.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if b.Token.Secret != checked.Secret || binding.IsRevokedByOperator(*b) ||
			binding.FromNewerVersion(*b) {
			return false // bound again, or written by the operator or a newer version, in the meantime
		}
		b.CheckAttempts = 0
		b.MissingSince = before.MissingSince
		if b.Token.Generation == checked.Generation { // else the result is of an earlier token
			out = out.and(c.applyCheckResult(b, result, cause, confirmed)).and(c.warnOfExpiry(b))
			by.keepEarlyChecks(b, before)
		}
		b.DueAt = c.ledger.Due(*b)
		return true
	})
	return rec, out, err
}

// askPlatform asks the platform by a real call with the token. A token that has expired, or that
// the platform refuses, is refreshed first.
func (c checker) askPlatform(ctx context.Context, rec binding.Record) (
	binding.Record, provider.CheckResult, error,
) {
	if rec.Health == binding.HealthRevoked && rec.Token.Refreshable &&
		!credential.IsLost(rec.Problem) {
		next, err := c.credentials.RecheckRevoked(ctx, rec)
		if err == nil && next.Health == binding.HealthRevoked {
			err = revocation(next)
		}
		if err != nil {
			return next, provider.CheckResult{}, err
		}
		rec = next
	}
	rec, err := c.commitLeftover(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	if rec.Token.Refreshable && !c.credentials.TokenValid(rec) {
		return c.refreshAndAsk(ctx, rec)
	}
	result, err := c.checkToken(ctx, rec)
	if IsRefused(err) && rec.Token.Refreshable {
		// The user's consent may be valid though this token is not: a refresh tells.
		return c.refreshAndAsk(ctx, rec)
	}
	return rec, result, err
}

// askAgain asks the platform a second time, after a pause. It reports whether the platform has
// confirmed its refusal. If there is no time for it, or no answer, the first answer is returned and
// the schedule asks again.
func (c checker) askAgain(
	ctx context.Context, rec binding.Record, first provider.CheckResult, refusal error,
) (_ binding.Record, _ provider.CheckResult, _ error, confirmed bool) {
	if credential.IsLost(problem.Of(refusal)) || // which takes some minutes to confirm
		c.ledger.StartedWithin(ctx, askAgainTimeout, "Check") != nil ||
		c.ledger.Sleep(ctx, askAgainInterval) != nil {
		return rec, first, refusal, false
	}
	next, result, err := c.askPlatform(ctx, rec)
	confirmed = err != nil && healthAfter(problem.Of(err)) != binding.HealthGood
	if err == nil || confirmed {
		return next, result, err, confirmed
	}
	return rec, first, refusal, false
}

// revocation returns the problem with which a binding was revoked.
func revocation(rec binding.Record) error {
	if rec.Problem == nil {
		return problem.New(problem.TokenRevoked)
	}
	return rec.Problem
}

// refreshAndAsk refreshes the token and then asks the platform. A platform that refuses the token
// that it has just issued has not ended the consent: some of its servers may not know the token
// yet.
func (c checker) refreshAndAsk(ctx context.Context, rec binding.Record) (
	binding.Record, provider.CheckResult, error,
) {
	next, err := c.credentials.Refresh(ctx, rec)
	if err != nil {
		return rec, provider.CheckResult{}, err
	}
	result, err := c.checkToken(ctx, next)
	if IsRefused(err) {
		err = problem.New(problem.PlatformError).With("platform", c.ledger.Title(rec.Platform)).From(err)
	}
	return next, result, err
}

// IsRefused reports whether a platform has definitely refused a token.
func IsRefused(err error) bool {
	return problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
}

// commitLeftover commits a generation that a refresh has stored in the vault and not in the record.
// A valid token is not refreshed for that: on GitHub a refresh ends the token that a running build
// uses.
func (c checker) commitLeftover(ctx context.Context, rec binding.Record) (binding.Record, error) {
	abandoned := rec.Lease != (binding.Lease{}) && !rec.Lease.Until.After(c.ledger.Now())
	if !rec.Token.Refreshable || !abandoned && !rec.RefreshUnclear {
		return rec, nil
	}
	bundle, err := c.credentials.FetchNext(ctx, rec)
	if err == nil {
		return c.credentials.Commit(ctx, rec, bundle)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return rec, ledger.Unavailable("looking for the next token", err)
	}
	owner := rec.Lease.Owner
	return c.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !abandoned || b.Lease.Owner != owner {
			return false
		}
		b.Lease, b.RefreshUnclear = binding.Lease{}, true
		return true
	})
}

func (c checker) checkToken(
	ctx context.Context,
	rec binding.Record,
) (provider.CheckResult, error) {
	platform, ok := c.ledger.Platforms.Get(rec.Platform)
	if !ok {
		return provider.CheckResult{}, problem.New(problem.PlatformUnknown)
	}
	read := c.credentials.CachedCredential
	if rec.Doubted() || rec.Health != binding.HealthGood { // the vault may no longer have it
		read = c.credentials.FetchCredential
	}
	cred, err := read(ctx, rec)
	if err != nil {
		return provider.CheckResult{}, ledger.Unavailable("reading the token", err)
	}
	if _, err := c.ledger.EnforceDeadline(ctx, "Check"); err != nil {
		return provider.CheckResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.VerifyTimeout)
	defer cancel()
	return platform.Check(ctx, cred)
}
