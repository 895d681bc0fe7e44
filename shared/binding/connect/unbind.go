package connect

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// UnbindRequest asks for the end of a binding.
type UnbindRequest struct {
	By       binding.User
	Instance instance.Instance
	Platform string
	Match    binding.Match
	// Revoke says that a personal access token is to be revoked at the platform, too. An OAuth token
	// is revoked in any case, where the platform can.
	Revoke bool
}

// UnbindResult says what has happened to the token and to the webhooks of the subscriptions.
type UnbindResult struct {
	// Revoked says that the platform no longer accepts it.
	Revoked bool
	// RevokeURL is the page where the user can revoke it by hand, "" if that is not needed.
	RevokeURL string
	// Remaining are the webhooks that could not be removed.
	Remaining []binding.RemainingWebhook
}

// Unbind ends the binding's subscriptions, whose webhooks need the token, and then the binding. The
// sweep deletes the secret. For an unbound platform it does nothing, so that the same call twice
// has the same outcome. [problem.PreconditionFailed], [problem.PlatformUnknown],
// [problem.StorageUnavailable].
func (s *Service) Unbind(ctx context.Context, in UnbindRequest) (UnbindResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	platform, ok := s.ledger.Platforms.Get(in.Platform)
	if !ok {
		return UnbindResult{}, problem.New(problem.PlatformUnknown)
	}
	key := binding.KeyOf(in.By.Account, in.Instance, in.Platform)
	rec, err := s.ledger.Record(ctx, key)
	if err != nil {
		return UnbindResult{}, err
	}
	if !in.Match.Allows(rec) {
		return UnbindResult{}, problem.New(problem.PreconditionFailed)
	}
	var out UnbindResult
	if rec.Bound() {
		if out.Remaining, err = s.subscriptions.EndAll(ctx, rec); err != nil {
			return UnbindResult{}, err
		}
	}
	old, err := s.ledger.Unbind(ctx, rec, in.Match, in.By)
	if err != nil {
		return UnbindResult{}, err
	}
	if old.Bound() {
		out.RevokeURL = platform.RevokeURL(old.Address)
	}
	if old.Bound() && (in.Revoke || old.Method == string(provider.ByOAuth)) {
		own := ledger.TokenOwner{Binding: key}
		bundle, err := s.ledger.Fetch(ctx, own, old.Token)
		out.Revoked = s.ledger.RevokeOld(ctx, own, old, bundle, err)
	}
	if out.Revoked {
		out.RevokeURL = ""
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action:   "unbind",
		User:     in.By,
		Target:   key,
		Outcome:  event.Done,
		Previous: old.Identity,
		Revoked:  out.Revoked,
	})
	return out, nil
}
