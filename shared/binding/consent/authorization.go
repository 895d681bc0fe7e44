package consent

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// StartRequest asks to start an authorization.
type StartRequest struct {
	By       binding.User
	Platform string
	// Instance is the one that will be bound; zero if the user chooses it at the confirm.
	Instance instance.Instance
	// ReturnTo is the page on the console's origin to which the browser is sent in the end.
	ReturnTo string
}

// StartAuthorization begins an OAuth attempt. [problem.MethodMismatch] for a platform that is
// bound by token, [problem.PlatformNotConfigured].
func (s *Service) StartAuthorization(
	ctx context.Context, in StartRequest,
) (binding.Authorization, error) {
	ctx = s.ledger.StartInvocation(ctx)
	if _, err := s.ledger.OAuthClient(ctx, in.Platform); err != nil {
		return binding.Authorization{}, err
	}
	expires := s.ledger.Now().Add(binding.AuthorizationTTL)
	a, err := s.ledger.Table.SaveAuthorization(ctx, binding.Authorization{
		ID:        s.ledger.Random(16),
		Starter:   in.By,
		Platform:  in.Platform,
		Region:    in.Instance.Region,
		Instance:  in.Instance.ID,
		ReturnTo:  in.ReturnTo,
		Stage:     binding.StageStarted,
		ExpiresAt: expires,
		DueAt:     expires,
	})
	if err != nil {
		return binding.Authorization{}, ledger.Unavailable("saving the authorization", err)
	}
	return a, nil
}

// Redirect says where a browser is sent for the consent, and with which cookie.
type Redirect struct {
	Handshake Handshake
	URL       string
	ExpiresAt time.Time // of the handshake
}

// BeginRedirect returns the address of the platform's consent page for a browser. The first
// browser to ask gets the handshake of the attempt. It may ask again and show its handshake (a
// reload); another browser may not ([problem.AnotherBrowser]).
// [problem.AuthorizationUnknown], [problem.AuthorizationExpired], [problem.AuthorizationDone]. Two
// table calls, one when asked again.
func (s *Service) BeginRedirect(
	ctx context.Context, id string, shown []Handshake,
) (Redirect, error) {
	ctx = s.ledger.StartInvocation(ctx)
	a, err := s.authorization(ctx, id)
	if err != nil {
		return Redirect{}, err
	}
	client, err := s.ledger.OAuthClient(ctx, a.Platform)
	if err != nil {
		return Redirect{}, err
	}
	var handshake Handshake
	switch {
	case !s.ledger.Now().Before(a.ExpiresAt):
		return Redirect{}, problem.New(problem.AuthorizationExpired)
	case a.Stage == binding.StageStarted:
		if handshake, err = s.newHandshake(ctx, a); err != nil {
			return Redirect{}, err
		}
	case a.Stage != binding.StageRedirected:
		return Redirect{}, problem.New(problem.AuthorizationDone)
	default:
		if handshake = fitting(a, shown); handshake.State.Empty() {
			return Redirect{}, problem.New(problem.AnotherBrowser)
		}
	}
	return Redirect{
		Handshake: handshake,
		URL: client.Platform.AuthorizeURL(client.App, s.callback+a.Platform,
			handshake.State.Reveal(), handshake.Challenge()),
		ExpiresAt: a.ExpiresAt,
	}, nil
}

// newHandshake makes a handshake and stores its hashes in the record.
func (s *Service) newHandshake(ctx context.Context, a binding.Authorization) (Handshake, error) {
	handshake := Handshake{
		State:    secret.New(a.ID + "." + s.ledger.Random(32)),
		Verifier: secret.New(s.ledger.Random(32)),
	}
	a.Stage = binding.StageRedirected
	a.StateHash, a.Challenge = handshake.Hash(), handshake.Challenge()
	_, err := s.ledger.Table.SaveAuthorization(ctx, a)
	if err == nil {
		return handshake, nil
	}
	there, readErr := s.authorization(ctx, a.ID) // what is there counts
	switch {
	case readErr == nil && handshake.Fits(there):
		return handshake, nil
	case errors.Is(err, table.ErrConflict): // another browser was faster
		return Handshake{}, problem.New(problem.AnotherBrowser)
	}
	return Handshake{}, ledger.Unavailable("saving the authorization", err)
}

// authorization reads an attempt, and fails with [problem.AuthorizationUnknown] if there is none.
func (s *Service) authorization(ctx context.Context, id string) (binding.Authorization, error) {
	if !isID(id) {
		return binding.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	a, err := s.ledger.Table.Authorization(ctx, id)
	if errors.Is(err, table.ErrNotFound) {
		return binding.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	if err != nil {
		return binding.Authorization{}, ledger.Unavailable("reading the authorization", err)
	}
	return a, nil
}

// Authorization returns an attempt to the user who started it. Other users get
// [problem.AuthorizationUnknown], as for an attempt that does not exist. Without the right
// confirmation code the result has no identity, no token and no warnings.
func (s *Service) Authorization(
	ctx context.Context, by binding.User, id string, code secret.Text,
) (binding.Authorization, error) {
	ctx = s.ledger.StartInvocation(ctx)
	a, err := s.authorization(ctx, id)
	if err != nil {
		return binding.Authorization{}, err
	}
	if a.Starter != by {
		return binding.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	if !hasConfirmationCode(a, code) {
		a.Identity, a.Token, a.Warnings = binding.Identity{}, binding.Token{}, nil
	}
	if a.Problem == nil && !s.ledger.Now().Before(a.ExpiresAt) {
		a.Problem = problem.New(problem.AuthorizationExpired)
	}
	return a, nil
}
