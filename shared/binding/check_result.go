package binding

import (
	"slices"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// checkOutcome is what a check has found and done.
type checkOutcome struct {
	refreshed, warned, recovered, failed bool
	// transient is a failure that says nothing about the token; nil if there was none.
	transient *problem.Problem
}

// and returns both outcomes in one. A save whose reply was lost is tried again, and the second
// outcome alone would lack what the first one has done.
func (o checkOutcome) and(p checkOutcome) checkOutcome {
	o.refreshed = o.refreshed || p.refreshed
	o.warned = o.warned || p.warned
	o.recovered = o.recovered || p.recovered
	o.failed = o.failed || p.failed
	if p.transient != nil {
		o.transient = p.transient
	}
	return o
}

// applyCheckResult puts the result of a check into the record. Only this function decides whether a
// platform's answer ends a binding, restricts it, is temporary, or concerns the operator.
func (s *Service) applyCheckResult(
	b *table.Binding, f provider.CheckResult, cause error,
) checkOutcome {
	p := problem.Of(cause)
	switch {
	case cause == nil:
		return checkOutcome{recovered: s.markHealthy(b, f)}
	case p.Code == problem.TokenRevoked, p.Code == problem.TokenRejected:
		s.markUnhealthy(b, table.Revoked, event.Revoked, p)
	case p.Code == problem.TokenExpired:
		s.markUnhealthy(b, table.Expired, event.Expired, p)
	case slices.Contains(unauthorizedCodes(), p.Code):
		s.markUnhealthy(b, table.Unauthorized, event.Unauthorized, p)
	case p.Code == problem.ClientRefused, p.Code == problem.PlatformNotConfigured:
		// The operator's fault changes no user's binding.
		b.CheckAt = s.now().Add(max(retryCheckInterval, p.RetryAfter))
		return checkOutcome{transient: p}
	default:
		s.markUnanswered(b, p)
		return checkOutcome{failed: true, transient: p}
	}
	return checkOutcome{failed: true}
}

// unauthorizedCodes are the problems of a token that is valid and may not do what Bindery needs.
func unauthorizedCodes() []problem.Code {
	return []problem.Code{
		problem.PermissionMissing, problem.UserBlocked, problem.OrganizationUnknown,
		problem.AddressNotListed, problem.NotAPersonalAccount,
	}
}

// markHealthy records a good check, and reports whether the binding has recovered with it.
func (s *Service) markHealthy(b *table.Binding, f provider.CheckResult) (recovered bool) {
	if b.Health == table.Revoked && b.Token.Refreshable {
		return false // a refresh was refused in the meantime: the token works, but can't be renewed
	}
	recovered = b.Health != table.Healthy || b.Unanswered >= minUnansweredChecks
	b.LastCheckedAt, b.Unanswered = s.now(), 0
	if f.Identity.ID == b.Identity.ID {
		b.Identity = table.Identity(f.Identity) // the user's name or picture may have changed
	}
	if len(f.Scopes) > 0 {
		b.Token.Scopes = f.Scopes
	}
	if !b.Token.Refreshable && !f.ExpiresAt.Equal(b.Token.ExpiresAt) {
		b.Token.ExpiresAt, b.Warned = f.ExpiresAt, 0 // its owner changed the expiry at the platform
	}
	b.Warnings = keepBindWarnings(b.Warnings, plain(f.Warnings))
	b.CheckAt = s.nextCheck(*b)
	if b.Health == table.Expired && !s.tokenValid(*b) {
		return false // the expiry that its owner gave is over, though the platform accepts the token
	}
	b.Health, b.Problem = table.Healthy, nil
	if recovered {
		s.happened(b, table.Event{Type: event.Recovered, Identity: b.Identity})
	}
	return recovered
}

// keepBindWarnings returns the new warnings, and those of the old ones that only a bind can raise.
func keepBindWarnings(before, now []problem.Problem) []problem.Problem {
	for _, w := range before {
		if w.Code == problem.UsernameUnverified || w.Code == problem.ManyTokens {
			now = append(now, w)
		}
	}
	return now
}

// markUnhealthy records a definite answer of the platform. Its event is written once.
func (s *Service) markUnhealthy(
	b *table.Binding, health table.Health, eventType string, p *problem.Problem,
) {
	b.Unanswered = 0
	b.CheckAt = s.now().Add(checkInterval)
	if b.Health == health && b.Problem != nil && b.Problem.Code == p.Code {
		if health != table.Revoked { // the first reason of a revocation stays
			b.Problem = p
		}
		return
	}
	if p.Code == problem.TokenRejected {
		p = problem.New(problem.TokenRevoked).Because(revokedAtPlatform).
			With("platform", s.title(b.Platform))
	}
	if b.Health == health && health == table.Revoked {
		return // the first reason of a revocation stays
	}
	b.Health, b.Problem = health, p
	s.happened(b, table.Event{Type: eventType, Identity: b.Identity, Problem: p})
}

// markUnanswered records a check without an answer. The third in a row writes an event, if the
// binding is healthy otherwise: a temporary failure replaces neither the platform's last definite
// answer nor its problem.
func (s *Service) markUnanswered(b *table.Binding, p *problem.Problem) {
	b.CheckAt = s.now().Add(max(retryCheckInterval, p.RetryAfter))
	if b.Health == table.Revoked {
		b.CheckAt = s.now().Add(checkInterval) // the platform is not asked again
		return
	}
	b.Unanswered++
	if b.Unanswered != minUnansweredChecks || b.Health != table.Healthy {
		return
	}
	b.Problem = p
	s.happened(b, table.Event{Type: event.Unreachable, Identity: b.Identity, Problem: p})
}

// warnOfExpiry writes an event at 14, 7 and 1 days before a token's expiry, once each, and marks the
// binding as expired after it.
func (s *Service) warnOfExpiry(b *table.Binding) checkOutcome {
	expiry := b.Token.ExpiresAt
	if expiry.IsZero() || b.Token.Refreshable || b.Health != table.Healthy {
		return checkOutcome{}
	}
	left := expiry.Sub(s.now())
	if left <= 0 {
		p := problem.New(problem.TokenExpired).With("platform", s.title(b.Platform))
		s.markUnhealthy(b, table.Expired, event.Expired, p)
		return checkOutcome{failed: true}
	}
	for _, days := range slices.Backward(warningDays()) { // the fewest first
		if left > time.Duration(days)*day {
			continue
		}
		if b.Warned != 0 && b.Warned <= days {
			break
		}
		b.Warned = days
		s.happened(b, table.Event{Type: event.Expiring, Identity: b.Identity})
		return checkOutcome{warned: true}
	}
	return checkOutcome{}
}
