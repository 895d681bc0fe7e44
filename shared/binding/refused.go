package binding

import (
	"context"
	"errors"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// The reasons of [problem.TokenRevoked].
const (
	revokedAtPlatform = "revoked_at_platform"
	tokenMayBeLost    = "token_may_be_lost"
)

// handleRefusal is what follows when the platform says that a refresh token is dead. Perhaps another
// call has used it and its token is in the vault, or in the record already, or about to be; if not,
// the binding is revoked, and the platform is not asked again.
func (s *Service) handleRefusal(
	ctx context.Context, rec table.Binding, left time.Time, refusal error,
) (table.Binding, error) {
	k, err := s.awaitSuccessor(ctx, rec, left)
	if err == nil {
		return s.commit(ctx, rec, k)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return table.Binding{}, s.backOff(ctx, rec, err, asked)
	}
	why := problem.New(problem.TokenRevoked).Because(revokedAtPlatform).
		With("platform", s.title(rec.Platform)).From(refusal)
	refused, owner, overtaken := rec.Token, rec.Lease.Owner, false
	err = s.change(ctx, rec, func(b *table.Binding) bool {
		if !same(b.Token, refused) {
			return false
		}
		if overtaken = b.Lease.Owner != owner && b.Lease.Until.After(s.now()); overtaken {
			return false
		}
		if b.RefreshUnclear || b.Lease.Owner != owner {
			// Somebody took the lease over: what they know is not known here.
			why = why.Because(tokenMayBeLost)
		}
		s.revokedBy(b, why)
		return true
	}, &rec)
	if err != nil {
		return table.Binding{}, err
	}
	if overtaken { // perhaps they used the token up, and are about to store the next
		return s.acquireLease(ctx, rec)
	}
	known := rec.Problem // by whoever was first to give the token up
	if same(rec.Token, refused) && known != nil && known.Reason == tokenMayBeLost {
		s.log.ErrorContext(ctx, "a refresh may have lost a token",
			"alarm", tokenMayBeLost, "binding", describe(rec.Key))
	}
	return rec, s.ended(rec)
}

// maxRecoveryReads is how often the next generation is looked for when the platform refuses a token whose
// lease was taken over: about three seconds.
const maxRecoveryReads = 8

// awaitSuccessor is [Service.successor], more than once if a holder of the lease before this one may
// still be at work: it may be just about to store what it got. Two clocks may be apart.
func (s *Service) awaitSuccessor(
	ctx context.Context, rec table.Binding, left time.Time,
) (tokenBundle, error) {
	k, err := s.successor(ctx, rec)
	for try := 1; try < maxRecoveryReads && errors.Is(err, vault.ErrNotFound); try++ {
		if left.IsZero() || s.now().Sub(left) > orphanGracePeriod || s.sleep(ctx, maxPollInterval+s.jitter(maxPollInterval)) != nil {
			break
		}
		k, err = s.successor(ctx, rec)
	}
	return k, err
}

// revokedBy marks a binding as revoked, and has it looked at once more: a token that somebody got
// in time may yet reach the vault.
func (s *Service) revokedBy(b *table.Binding, why *problem.Problem) {
	b.Lease, b.Backoff = table.Lease{}, table.Backoff{}
	if b.Health != table.Revoked {
		b.Health, b.Problem = table.Revoked, why
		b.RecheckAt = s.now().Add(orphanGracePeriod)
		s.happened(b, table.Event{Type: event.Revoked, Identity: b.Identity, Problem: why})
	}
	b.DueAt = s.due(*b)
}

// wasAsked reports whether a refresh got as far as asking the platform.
type wasAsked bool

const asked, unasked wasAsked = true, false

// backOff notes a refresh that failed in passing, and returns its problem. The token is kept. What
// ended without a definite answer makes the record unsure: the platform may have used the refresh
// token up.
func (s *Service) backOff(
	ctx context.Context, rec table.Binding, cause error, was wasAsked,
) error {
	p := problem.Of(cause)
	if p.Code == problem.Internal {
		p = problem.Of(unavailable("refreshing", cause))
	}
	wait := p.RetryAfter
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	owner := rec.Lease.Owner
	err := s.change(ctx, rec, func(b *table.Binding) bool {
		if !same(b.Token, rec.Token) || b.Health == table.Revoked {
			return false
		}
		b.RefreshUnclear = b.RefreshUnclear || was == asked && !definite(p)
		if b.Lease.Owner == owner {
			b.Lease = table.Lease{}
		}
		tries := b.Backoff.Tries
		next := min(minRefreshBackoff<<min(tries, 10), maxRefreshBackoff)
		if was == asked {
			tries++
		} else { // the platform is not at fault, and need not be spared
			next = minRefreshBackoff
		}
		wait = max(wait, next)
		b.Backoff = table.Backoff{Until: s.now().Add(wait), Tries: tries, Problem: p}
		if b.RefreshUnclear { // the token may be dead though it has life: the check finds out
			b.CheckAt = earliest(b.CheckAt, b.Backoff.Until)
		}
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	if err != nil {
		s.log.WarnContext(ctx, "a failed refresh was not noted", "error", err)
	}
	if p.Code == problem.ClientRefused {
		s.log.ErrorContext(ctx, "the platform refuses the OAuth app's credentials",
			"alarm", "client_refused", "platform", rec.Platform)
	}
	return p.After(wait)
}

// definite reports whether a failure leaves no doubt that the platform did not use the refresh token
// up: it refused the app, it turned the call away, or the call never got there.
func definite(p *problem.Problem) bool {
	switch p.Code {
	case problem.ClientRefused, problem.PlatformNotConfigured, problem.PlatformRateLimited,
		problem.AddressRefused, problem.PortRefused, problem.CertificateUntrusted:
		return true
	case problem.PlatformUnreachable:
		return p.Reason == "dns" || p.Reason == "refused"
	}
	return false
}

// lastLook looks for a generation that came into the vault after its binding was given up.
func (s *Service) lastLook(ctx context.Context, rec table.Binding) (table.Binding, error) {
	k, err := s.successor(ctx, rec)
	if err == nil {
		return s.commit(ctx, rec, k)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return rec, unavailable("looking for the next token", err)
	}
	err = s.change(ctx, rec, func(b *table.Binding) bool {
		if !same(b.Token, rec.Token) || b.RecheckAt.IsZero() || b.RecheckAt.After(s.now()) {
			return false // one before its time doesn't count
		}
		b.RecheckAt = time.Time{}
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	return rec, err
}
