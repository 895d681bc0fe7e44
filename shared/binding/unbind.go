package binding

import (
	"context"
	"errors"

	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// UnbindRequest asks for the end of a binding.
type UnbindRequest struct {
	By       table.User
	Instance instance.Instance
	Platform string
	Match    Match
	// Revoke asks for a personal access token to be revoked at the platform, too. An OAuth token
	// is revoked in any case, where the platform can.
	Revoke bool
}

// UnbindResult tells what became of the token.
type UnbindResult struct {
	// Revoked says that the platform no longer accepts it.
	Revoked bool
	// RevokeURL is where the user can end it by hand, "" if that is not needed.
	RevokeURL string
}

// Unbind drops the binding. The secret is deleted by the sweep. For an unbound one it does
// nothing, so that the same call twice has the same end. [problem.PreconditionFailed],
// [problem.PlatformUnknown], [problem.StorageUnavailable].
func (s *Service) Unbind(ctx context.Context, in UnbindRequest) (UnbindResult, error) {
	ctx = s.startInvocation(ctx)
	platform, ok := s.platforms.Get(in.Platform)
	if !ok {
		return UnbindResult{}, problem.New(problem.PlatformUnknown)
	}
	old, err := s.unbind(ctx, keyOf(in.By.Account, in.Instance, in.Platform), in.Match, in.By)
	if err != nil {
		return UnbindResult{}, err
	}
	var out UnbindResult
	if old.Bound() {
		out.RevokeURL = platform.RevokeURL(old.Address)
	}
	if old.Bound() && (in.Revoke || old.Method == string(provider.ByOAuth)) {
		k, err := s.fetch(ctx, old.Token)
		if out.Revoked = s.revokeOld(ctx, tokenOwner{binding: old.Key}, old, k, err); out.Revoked {
			out.RevokeURL = ""
		}
	}
	event.Audit(ctx, s.log, event.Entry{
		Action:   "unbind",
		User:     in.By,
		Target:   keyOf(in.By.Account, in.Instance, in.Platform),
		Outcome:  event.Done,
		Previous: old.Identity,
		Revoked:  out.Revoked,
	})
	return out, nil
}

// unbind points the record at nothing and returns it as it was before.
func (s *Service) unbind(
	ctx context.Context, key table.Key, match Match, by table.User,
) (table.Binding, error) {
	stamp := s.random(16)
	var before table.Binding
	for range maxTries {
		rec, err := s.record(ctx, key)
		switch {
		case err != nil:
			return table.Binding{}, err
		case before.Bound() && rec.Revision == stamp:
			return before, nil // it was saved: the reply was lost
		case !match.allows(rec):
			return table.Binding{}, problem.New(problem.PreconditionFailed)
		case !rec.Bound():
			return rec, nil
		}
		if rec, err = s.makeRoom(ctx, rec, 1); err != nil {
			return table.Binding{}, err
		}
		before = rec
		_, err = s.table.SaveBinding(ctx, s.emptied(rec, stamp, by))
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return s.afterUnclear(ctx, rec, stamp, err)
		}
	}
	return table.Binding{}, problem.New(problem.Conflict)
}

// afterUnclear reads the row again after a save whose outcome is not known.
func (s *Service) afterUnclear(
	ctx context.Context, before table.Binding, stamp string, cause error,
) (table.Binding, error) {
	rec, err := s.record(ctx, before.Key)
	if err != nil {
		return table.Binding{}, err
	}
	if rec.Revision != stamp {
		return table.Binding{}, unavailable("saving the binding", cause)
	}
	return before, nil
}

// emptied is the record without its binding. It keeps its events and its list of
// secrets; the sweep deletes it when both are empty.
func (s *Service) emptied(rec table.Binding, stamp string, by table.User) table.Binding {
	next := table.Binding{
		Key:        rec.Key,
		Version:    rec.Version,
		Revision:   stamp,
		Secrets:    s.nextSecrets(rec, ""),
		Method:     rec.Method,
		Events:     rec.Events,
		EventCount: rec.EventCount,
		EventAt:    rec.EventAt,
		Delivery:   rec.Delivery,
	}.WithUnknown(rec)
	s.happened(&next, table.Event{Type: event.Unbound, Actor: by, Previous: rec.Identity})
	return next
}
