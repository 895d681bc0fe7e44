package maintenance

import (
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// checkOutcome is what a check has found and done.
type checkOutcome struct {
	refreshed, warned, recovered, failed bool
	lost                                 bool // marked as revoked because the vault lacks its token
	// failing is the host at which checks have failed in the same way for a day, if an alarm is due.
	failing failingHost
	// transient is a failure that says nothing about the token; nil if there was none.
	transient *problem.Problem
}

// and returns both outcomes in one. A save whose reply was lost is tried again, and the second
// outcome would lack what the first one has done.
func (o checkOutcome) and(p checkOutcome) checkOutcome {
	o.refreshed = o.refreshed || p.refreshed
	o.warned = o.warned || p.warned
	o.recovered = o.recovered || p.recovered
	o.failed = o.failed || p.failed
	o.lost = o.lost || p.lost
	if p.failing != (failingHost{}) {
		o.failing = p.failing
	}
	if p.transient != nil {
		o.transient = p.transient
	}
	return o
}

// applyCheckResult puts the result of a check into the record. Only this function decides whether a
// platform's answer ends a binding, restricts it, is temporary, or concerns the operator. confirmed
// says that the platform has given the answer twice.
func (c checker) applyCheckResult(
	b *binding.Record, result provider.CheckResult, cause error, confirmed bool,
) checkOutcome {
	p := problem.Of(cause)
	health := healthAfter(p)
	if cause == nil || health != binding.HealthGood { // the platform's word on the token
		b.Failure = binding.LastingFailure{}
	}
	switch {
	case cause == nil:
		return checkOutcome{recovered: c.markHealthy(b, result)}
	case health != binding.HealthGood && !confirmed && c.mustConfirm(*b, p):
		c.markDoubted(b, p)
	case health != binding.HealthGood:
		lost := credential.IsLost(p) && b.Health != binding.HealthRevoked
		c.markUnhealthy(b, health, p)
		return checkOutcome{failed: true, lost: lost}
	case p.Code == problem.ClientRefused, p.Code == problem.PlatformNotConfigured:
		// The operator's fault changes no user's binding.
		b.CheckAt = c.ledger.Now().Add(max(RetryCheckInterval, p.RetryAfter))
		return checkOutcome{transient: p}
	default:
		c.markUnanswered(b, p)
		return checkOutcome{failed: true, transient: p, failing: c.noteFailure(b, p)}
	}
	return checkOutcome{failed: true}
}

// markHealthy records a good check, and reports whether the binding has recovered with it.
func (c checker) markHealthy(b *binding.Record, result provider.CheckResult) (recovered bool) {
	if b.Health == binding.HealthRevoked && b.Token.Refreshable && !credential.IsLost(b.Problem) {
		return false // a refresh was refused in the meantime: the token works, but can't be renewed
	}
	recovered = b.Health != binding.HealthGood || b.Unanswered >= binding.MinUnansweredChecks
	b.LastCheckedAt, b.Unanswered = c.ledger.Now(), 0
	clearDoubt(b)
	b.RechecksLeft = 0
	if result.Identity.ID == b.Identity.ID {
		b.Identity = binding.Identity(result.Identity) // the user's name or picture may have changed
	}
	if len(result.Scopes) > 0 {
		b.Token.Scopes = result.Scopes
	}
	if !b.Token.Refreshable && !result.ExpiresAt.Equal(b.Token.ExpiresAt) {
		b.Token.ExpiresAt, b.Warned = result.ExpiresAt, 0 // its owner changed the expiry at the platform
	}
	b.Warnings = keepBindWarnings(b.Warnings, binding.WarningsOf(result.Warnings))
	b.CheckAt = c.ledger.NextCheck(*b)
	if b.Health == binding.HealthExpired && !c.credentials.TokenValid(*b) {
		return false // the expiry that its owner gave is over, though the platform accepts the token
	}
	b.Health, b.Problem = binding.HealthGood, nil
	if recovered {
		c.ledger.AddEvent(b, binding.Event{Type: binding.EventRecovered, Identity: b.Identity})
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
func (c checker) markUnhealthy(b *binding.Record, health binding.Health, p *problem.Problem) {
	b.Unanswered = 0
	clearDoubt(b)
	c.scheduleRecheck(b, health, p)
	if b.Health == health && b.Problem != nil && b.Problem.Code == p.Code {
		if health != binding.HealthRevoked { // the first reason of a revocation stays
			b.Problem = p
		}
		return
	}
	if p.Code == problem.TokenRejected {
		p = problem.New(problem.TokenRevoked).Because(credential.RevokedAtPlatform).
			With("platform", c.ledger.Title(b.Platform))
	}
	if b.Health == health && health == binding.HealthRevoked {
		return // the first reason of a revocation stays
	}
	b.Health, b.Problem = health, p
	c.ledger.AddEvent(b, binding.Event{Type: eventOf(health), Identity: b.Identity, Problem: p})
}

// eventOf returns the type of the event for a binding that becomes unusable with this health.
func eventOf(health binding.Health) string {
	switch health {
	case binding.HealthExpired:
		return binding.EventExpired
	case binding.HealthUnauthorized:
		return binding.EventUnauthorized
	}
	return binding.EventRevoked
}

// markUnanswered records a check without an answer. The third in a row writes an event, if the
// binding is healthy otherwise: a temporary failure replaces neither the platform's last definite
// answer nor its problem.
func (c checker) markUnanswered(b *binding.Record, p *problem.Problem) {
	b.CheckAt = c.ledger.Now().Add(max(RetryCheckInterval, p.RetryAfter))
	if b.Health == binding.HealthRevoked {
		b.CheckAt = c.ledger.Now().Add(ledger.CheckInterval)
		if b.RechecksLeft > 0 { // the last of them needs an answer
			wait := recheckIntervals()[len(recheckIntervals())-b.RechecksLeft]
			b.CheckAt = c.ledger.Now().Add(max(wait, p.RetryAfter))
			b.RechecksLeft = max(1, b.RechecksLeft-1)
		}
		return
	}
	b.Unanswered++
	if b.Unanswered < binding.MinUnansweredChecks || b.Health != binding.HealthGood {
		return
	}
	b.Problem = p // of the latest check
	if b.Unanswered > binding.MinUnansweredChecks {
		return
	}
	c.ledger.AddEvent(
		b,
		binding.Event{Type: binding.EventUnreachable, Identity: b.Identity, Problem: p},
	)
}

// warnOfExpiry writes an event at 14, 7 and 1 days before a token's expiry, once each, and marks
// the binding as expired after it.
func (c checker) warnOfExpiry(b *binding.Record) checkOutcome {
	expiry := b.Token.ExpiresAt
	if expiry.IsZero() || b.Token.Refreshable || b.Health != binding.HealthGood {
		return checkOutcome{}
	}
	left := expiry.Sub(c.ledger.Now())
	if left <= 0 {
		p := problem.New(problem.TokenExpired).With("platform", c.ledger.Title(b.Platform))
		c.markUnhealthy(b, binding.HealthExpired, p)
		return checkOutcome{failed: true}
	}
	for _, days := range slices.Backward(ledger.WarningDays()) { // the fewest first
		if left > time.Duration(days)*ledger.Day {
			continue
		}
		if b.Warned != 0 && b.Warned <= days {
			break
		}
		b.Warned = days
		c.ledger.AddEvent(b, binding.Event{Type: binding.EventExpiring, Identity: b.Identity})
		return checkOutcome{warned: true}
	}
	return checkOutcome{}
}
