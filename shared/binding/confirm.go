package binding

import (
	"context"
	"errors"

	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// ConfirmRequest is the end of an authorization.
type ConfirmRequest struct {
	By               table.User
	ID               string
	Instance         instance.Instance
	ConfirmationCode secret.Text
}

// Confirm binds the instance to the identity that has consented. It needs the finish, which only
// the consenting browser got, and the user who started. Any number of calls may do this: the same
// call again has the same answer.
//
// [problem.AuthorizationUnknown] for no or a wrong finish, and nothing changes.
// [problem.AnotherUser] for the right finish of another user's attempt, which is then discarded:
// its token is revoked where that can be. [problem.AnotherInstance], [problem.AuthorizationDone],
// [problem.AuthorizationExpired], [problem.Conflict].
func (s *Service) Confirm(ctx context.Context, in ConfirmRequest) (View, error) {
	ctx = s.startInvocation(ctx)
	a, err := s.authorization(ctx, in.ID)
	if err != nil {
		return View{}, err
	}
	if !hasConfirmationCode(a, in.ConfirmationCode) {
		return View{}, problem.New(problem.AuthorizationUnknown)
	}
	if a.Starter != in.By {
		return View{}, s.discard(ctx, a, in.By)
	}
	named := a.Instance != ""
	if named && (a.Region != in.Instance.Region || a.Instance != in.Instance.ID) {
		return View{}, problem.New(problem.AnotherInstance)
	}
	rec, err := s.record(ctx, keyOf(in.By.Account, in.Instance, a.Platform))
	if err != nil {
		return View{}, err
	}
	if rec.Token.Secret == a.Token.Secret {
		return s.view(rec), nil
	}
	if !s.now().Before(a.ExpiresAt) {
		return View{}, problem.New(problem.AuthorizationExpired)
	}
	return s.confirm(ctx, a, rec, in.By)
}

func (s *Service) confirm(
	ctx context.Context, a table.Authorization, rec table.Binding, by table.User,
) (View, error) {
	if err := s.adopt(ctx, a.Token.Secret, rec.Key); err != nil {
		return View{}, err
	}
	next := table.Binding{
		Revision:      s.random(16),
		Token:         a.Token,
		Method:        string(provider.ByOAuth),
		Identity:      a.Identity,
		BoundAt:       s.now(),
		LastCheckedAt: s.now(),
		BoundBy:       by,
		Warnings:      a.Warnings,
	}
	next.CheckAt = s.nextCheck(next)
	if err := s.addIdentityEntry(ctx, rec.Key, next); err != nil {
		return View{}, err
	}
	saved, old, err := s.replaceToken(ctx, rec, func(rec table.Binding) table.Binding {
		return s.replace(rec, next)
	})
	if err != nil {
		return View{}, err
	}
	s.released(ctx, a)
	revoked := old.Bound() && old.Method == string(provider.ByOAuth) &&
		s.revokeConfirmed(ctx, old, saved)
	s.auditBound(ctx, by, saved, old, revoked)
	return s.view(saved), nil
}

// revokeConfirmed revokes the token that a confirmed one has replaced.
func (s *Service) revokeConfirmed(ctx context.Context, old, saved table.Binding) bool {
	k, err := s.fetch(ctx, saved.Token)
	if err != nil {
		return s.revokeOld(ctx, old, tokenBundle{}, err)
	}
	return s.revokeReplaced(ctx, old, k)
}

// adopt puts a binding into the note of a secret that a callback has stored, so that the sweep
// asks that record from now on. It works once for one binding, and again for the same.
func (s *Service) adopt(ctx context.Context, name string, key table.Key) error {
	for range maxTries {
		note, err := s.table.Note(ctx, name)
		if errors.Is(err, table.ErrNotFound) {
			return problem.New(problem.AuthorizationDone)
		}
		if err != nil {
			return unavailable("reading the secret's note", err)
		}
		free := note.Binding == (table.Key{}) || note.Binding == key
		if note.State != table.Held || !free {
			return problem.New(problem.AuthorizationDone)
		}
		note.Binding = key
		note.DueAt = s.now().Add(orphanGracePeriod)
		_, err = s.table.SaveNote(ctx, note)
		if err == nil {
			return nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return unavailable("adopting the secret", err)
		}
	}
	return problem.New(problem.Conflict)
}

// discard ends an attempt that somebody else tried to confirm. Whoever makes the note disowned
// revokes the token; an attempt that was confirmed before is left alone.
func (s *Service) discard(ctx context.Context, a table.Authorization, by table.User) error {
	refused := problem.New(problem.AnotherUser)
	note, err := s.table.Note(ctx, a.Token.Secret)
	if errors.Is(err, table.ErrNotFound) {
		return refused
	}
	if err != nil {
		return unavailable("reading the secret's note", err)
	}
	if note.State != table.Held || note.Binding != (table.Key{}) {
		return refused
	}
	note.State = table.Disowned
	note.DueAt = s.now().Add(orphanGracePeriod)
	if _, err := s.table.SaveNote(ctx, note); errors.Is(err, table.ErrConflict) {
		return refused
	} else if err != nil {
		return unavailable("disowning the secret", err)
	}
	s.released(ctx, a) // else the attempt itself would pass for a holder of the token
	k, err := s.fetch(ctx, a.Token)
	revoked := s.revokeOld(ctx, table.Binding{
		Key: targetOf(a), Token: a.Token, Identity: a.Identity,
	}, k, err)
	event.Audit(ctx, s.log, event.Entry{
		Action:   "confirm",
		User:     by,
		Target:   targetOf(a),
		Outcome:  string(problem.AnotherUser),
		Previous: a.Identity,
		Revoked:  revoked,
	})
	return refused
}
