package maintenance

import (
	"context"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
)

// A refusal may come from something in front of the platform, or from a server of the platform that
// is out of date. So a check does not end a binding with one refusal: it marks the binding as
// doubted, which changes neither its status nor what builds get, and a second refusal ends it.
const (
	// DoubtPeriod is the least time between the two refusals that end a binding.
	DoubtPeriod = time.Minute
	// DoubtedCheckInterval is the time to the next check of a doubted binding.
	DoubtedCheckInterval = 2 * time.Minute
	// askAgainInterval is the pause before the second question of a check that a user waits for.
	askAgainInterval = time.Second
	// askAgainTimeout is how long such a check may have taken until then. A user is answered within
	// 20 seconds.
	askAgainTimeout = 20*time.Second - ledger.VerifyTimeout - askAgainInterval
)

// recheckIntervals returns the times between the checks of a binding that a check has found
// unusable, so that it recovers by itself after a wrong answer: these are 15 minutes, an hour and a
// day after it.
func recheckIntervals() []time.Duration {
	return []time.Duration{15 * time.Minute, 45 * time.Minute, 23 * time.Hour}
}

// origin is what a check is made for. The zero value is the schedule.
type origin struct {
	byUser bool
	next   time.Time // when the schedule would have checked without the user
}

// keepEarlyChecks leaves the schedule's early checks of an unusable binding as they were before a
// user asked for a check: users who ask again and again do not use them up.
func (o origin) keepEarlyChecks(b *binding.Record, before binding.Record) {
	if o.byUser && b.Health != binding.HealthGood && b.Health == before.Health &&
		before.RechecksLeft > 0 {
		b.RechecksLeft, b.CheckAt = before.RechecksLeft, o.next
	}
}

// mustConfirm reports whether p is a refusal that would change a binding's health and needs a
// second one for it. The answer to a refresh, and the end of a token whose expiry has passed, are
// definite.
func (c checker) mustConfirm(b binding.Record, p *problem.Problem) bool {
	health := healthAfter(p)
	switch {
	case health == binding.HealthGood, health == b.Health,
		p.Code == problem.TokenRevoked && !credential.IsLost(p):
		return false
	case !b.Token.Refreshable && !c.credentials.TokenValid(b):
		return false
	}
	period := DoubtPeriod
	if credential.IsLost(p) {
		period = credential.LostPeriod
		if !credential.IsLost(b.DoubtedProblem) {
			return true // the platform's refusal does not say that the secret is gone
		}
	}
	return !b.Doubted() || c.ledger.Now().Sub(b.DoubtedAt) < period
}

// markDoubted records the first refusal. A binding that is doubted already keeps its first time.
func (c checker) markDoubted(b *binding.Record, p *problem.Problem) {
	now := c.ledger.Now()
	lost := credential.IsLost(p)
	if !b.Doubted() || lost && !credential.IsLost(b.DoubtedProblem) {
		b.DoubtedAt = now
	}
	b.DoubtedProblem = p
	b.CheckAt = now.Add(DoubtedCheckInterval)
	if lost {
		b.CheckAt = now.Add(credential.LostCheckInterval)
	}
}

// alarmLost tells the operator of tokens that the vault no longer has.
func (c checker) alarmLost(ctx context.Context, bindings int) {
	if bindings > 0 {
		c.ledger.Log.ErrorContext(ctx, "the vault no longer has the tokens of bindings",
			"alarm", credential.TokenLost, "bindings", bindings)
	}
}

func clearDoubt(b *binding.Record) { b.DoubtedAt, b.DoubtedProblem = time.Time{}, nil }

// scheduleRecheck sets when a binding with a definite answer is next checked. Only a refusal that
// may be wrong has early checks.
func (c checker) scheduleRecheck(b *binding.Record, health binding.Health, p *problem.Problem) {
	expired := !b.Token.Refreshable && !c.credentials.TokenValid(*b)
	wait, left := ledger.CheckInterval, 0
	waits := recheckIntervals()
	switch {
	case expired, p.Code == problem.TokenRevoked && !credential.IsLost(p):
	case b.Health != health:
		wait, left = waits[0], len(waits)
	case b.RechecksLeft > 1:
		left = b.RechecksLeft - 1
		wait = waits[len(waits)-left]
	}
	b.RechecksLeft, b.CheckAt = left, c.ledger.Now().Add(wait)
}

// healthAfter returns the health of a binding whose token the platform refuses with p. It returns
// HealthGood if p doesn't refuse the token, such as a failure of the platform.
func healthAfter(p *problem.Problem) binding.Health {
	switch {
	case p.Code == problem.TokenRevoked, p.Code == problem.TokenRejected:
		return binding.HealthRevoked
	case p.Code == problem.TokenExpired:
		return binding.HealthExpired
	case slices.Contains(unauthorizedCodes(), p.Code):
		return binding.HealthUnauthorized
	}
	return binding.HealthGood
}

// unauthorizedCodes are the problems of a token that is valid and may not do what Bindery needs.
func unauthorizedCodes() []problem.Code {
	return []problem.Code{
		problem.PermissionMissing, problem.UserBlocked, problem.OrganizationUnknown,
		problem.AddressNotListed, problem.NotAPersonalAccount,
	}
}
