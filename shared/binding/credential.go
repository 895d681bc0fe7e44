package binding

import (
	"context"
	"time"

	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

const (
	// MinimumLife is what a credential has left if its caller doesn't say: a clone that takes ten
	// minutes is a long one.
	MinimumLife = 10 * time.Minute
	// minRefreshAge is the age below which a token that lives is not refreshed, whatever life is asked for:
	// no platform would give it a longer one.
	minRefreshAge = 5 * time.Minute
)

// CredentialRequest is a build's wish.
type CredentialRequest struct {
	By       table.User
	Instance instance.Instance
	Platform string
	// MinimumLife is how long the credential must work. Where the platform can't give that, the
	// true end is in the answer.
	MinimumLife time.Duration
}

// Credential is what a build gets: never a refresh token.
type Credential struct {
	Username  string
	Token     secret.Text
	ExpiresAt time.Time // zero: never, or not known
}

// Credential hands out what a git client needs, refreshed first if it has too little life left.
// One table call, and one vault call or none, when it is still good. At worst it takes 18 seconds.
//
// [problem.NotBound]; [problem.TokenRevoked] and [problem.TokenExpired] until the user binds again;
// a platform_… problem or [problem.ClientRefused], with RetryAfter, when the token has ended and a
// refresh fails in passing. While the token lives, a failing refresh is nobody's problem.
func (s *Service) Credential(ctx context.Context, in CredentialRequest) (Credential, error) {
	ctx = s.startInvocation(ctx)
	if _, ok := s.platforms.Get(in.Platform); !ok {
		return Credential{}, problem.New(problem.PlatformUnknown)
	}
	key := keyOf(in.By.Account, in.Instance, in.Platform)
	rec, k, err := s.current(ctx, key, in.MinimumLife)
	s.countCredential(ctx, in.Platform, err)
	if err != nil {
		return Credential{}, err
	}
	event.Audit(ctx, s.log, event.Entry{
		Action: "credential", User: in.By, Target: key, Outcome: event.Done, Identity: rec.Identity,
	})
	return Credential{
		Username:  rec.Token.Username,
		Token:     k.Token.Access,
		ExpiresAt: rec.Token.ExpiresAt,
	}, nil
}

// current reads a binding and its token, refreshed if that is needed.
func (s *Service) current(
	ctx context.Context, key table.Key, minimum time.Duration,
) (table.Binding, tokenBundle, error) {
	rec, err := s.record(ctx, key)
	if err != nil {
		return table.Binding{}, tokenBundle{}, err
	}
	if rec, err = s.ensureFresh(ctx, rec, minimum); err != nil {
		return table.Binding{}, tokenBundle{}, err
	}
	k, err := s.cachedTokenBundle(ctx, rec.Token)
	if err != nil {
		return table.Binding{}, tokenBundle{}, unavailable("reading the token", err)
	}
	return rec, k, nil
}

// countCredential writes the metric of one credential; its kind is "done", or why there was none.
func (s *Service) countCredential(ctx context.Context, platform string, err error) {
	kind := event.Done
	if err != nil {
		p := problem.Of(err)
		kind = string(p.Code)
		if p.Code == problem.TokenRevoked && p.Reason != "" {
			kind = p.Reason // a token that may be lost is not one that was revoked
		}
	}
	event.Metric(ctx, s.log, s.now(),
		map[string]string{"Platform": platform, "Kind": kind},
		map[string]float64{"Credentials": 1})
}

// countRefresh writes the metric of one call to a platform for a new token.
func (s *Service) countRefresh(ctx context.Context, platform string, err error) {
	kind := event.Done
	if err != nil {
		kind = string(problem.Of(err).Code)
	}
	event.Metric(ctx, s.log, s.now(),
		map[string]string{"Platform": platform, "Kind": kind},
		map[string]float64{"Refreshes": 1})
}

// ensureFresh returns the record with a token that lives, refreshed if that is needed.
func (s *Service) ensureFresh(
	ctx context.Context, rec table.Binding, minimum time.Duration,
) (table.Binding, error) {
	if err := s.ended(rec); err != nil {
		return table.Binding{}, err
	}
	if !s.needsRefresh(rec, minimum) {
		return rec, nil
	}
	next, err := s.refreshUntilUsable(ctx, rec)
	switch {
	case err == nil:
		return next, nil
	case s.lives(rec) && !final(err):
		return rec, nil // the old one has life yet
	}
	return table.Binding{}, err
}

// final reports whether a refresh has found that there is no token to give any more, not even the one
// that it began with.
func final(err error) bool {
	return problem.Is(err, problem.TokenRevoked) || problem.Is(err, problem.TokenExpired) ||
		problem.Is(err, problem.NotBound)
}

// ended is the problem of a binding that has no token to give.
func (s *Service) ended(rec table.Binding) error {
	switch status := StatusOf(rec, s.now()); status {
	case StatusUnbound:
		return problem.New(problem.NotBound).With("platform", s.title(rec.Platform))
	case StatusRevoked:
		if rec.Problem != nil {
			return rec.Problem
		}
		return problem.New(problem.TokenRevoked).With("platform", s.title(rec.Platform))
	case StatusExpired:
		return problem.New(problem.TokenExpired).With("platform", s.title(rec.Platform))
	}
	return nil
}

// lives reports whether the token has any life left, by our clock.
func (s *Service) lives(rec table.Binding) bool {
	return rec.Token.ExpiresAt.IsZero() || rec.Token.ExpiresAt.After(s.now())
}

func (s *Service) needsRefresh(rec table.Binding, minimum time.Duration) bool {
	now, t := s.now(), rec.Token
	switch {
	case !t.Refreshable || t.ExpiresAt.IsZero():
		return false
	case !t.ExpiresAt.After(now):
		return true
	}
	return t.ExpiresAt.Sub(now) < minimum && now.Sub(t.IssuedAt) >= minRefreshAge
}

// cachedTokenBundle reads a token from this process's memory if it has that very generation, else from the
// vault.
func (s *Service) cachedTokenBundle(ctx context.Context, t table.Token) (tokenBundle, error) {
	if k, ok := s.warm.get(t.Secret, t.Generation); ok {
		return k, nil
	}
	k, err := s.fetch(ctx, t)
	if err == nil {
		s.warm.put(t.Secret, t.Generation, k)
	}
	return k, err
}

// heldBy is the token of a record in the form that a platform is asked with.
func heldBy(rec table.Binding, k tokenBundle) provider.Credential {
	h := k.held()
	h.Username, h.Scopes, h.ExpiresAt = rec.Token.Username, rec.Token.Scopes, rec.Token.ExpiresAt
	return h
}
