package credential

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

const (
	// MinimumLife is how long a credential remains valid if its caller doesn't say: even a long
	// clone takes no more than ten minutes.
	MinimumLife = 10 * time.Minute
	// MinRefreshAge is the age below which a valid token is not refreshed, whatever life is asked
	// for: a platform would not give a new one a longer life.
	MinRefreshAge = 5 * time.Minute
)

// Request asks for the credential of a build.
type Request struct {
	By       binding.User
	Instance instance.Instance
	Platform string
	// MinimumLife is how long the credential must remain valid. If the platform's tokens have a
	// shorter life, the result has the true expiry.
	MinimumLife time.Duration
	// Repository, if it isn't empty, is what the credential is for: the clone address or the key of
	// a repository.
	Repository string
}

// Credential is what a build gets. It never has a refresh token.
type Credential struct {
	Username  string // that git takes with the token
	Token     secret.Text
	ExpiresAt time.Time // zero: never, or not known
}

// Credential returns what a git client needs, and first refreshes a token that has too little life
// left. Without a refresh it makes one call to the table, and one to the vault or none. It waits
// for a refresh for 18 seconds at most.
//
// A Repository that isn't on the binding's platform is refused, so that git sends the token to no
// other host: [problem.InputMalformed] (host) for an address, [problem.RepositoryUnknown] for a
// key. The other errors are [problem.NotBound]; [problem.TokenRevoked] and [problem.TokenExpired]
// until the user binds again; [problem.NewerVersion], with RetryAfter, for a record that this
// version can't read; and a platform_… problem or [problem.ClientRefused], with RetryAfter, when
// the token has expired and a refresh fails temporarily. While the token is valid, a refresh that
// fails temporarily is no error.
func (s *Service) Credential(ctx context.Context, in Request) (Credential, error) {
	ctx = s.ledger.StartInvocation(ctx)
	if _, ok := s.ledger.Platforms.Get(in.Platform); !ok {
		return Credential{}, problem.New(problem.PlatformUnknown)
	}
	key := binding.KeyOf(in.By.Account, in.Instance, in.Platform)
	given, err := s.handOut(ctx, key, in)
	s.countCredential(ctx, in.Platform, err)
	if err != nil {
		return Credential{}, err
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action: "credential", User: in.By, Target: key, Outcome: event.Done, Identity: given.identity,
	})
	return Credential{
		Username:  given.token.Username,
		Token:     given.access,
		ExpiresAt: given.token.ExpiresAt,
	}, nil
}

// handOut returns a binding's token for a build. A row that has not changed since the process
// handed out its token is not decoded, unless the token is too old for the request, or the request
// names a repository.
func (s *Service) handOut(
	ctx context.Context, key binding.Key, in Request,
) (cachedToken, error) {
	kept := s.cache.get(key)
	known := kept.version
	if in.Repository != "" || !s.tokenValid(kept.token) || s.needsRefresh(kept.token, in.MinimumLife) {
		known = ""
	}
	rec, err := s.ledger.RecordUnless(ctx, key, known)
	if errors.Is(err, table.ErrUnchanged) {
		return kept, nil
	}
	if err != nil {
		return cachedToken{}, err
	}
	rec, given, err := s.freshToken(ctx, rec, in.MinimumLife)
	if err == nil {
		err = s.checkRepository(rec, in.Repository)
	}
	if err != nil {
		return cachedToken{}, err
	}
	next := cached(rec.Token, given).of(rec)
	s.cache.put(key, next)
	return next, nil
}

// Token returns a binding and its token in the form that its platform is asked with, for a call of
// Bindery's own. It refreshes, costs and fails as Credential does.
func (s *Service) Token(
	ctx context.Context, key binding.Key, minLife time.Duration,
) (binding.Record, provider.Credential, error) {
	rec, err := s.ledger.Record(ctx, key)
	if err != nil {
		return binding.Record{}, provider.Credential{}, err
	}
	return s.freshToken(ctx, rec, minLife)
}

// Named returns a token that another row than the binding's names. Unlike [Service.Token] it looks
// at no binding: the token may have been refreshed or revoked since, and a token that the vault no
// longer has may still be in the memory. It makes one call to the vault, or none.
func (s *Service) Named(
	ctx context.Context, key binding.Key, t binding.Token,
) (provider.Credential, error) {
	return s.CachedCredential(ctx, binding.Record{Key: key, Token: t})
}

// freshToken reads the token of a binding whose record was just read, refreshed if necessary. It
// returns the record as it is then.
func (s *Service) freshToken(
	ctx context.Context, read binding.Record, minLife time.Duration,
) (rec binding.Record, c provider.Credential, err error) {
	if rec, err = s.ensureFresh(ctx, read, minLife); err != nil {
		_ = s.NoteLost(ctx, read, err)
		return binding.Record{}, c, err
	}
	if c, err = s.CachedCredential(ctx, rec); err != nil {
		_ = s.NoteLost(ctx, rec, err)
		return binding.Record{}, c, ledger.Unavailable("reading the token", err)
	}
	return rec, c, nil
}

// countCredential writes the metric of one credential. Its kind is "done", or the code of the
// problem.
func (s *Service) countCredential(ctx context.Context, platform string, err error) {
	kind := event.Done
	if err != nil {
		p := problem.Of(err)
		kind = string(p.Code)
		if p.Code == problem.TokenRevoked && p.Reason != "" {
			kind = p.Reason // tells a token that may be lost from one that was revoked
		}
	}
	event.Metric(ctx, s.ledger.Log, s.ledger.Now(),
		map[string]string{"Platform": platform, "Kind": kind},
		map[string]float64{"Credentials": 1})
}

// countRefresh writes the metric of one call to a platform for a new token.
func (s *Service) countRefresh(ctx context.Context, platform string, err error) {
	kind := event.Done
	if err != nil {
		kind = string(problem.Of(err).Code)
	}
	event.Metric(ctx, s.ledger.Log, s.ledger.Now(),
		map[string]string{"Platform": platform, "Kind": kind},
		map[string]float64{"Refreshes": 1})
}

// ensureFresh returns the record with a token that is valid for at least minLife, refreshed if
// necessary. If a refresh fails temporarily and the old token is still valid, it returns that one,
// though it is valid for less.
func (s *Service) ensureFresh(
	ctx context.Context, rec binding.Record, minLife time.Duration,
) (binding.Record, error) {
	if err := s.Unusable(rec); err != nil {
		return binding.Record{}, err
	}
	if !s.needsRefresh(rec.Token, minLife) {
		return rec, nil
	}
	next, err := s.Refresh(ctx, rec)
	switch {
	case err == nil:
		return next, nil
	case s.TokenValid(rec) && !isPermanent(err):
		return rec, nil
	}
	return binding.Record{}, err
}

// isPermanent reports whether a refresh has found that the binding has no token to hand out any
// more, not even the one that the refresh began with.
func isPermanent(err error) bool {
	return problem.Is(err, problem.TokenRevoked) || problem.Is(err, problem.TokenExpired) ||
		problem.Is(err, problem.NotBound) || problem.Is(err, problem.NewerVersion)
}

// Unusable returns the problem of a binding whose token must not be handed out, and nil for any
// other.
func (s *Service) Unusable(rec binding.Record) error {
	switch status := binding.StatusOf(rec, s.ledger.Now()); status {
	case binding.StatusUnbound:
		return problem.New(problem.NotBound).With("platform", s.ledger.Title(rec.Platform))
	case binding.StatusUnknown:
		return problem.New(problem.NewerVersion).After(binding.NewerVersionRetry)
	case binding.StatusRevoked:
		if rec.Problem != nil {
			return rec.Problem
		}
		return problem.New(problem.TokenRevoked).With("platform", s.ledger.Title(rec.Platform))
	case binding.StatusExpired:
		return problem.New(problem.TokenExpired).With("platform", s.ledger.Title(rec.Platform))
	}
	return nil
}

// TokenValid reports whether the token has not expired by this machine's clock.
func (s *Service) TokenValid(rec binding.Record) bool { return s.tokenValid(rec.Token) }

func (s *Service) tokenValid(t binding.Token) bool {
	return t.ExpiresAt.IsZero() || t.ExpiresAt.After(s.ledger.Now())
}

// needsRefresh reports whether a token has expired, or expires within minLife and is old enough for
// a refresh.
func (s *Service) needsRefresh(t binding.Token, minLife time.Duration) bool {
	now := s.ledger.Now()
	switch {
	case !t.Refreshable || t.ExpiresAt.IsZero():
		return false
	case !t.ExpiresAt.After(now):
		return true
	}
	return t.ExpiresAt.Sub(now) < minLife && now.Sub(t.IssuedAt) >= MinRefreshAge
}

// CachedCredential returns a record's token in the form that a platform is asked with. It reads it
// from this process's memory if the record's binding has read the same generation before, and from
// the vault otherwise.
func (s *Service) CachedCredential(
	ctx context.Context, rec binding.Record,
) (provider.Credential, error) {
	kept := s.cache.get(rec.Key)
	if kept.access.Empty() || !binding.SameGeneration(kept.token, rec.Token) {
		return s.FetchCredential(ctx, rec)
	}
	return with(rec.Token, provider.Credential{
		Access: kept.access, Address: kept.address, Organization: kept.organization,
	}), nil
}

// FetchCredential reads a record's token from the vault, in the form that a platform is asked with.
func (s *Service) FetchCredential(
	ctx context.Context, rec binding.Record,
) (provider.Credential, error) {
	bundle, err := s.ledger.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token)
	if err != nil {
		return provider.Credential{}, err
	}
	c := with(rec.Token, bundle.Credential())
	s.cache.put(rec.Key, cached(rec.Token, c))
	return c, nil
}

// with returns a credential with what a record says of its token.
func with(t binding.Token, c provider.Credential) provider.Credential {
	c.Username, c.Scopes, c.ExpiresAt = t.Username, t.Scopes, t.ExpiresAt
	return c
}
