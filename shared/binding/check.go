package binding

import (
	"context"
	"errors"
	"slices"
	"time"

	"bindery/shared/event"
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
	checkEvery = 24 * time.Hour
	// After a check without an answer the next comes sooner.
	checkAgain = time.Hour
	// claimed keeps a record that is being checked from coming up again at once, when its check
	// dies.
	claimed = 15 * time.Minute
	// hopelessChecks is how many checks in a row may die before a record is parked.
	hopelessChecks = 10
	// missing is how long an instance may be away from the catalogue before it is unbound.
	missing = 7 * 24 * time.Hour
)

// warnAt are the days before a token's end at which its owner is warned, once each.
func warnAt() []int { return []int{14, 7, 1} }

const day = 24 * time.Hour

// nextCheck is when a binding that is well is next checked: in a day, a little spread out, and at
// each moment at which its owner must be told something about the token's end.
func (s *Service) nextCheck(rec table.Binding) time.Time {
	next := s.now().Add(checkEvery - s.jitter(2*time.Hour))
	ends := rec.Token.ExpiresAt
	if ends.IsZero() || rec.Token.Renewable {
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
	ctx = s.begin(ctx)
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
	case withdrawn(rec):
		return s.view(rec), nil // a check must not bring it back
	}
	if rec, err = s.claim(ctx, rec); err != nil {
		if errors.Is(err, table.ErrConflict) {
			return View{}, problem.New(problem.Conflict)
		}
		return View{}, unavailable("claiming the binding", err)
	}
	rec, _, err = s.examine(ctx, rec)
	if err != nil {
		return View{}, err
	}
	return s.view(rec), nil
}

// claim pushes a record's due time back before it is worked on, so that neither a crash nor a
// record that crashes whoever works on it comes first again.
func (s *Service) claim(ctx context.Context, rec table.Binding) (table.Binding, error) {
	rec.Attempts++
	rec.DueAt = s.now().Add(claimed)
	return s.table.SaveBinding(ctx, rec)
}

// outcome is what a check found.
type outcome struct {
	refreshed, warned, recovered, failed bool
	// passing is the failure that says nothing of the token, if there was one.
	passing *problem.Problem
}

// examine asks the platform about a claimed record, and saves what came out.
func (s *Service) examine(ctx context.Context, rec table.Binding) (table.Binding, outcome, error) {
	var out outcome
	rec, finding, cause := s.ask(ctx, rec, &out)
	p := problem.Of(cause)
	if cause != nil && p.Code == problem.StorageUnavailable {
		return rec, out, cause
	}
	checked, missing := rec.Token, rec.MissingSince
	err := s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Token.Secret != checked.Secret { // bound again in the meantime
			return false
		}
		b.Attempts = 0
		b.MissingSince = missing
		if b.Token.Generation == checked.Generation { // else it says nothing of the token there
			s.learn(b, finding, cause, &out)
			s.warn(b, &out)
		}
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	return rec, out, err
}

// ask refreshes what has ended, and asks the platform by a real call with the token.
func (s *Service) ask(ctx context.Context, rec table.Binding, out *outcome) (
	table.Binding, provider.Finding, error,
) {
	if rec.Health == table.Revoked && rec.Token.Renewable {
		next, err := s.lastLook(ctx, rec)
		if err != nil || next.Health == table.Revoked {
			return next, provider.Finding{}, either(err, next.Problem)
		}
		out.recovered, rec = true, next
	}
	next, err := s.recoverNext(ctx, rec)
	if err != nil {
		return rec, provider.Finding{}, err
	}
	out.refreshed, rec = next.Token.Generation != rec.Token.Generation, next
	renewed := false
	if rec.Token.Renewable && !s.lives(rec) {
		if next, err = s.renewed(ctx, rec); err != nil {
			return rec, provider.Finding{}, err
		}
		renewed, out.refreshed, rec = true, true, next
	}
	finding, err := s.checkToken(ctx, rec)
	dead := problem.Is(err, problem.TokenRejected) || problem.Is(err, problem.TokenExpired)
	if dead && rec.Token.Renewable && !renewed {
		// Perhaps only this token is dead, not the consent: the refresh token knows.
		if next, err = s.renewed(ctx, rec); err != nil {
			return rec, provider.Finding{}, err
		}
		out.refreshed, rec = true, next
		finding, err = s.checkToken(ctx, rec)
	}
	return rec, finding, err
}

// recoverNext commits a generation that a refresh has left in the vault and not in the record. A
// token that lives is not refreshed for that: on GitHub it would kill what a running build holds.
func (s *Service) recoverNext(ctx context.Context, rec table.Binding) (table.Binding, error) {
	left := rec.Lease != (table.Lease{}) && !rec.Lease.Until.After(s.now())
	if !rec.Token.Renewable || !left && !rec.Unsure {
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
		b.Lease, b.Unsure = table.Lease{}, true
		b.DueAt = s.due(*b)
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

func (s *Service) checkToken(ctx context.Context, rec table.Binding) (provider.Finding, error) {
	platform, ok := s.platforms.Get(rec.Platform)
	if !ok {
		return provider.Finding{}, problem.New(problem.PlatformUnknown)
	}
	k, err := s.warmed(ctx, rec.Token)
	if err != nil {
		return provider.Finding{}, unavailable("reading the token", err)
	}
	if _, err := s.punctual(ctx, "Check"); err != nil {
		return provider.Finding{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifying)
	defer cancel()
	return platform.Check(ctx, heldBy(rec, k))
}

// learn puts what a check found into the record. This is the one place that sorts a platform's
// answers into what ends a binding, what hurts it, what passes, and what is the operator's.
func (s *Service) learn(b *table.Binding, f provider.Finding, cause error, out *outcome) {
	p := problem.Of(cause)
	switch {
	case cause == nil:
		s.well(b, f, out)
		return
	case p.Code == problem.TokenRevoked, p.Code == problem.TokenRejected:
		s.sick(b, table.Revoked, event.Revoked, p, out)
	case p.Code == problem.TokenExpired:
		s.sick(b, table.Expired, event.Expired, p, out)
	case slices.Contains(hurting(), p.Code):
		s.sick(b, table.Unauthorized, event.Unauthorized, p, out)
	case p.Code == problem.ClientRefused, p.Code == problem.PlatformNotConfigured:
		out.passing = p // the operator's: no user's binding is touched
		b.CheckAt = s.now().Add(checkAgain)
	default:
		s.silent(b, p, out)
	}
}

// hurting are the problems of a token that lives and may not do what is needed.
func hurting() []problem.Code {
	return []problem.Code{
		problem.PermissionMissing, problem.UserBlocked, problem.OrganizationUnknown,
		problem.AddressNotListed, problem.NotAPersonalAccount,
	}
}

// well notes a good check.
func (s *Service) well(b *table.Binding, f provider.Finding, out *outcome) {
	if b.Health == table.Revoked && b.Token.Renewable {
		return // a refresh has learnt more in the meantime: the token lives, but not for long
	}
	was := b.Health != table.Healthy || b.Unanswered >= unanswered
	b.LastCheckedAt, b.Unanswered = s.now(), 0
	b.Health, b.Problem = table.Healthy, nil
	if f.Identity.ID == b.Identity.ID {
		b.Identity = table.Identity(f.Identity) // a new name, a new picture
	}
	if len(f.Scopes) > 0 {
		b.Token.Scopes = f.Scopes
	}
	if !b.Token.Renewable && !f.ExpiresAt.Equal(b.Token.ExpiresAt) {
		b.Token.ExpiresAt, b.Warned = f.ExpiresAt, 0 // prolonged at the platform
	}
	b.Warnings = keepProven(b.Warnings, plain(f.Warnings))
	b.CheckAt = s.nextCheck(*b)
	if was {
		out.recovered = true
		s.happened(b, table.Event{Type: event.Recovered, Identity: b.Identity})
	}
}

// keepProven is the new warnings, and of the old ones those that only a bind can raise.
func keepProven(before, now []problem.Problem) []problem.Problem {
	for _, w := range before {
		if w.Code == problem.UsernameUnverified || w.Code == problem.ManyTokens {
			now = append(now, w)
		}
	}
	return now
}

// sick notes what the platform said for certain. The event comes once.
func (s *Service) sick(
	b *table.Binding, health table.Health, what string, p *problem.Problem, out *outcome,
) {
	out.failed = true
	b.Unanswered = 0
	b.CheckAt = s.now().Add(checkEvery)
	if health == table.Revoked {
		b.CheckAt = time.Time{} // it is not asked again
	}
	if b.Health == health && b.Problem != nil && b.Problem.Code == p.Code {
		return
	}
	if p.Code == problem.TokenRejected {
		p = problem.New(problem.TokenRevoked).Because(revokedAtPlatform).
			With("platform", s.title(b.Platform))
	}
	if b.Health == health && health == table.Revoked {
		return // why it was revoked stays
	}
	b.Health, b.Problem = health, p
	s.happened(b, table.Event{Type: what, Identity: b.Identity, Problem: p})
}

// silent notes a check that got no answer. Three in a row are told.
func (s *Service) silent(b *table.Binding, p *problem.Problem, out *outcome) {
	out.failed, out.passing = true, p
	b.CheckAt = s.now().Add(max(checkAgain, p.RetryAfter))
	b.Unanswered++
	if b.Unanswered != unanswered {
		return
	}
	if b.Health == table.Healthy {
		b.Problem = p
	}
	s.happened(b, table.Event{Type: event.Unreachable, Identity: b.Identity, Problem: p})
}

// warn tells of a token's end: at 14, 7 and 1 days before it, once each, and when it has come.
func (s *Service) warn(b *table.Binding, out *outcome) {
	ends := b.Token.ExpiresAt
	if ends.IsZero() || b.Token.Renewable || b.Health != table.Healthy {
		return
	}
	left := ends.Sub(s.now())
	if left <= 0 {
		p := problem.New(problem.TokenExpired).With("platform", s.title(b.Platform))
		s.sick(b, table.Expired, event.Expired, p, out)
		return
	}
	for _, days := range slices.Backward(warnAt()) { // the fewest first
		if left > time.Duration(days)*day {
			continue
		}
		if b.Warned == 0 || days < b.Warned {
			b.Warned, out.warned = days, true
			s.happened(b, table.Event{Type: event.Expiring, Identity: b.Identity})
		}
		return
	}
}
