package consent

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// StartRequest is the beginning of an authorization.
type StartRequest struct {
	By       binding.User
	Platform string
	// Instance is the one that will be bound, the zero value where it is chosen at the end.
	Instance instance.Instance
	// ReturnTo is where on the console's origin the browser ends.
	ReturnTo string
}

// StartAuthorization begins an OAuth attempt. [problem.MethodMismatch] for a platform that is
// bound by token, [problem.PlatformNotConfigured].
func (s *Service) StartAuthorization(
	ctx context.Context, in StartRequest,
) (binding.Authorization, error) {
	ctx = s.ledger.StartInvocation(ctx)
	if _, _, err := s.ledger.OauthPlatform(ctx, in.Platform); err != nil {
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

// Handshake is what only the browser that goes through the consent holds: the state (RFC 6749,
// 10.12) and the PKCE verifier (RFC 7636, 4.1). They are kept in its cookie only; the record has
// their hashes.
type Handshake struct {
	State    secret.Text
	Verifier secret.Text
}

// hash is the state's hash, as the record keeps it.
func (t Handshake) Hash() string {
	sum := sha256.Sum256([]byte(t.State.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Name is the part of the cookie's name that tells attempts apart.
func (t Handshake) Name() string { return t.Hash()[:16] }

func (t Handshake) Challenge() string {
	sum := sha256.Sum256([]byte(t.Verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fits reports whether the handshake is the record's: both its halves, compared in constant time. A
// record without hashes fits none.
func (t Handshake) Fits(a binding.Authorization) bool {
	if t.State.Empty() || t.Verifier.Empty() {
		return false
	}
	return secret.New(t.Hash()).Equal(secret.New(a.StateHash)) &&
		secret.New(t.Challenge()).Equal(secret.New(a.Challenge))
}

// AuthorizationOf is the id that a state begins with, "" if it is none of ours.
func AuthorizationOf(state secret.Text) string {
	id, random, _ := strings.Cut(state.Reveal(), ".")
	if !isID(id) || len(random) != 64 {
		return ""
	}
	return id
}

// isID reports whether a text has the form of an authorization's id. A caller may send any text, and
// a table does not accept every text as a key.
func isID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// Redirect sends a browser to its platform.
type Redirect struct {
	Handshake Handshake
	URL       string
	ExpiresAt time.Time // of the handshake
}

// BeginRedirect sends a browser to the platform's consent page. The first browser to ask gets the
// handshake of the attempt. It may ask again and show its handshake (a reload, a prefetch); another
// browser may not ([problem.AnotherBrowser]). [problem.AuthorizationUnknown],
// [problem.AuthorizationExpired], [problem.AuthorizationDone]. Two table calls, one when asked
// again.
func (s *Service) BeginRedirect(
	ctx context.Context, id string, shown []Handshake,
) (Redirect, error) {
	ctx = s.ledger.StartInvocation(ctx)
	a, err := s.authorization(ctx, id)
	if err != nil {
		return Redirect{}, err
	}
	platform, app, err := s.ledger.OauthPlatform(ctx, a.Platform)
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
		URL: platform.AuthorizeURL(app, s.callback+a.Platform, handshake.State.Reveal(),
			handshake.Challenge()),
		ExpiresAt: a.ExpiresAt,
	}, nil
}

// newHandshake makes a handshake and stores its hashes in the record.
func (s *Service) newHandshake(ctx context.Context, a binding.Authorization) (Handshake, error) {
	handshake := Handshake{
		State:    secret.New(a.ID + "." + s.ledger.Random(32)),
		Verifier: secret.New(s.ledger.Random(32)),
	}
	a.Stage, a.StateHash, a.Challenge = binding.StageRedirected, handshake.Hash(), handshake.Challenge()
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

func fitting(a binding.Authorization, shown []Handshake) Handshake {
	for _, t := range shown {
		if t.Fits(a) {
			return t
		}
	}
	return Handshake{}
}

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

// Authorization shows an attempt to the user who started it; to others there is none. Without
// the right confirmation code it shows no identity and no token.
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

// hasConfirmationCode reports whether the confirmation code is the record's, in constant time. An
// empty one never is.
func hasConfirmationCode(a binding.Authorization, code secret.Text) bool {
	if code.Empty() || a.Stage != binding.StageConsented {
		return false
	}
	return secret.New(hashOf(code)).Equal(secret.New(a.ConfirmationHash))
}

func hashOf(text secret.Text) string {
	sum := sha256.Sum256([]byte(text.Reveal()))
	return hex.EncodeToString(sum[:])
}
