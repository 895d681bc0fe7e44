package binding

import (
	"context"
	"errors"
	"net/url"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// exchangeTimeout is how long a platform may take to redeem a code, and then to say whose it is.
const exchangeTimeout = 7 * time.Second

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
	ctx = s.startInvocation(ctx)
	id := AuthorizationOf(in.State)
	if id == "" {
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	}
	a, err := s.authorization(ctx, id)
	if err != nil {
		return CallbackResult{}, err
	}
	known := secret.New(Handshake{State: in.State}.hash()).Equal(secret.New(a.StateHash))
	if !known || a.Platform != in.Platform {
		return CallbackResult{}, problem.New(problem.AuthorizationUnknown)
	}
	to := CallbackResult{ID: a.ID, ReturnTo: a.ReturnTo}
	if err := s.mayClaim(a, in.Handshake); err != nil {
		return to, err
	}
	if _, _, err := s.oauthPlatform(ctx, a.Platform); problem.Is(err, problem.StorageUnavailable) {
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
func (s *Service) mayClaim(a table.Authorization, shown Handshake) error {
	switch {
	case !s.now().Before(a.ExpiresAt):
		return problem.New(problem.AuthorizationExpired)
	case a.Stage != table.Redirected:
		return problem.New(problem.AuthorizationDone)
	case shown.State.Empty():
		return problem.New(problem.CookiesBlocked)
	case !shown.fits(a):
		return problem.New(problem.AnotherBrowser)
	}
	return nil
}

// claimAuthorization gives this callback the right to redeem the code. The claim names the secret
// that the callback stores, so that the sweep finds it. It makes the confirmation code, whose hash
// identifies the claim if its reply is lost.
func (s *Service) claimAuthorization(
	ctx context.Context, a table.Authorization,
) (table.Authorization, secret.Text, error) {
	code := secret.New(s.random(32))
	a.Stage, a.ConfirmationHash = table.Claimed, hashOf(code)
	a.Token = table.Token{Secret: s.newSecretName(), Generation: 1}
	a.OwnsSecret = true
	a.DueAt = secretDueAt(a)
	saved, err := s.table.SaveAuthorization(ctx, a)
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
	return a, secret.Text{}, unavailable("claiming the authorization", err)
}

// failed stores the reason in the record, for the console. The browser gets it in any case.
func (s *Service) failed(ctx context.Context, a table.Authorization, cause error) {
	p := problem.Of(cause)
	a.Stage, a.Problem = table.Failed, p
	if _, err := s.table.SaveAuthorization(ctx, a); err != nil {
		s.log.WarnContext(ctx, "an authorization's failure was not recorded", "error", err)
	}
	event.Audit(ctx, s.log, event.Entry{
		Action:  "callback",
		User:    a.Starter,
		Target:  targetOf(a),
		Outcome: string(p.Code),
	})
}

func targetOf(a table.Authorization) table.Key {
	return table.Key{
		Account: a.Starter.Account, Region: a.Region, Instance: a.Instance, Platform: a.Platform,
	}
}

// redeem works on a claimed authorization until its token waits in the vault for the confirm.
func (s *Service) redeem(ctx context.Context, a table.Authorization, in CallbackRequest) error {
	platform, app, err := s.oauthPlatform(ctx, a.Platform)
	if err != nil {
		return err
	}
	title := platform.Describe().Title
	switch {
	case in.Error == "access_denied":
		return problem.New(problem.ConsentRefused).With("platform", title)
	case in.Error != "" || in.Code.Empty():
		return problem.New(problem.PlatformError).With("platform", title)
	case !sameOrigin(in.Issuer, platform.AuthorizeURL(app, "", "", "")):
		return problem.New(problem.PlatformError).
			Because("issuer").With("platform", title)
	}
	token, err := s.exchange(ctx, platform, app, in)
	if err != nil {
		return err
	}
	a.Token.IssuedAt = s.now()
	k := tokenBundle{Platform: a.Platform, Method: provider.ByOAuth, Token: token}
	if err := s.put(ctx, a.Token.Secret, 1, k); err != nil {
		s.refuse(ctx, platform, a, k) // no secret holds it, so the sweep could not
		return err
	}
	finding, warnings, err := s.identify(ctx, platform, a, k)
	a.Identity = table.Identity(finding.Identity)
	if err != nil {
		s.refuse(ctx, platform, a, k)
		return err
	}
	k.Username, k.Token.Scopes = finding.GitUsername, finding.Scopes
	a.Token = tokenOf(a.Token.Secret, k, a.Token.IssuedAt)
	a.Warnings = warnings
	return s.consented(ctx, a)
}

// sameOrigin reports whether an iss is of the origin that the user consented at. None is: no
// platform is known to send one.
func sameOrigin(issuer, authorize string) bool {
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
	if _, err := s.enforceDeadline(ctx, "Exchange"); err != nil {
		return provider.Token{}, unavailable("redeeming the code", err)
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	return platform.Exchange(ctx, app, s.callback+in.Platform, in.Code, in.Handshake.Verifier)
}

// identify asks whose the token is and what it may do, and whether that identity may have one
// more.
func (s *Service) identify(
	ctx context.Context, platform provider.OAuthPlatform, a table.Authorization, k tokenBundle,
) (provider.CheckResult, []problem.Problem, error) {
	if _, err := s.enforceDeadline(ctx, "Check"); err != nil {
		return provider.CheckResult{}, nil, unavailable("asking the platform", err)
	}
	asking, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	held := k.held()
	held.Scopes = k.Token.Scopes
	finding, err := platform.Check(asking, held)
	if err != nil {
		return provider.CheckResult{}, nil, err
	}
	warnings := plain(finding.Warnings)
	if a.Platform != provider.GitHub {
		return finding, warnings, nil
	}
	more, err := s.countTokens(ctx, a, finding.Identity.ID)
	return finding, append(warnings, more...), err
}

// consented moves the authorization on to where it waits for the confirm.
func (s *Service) consented(ctx context.Context, a table.Authorization) error {
	a.Stage = table.Consented
	_, err := s.table.SaveAuthorization(ctx, a)
	if err == nil {
		return nil
	}
	there, readErr := s.authorization(ctx, a.ID) // what is there counts
	if readErr == nil && there.Stage == table.Consented &&
		there.ConfirmationHash == a.ConfirmationHash {
		return nil
	}
	return unavailable("saving the consent", err)
}

// refuse ends a token that was issued and will not be used, which then no longer counts. If that
// fails, the sweep does it.
func (s *Service) refuse(
	ctx context.Context, platform provider.Platform, a table.Authorization, k tokenBundle,
) {
	err := s.revoke(ctx, platform, k)
	switch {
	case errors.Is(err, provider.ErrNoRevoke):
	case err != nil:
		s.log.WarnContext(ctx, "a refused token was not revoked at once",
			"platform", k.Platform, "error", err)
	case a.Identity.ID != "":
		s.dropAttemptEntry(ctx, a)
	}
}
