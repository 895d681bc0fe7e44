package credential

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/vault"
)

// The reasons of [problem.TokenRevoked].
const (
	RevokedAtPlatform = "revoked_at_platform"
	TokenMayBeLost    = "token_may_be_lost"
)

// handleRefusal handles a platform's answer that a refresh token is no longer valid. Another call
// may have used it: its new token is then in the vault, in the record, or about to be stored. If it
// is not, the binding is revoked, and the platform is not asked again. It returns errOvertaken if
// another call has taken the lease over, which may still have a token to store.
func (s *Service) handleRefusal(
	ctx context.Context, rec binding.Record, previousUntil time.Time, refusal error,
) (binding.Record, error) {
	bundle, err := s.awaitNext(ctx, rec, previousUntil)
	if err == nil {
		return s.Commit(ctx, rec, bundle)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return binding.Record{}, s.backOff(ctx, rec, err, requestSent)
	}
	why := problem.New(problem.TokenRevoked).Because(RevokedAtPlatform).
		With("platform", s.ledger.Title(rec.Platform)).From(refusal)
	refused, owner, overtaken := rec.Token, rec.Lease.Owner, false
	rec, err = s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, refused) || binding.FromNewerVersion(*b) {
			return false
		}
		if overtaken = b.Lease.Owner != owner && b.Lease.Until.After(s.ledger.Now()); overtaken {
			return false
		}
		if b.RefreshUnclear || b.Lease.Owner != owner {
			// Another call took the lease over, and may have received a token.
			why = why.Because(TokenMayBeLost)
		}
		s.markRevoked(b, why)
		return true
	})
	if err != nil {
		return binding.Record{}, err
	}
	if overtaken {
		return rec, errOvertaken
	}
	known := rec.Problem // of the call that marked the binding first
	if binding.SameGeneration(rec.Token, refused) && known != nil && known.Reason == TokenMayBeLost {
		s.ledger.Log.ErrorContext(ctx, "a refresh may have lost a token",
			"alarm", TokenMayBeLost, "binding", binding.Describe(rec.Key))
	}
	return rec, s.Unusable(rec)
}

// maxRecoveryReads is how often the next generation is read when the platform refuses a token whose
// lease was taken over: about three seconds.
const maxRecoveryReads = 8

// awaitNext reads the next generation, repeatedly if an earlier holder of the lease may still be
// about to store it. Its lease may have ended up to [ledger.OrphanGracePeriod] ago, because two
// machines' clocks can differ.
func (s *Service) awaitNext(
	ctx context.Context, rec binding.Record, previousUntil time.Time,
) (ledger.TokenBundle, error) {
	bundle, err := s.FetchNext(ctx, rec)
	for try := 1; try < maxRecoveryReads && errors.Is(err, vault.ErrNotFound); try++ {
		if previousUntil.IsZero() || s.ledger.Now().Sub(previousUntil) > ledger.OrphanGracePeriod ||
			s.ledger.Sleep(ctx, maxPollInterval+s.ledger.Jitter(maxPollInterval)) != nil {
			break
		}
		bundle, err = s.FetchNext(ctx, rec)
	}
	return bundle, err
}

// markRevoked marks a binding as revoked, and schedules one recheck: a token that another call has
// received may still reach the vault.
func (s *Service) markRevoked(b *binding.Record, why *problem.Problem) {
	b.Lease, b.Backoff = binding.Lease{}, binding.Backoff{}
	b.DoubtedAt, b.DoubtedProblem = time.Time{}, nil
	if b.Health != binding.HealthRevoked {
		b.Health, b.Problem = binding.HealthRevoked, why
		b.RecheckAt = s.ledger.Now().Add(ledger.OrphanGracePeriod)
		s.ledger.AddEvent(
			b,
			binding.Event{Type: binding.EventRevoked, Identity: b.Identity, Problem: why},
		)
	}
	b.DueAt = s.ledger.Due(*b)
}

// requestState says whether a refresh got as far as sending its request to the platform.
type requestState bool

const requestSent, requestNotSent requestState = true, false

// backOff records a refresh that failed temporarily, and returns its problem. The token is kept. A
// failure without a definite answer sets RefreshUnclear: the platform may have used the refresh
// token up. A secret that is gone sets no pause.
func (s *Service) backOff(
	ctx context.Context, rec binding.Record, cause error, request requestState,
) error {
	p := problem.Of(cause)
	if p.Code == problem.Internal {
		p = problem.Of(ledger.Unavailable("refreshing", cause))
	}
	wait := p.RetryAfter
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StoreTimeout)
	defer cancel()
	owner := rec.Lease.Owner
	_, err := s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, rec.Token) || binding.FromNewerVersion(*b) ||
			b.Health == binding.HealthRevoked && !IsLost(b.Problem) {
			return false
		}
		b.RefreshUnclear = b.RefreshUnclear || request == requestSent && !isDefinite(p)
		if b.Lease.Owner == owner {
			b.Lease = binding.Lease{}
		}
		tries := b.Backoff.Tries
		next := min(MinRefreshBackoff<<min(tries, 10), MaxRefreshBackoff)
		if request == requestSent {
			tries++
		} else { // the platform did not fail, so the pause does not grow
			next = MinRefreshBackoff
		}
		wait = max(wait, next)
		until := s.ledger.Now().Add(wait)
		if !errors.Is(cause, vault.ErrNotFound) { // a pause would hide a lost secret from its check
			b.Backoff = binding.Backoff{Until: until, Tries: tries, Problem: p}
		}
		if b.RefreshUnclear { // the platform may have ended the token before its expiry: check soon
			b.CheckAt = binding.Earliest(b.CheckAt, until)
		}
		b.DueAt = s.ledger.Due(*b)
		return true
	})
	if err != nil {
		s.ledger.Log.WarnContext(ctx, "a failed refresh was not noted", "error", err)
	}
	if p.Code == problem.ClientRefused {
		s.ledger.Log.ErrorContext(ctx, "the platform refuses the OAuth app's credentials",
			"alarm", "client_refused", "platform", rec.Platform)
	}
	return p.After(wait)
}

// isDefinite reports whether the platform can't have used the refresh token up when a refresh
// failed with p: it refused the app, it rejected the call, or the call did not reach it.
func isDefinite(p *problem.Problem) bool {
	switch p.Code {
	case problem.ClientRefused, problem.PlatformNotConfigured, problem.PlatformRateLimited,
		problem.AddressRefused, problem.PortRefused, problem.CertificateUntrusted:
		return true
	case problem.PlatformUnreachable:
		return p.Reason == "dns" || p.Reason == "refused"
	}
	return false
}

// RecheckRevoked looks for a generation that reached the vault after its binding was marked as
// revoked, and commits it.
func (s *Service) RecheckRevoked(ctx context.Context, rec binding.Record) (binding.Record, error) {
	bundle, err := s.FetchNext(ctx, rec)
	if err == nil {
		return s.Commit(ctx, rec, bundle)
	}
	if !errors.Is(err, vault.ErrNotFound) {
		return rec, ledger.Unavailable("looking for the next token", err)
	}
	checked := rec.Token
	return s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, checked) || b.RecheckAt.IsZero() ||
			b.RecheckAt.After(s.ledger.Now()) {
			return false // a check before RecheckAt does not replace the one at RecheckAt
		}
		b.RecheckAt = time.Time{}
		b.DueAt = s.ledger.Due(*b)
		return true
	})
}
