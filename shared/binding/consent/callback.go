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
	// Handshake is the cookie that goes with the state; empty if the browser sent none.
	Handshake Handshake
}

// CallbackResult is where a callback ends. ID is "" for an attempt that isn't known. Cookie says
// that the attempt's cookie is no longer needed.
type CallbackResult struct {
	ID               string
	ReturnTo         string
	ConfirmationCode secret.Text
	Cookie           bool
}

// HandleCallback redeems the code that a browser sends, if it is the browser that went through the
// consent. Everything is checked before anything is claimed, so that a forged callback destroys no
// attempt; of two callbacks the claim lets one redeem the code. The result says where to send the
// browser also when there is an error.
func (s *Service) HandleCallback(ctx context.Context, in CallbackRequest) (CallbackResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	id := AuthorizationOf(in.State)
	if id == "" {
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	}
	a, err := s.authorization(ctx, id)
	if err != nil {
		return CallbackResult{}, err
	}
	known := secret.New(Handshake{State: in.State}.Hash()).Equal(secret.New(a.StateHash))
	if !known || a.Platform != in.Platform {
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	}
	to := CallbackResult{ID: a.ID, ReturnTo: a.ReturnTo}
	if err := s.mayClaim(a, in.Handshake); err != nil {
		return to, err
	}
	if _, _, err := s.ledger.OauthPlatform(ctx, a.Platform); problem.Is(err, problem.StorageUnavailable) {
		return to, err // the same code is as good in a moment
	}
	a, code, err := s.claimAuthorization(ctx, a)
	if err != nil {
		return to, err
	}
	to.Cookie = true
	if err := s.redeem(ctx, a, in); err != nil {
		s.failed(ctx, a, err)
		return to, err
	}
	to.ConfirmationCode = code
	return to, nil
}

// mayClaim checks what must hold before a callback may touch the record.
func (s *Service) mayClaim(a binding.Authorization, shown Handshake) error {
	switch {
	case !s.ledger.Now().Before(a.ExpiresAt):
		return problem.New(problem.AuthorizationExpired)
	case a.Stage != binding.StageRedirected:
		return problem.New(problem.AuthorizationDone)
	case shown.State.Empty():
		return problem.New(problem.CookiesBlocked)
	case !shown.Fits(a):
		return problem.New(problem.AnotherBrowser)
	}
	return nil
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

// failed stores the reason in the record, for the console. The browser gets it in any case.
func (s *Service) failed(ctx context.Context, a binding.Authorization, cause error) {
	p := problem.Of(cause)
	a.Stage, a.Problem = binding.StageFailed, p
	if _, err := s.ledger.Table.SaveAuthorization(ctx, a); err != nil {
		s.ledger.Log.WarnContext(ctx, "an authorization's failure was not recorded", "error", err)
	}
	if p.Code == problem.ClientRefused {
		s.ledger.Log.ErrorContext(ctx, "the platform refuses the OAuth app",
			"alarm", "client_refused", "platform", a.Platform, "reason", p.Reason, "error", cause)
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action:  "callback",
		User:    a.Starter,
		Target:  binding.TargetOf(a),
		Outcome: string(p.Code),
	})
}

// redeem works on a claimed authorization until its token waits in the vault for the confirm.
func (s *Service) redeem(ctx context.Context, a binding.Authorization, in CallbackRequest) error {
	platform, app, err := s.ledger.OauthPlatform(ctx, a.Platform)
	if err != nil {
		return err
	}
	switch {
	case in.Error != "" || in.Code.Empty():
		return provider.ConsentError(platform, in.Error)
	case !SameOrigin(in.Issuer, platform.AuthorizeURL(app, "", "", "")):
		return problem.New(problem.PlatformError).
			Because("issuer").With("platform", platform.Describe().Title)
	}
	token, err := s.exchange(ctx, platform, app, in)
	if err != nil {
		return err
	}
	a.Token.IssuedAt = s.ledger.Now()
	k := ledger.TokenBundle{Platform: a.Platform, Method: provider.ByOAuth, Token: token}
	if err := s.ledger.Put(ctx, a.Token.Secret, 1, k); err != nil {
		s.refuse(ctx, platform, a, k) // no secret holds it, so the sweep could not
		return err
	}
	finding, warnings, err := s.identify(ctx, platform, a, k)
	a.Identity = binding.Identity(finding.Identity)
	if err != nil {
		s.refuse(ctx, platform, a, k)
		return err
	}
	k.Username, k.Token.Scopes = finding.GitUsername, finding.Scopes
	a.Token = ledger.TokenOf(a.Token.Secret, k, a.Token.IssuedAt)
	a.Warnings = warnings
	return s.consented(ctx, a)
}

// sameOrigin reports whether an iss is of the origin that the user consented at. None is: no
// platform is known to send one.
func SameOrigin(issuer, authorize string) bool {
	if issuer == "" {
		return true
	}
	got, err := url.Parse(issuer)
	want, wantErr := url.Parse(authorize)
	return err == nil && wantErr == nil && got.Scheme == want.Scheme && got.Host == want.Host
}

func (s *Service) exchange(
	ctx context.Context, platform provider.OAuthPlatform, app provider.App, in CallbackRequest,
) (provider.Token, error) {
	if _, err := s.ledger.EnforceDeadline(ctx, "Exchange"); err != nil {
		return provider.Token{}, ledger.Unavailable("redeeming the code", err)
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.ExchangeTimeout)
	defer cancel()
	return platform.Exchange(ctx, app, s.callback+in.Platform, in.Code, in.Handshake.Verifier)
}

// identify asks whose the token is and what it may do, and whether that identity may have one
// more.
func (s *Service) identify(
	ctx context.Context, platform provider.OAuthPlatform, a binding.Authorization, k ledger.TokenBundle,
) (provider.CheckResult, []problem.Problem, error) {
	if _, err := s.ledger.EnforceDeadline(ctx, "Check"); err != nil {
		return provider.CheckResult{}, nil, ledger.Unavailable("asking the platform", err)
	}
	asking, cancel := context.WithTimeout(ctx, ledger.ExchangeTimeout)
	defer cancel()
	held := k.Held()
	held.Scopes = k.Token.Scopes
	finding, err := platform.Check(asking, held)
	if err != nil {
		return provider.CheckResult{}, nil, err
	}
	warnings := binding.Plain(finding.Warnings)
	if a.Platform != provider.GitHub {
		return finding, warnings, nil
	}
	more, err := s.countTokens(ctx, a, finding.Identity.ID)
	return finding, append(warnings, more...), err
}

// consented moves the authorization on to where it waits for the confirm.
func (s *Service) consented(ctx context.Context, a binding.Authorization) error {
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

// refuse ends a token that was issued and will not be used, which then no longer counts. If that
// fails, the sweep does it.
func (s *Service) refuse(
	ctx context.Context, platform provider.Platform, a binding.Authorization, k ledger.TokenBundle,
) {
	err := s.ledger.Revoke(ctx, platform, k)
	switch {
	case errors.Is(err, provider.ErrNoRevoke):
	case err != nil:
		s.ledger.Log.WarnContext(ctx, "a refused token was not revoked at once",
			"platform", k.Platform, "error", err)
	case a.Identity.ID != "":
		s.dropAttemptEntry(ctx, a)
	}
}
