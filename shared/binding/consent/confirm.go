package consent

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// ConfirmRequest asks to bind an instance by an authorization that has its consent.
type ConfirmRequest struct {
	By               binding.User
	ID               string
	Instance         instance.Instance
	ConfirmationCode secret.Text
	// Match is the condition for a binding that the call changes; a repeated call changes none.
	Match binding.Match
}

// Confirm binds the instance to the identity that has consented. It needs the confirmation code,
// which only the browser that consented got, and the user who started the attempt. The same call
// again has the same answer.
//
// [problem.AuthorizationUnknown] for no code or a wrong one, and nothing changes.
// [problem.AnotherUser] for the right code of another user's attempt, which is then discarded:
// its token is revoked where the platform can. [problem.AnotherInstance],
// [problem.AuthorizationDone], [problem.AuthorizationExpired], [problem.PreconditionFailed],
// [problem.Conflict].
// [problem.TokenMismatch] for an attempt whose row names the secret of another; nothing is bound.
func (s *Service) Confirm(ctx context.Context, in ConfirmRequest) (binding.View, error) {
	ctx = s.ledger.StartInvocation(ctx)
	a, err := s.authorization(ctx, in.ID)
	if err != nil {
		return binding.View{}, err
	}
	if !hasConfirmationCode(a, in.ConfirmationCode) {
		return binding.View{}, problem.New(problem.AuthorizationUnknown)
	}
	if a.Starter != in.By {
		return binding.View{}, s.discard(ctx, a, in.By)
	}
	named := a.Instance != ""
	if named && (a.Region != in.Instance.Region || a.Instance != in.Instance.ID) {
		return binding.View{}, problem.New(problem.AnotherInstance)
	}
	rec, err := s.ledger.Record(ctx, binding.KeyOf(in.By.Account, in.Instance, a.Platform))
	if err != nil {
		return binding.View{}, err
	}
	// The clock is read after the record. A record that was read in time lists a token that was
	// confirmed and then replaced for as long as the attempt can be confirmed.
	switch {
	case rec.Token.Secret == a.Token.Secret:
		return s.ledger.View(rec), nil
	case binding.IsRetired(rec, a.Token.Secret):
		return binding.View{}, problem.New(problem.AuthorizationDone)
	case !s.ledger.Now().Before(a.ExpiresAt):
		return binding.View{}, problem.New(problem.AuthorizationExpired)
	case !in.Match.Allows(rec):
		return binding.View{}, problem.New(problem.PreconditionFailed)
	}
	view, err := s.confirm(ctx, a, rec, in.By)
	return view, ledger.Raced(in.Match, err)
}

// confirm points rec at the token of the attempt.
func (s *Service) confirm(
	ctx context.Context, a binding.Authorization, rec binding.Record, by binding.User,
) (binding.View, error) {
	if err := s.nameBinding(ctx, a, rec.Key); err != nil {
		return binding.View{}, err
	}
	bundle, err := s.ledger.Fetch(ctx, ledger.OwnerOf(a), a.Token)
	if err != nil {
		return binding.View{}, ledger.Unavailable("reading the token", err)
	}
	next := binding.Record{
		Revision:      s.ledger.Random(16),
		Token:         a.Token,
		Method:        string(provider.ByOAuth),
		Identity:      a.Identity,
		BoundAt:       s.ledger.Now(),
		LastCheckedAt: s.ledger.Now(),
		BoundBy:       by,
		Warnings:      a.Warnings,
	}
	next.CheckAt = s.ledger.NextCheck(next)
	if err := s.ledger.AddIdentityEntry(ctx, rec.Key, next); err != nil {
		return binding.View{}, err
	}
	if rec.Bound() {
		if err := s.subscriptions.HoldAll(ctx, rec.Key, next.Identity.ID); err != nil {
			return binding.View{}, err
		}
	}
	bound, err := s.ledger.ReplaceToken(ctx, rec, next)
	if err != nil {
		return binding.View{}, err
	}
	s.dropAttemptEntry(ctx, a)
	revoked := bound.Old.Bound() && bound.Old.Method == string(provider.ByOAuth) &&
		s.ledger.RevokeReplaced(ctx, bound.Old, bundle)
	s.ledger.AuditBound(ctx, by, bound, revoked)
	return s.ledger.View(bound.Saved), nil
}

// nameBinding writes into the attempt which record is about to point at its secret, so that the
// sweep asks that record before it deletes the secret. An attempt names one binding, once. An
// attempt that doesn't own its secret names none: the version before format 2 that has handled its
// callback does not ask an attempt's row before it deletes the secret, and would delete the secret
// of the binding.
func (s *Service) nameBinding(ctx context.Context, a binding.Authorization, key binding.Key) error {
	for range ledger.MaxTries {
		another := a.Binding != (binding.Key{}) && a.Binding != key
		switch {
		case another, a.Discarded, !a.OwnsSecret, a.SweepAttempts > 0: // the last: the sweep deletes it
			return problem.New(problem.AuthorizationDone)
		case a.Binding == key:
			return nil
		}
		named := a
		named.Binding = key
		_, saveErr := s.ledger.Table.SaveAuthorization(ctx, named)
		if saveErr == nil {
			return nil
		}
		there, err := s.authorization(ctx, a.ID) // what is there counts
		switch {
		case problem.Is(err, problem.AuthorizationUnknown): // the sweep has deleted it
			return problem.New(problem.AuthorizationDone)
		case err != nil:
			return err
		case there.Binding != key && !errors.Is(saveErr, table.ErrConflict):
			return ledger.Unavailable("naming the binding", saveErr)
		}
		a = there
	}
	return problem.New(problem.Conflict)
}

// discard ends an attempt that another user tried to confirm. The call that marks it as discarded
// revokes the token; an attempt that already names a binding is left as it is.
func (s *Service) discard(ctx context.Context, a binding.Authorization, by binding.User) error {
	refused := problem.New(problem.AnotherUser)
	if a.Discarded || a.SweepAttempts > 0 || a.Binding != (binding.Key{}) {
		return refused
	}
	a.Discarded = true
	if _, err := s.ledger.Table.SaveAuthorization(ctx, a); errors.Is(err, table.ErrConflict) {
		return refused
	} else if err != nil {
		return ledger.Unavailable("discarding the authorization", err)
	}
	target, own := binding.TargetOf(a), ledger.OwnerOf(a)
	bundle, err := s.ledger.Fetch(ctx, own, a.Token)
	revoked := s.ledger.RevokeOld(ctx, own,
		binding.Record{Key: target, Token: a.Token, Identity: a.Identity}, bundle, err)
	if revoked {
		s.dropAttemptEntry(ctx, a)
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action:   "confirm",
		User:     by,
		Target:   target,
		Outcome:  string(problem.AnotherUser),
		Previous: a.Identity,
		Revoked:  revoked,
	})
	return refused
}
