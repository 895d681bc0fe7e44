package connect

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// TokenBindRequest is a bind by a personal access token.
type TokenBindRequest struct {
	By         binding.User
	Instance   instance.Instance
	Platform   string
	Submission provider.Submission
	Match      binding.Match
	// Revoke says that the replaced token is to be revoked at the platform, too.
	Revoke bool
}

// BindToken verifies a personal access token with its platform, stores it, and points the binding
// at it. Nothing is stored before everything was verified, and a re-bind that fails leaves
// the old binding as it was. It takes at most 15 seconds, plus the time of a few calls to the
// storage.
//
// Beyond the problems of the platform: [problem.PlatformUnknown], [problem.MethodMismatch],
// [problem.PreconditionFailed], [problem.Conflict] when another caller has bound or unbound at the
// same time, or when too many earlier secrets of the binding wait for the sweep, and
// [problem.StorageUnavailable], after which the binding is as it was, or bound as was asked.
func (s *Service) BindToken(ctx context.Context, in TokenBindRequest) (binding.View, error) {
	ctx = s.ledger.StartInvocation(ctx)
	platform, err := s.tokenPlatform(in.Platform)
	if err != nil {
		return binding.View{}, err
	}
	key := binding.KeyOf(in.By.Account, in.Instance, in.Platform)
	rec, err := s.ledger.Record(ctx, key)
	if err != nil {
		return binding.View{}, err
	}
	if !in.Match.Allows(rec) {
		return binding.View{}, problem.New(problem.PreconditionFailed)
	}
	result, err := s.verify(ctx, platform, in.Submission)
	if err != nil {
		return binding.View{}, err
	}
	bundle := ledger.TokenBundle{
		Platform:     in.Platform,
		Method:       provider.ByToken,
		Address:      result.Address,
		Username:     result.GitUsername,
		Organization: result.Organization,
		Token: provider.Token{
			Access:    result.Token, // as it was verified, without what was pasted around it
			ExpiresAt: result.ExpiresAt,
			Scopes:    result.Scopes,
		},
	}
	bound, err := s.Bind(ctx, rec, bundle, result, in.By)
	if err = ledger.Raced(in.Match, err); err != nil {
		return binding.View{}, err
	}
	revoked := in.Revoke && bound.Old.Bound() && s.ledger.RevokeReplaced(ctx, bound.Old, bundle)
	s.ledger.AuditBound(ctx, in.By, bound, revoked)
	return s.ledger.View(bound.Saved), nil
}

// verify asks the platform about a submitted token.
func (s *Service) verify(
	ctx context.Context, platform provider.TokenPlatform, sub provider.Submission,
) (provider.CheckResult, error) {
	if _, err := s.ledger.EnforceDeadline(ctx, "Verify"); err != nil {
		return provider.CheckResult{}, ledger.Unavailable("asking the platform", err)
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.VerifyTimeout)
	defer cancel()
	return platform.Verify(ctx, sub)
}

// Bind stores a verified token and points the record at it. The record was read as rec.
func (s *Service) Bind(
	ctx context.Context, rec binding.Record, bundle ledger.TokenBundle, verified provider.CheckResult,
	by binding.User,
) (ledger.ReplaceResult, error) {
	rec, name, err := s.ledger.StageSecret(ctx, rec, bundle)
	if err != nil {
		return ledger.ReplaceResult{}, err
	}
	next := binding.Record{
		Revision:     s.ledger.Random(16),
		Token:        ledger.TokenOf(name, bundle, s.ledger.Now()),
		Method:       string(bundle.Method),
		Address:      bundle.Address,
		Organization: bundle.Organization,
		GitUsername:  bundle.Username,
		Identity:     binding.Identity(verified.Identity),
		BoundAt:      s.ledger.Now(),
		BoundBy:      by,
		Warnings:     binding.WarningsOf(verified.Warnings),
	}
	next.LastCheckedAt = next.BoundAt
	next.CheckAt = s.ledger.NextCheck(next)
	if err := s.ledger.AddIdentityEntry(ctx, rec.Key, next); err != nil {
		return ledger.ReplaceResult{}, err
	}
	if rec.Bound() {
		if err := s.subscriptions.HoldAll(ctx, rec.Key, next.Identity.ID); err != nil {
			return ledger.ReplaceResult{}, err
		}
	}
	return s.ledger.ReplaceToken(ctx, rec, next)
}

// tokenPlatform returns a platform that is bound by token.
func (s *Service) tokenPlatform(name string) (provider.TokenPlatform, error) {
	platform, ok := s.ledger.Platforms.Get(name)
	if !ok {
		return nil, problem.New(problem.PlatformUnknown)
	}
	byToken, ok := platform.(provider.TokenPlatform)
	if !ok {
		return nil, ledger.MethodMismatch(platform.Describe())
	}
	return byToken, nil
}
