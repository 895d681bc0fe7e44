package binding

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// authorizationTTL is how long an authorization lives, from start to confirm.
const authorizationTTL = 15 * time.Minute

// secretDueAt is when the sweep deletes the secret of an attempt, unless a binding points at it or
// lists it. A confirm that began before the attempt expired has ended by then.
func secretDueAt(a table.Authorization) time.Time {
	return a.ExpiresAt.Add(orphanGracePeriod)
}

// StartRequest is the beginning of an authorization.
type StartRequest struct {
	By       table.User
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
) (table.Authorization, error) {
	ctx = s.startInvocation(ctx)
	if _, _, err := s.oauthPlatform(ctx, in.Platform); err != nil {
		return table.Authorization{}, err
	}
	expires := s.now().Add(authorizationTTL)
	a, err := s.table.SaveAuthorization(ctx, table.Authorization{
		ID:        s.random(16),
		Starter:   in.By,
		Platform:  in.Platform,
		Region:    in.Instance.Region,
		Instance:  in.Instance.ID,
		ReturnTo:  in.ReturnTo,
		Stage:     table.Started,
		ExpiresAt: expires,
		DueAt:     expires,
	})
	if err != nil {
		return table.Authorization{}, unavailable("saving the authorization", err)
	}
	return a, nil
}

// oauthPlatform finds a platform that is bound by consent, and the operator's app there.
func (s *Service) oauthPlatform(
	ctx context.Context, name string,
) (provider.OAuthPlatform, provider.App, error) {
	platform, ok := s.platforms.Get(name)
	if !ok {
		return nil, provider.App{}, problem.New(problem.PlatformUnknown)
	}
	byConsent, ok := platform.(provider.OAuthPlatform)
	if !ok {
		return nil, provider.App{}, mismatch(platform.Describe())
	}
	app, err := s.app(ctx, name)
	if err != nil {
		return nil, provider.App{}, err
	}
	return byConsent, app, nil
}

// Handshake is what the browser that goes through the consent holds, and nobody else: the state
// (RFC 6749, 10.12) and the PKCE verifier (RFC 7636, 4.1). They live in its cookie alone; the
// record has their hashes.
type Handshake struct {
	State    secret.Text
	Verifier secret.Text
}

// hash is the state's hash, as the record keeps it.
func (t Handshake) hash() string {
	sum := sha256.Sum256([]byte(t.State.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Name is the part of the cookie's name that tells attempts apart.
func (t Handshake) Name() string { return t.hash()[:16] }

func (t Handshake) challenge() string {
	sum := sha256.Sum256([]byte(t.Verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fits reports whether the ticket is the record's: both its halves, compared in constant time. A
// record without hashes fits none.
func (t Handshake) fits(a table.Authorization) bool {
	if t.State.Empty() || t.Verifier.Empty() {
		return false
	}
	return secret.New(t.hash()).Equal(secret.New(a.StateHash)) &&
		secret.New(t.challenge()).Equal(secret.New(a.Challenge))
}

// AuthorizationOf is the id that a state begins with, "" if it is none of ours.
func AuthorizationOf(state secret.Text) string {
	id, random, _ := strings.Cut(state.Reveal(), ".")
	if !isID(id) || len(random) != 64 {
		return ""
	}
	return id
}

// isID reports whether a text has the form of an authorization's id. Anybody may ask for anything,
// and a table takes not every text for a key.
func isID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// Redirect sends a browser to its platform.
type Redirect struct {
	Handshake Handshake
	URL       string
	ExpiresAt time.Time // of the ticket
}

// BeginRedirect sends the browser that asks to the platform's consent page. The first to ask becomes
// the one: the ticket is minted for it. It may ask again, showing its ticket (a reload, a
// prefetch); another may not ([problem.AnotherBrowser]). [problem.AuthorizationUnknown],
// [problem.AuthorizationExpired], [problem.AuthorizationDone]. Two table calls, one when asked
// again.
func (s *Service) BeginRedirect(ctx context.Context, id string, shown []Handshake) (Redirect, error) {
	ctx = s.startInvocation(ctx)
	a, err := s.authorization(ctx, id)
	if err != nil {
		return Redirect{}, err
	}
	platform, app, err := s.oauthPlatform(ctx, a.Platform)
	if err != nil {
		return Redirect{}, err
	}
	var ticket Handshake
	switch {
	case !s.now().Before(a.ExpiresAt):
		return Redirect{}, problem.New(problem.AuthorizationExpired)
	case a.Stage == table.Started:
		if ticket, err = s.newHandshake(ctx, a); err != nil {
			return Redirect{}, err
		}
	case a.Stage != table.Redirected:
		return Redirect{}, problem.New(problem.AuthorizationDone)
	default:
		if ticket = fitting(a, shown); ticket.State.Empty() {
			return Redirect{}, problem.New(problem.AnotherBrowser)
		}
	}
	return Redirect{
		Handshake: ticket,
		URL: platform.AuthorizeURL(app, s.callback+a.Platform, ticket.State.Reveal(),
			ticket.challenge()),
		ExpiresAt: a.ExpiresAt,
	}, nil
}

// newHandshake makes the ticket and leaves its hashes in the record.
func (s *Service) newHandshake(ctx context.Context, a table.Authorization) (Handshake, error) {
	ticket := Handshake{
		State:    secret.New(a.ID + "." + s.random(32)),
		Verifier: secret.New(s.random(32)),
	}
	a.Stage, a.StateHash, a.Challenge = table.Redirected, ticket.hash(), ticket.challenge()
	_, err := s.table.SaveAuthorization(ctx, a)
	if err == nil {
		return ticket, nil
	}
	there, readErr := s.authorization(ctx, a.ID) // what is there counts
	switch {
	case readErr == nil && ticket.fits(there):
		return ticket, nil
	case errors.Is(err, table.ErrConflict): // another browser was quicker
		return Handshake{}, problem.New(problem.AnotherBrowser)
	}
	return Handshake{}, unavailable("saving the authorization", err)
}

func fitting(a table.Authorization, shown []Handshake) Handshake {
	for _, t := range shown {
		if t.fits(a) {
			return t
		}
	}
	return Handshake{}
}

func (s *Service) authorization(ctx context.Context, id string) (table.Authorization, error) {
	if !isID(id) {
		return table.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	a, err := s.table.Authorization(ctx, id)
	if errors.Is(err, table.ErrNotFound) {
		return table.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	if err != nil {
		return table.Authorization{}, unavailable("reading the authorization", err)
	}
	return a, nil
}

// Authorization shows an attempt to the user who started it; to others there is none. Without
// the right finish it shows no identity and no token.
func (s *Service) Authorization(
	ctx context.Context, by table.User, id string, finish secret.Text,
) (table.Authorization, error) {
	ctx = s.startInvocation(ctx)
	a, err := s.authorization(ctx, id)
	if err != nil {
		return table.Authorization{}, err
	}
	if a.Starter != by {
		return table.Authorization{}, problem.New(problem.AuthorizationUnknown)
	}
	if !hasConfirmationCode(a, finish) {
		a.Identity, a.Token, a.Warnings = table.Identity{}, table.Token{}, nil
	}
	if a.Problem == nil && !s.now().Before(a.ExpiresAt) {
		a.Problem = problem.New(problem.AuthorizationExpired)
	}
	return a, nil
}

// hasConfirmationCode reports whether the finish is the record's, in constant time. None never is.
func hasConfirmationCode(a table.Authorization, finish secret.Text) bool {
	if finish.Empty() || a.Stage != table.Consented {
		return false
	}
	return secret.New(hashOf(finish)).Equal(secret.New(a.ConfirmationHash))
}

func hashOf(text secret.Text) string {
	sum := sha256.Sum256([]byte(text.Reveal()))
	return hex.EncodeToString(sum[:])
}
