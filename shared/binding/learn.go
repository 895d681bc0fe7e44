package binding

import (
	"slices"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// applyCheckResult puts what a check found into the record. This is the one place that sorts a platform's
// answers into what ends a binding, what hurts it, what passes, and what is the operator's.
func (s *Service) applyCheckResult(b *table.Binding, f provider.CheckResult, cause error, out *outcome) {
	p := problem.Of(cause)
	switch {
	case cause == nil:
		s.markHealthy(b, f, out)
		return
	case p.Code == problem.TokenRevoked, p.Code == problem.TokenRejected:
		s.markUnhealthy(b, table.Revoked, event.Revoked, p, out)
	case p.Code == problem.TokenExpired:
		s.markUnhealthy(b, table.Expired, event.Expired, p, out)
	case slices.Contains(hurting(), p.Code):
		s.markUnhealthy(b, table.Unauthorized, event.Unauthorized, p, out)
	case p.Code == problem.ClientRefused, p.Code == problem.PlatformNotConfigured:
		out.passing = p // the operator's: no user's binding is touched
		b.CheckAt = s.now().Add(max(checkAgain, p.RetryAfter))
	default:
		s.markUnanswered(b, p, out)
	}
}

// hurting are the problems of a token that lives and may not do what is needed.
func hurting() []problem.Code {
	return []problem.Code{
		problem.PermissionMissing, problem.UserBlocked, problem.OrganizationUnknown,
		problem.AddressNotListed, problem.NotAPersonalAccount,
	}
}

// markHealthy notes a good check.
func (s *Service) markHealthy(b *table.Binding, f provider.CheckResult, out *outcome) {
	if b.Health == table.Revoked && b.Token.Refreshable {
		return // a refresh has learnt more in the meantime: the token lives, but not for long
	}
	was := b.Health != table.Healthy || b.Unanswered >= unanswered
	b.LastCheckedAt, b.Unanswered = s.now(), 0
	if f.Identity.ID == b.Identity.ID {
		b.Identity = table.Identity(f.Identity) // a new name, a new picture
	}
	if len(f.Scopes) > 0 {
		b.Token.Scopes = f.Scopes
	}
	if !b.Token.Refreshable && !f.ExpiresAt.Equal(b.Token.ExpiresAt) {
		b.Token.ExpiresAt, b.Warned = f.ExpiresAt, 0 // prolonged at the platform
	}
	b.Warnings = keepProven(b.Warnings, plain(f.Warnings))
	b.CheckAt = s.nextCheck(*b)
	if b.Health == table.Expired && !s.lives(*b) {
		return // the date that its owner gave is over, though the platform still takes it
	}
	b.Health, b.Problem = table.Healthy, nil
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

// markUnhealthy notes what the platform said for certain. The event comes once.
func (s *Service) markUnhealthy(
	b *table.Binding, health table.Health, what string, p *problem.Problem, out *outcome,
) {
	out.failed = true
	b.Unanswered = 0
	b.CheckAt = s.now().Add(checkInterval)
	if b.Health == health && b.Problem != nil && b.Problem.Code == p.Code {
		if health != table.Revoked { // why it was revoked stays
			b.Problem = p
		}
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

// markUnanswered notes a check that got no answer. Three in a row are told, if nothing worse is known: a
// passing failure changes neither what the platform once said for certain, nor its words.
func (s *Service) markUnanswered(b *table.Binding, p *problem.Problem, out *outcome) {
	out.failed, out.passing = true, p
	b.CheckAt = s.now().Add(max(checkAgain, p.RetryAfter))
	if b.Health == table.Revoked {
		b.CheckAt = s.now().Add(checkInterval) // it is not asked again
		return
	}
	b.Unanswered++
	if b.Unanswered != unanswered || b.Health != table.Healthy {
		return
	}
	b.Problem = p
	s.happened(b, table.Event{Type: event.Unreachable, Identity: b.Identity, Problem: p})
}

// warn tells of a token's end: at 14, 7 and 1 days before it, once each, and when it has come.
func (s *Service) warn(b *table.Binding, out *outcome) {
	ends := b.Token.ExpiresAt
	if ends.IsZero() || b.Token.Refreshable || b.Health != table.Healthy {
		return
	}
	left := ends.Sub(s.now())
	if left <= 0 {
		p := problem.New(problem.TokenExpired).With("platform", s.title(b.Platform))
		s.markUnhealthy(b, table.Expired, event.Expired, p, out)
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
