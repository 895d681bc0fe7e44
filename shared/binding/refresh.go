package binding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// The times of a refresh. A slow platform may already have used the refresh token up, so it gets
// nearly all the time of the caller, who is answered within 20 seconds. A caller waits for a lease
// for less time than the lease lasts: the next caller takes an abandoned lease over.
const (
	refreshLeaseTTL    = 20 * time.Second
	refreshTimeout     = 16 * time.Second // for the platform's answer
	storeTimeout       = 8 * time.Second  // for one write to the vault or the table
	refreshWaitTimeout = 18 * time.Second // a caller's wait for a refresh in any process
	// minTimeToRefresh is the least remaining wait time with which a refresh is started. A refresh
	// continues when its caller has left, but a cloud freezes a function whose callers are answered.
	minTimeToRefresh = 5 * time.Second
	// The record is polled while another process has the lease: each pause is half of the time
	// waited so far, so that a caller waits less than twice as long as the refresh takes.
	minPollInterval = 10 * time.Millisecond
	maxPollInterval = 250 * time.Millisecond
	// The pause after a failed refresh, doubled with each failure.
	minRefreshBackoff = 5 * time.Second
	maxRefreshBackoff = 5 * time.Minute
)

// refresh returns the record with its next generation. In one process one caller does the work and
// the others wait for it. The work continues when they leave, because a new token must reach the
// vault once the platform has used the refresh token up. A second round is needed when the next
// generation was already in the vault, left by an earlier refresh, and has expired since.
func (s *Service) refresh(ctx context.Context, rec table.Binding) (table.Binding, error) {
	for range 2 {
		flight := string(rec.Token.Secret) + fmt.Sprint(rec.Token.Generation)
		done := s.flights.DoChan(flight, func() (any, error) {
			return s.acquireLease(context.WithoutCancel(ctx), rec)
		})
		var r singleflight.Result
		wait, cancel := context.WithTimeout(ctx, refreshWaitTimeout)
		select {
		case r = <-done:
		case <-wait.Done():
			r.Err = s.waitExpired(rec).From(wait.Err())
		}
		cancel()
		next, _ := r.Val.(table.Binding)
		if r.Err != nil || s.tokenValid(next) {
			return next, r.Err
		}
		rec = next
	}
	return table.Binding{}, s.waitExpired(rec)
}

// waitExpired returns the problem of a caller whose wait for a refresh has ended without a token.
func (s *Service) waitExpired(rec table.Binding) *problem.Problem {
	return problem.New(problem.PlatformUnreachable).Because("timeout").
		With("platform", s.title(rec.Platform)).
		After(minRefreshBackoff)
}

// acquireLease waits for the lease and then refreshes, or returns what the holder of the lease has
// refreshed, whichever comes first. The timeout bounds the wait only, not the refresh.
func (s *Service) acquireLease(ctx context.Context, rec table.Binding) (table.Binding, error) {
	old := rec.Token
	wait, cancel := context.WithTimeout(ctx, refreshWaitTimeout)
	defer cancel()
	waited := time.Duration(0)
	for {
		now := s.now()
		switch {
		case !sameGeneration(rec.Token, old):
			return rec, s.unusable(rec) // refreshed, bound again or unbound by another call
		case s.unusable(rec) != nil:
			return table.Binding{}, s.unusable(rec)
		case rec.Backoff.Until.After(now):
			return table.Binding{}, rec.Backoff.Problem.After(rec.Backoff.Until.Sub(now))
		case !rec.Lease.Until.After(now) && waited > refreshWaitTimeout-minTimeToRefresh:
			return table.Binding{}, s.waitExpired(rec)
		case !rec.Lease.Until.After(now):
			leased, err := s.takeLease(wait, rec)
			if err == nil {
				return s.refreshLeased(ctx, leased, rec.Lease.Until)
			}
			if !errors.Is(err, table.ErrConflict) {
				return table.Binding{}, unavailable("taking the lease", err)
			}
		default:
			pause := min(max(waited/2, minPollInterval), maxPollInterval)
			pause += s.jitter(pause / 2)
			if err := s.sleep(wait, pause); err != nil {
				return table.Binding{}, s.waitExpired(rec).From(err)
			}
			waited += pause
		}
		var err error
		if rec, err = s.record(wait, rec.Key); err != nil {
			return table.Binding{}, err
		}
	}
}

// takeLease makes this call the only one that asks the platform, until the lease ends. The record is
// due at that time, so that the check takes over from a refresh that crashed. An abandoned lease sets
// RefreshUnclear, however this refresh ends: its holder may have used the refresh token up.
func (s *Service) takeLease(ctx context.Context, rec table.Binding) (table.Binding, error) {
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (table.Lease{})
	rec.Lease = table.Lease{Owner: s.random(8), Until: s.now().Add(refreshLeaseTTL)}
	rec.DueAt = s.due(rec)
	saved, err := s.table.SaveBinding(ctx, rec)
	if err == nil {
		return saved, nil
	}
	row, readErr := s.record(ctx, rec.Key) // the save may have worked and its reply been lost
	if readErr == nil && row.Lease.Owner == rec.Lease.Owner {
		return row, nil
	}
	return table.Binding{}, err
}

// refreshLeased makes the next generation of the record's token and commits it. If an earlier refresh
// ended unclearly, the next generation may be in the vault already; if not, the platform is asked.
// The lease before this one ended at previousUntil, which is zero if there was none.
func (s *Service) refreshLeased(
	ctx context.Context, rec table.Binding, previousUntil time.Time,
) (table.Binding, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshLeaseTTL)
	defer cancel()
	if rec.RefreshUnclear {
		if k, err := s.fetchNext(ctx, rec); err == nil {
			return s.commit(ctx, rec, k)
		} else if !errors.Is(err, vault.ErrNotFound) {
			return table.Binding{}, s.backOff(ctx, rec, err, notAsked)
		}
	}
	k, err := s.fetch(ctx, rec.Token)
	if err != nil {
		return table.Binding{}, s.backOff(ctx, rec, err, notAsked)
	}
	token, was, err := s.requestRefresh(ctx, k)
	if problem.Is(err, problem.TokenRevoked) {
		return s.handleRefusal(ctx, rec, previousUntil, err)
	}
	if err != nil {
		return table.Binding{}, s.backOff(ctx, rec, err, was)
	}
	k.Token, k.IssuedAt = token, s.now()
	if k, err = s.storeNext(ctx, rec, k); err != nil {
		return table.Binding{}, s.backOff(ctx, rec, err, asked)
	}
	return s.commit(ctx, rec, k)
}

// fetchNext reads the generation after the record's from the vault.
func (s *Service) fetchNext(ctx context.Context, rec table.Binding) (tokenBundle, error) {
	next := rec.Token
	next.Generation++
	return s.fetch(ctx, next)
}

// requestRefresh asks the platform for a new token, if enough time is left to store its answer. It
// also reports whether the request was made.
func (s *Service) requestRefresh(
	ctx context.Context, k tokenBundle,
) (token provider.Token, was wasAsked, err error) {
	platform, app, err := s.oauthPlatform(ctx, k.Platform)
	if err == nil {
		err = s.startedWithin(ctx, callDeadline-refreshTimeout-storeTimeout, "Refresh")
	}
	if err != nil {
		return token, notAsked, err
	}
	refreshCtx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	token, err = platform.Refresh(refreshCtx, app, k.Token.Refresh)
	s.countRefresh(ctx, k.Platform, err)
	return token, asked, err
}

// storeNext puts a new token into the vault, before any other write: until then only this process has
// it. If another process has stored that generation first, its token counts and is returned.
func (s *Service) storeNext(
	ctx context.Context, rec table.Binding, k tokenBundle,
) (tokenBundle, error) {
	// The token must be stored even if the caller has left or its time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := s.put(ctx, rec.Token.Secret, rec.Token.Generation+1, k)
	for isTransientPut(err) && s.sleep(ctx, maxPollInterval) == nil {
		err = s.put(ctx, rec.Token.Secret, rec.Token.Generation+1, k)
	}
	if errors.Is(err, vault.ErrExists) {
		return s.fetchNext(ctx, rec)
	}
	return k, err
}

// isTransientPut reports whether a failed put may succeed when it is repeated.
func isTransientPut(err error) bool {
	for _, final := range []error{vault.ErrExists, vault.ErrNotFound, vault.ErrValue, errLate} {
		if errors.Is(err, final) {
			return false
		}
	}
	return err != nil
}

// commit points the record at its next generation, even if the lease was lost. If the record points
// at another secret or generation by now, that one counts: this secret has a note, and the sweep
// revokes its tokens. A binding that the operator has revoked stays revoked.
func (s *Service) commit(
	ctx context.Context, rec table.Binding, k tokenBundle,
) (table.Binding, error) {
	old := rec.Token
	rec, err := s.change(ctx, rec, func(b *table.Binding) bool {
		if !sameGeneration(b.Token, old) || isRevokedByOperator(*b) {
			return false
		}
		b.Token.Generation++
		b.Token.IssuedAt = k.IssuedAt
		b.Token.ExpiresAt = k.Token.ExpiresAt
		b.Token.Refreshable = !k.Token.Refresh.Empty()
		if len(k.Token.Scopes) > 0 {
			b.Token.Scopes = k.Token.Scopes
		}
		b.Lease, b.RefreshUnclear = table.Lease{}, false
		b.Backoff, b.RecheckAt = table.Backoff{}, time.Time{}
		if b.Health == table.Revoked || b.Health == table.Expired {
			b.Health, b.Problem = table.Healthy, nil
			s.happened(b, table.Event{Type: event.Recovered, Identity: b.Identity})
		}
		b.DueAt = s.due(*b)
		return true
	})
	if err != nil {
		return table.Binding{}, err
	}
	s.cache.put(old.Secret, old.Generation+1, k)
	return rec, s.unusable(rec)
}

// sameGeneration reports whether two records point at the same generation of the same secret.
func sameGeneration(a, b table.Token) bool {
	return a.Secret == b.Secret && a.Generation == b.Generation
}
