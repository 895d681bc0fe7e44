package consent

import (
	"context"
	"errors"
	"net/url"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// CallbackRequest is what a browser sends after a platform has redirected it back.
type CallbackRequest struct {
	Platform string
	State    secret.Text
	Code     secret.Text
	// Error is the platform's error code, "" if it gave none (RFC 6749, 4.1.2.1). Its description is
	// not read.
	Error string
	// Issuer is RFC 9207's iss, "" if the platform sends none.
	Issuer string
	// Malformed says what is wrong with the other parameters, nil if nothing is. Such a callback
	// redeems no code.
	Malformed error
	// Shown are the handshakes in the browser's cookies, including those of other attempts.
	Shown []Handshake
}

// CallbackResult is what a callback returns to the browser.
type CallbackResult struct {
	ID string // "" for an attempt that isn't known
	// ConfirmationCode is empty if the callback has failed.
	ConfirmationCode secret.Text
	// Used is the handshake whose cookie is no longer needed; zero if there is none.
	Used Handshake
}

// HandleCallback redeems the code that a browser sends, if it is the browser that was redirected to
// the platform. A callback with the attempt's state from another browser ends the attempt: the code
// is of another person's consent, and the user who began the attempt could otherwise open the same
// address in the browser with the handshake (browser swapping). A state can't be guessed, so a
// forged callback ends nothing. Of two callbacks the claim lets one redeem the code. The result is
// valid with an error, too.
func (s *Service) HandleCallback(ctx context.Context, in CallbackRequest) (CallbackResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	a, err := s.authorization(ctx, AuthorizationOf(in.State))
	if err != nil {
		return CallbackResult{}, err
	}
	if !secret.New(hashOf(in.State)).Equal(secret.New(a.StateHash)) {
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	}
	to := CallbackResult{ID: a.ID}
	handshake, err := s.checkBrowser(ctx, a, in.Shown)
	switch {
	case err != nil:
		return to, err
	case a.Platform != in.Platform:
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	case in.Malformed != nil:
		return CallbackResult{}, in.Malformed
	}
	_, err = s.ledger.OAuthClient(ctx, a.Platform)
	if problem.Is(err, problem.StorageUnavailable) {
		return to, err // the attempt is not claimed yet, so the same code can be sent again
	}
	a, code, err := s.claimAuthorization(ctx, a)
	if err != nil {
		return to, err
	}
	to.Used = handshake
	if err := s.redeem(ctx, a, in, handshake.Verifier); err != nil {
		s.recordFailure(ctx, a, err)
		return to, err
	}
	to.ConfirmationCode = code
	return to, nil
}

// checkBrowser returns the handshake of an attempt that waits for its callback. If the browser does
// not show it, the attempt ends.
func (s *Service) checkBrowser(
	ctx context.Context, a binding.Authorization, shown []Handshake,
) (Handshake, error) {
	switch {
	case !s.ledger.Now().Before(a.ExpiresAt):
		return Handshake{}, problem.New(problem.AuthorizationExpired)
	case a.Stage != binding.StageRedirected:
		return Handshake{}, problem.New(problem.AuthorizationDone)
	}
	handshake := fitting(a, shown)
	switch {
	case !handshake.State.Empty():
		return handshake, nil
	case len(shown) == 0:
		return Handshake{}, s.refuse(ctx, a, problem.New(problem.CookiesBlocked))
	}
	return Handshake{}, s.refuse(ctx, a, problem.New(problem.AnotherBrowser))
}

// refuse ends an attempt that waits for its callback, and returns the reason. It doesn't end an
// attempt that another callback has claimed in the meantime. [problem.StorageUnavailable] if the
// attempt may still be waiting.
func (s *Service) refuse(
	ctx context.Context, a binding.Authorization, reason *problem.Problem,
) error {
	a.Stage, a.Problem = binding.StageFailed, reason
	if _, err := s.ledger.Table.SaveAuthorization(ctx, a); err != nil {
		there, readErr := s.authorization(ctx, a.ID) // what is there counts
		if readErr != nil || there.Stage == binding.StageRedirected {
			return ledger.Unavailable("ending the authorization", err)
		}
	}
	s.auditFailure(ctx, a, reason.Code)
	return reason
}

// claimAuthorization gives this callback the right to redeem the code. The claim names the secret
// that the callback stores, so that the sweep finds it. It makes the confirmation code, whose hash
// identifies the claim if its reply is lost.
func (s *Service) claimAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, secret.Text, error) {
	code := secret.New(s.ledger.Random(32))
	a.Stage, a.ConfirmationHash = binding.StageClaimed, hashOf(code)
	a.Token = binding.Token{Secret: s.ledger.NewSecretName(), Generation: 1}
	a.OwnsSecret = true
	a.DueAt = ledger.SecretDueAt(a)
	saved, err := s.ledger.Table.SaveAuthorization(ctx, a)
	if err == nil {
		return saved, code, nil
	}
	there, readErr := s.authorization(ctx, a.ID) // what is there counts
	switch {
	case readErr == nil && there.ConfirmationHash == a.ConfirmationHash:
		return there, code, nil
	case errors.Is(err, table.ErrConflict):
		return a, secret.Text{}, problem.New(problem.AuthorizationDone)
	}
	return a, secret.Text{}, ledger.Unavailable("claiming the authorization", err)
}

// recordFailure stores the reason in the record, for the console. The browser gets it in any case.
func (s *Service) recordFailure(ctx context.Context, a binding.Authorization, cause error) {
	p := problem.Of(cause)
	a.Stage, a.Problem = binding.StageFailed, p
	if _, err := s.ledger.Table.SaveAuthorization(ctx, a); err != nil {
		s.ledger.Log.WarnContext(ctx, "an authorization's failure was not recorded", "error", err)
	}
	if p.Code == problem.ClientRefused {
		s.ledger.Log.ErrorContext(ctx, "the platform refuses the OAuth app",
			"alarm", "client_refused", "platform", a.Platform, "reason", p.Reason, "error", cause)
	}
	s.auditFailure(ctx, a, p.Code)
}

// auditFailure writes the audit line of a callback that has ended the attempt.
func (s *Service) auditFailure(ctx context.Context, a binding.Authorization, code problem.Code) {
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action:  "callback",
		User:    a.Starter,
		Target:  binding.TargetOf(a),
		Outcome: string(code),
	})
}

// redeem exchanges the code of a claimed authorization for a token, stores the token in the vault,
// and asks the platform whose it is. The authorization then waits for the confirm.
func (s *Service) redeem(
	ctx context.Context, a binding.Authorization, in CallbackRequest, verifier secret.Text,
) error {
	client, err := s.ledger.OAuthClient(ctx, a.Platform)
	if err != nil {
		return err
	}
	switch {
	case in.Error != "" || in.Code.Empty():
		return provider.ConsentError(client.Platform, in.Error)
	case !SameOrigin(in.Issuer, client.Platform.AuthorizeURL(client.App, "", "", "")):
		return problem.New(problem.PlatformError).
			Because("issuer").With("platform", client.Platform.Describe().Title)
	}
	token, err := s.exchange(ctx, client, in, verifier)
	if err != nil {
		return err
	}
	a.Token.IssuedAt = s.ledger.Now()
	bundle := ledger.TokenBundle{Platform: a.Platform, Method: provider.ByOAuth, Token: token}
	if err := s.ledger.Put(ctx, ledger.OwnerOf(a), a.Token.Secret, 1, bundle); err != nil {
		// The token is not in the vault, so the sweep can't find it.
		s.revokeRefused(ctx, client.Platform, a, bundle)
		return err
	}
	a, err = s.identify(ctx, client.Platform, a, bundle)
	if err != nil {
		s.revokeRefused(ctx, client.Platform, a, bundle)
		return err
	}
	return s.saveConsent(ctx, a)
}

// SameOrigin reports whether an issuer (RFC 9207) has the origin of the address at which the user
// consented. An empty issuer has: no platform is known to send one.
func SameOrigin(issuer, authorize string) bool {
	if issuer == "" {
		return true
	}
	got, err := url.Parse(issuer)
	want, wantErr := url.Parse(authorize)
	return err == nil && wantErr == nil && got.Scheme == want.Scheme && got.Host == want.Host
}

// exchange redeems the code at the platform.
func (s *Service) exchange(
	ctx context.Context, client ledger.OAuthClient, in CallbackRequest, verifier secret.Text,
) (provider.Token, error) {
	if _, err := s.ledger.EnforceDeadline(ctx, "Exchange"); err != nil {
		return provider.Token{}, ledger.Unavailable("redeeming the code", err)
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.ExchangeTimeout)
	defer cancel()
	return client.Platform.Exchange(
		ctx, client.App, s.callback+in.Platform, in.Code, verifier)
}

// identify asks the platform whose the token is and what it may do, and checks whether that
// identity may have one more token. It returns the attempt with the answers; with an error, the
// attempt has the identity if the platform has named it.
func (s *Service) identify(
	ctx context.Context, platform provider.OAuthPlatform, a binding.Authorization,
	bundle ledger.TokenBundle,
) (binding.Authorization, error) {
	if _, err := s.ledger.EnforceDeadline(ctx, "Check"); err != nil {
		return a, ledger.Unavailable("asking the platform", err)
	}
	asking, cancel := context.WithTimeout(ctx, ledger.ExchangeTimeout)
	defer cancel()
	c := bundle.Credential()
	c.Scopes = bundle.Token.Scopes
	result, err := platform.Check(asking, c)
	if err != nil {
		return a, err
	}
	a.Identity = binding.Identity(result.Identity)
	bundle.Username, bundle.Token.Scopes = result.GitUsername, result.Scopes
	a.Token = ledger.TokenOf(a.Token.Secret, bundle, a.Token.IssuedAt)
	a.Warnings = binding.WarningsOf(result.Warnings)
	if a.Platform != provider.GitHub {
		return a, nil
	}
	more, err := s.countTokens(ctx, a)
	a.Warnings = append(a.Warnings, more...)
	return a, err
}

// saveConsent saves the authorization, which then waits for the confirm.
func (s *Service) saveConsent(ctx context.Context, a binding.Authorization) error {
	a.Stage = binding.StageConsented
	_, err := s.ledger.Table.SaveAuthorization(ctx, a)
	if err == nil {
		return nil
	}
	there, readErr := s.authorization(ctx, a.ID) // what is there counts
	if readErr == nil && there.Stage == binding.StageConsented &&
		there.ConfirmationHash == a.ConfirmationHash {
		return nil
	}
	return ledger.Unavailable("saving the consent", err)
}

// revokeRefused revokes a token that was issued and will not be used, which then no longer counts
// against the limit of its identity. If that fails, the sweep revokes a token that is in the vault.
func (s *Service) revokeRefused(
	ctx context.Context, platform provider.Platform, a binding.Authorization,
	bundle ledger.TokenBundle,
) {
	err := s.ledger.Revoke(ctx, platform, bundle)
	switch {
	case errors.Is(err, provider.ErrNoRevoke):
	case err != nil:
		s.ledger.Log.WarnContext(ctx, "a refused token was not revoked at once",
			"platform", bundle.Platform, "error", err)
	case a.Identity.ID != "":
		s.dropAttemptEntry(ctx, a)
	}
}
