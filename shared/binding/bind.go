package binding

import (
	"context"
	"fmt"
	"slices"

	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// Match is the condition of an If-Match header: ETags without their quotes, or "*" for any
// binding. Nil is no condition.
type Match []string

// allows reports whether the condition holds for a record (RFC 9110, 13.1.1).
func (m Match) allows(rec table.Binding) bool {
	if m == nil {
		return true
	}
	return rec.Bound() && (slices.Contains(m, "*") || slices.Contains(m, rec.Revision))
}

// TokenBindRequest is a bind by a personal access token.
type TokenBindRequest struct {
	By         table.User
	Instance   instance.Instance
	Platform   string
	Submission provider.Submission
	Match      Match
	// Revoke asks for the replaced token to be revoked at the platform, too.
	Revoke bool
}

// BindToken verifies a personal access token with its platform, stores it and makes the binding
// point at it. Nothing is stored before everything was verified, and a re-bind that fails leaves
// the old binding as it was. It takes at most 15 seconds, and the time of a few calls to the
// storage.
//
// Beyond the problems of the platform: [problem.MethodMismatch], [problem.PreconditionFailed],
// [problem.Conflict] when another caller has bound or unbound at the same time, or when
// too many earlier secrets of the binding wait for the sweep, and [problem.StorageUnavailable],
// after which the binding is as it was or as it should be.
func (s *Service) BindToken(ctx context.Context, in TokenBindRequest) (View, error) {
	ctx = s.startInvocation(ctx)
	platform, err := s.tokenPlatform(in.Platform)
	if err != nil {
		return View{}, err
	}
	key := keyOf(in.By.Account, in.Instance, in.Platform)
	rec, err := s.record(ctx, key)
	if err != nil {
		return View{}, err
	}
	if !in.Match.allows(rec) {
		return View{}, problem.New(problem.PreconditionFailed)
	}
	finding, err := s.verify(ctx, platform, in.Submission)
	if err != nil {
		return View{}, err
	}
	k := tokenBundle{
		Platform:     in.Platform,
		Method:       provider.ByToken,
		Address:      finding.Address,
		Username:     finding.GitUsername,
		Organization: finding.Organization,
		Token: provider.Token{
			Access:    finding.Token, // as it was verified, without what was pasted around it
			ExpiresAt: finding.ExpiresAt,
			Scopes:    finding.Scopes,
		},
	}
	saved, old, err := s.bind(ctx, rec, k, finding, in.By)
	if in.Match != nil && problem.Is(err, problem.Conflict) &&
		problem.Of(err).Reason != cleanupPending {
		err = problem.New(problem.PreconditionFailed).From(err) // it held only when it was read
	}
	if err != nil {
		return View{}, err
	}
	revoked := in.Revoke && old.Bound() && s.revokeReplaced(ctx, old, k)
	s.auditBound(ctx, in.By, saved, old, revoked)
	return s.view(saved), nil
}

func (s *Service) verify(
	ctx context.Context, platform provider.TokenPlatform, sub provider.Submission,
) (provider.CheckResult, error) {
	if _, err := s.enforceDeadline(ctx, "Verify"); err != nil {
		return provider.CheckResult{}, unavailable("asking the platform", err)
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	return platform.Verify(ctx, sub)
}

// bind stores a verified token and points the record at it.
func (s *Service) bind(
	ctx context.Context, rec table.Binding, k tokenBundle, f provider.CheckResult, by table.User,
) (saved, old table.Binding, err error) {
	rec, name, err := s.stageSecret(ctx, rec, k)
	if err != nil {
		return table.Binding{}, table.Binding{}, err
	}
	next := table.Binding{
		Revision:     s.random(16),
		Token:        tokenOf(name, k, s.now()),
		Method:       string(k.Method),
		Address:      k.Address,
		Organization: k.Organization,
		Identity:     table.Identity(f.Identity),
		BoundAt:      s.now(),
		BoundBy:      by,
		Warnings:     plain(f.Warnings),
	}
	next.LastCheckedAt = next.BoundAt
	next.CheckAt = s.nextCheck(next)
	if err := s.addIdentityEntry(ctx, rec.Key, next); err != nil {
		return table.Binding{}, table.Binding{}, err
	}
	return s.replaceToken(ctx, rec, func(rec table.Binding) table.Binding {
		return s.replace(rec, next)
	})
}

// replace is next in the place of rec: what belongs to the row stays, what belonged to the old
// token goes.
func (s *Service) replace(rec, next table.Binding) table.Binding {
	next = next.WithUnknown(rec)
	next.Key, next.Version = rec.Key, rec.Version
	next.Secrets = s.nextSecrets(rec, next.Token.Secret)
	next.Events, next.EventCount, next.EventAt = rec.Events, rec.EventCount, rec.EventAt
	next.Delivery = rec.Delivery
	e := table.Event{Type: event.Bound, Actor: next.BoundBy, Identity: next.Identity}
	if rec.Bound() {
		e.Type, e.Previous = event.Rebound, rec.Identity
	}
	s.happened(&next, e)
	return next
}

func (s *Service) auditBound(
	ctx context.Context, by table.User, saved, old table.Binding, revoked bool,
) {
	event.Audit(ctx, s.log, event.Entry{
		Action:   "bind",
		User:     by,
		Target:   saved.Key,
		Outcome:  event.Done,
		Identity: saved.Identity,
		Previous: old.Identity,
		Revoked:  revoked,
	})
}

// tokenPlatform finds a platform that is bound by token.
func (s *Service) tokenPlatform(name string) (provider.TokenPlatform, error) {
	platform, ok := s.platforms.Get(name)
	if !ok {
		return nil, problem.New(problem.PlatformUnknown)
	}
	byToken, ok := platform.(provider.TokenPlatform)
	if !ok {
		return nil, mismatch(platform.Describe())
	}
	return byToken, nil
}

func mismatch(d provider.Description) error {
	return problem.New(problem.MethodMismatch).
		Because(string(d.Method)).
		With("platform", d.Title)
}

func keyOf(account string, i instance.Instance, platform string) table.Key {
	return table.Key{Account: account, Region: i.Region, Instance: i.ID, Platform: platform}
}

func plain(warnings []*problem.Problem) []problem.Problem {
	list := make([]problem.Problem, 0, len(warnings))
	for _, w := range warnings {
		list = append(list, *w)
	}
	return list
}

// title is a platform's name for people.
func (s *Service) title(name string) string {
	if platform, ok := s.platforms.Get(name); ok {
		return platform.Describe().Title
	}
	return fmt.Sprintf("%q", name)
}
