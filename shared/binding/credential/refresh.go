package credential

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// The durations of a refresh. A slow platform may already have used the refresh token up, so it
// gets nearly all the time of the caller, who is answered within 20 seconds. A caller waits for a
// lease for less time than the lease lasts: the next caller takes an abandoned lease over.
const (
	// RefreshLeaseTTL is how long one call may refresh a token before another call may.
	RefreshLeaseTTL = 20 * time.Second
	// RefreshTimeout is how long the platform may take to answer.
	RefreshTimeout = 16 * time.Second
	// StoreTimeout is how long one write to the vault or the table may take.
	StoreTimeout = 8 * time.Second
	// refreshWaitTimeout is how long a caller waits for a refresh in any process.
	refreshWaitTimeout = 18 * time.Second
	// minTimeToRefresh is the least remaining wait time with which a refresh is started. A refresh
	// continues when its caller has left, but a cloud freezes a function whose callers are
	// answered.
	minTimeToRefresh = 5 * time.Second
	// The record is polled while another process has the lease: each pause is half of the time
	// waited so far, so that a caller waits less than twice as long as the refresh takes.
	minPollInterval = 10 * time.Millisecond
	maxPollInterval = 250 * time.Millisecond
	// MinRefreshBackoff is the pause after a failed refresh. It doubles with each failure in a row.
	MinRefreshBackoff = 5 * time.Second
	// MaxRefreshBackoff is the longest such pause, unless the platform asks for more.
	MaxRefreshBackoff = 5 * time.Minute
)

// Refresh returns the record with its next generation. In one process one caller does the work and
// the others wait for it, for 18 seconds at most. The work continues when they leave, because a new
// token must reach the vault once the platform has used the refresh token up. A second round is
// needed when the next generation was already in the vault, left by an earlier refresh, and has
// expired since.
func (s *Service) Refresh(ctx context.Context, rec binding.Record) (binding.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshWaitTimeout)
	defer cancel()
	until, _ := ctx.Deadline()
	for range 2 {
		flight := fmt.Sprint(rec.Key, rec.Token.Secret, rec.Token.Generation)
		done := s.flights.DoChan(flight, func() (any, error) {
			return s.refreshOnce(context.WithoutCancel(ctx), rec, until)
		})
		var r singleflight.Result
		select {
		case r = <-done:
		case <-ctx.Done():
			r.Err = s.waitExpired(rec).From(ctx.Err())
		}
		next, _ := r.Val.(binding.Record)
		if r.Err != nil || s.TokenValid(next) {
			return next, r.Err
		}
		rec = next
	}
	return binding.Record{}, s.waitExpired(rec)
}

// waitExpired returns the problem of a caller whose wait for a refresh has ended without a token.
func (s *Service) waitExpired(rec binding.Record) *problem.Problem {
	return problem.New(problem.PlatformUnreachable).Because("timeout").
		With("platform", s.ledger.Title(rec.Platform)).
		After(MinRefreshBackoff)
}

// errOvertaken says that another call has taken the lease over during a refresh.
var errOvertaken = errors.New("credential: another call has the lease")

// refreshOnce waits for the lease and then refreshes, or returns what the holder of the lease has
// refreshed, whichever happens first. It waits no longer than until, and starts no refresh shortly
// before that; a refresh that it has started may take longer.
func (s *Service) refreshOnce(
	ctx context.Context, rec binding.Record, until time.Time,
) (binding.Record, error) {
	old := rec.Token
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	waited := time.Duration(0)
	for {
		now := s.ledger.Now()
		switch {
		case !binding.SameGeneration(rec.Token, old):
			return rec, s.Unusable(rec) // refreshed, bound again or unbound by another call
		case s.notRefreshable(rec) != nil:
			return binding.Record{}, s.notRefreshable(rec)
		case rec.Backoff.Until.After(now):
			return binding.Record{}, s.paused(rec).After(rec.Backoff.Until.Sub(now))
		case rec.Lease.Until.After(now):
			pause := min(max(waited/2, minPollInterval), maxPollInterval)
			pause += s.ledger.Jitter(pause / 2)
			if err := s.ledger.Sleep(wait, pause); err != nil {
				return binding.Record{}, s.waitExpired(rec).From(err)
			}
			waited += pause
		case time.Until(until) < minTimeToRefresh:
			return binding.Record{}, s.waitExpired(rec)
		default:
			next, err := s.acquireLease(ctx, wait, rec)
			if !errors.Is(err, errOvertaken) {
				return next, err
			}
		}
		var err error
		if rec, err = s.ledger.Record(wait, rec.Key); err != nil {
			return binding.Record{}, err
		}
	}
}

// notRefreshable returns the problem of a binding that a refresh can't restore, and nil for any
// other. A check refreshes a token that an earlier check has called expired or lost, in case it was
// wrong; a build gets no such token.
func (s *Service) notRefreshable(rec binding.Record) error {
	status := binding.StatusOf(rec, s.ledger.Now())
	if rec.Token.Refreshable && (status == binding.StatusExpired ||
		status == binding.StatusRevoked && IsLost(rec.Problem)) {
		return nil
	}
	return s.Unusable(rec)
}

// acquireLease takes the lease within the wait of the caller and then refreshes. It returns
// errOvertaken if another call has the lease.
func (s *Service) acquireLease(
	ctx, wait context.Context, rec binding.Record,
) (binding.Record, error) {
	leased, err := s.takeLease(wait, rec)
	switch {
	case errors.Is(err, table.ErrConflict):
		return binding.Record{}, errOvertaken
	case err != nil:
		return binding.Record{}, ledger.Unavailable("taking the lease", err)
	}
	return s.refreshLeased(ctx, leased, rec.Lease.Until)
}

// paused returns the problem of the refresh that set the record's backoff. A row that was damaged
// may have none.
func (s *Service) paused(rec binding.Record) *problem.Problem {
	if rec.Backoff.Problem == nil {
		return s.waitExpired(rec)
	}
	return rec.Backoff.Problem
}

// takeLease makes this call the only one that asks the platform, until the lease ends. The record
// is due at that time, so that the check takes over from a refresh that crashed. An abandoned lease
// sets RefreshUnclear, however this refresh ends: its holder may have used the refresh token up.
func (s *Service) takeLease(ctx context.Context, rec binding.Record) (binding.Record, error) {
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (binding.Lease{})
	rec.Lease = binding.Lease{Owner: s.ledger.Random(8), Until: s.ledger.Now().Add(RefreshLeaseTTL)}
	rec.DueAt = s.ledger.Due(rec)
	saved, err := s.ledger.Table.SaveBinding(ctx, rec)
	if err == nil {
		return saved, nil
	}
	row, readErr := s.ledger.Record(ctx, rec.Key) // the save may have worked and its reply been lost
	if readErr == nil && row.Lease.Owner == rec.Lease.Owner {
		return row, nil
	}
	return binding.Record{}, err
}

// refreshLeased makes the next generation of the record's token and commits it. If an earlier
// refresh ended unclearly, the next generation may be in the vault already; if not, the platform is
// asked. The lease before this one ended at previousUntil, which is zero if there was none.
func (s *Service) refreshLeased(
	ctx context.Context, rec binding.Record, previousUntil time.Time,
) (binding.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, RefreshLeaseTTL)
	defer cancel()
	if rec.RefreshUnclear {
		if bundle, err := s.FetchNext(ctx, rec); err == nil {
			return s.Commit(ctx, rec, bundle)
		} else if !errors.Is(err, vault.ErrNotFound) {
			return binding.Record{}, s.backOff(ctx, rec, err, requestNotSent)
		}
	}
	bundle, err := s.ledger.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token)
	if err != nil {
		return binding.Record{}, s.backOff(ctx, rec, err, requestNotSent)
	}
	token, request, err := s.RequestRefresh(ctx, bundle)
	if problem.Is(err, problem.TokenRevoked) {
		return s.handleRefusal(ctx, rec, previousUntil, err)
	}
	if err != nil {
		return binding.Record{}, s.backOff(ctx, rec, err, request)
	}
	bundle.Token, bundle.IssuedAt = token, s.ledger.Now()
	if bundle, err = s.StoreNext(ctx, rec, bundle); err != nil {
		return binding.Record{}, s.backOff(ctx, rec, err, requestSent)
	}
	return s.Commit(ctx, rec, bundle)
}

// FetchNext reads the generation after the record's from the vault.
func (s *Service) FetchNext(ctx context.Context, rec binding.Record) (ledger.TokenBundle, error) {
	next := rec.Token
	next.Generation++
	return s.ledger.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, next)
}

// RequestRefresh asks the platform for a new token, if enough time is left to store its answer. It
// also reports whether the request was made.
func (s *Service) RequestRefresh(
	ctx context.Context, bundle ledger.TokenBundle,
) (token provider.Token, request requestState, err error) {
	client, err := s.ledger.OAuthClient(ctx, bundle.Platform)
	if err == nil {
		err = s.ledger.StartedWithin(ctx, ledger.CallDeadline-RefreshTimeout-StoreTimeout, "Refresh")
	}
	if err != nil {
		return token, requestNotSent, err
	}
	refreshCtx, cancel := context.WithTimeout(ctx, RefreshTimeout)
	defer cancel()
	token, err = client.Platform.Refresh(refreshCtx, client.App, bundle.Token.Refresh)
	s.countRefresh(ctx, bundle.Platform, err)
	return token, requestSent, err
}

// StoreNext puts a new token into the vault, before any other write: until then only this process
// has it. If another process has stored that generation first, its token counts and is returned.
func (s *Service) StoreNext(
	ctx context.Context, rec binding.Record, bundle ledger.TokenBundle,
) (ledger.TokenBundle, error) {
	// The token must be stored even if the caller has left or its time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StoreTimeout)
	defer cancel()
	put := func() error {
		return s.ledger.Put(
			ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token.Secret, rec.Token.Generation+1, bundle)
	}
	err := put()
	for isTransientPut(err) && s.ledger.Sleep(ctx, maxPollInterval) == nil {
		err = put()
	}
	if errors.Is(err, vault.ErrExists) {
		return s.FetchNext(ctx, rec)
	}
	return bundle, err
}

// isTransientPut reports whether a failed put may succeed when it is repeated.
func isTransientPut(err error) bool {
	for _, final := range []error{vault.ErrExists, vault.ErrNotFound, vault.ErrValue, ledger.ErrLate} {
		if errors.Is(err, final) {
			return false
		}
	}
	return err != nil
}

// Commit points the record at its next generation, even if the lease was lost. If the record points
// at another secret or generation by now, that one counts: the row lists this secret, and the sweep
// revokes its tokens. A binding that the operator has revoked stays revoked.
func (s *Service) Commit(
	ctx context.Context, rec binding.Record, bundle ledger.TokenBundle,
) (binding.Record, error) {
	old := rec.Token
	rec, err := s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, old) || binding.IsRevokedByOperator(*b) {
			return false
		}
		b.Token.Generation++
		b.Token.IssuedAt = bundle.IssuedAt
		b.Token.ExpiresAt = bundle.Token.ExpiresAt
		b.Token.Refreshable = !bundle.Token.Refresh.Empty()
		if len(bundle.Token.Scopes) > 0 {
			b.Token.Scopes = bundle.Token.Scopes
		}
		b.Lease, b.RefreshUnclear = binding.Lease{}, false
		b.Backoff, b.RecheckAt = binding.Backoff{}, time.Time{}
		if b.Health == binding.HealthRevoked || b.Health == binding.HealthExpired {
			b.Health, b.Problem = binding.HealthGood, nil
			s.ledger.AddEvent(b, binding.Event{Type: binding.EventRecovered, Identity: b.Identity})
		}
		b.DueAt = s.ledger.Due(*b)
		return true
	})
	if err != nil {
		return binding.Record{}, err
	}
	old.Generation++
	s.cache.put(rec.Key, cached(old, bundle.Credential()))
	return rec, s.Unusable(rec)
}
