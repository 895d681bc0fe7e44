package binding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// How long things take at most around a refresh. A platform that is slow has perhaps used the
// refresh token up already, so it is given nearly all the time that a caller has, who is answered
// within 20 seconds. Whoever waits for a lease waits less long than it lasts: it is for the next
// caller to take over.
const (
	refreshLeaseTTL    = 20 * time.Second
	refreshTimeout     = 16 * time.Second // the platform's answer
	storeTimeout       = 8 * time.Second  // one thing to be stored
	refreshWaitTimeout = 18 * time.Second // a caller, for a refresh by anybody
	// minTimeToRefresh is how much of that must be left to whoever begins a refresh: it goes on when its caller
	// has left, but a cloud freezes a function whose callers are answered.
	minTimeToRefresh = 5 * time.Second
	// How often the record is looked at meanwhile: soon at first, then each time that the wait has
	// grown by half, so that nobody waits for twice as long as the refresh takes.
	minPollInterval = 10 * time.Millisecond
	maxPollInterval = 250 * time.Millisecond
	// A refresh that failed is not tried again for so long, doubled each time.
	minRefreshBackoff = 5 * time.Second
	maxRefreshBackoff = 5 * time.Minute
)

// refreshUntilUsable is [Service.refreshed] until the token lives: one that was found in the vault, left there
// by a refresh before, may have ended by now.
func (s *Service) refreshUntilUsable(ctx context.Context, rec table.Binding) (table.Binding, error) {
	for range 2 {
		next, err := s.refreshOnce(ctx, rec)
		if err != nil || s.lives(next) {
			return next, err
		}
		rec = next
	}
	return table.Binding{}, s.busy(rec)
}

// refreshOnce returns the record with its next generation. Of all callers in this process one does
// the work and the others wait for it; it goes on when they leave, for a refresh token that the
// platform has used up must reach the vault. Of all processes one has the lease.
func (s *Service) refreshOnce(ctx context.Context, rec table.Binding) (table.Binding, error) {
	flight := string(rec.Token.Secret) + fmt.Sprint(rec.Token.Generation)
	done := s.flights.DoChan(flight, func() (any, error) {
		return s.acquireLease(context.WithoutCancel(ctx), rec)
	})
	patience, cancel := context.WithTimeout(ctx, refreshWaitTimeout)
	defer cancel()
	select {
	case r := <-done:
		next, _ := r.Val.(table.Binding)
		return next, r.Err
	case <-patience.Done():
		return table.Binding{}, s.busy(rec).From(patience.Err())
	}
}

// busy is the problem of a caller who waited in vain.
func (s *Service) busy(rec table.Binding) *problem.Problem {
	return problem.New(problem.PlatformUnreachable).Because("timeout").
		With("platform", s.title(rec.Platform)).
		After(minRefreshBackoff)
}

// acquireLease waits for the lease or for what its holder brings, whichever comes first. The wait has
// a bound; the work of whoever gets the lease is not cut short by it.
func (s *Service) acquireLease(ctx context.Context, rec table.Binding) (table.Binding, error) {
	old := rec.Token
	patience, cancel := context.WithTimeout(ctx, refreshWaitTimeout)
	defer cancel()
	waited := time.Duration(0)
	for {
		now := s.now()
		switch {
		case !same(rec.Token, old):
			return rec, s.ended(rec) // somebody brought another
		case s.ended(rec) != nil && rec.Health != table.Healthy:
			return table.Binding{}, s.ended(rec)
		case rec.Backoff.Until.After(now):
			return table.Binding{}, rec.Backoff.Problem.After(rec.Backoff.Until.Sub(now))
		case !rec.Lease.Until.After(now) && waited > refreshWaitTimeout-minTimeToRefresh:
			return table.Binding{}, s.busy(rec)
		case !rec.Lease.Until.After(now):
			leased, err := s.lease(patience, rec)
			if err == nil {
				return s.refresh(ctx, leased, rec.Lease.Until)
			}
			if !errors.Is(err, table.ErrConflict) {
				return table.Binding{}, unavailable("taking the lease", err)
			}
		default:
			pause := min(max(waited/2, minPollInterval), maxPollInterval)
			pause += s.jitter(pause / 2)
			if err := s.sleep(patience, pause); err != nil {
				return table.Binding{}, s.busy(rec).From(err)
			}
			waited += pause
		}
		var err error
		if rec, err = s.record(patience, rec.Key); err != nil {
			return table.Binding{}, err
		}
	}
}

// lease makes this call the one that asks the platform, until the lease ends. The record is due
// then, so that the check takes over what a death leaves. A lease that was left behind makes the
// record unsure, and stays on record so however this refresh ends: its holder may have used the
// refresh token up.
func (s *Service) lease(ctx context.Context, rec table.Binding) (table.Binding, error) {
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (table.Lease{})
	rec.Lease = table.Lease{Owner: s.random(8), Until: s.now().Add(refreshLeaseTTL)}
	rec.DueAt = s.due(rec)
	saved, err := s.table.SaveBinding(ctx, rec)
	if err == nil {
		return saved, nil
	}
	there, readErr := s.record(ctx, rec.Key) // what is there counts
	if readErr == nil && there.Lease.Owner == rec.Lease.Owner {
		return there, nil
	}
	return table.Binding{}, err
}

// refresh brings the next generation of the record's secret: the one that is in the vault already,
// if a refresh before this one ended unclearly, else a new one from the platform. The lease that
// was there before, if there was one, ended at left.
func (s *Service) refresh(
	ctx context.Context, rec table.Binding, left time.Time,
) (table.Binding, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshLeaseTTL)
	defer cancel()
	if rec.RefreshUnclear {
		if k, err := s.successor(ctx, rec); err == nil {
			return s.commit(ctx, rec, k)
		} else if !errors.Is(err, vault.ErrNotFound) {
			return table.Binding{}, s.backOff(ctx, rec, err, unasked)
		}
	}
	k, err := s.fetch(ctx, rec.Token)
	if err != nil {
		return table.Binding{}, s.backOff(ctx, rec, err, unasked)
	}
	token, was, err := s.requestRefresh(ctx, k)
	if err == nil {
		k.Token, k.IssuedAt = token, s.now()
		return s.store(ctx, rec, k)
	}
	if problem.Is(err, problem.TokenRevoked) {
		return s.handleRefusal(ctx, rec, left, err)
	}
	return table.Binding{}, s.backOff(ctx, rec, err, was)
}

// successor reads the generation after the record's.
func (s *Service) successor(ctx context.Context, rec table.Binding) (tokenBundle, error) {
	next := rec.Token
	next.Generation++
	return s.fetch(ctx, next)
}

// requestRefresh asks the platform, if there is time enough left to store what it answers.
func (s *Service) requestRefresh(ctx context.Context, k tokenBundle) (provider.Token, wasAsked, error) {
	platform, app, err := s.oauthPlatform(ctx, k.Platform)
	if err == nil {
		err = s.startedWithin(ctx, callDeadline-refreshTimeout-storeTimeout, "Refresh")
	}
	if err != nil {
		return provider.Token{}, unasked, err
	}
	asking, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	token, err := platform.Refresh(asking, app, k.Token.Refresh)
	s.countRefresh(ctx, k.Platform, err)
	return token, asked, err
}

// store puts a new token into the vault before anything else: until then it is in this process
// alone. If somebody else was quicker, theirs counts.
func (s *Service) store(ctx context.Context, rec table.Binding, k tokenBundle) (table.Binding, error) {
	// The caller may have gone, and its time may be up: this call must be made all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := s.put(ctx, rec.Token.Secret, rec.Token.Generation+1, k)
	for mayPass(err) && s.sleep(ctx, maxPollInterval) == nil {
		err = s.put(ctx, rec.Token.Secret, rec.Token.Generation+1, k)
	}
	if errors.Is(err, vault.ErrExists) {
		k, err = s.successor(ctx, rec)
	}
	if err != nil {
		return table.Binding{}, s.backOff(ctx, rec, err, asked)
	}
	return s.commit(ctx, rec, k)
}

// mayPass reports whether a put that failed may yet be done.
func mayPass(err error) bool {
	for _, final := range []error{vault.ErrExists, vault.ErrNotFound, vault.ErrValue, errLate} {
		if errors.Is(err, final) {
			return false
		}
	}
	return err != nil
}

// commit points the record at its next generation, whatever became of the lease. If the record
// has moved on to another secret or generation, that one counts: this secret has a note, and the
// sweep revokes what it holds. One that the operator has withdrawn is not brought back.
func (s *Service) commit(ctx context.Context, rec table.Binding, k tokenBundle) (table.Binding, error) {
	want := rec.Token
	want.Generation++
	err := s.change(ctx, rec, func(b *table.Binding) bool {
		if !same(b.Token, rec.Token) || revokedByTheOperator(*b) {
			return false
		}
		b.Token.Generation = want.Generation
		b.Token.IssuedAt = k.IssuedAt
		b.Token.ExpiresAt = k.Token.ExpiresAt
		b.Token.Refreshable = !k.Token.Refresh.Empty()
		if len(k.Token.Scopes) > 0 {
			b.Token.Scopes = k.Token.Scopes
		}
		b.Lease, b.RefreshUnclear, b.Backoff, b.RecheckAt = table.Lease{}, false, table.Backoff{}, time.Time{}
		if b.Health == table.Revoked || b.Health == table.Expired {
			b.Health, b.Problem = table.Healthy, nil
			s.happened(b, table.Event{Type: event.Recovered, Identity: b.Identity})
		}
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	if err != nil {
		return table.Binding{}, err
	}
	s.warm.put(want.Secret, want.Generation, k)
	return rec, s.ended(rec)
}

// same reports whether two records point at the same generation of the same secret.
func same(a, b table.Token) bool {
	return a.Secret == b.Secret && a.Generation == b.Generation
}

// change saves a record after edit, which is told the row as it is and reports whether there is
// anything to save. A conflict or an unclear end reads it again. out is the row in the end.
func (s *Service) change(
	ctx context.Context, rec table.Binding, edit func(*table.Binding) bool, out *table.Binding,
) error {
	for try := range maxTries {
		next, err := s.makeRoom(ctx, rec, 2) // an edit adds two events at most
		if err != nil {
			return err
		}
		if !edit(&next) {
			*out = rec
			return nil
		}
		saved, err := s.table.SaveBinding(ctx, next)
		if err == nil {
			*out = saved
			return nil
		}
		if !errors.Is(err, table.ErrConflict) && try >= 2 {
			return unavailable("saving the binding", err)
		}
		if rec, err = s.record(ctx, rec.Key); err != nil {
			return err
		}
	}
	return unavailable("saving the binding", table.ErrConflict)
}
