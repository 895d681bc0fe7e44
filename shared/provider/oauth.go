package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// oauth implements the two endpoints of RFC 6749 for the platforms that are bound by OAuth. It
// holds no token and may be used at once from many goroutines.
//
// x/oauth2 builds the authorize address only. Its token round trip loses a token that was already
// issued when expires_in is 7200.0 or "soon", sends code and secret a second time in another style
// when the first try fails, and prints the platform's reply in its error.
type oauth struct {
	*client
	// authorize and token are the endpoints' addresses.
	authorize, token string
	// parameters are added to the authorize address.
	parameters map[string]string
	// asked are the scopes in the authorize address; none where the app determines them.
	asked []string
	// basic says that the app authenticates by HTTP Basic, and not in the form.
	basic bool
	// life returns the documented life of a token whose reply has none; 0 means no expiry.
	life   func(refreshable bool) time.Duration
	scopes scopeRule
}

// AuthorizeURL implements [OAuthPlatform].
func (o *oauth) AuthorizeURL(app App, redirectURI, state, challenge string) string {
	config := oauth2.Config{
		ClientID:    app.ClientID,
		RedirectURL: redirectURI,
		Scopes:      o.asked,
		Endpoint:    oauth2.Endpoint{AuthURL: o.authorize},
	}
	options := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("code_challenge", challenge),
		oauth2.SetAuthURLParam("code_challenge_method", "S256"),
	}
	for name, value := range o.parameters {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return config.AuthCodeURL(state, options...)
}

// Exchange implements [OAuthPlatform].
func (o *oauth) Exchange(
	ctx context.Context, app App, redirectURI string, code, verifier secret.Text,
) (Token, error) {
	return o.redeem(ctx, app, codeGrant, secret.Text{}, url.Values{
		"code":          {code.Reveal()},
		"code_verifier": {verifier.Reveal()},
		"redirect_uri":  {redirectURI},
	})
}

// Refresh implements [OAuthPlatform].
func (o *oauth) Refresh(ctx context.Context, app App, refresh secret.Text) (Token, error) {
	return o.redeem(ctx, app, refreshGrant, refresh, url.Values{
		"refresh_token": {refresh.Reveal()},
	})
}

var errNoSecret = errors.New("provider: the OAuth app has no client secret")

// redeem requests a token. It tries the client secrets in order as long as the platform refuses the
// app. oldRefresh is the refresh token that is kept if the reply has none.
func (o *oauth) redeem(
	ctx context.Context, app App, g grantType, oldRefresh secret.Text, form url.Values,
) (Token, error) {
	form.Set("grant_type", string(g))
	var err error = o.problem(problem.ClientRefused).From(errNoSecret)
	for _, clientSecret := range app.ClientSecrets {
		// The token's life is counted from before the call, since the platform issues it later.
		began := o.now()
		var t tokenReply
		var tryNextSecret bool
		t, tryNextSecret, err = o.post(ctx, app.ClientID, clientSecret, g, form)
		if err == nil {
			return o.issued(t, oldRefresh, began), nil
		}
		if !tryNextSecret {
			return Token{}, err
		}
	}
	return Token{}, err
}

func (o *oauth) post(
	ctx context.Context, clientID string, clientSecret secret.Text, g grantType, form url.Values,
) (tokenReply, bool, error) {
	k := call{method: http.MethodPost, address: o.token}
	if o.basic {
		// RFC 6749, 2.3.1: both are form-encoded first.
		k.auth = basic(
			url.QueryEscape(clientID), secret.New(url.QueryEscape(clientSecret.Reveal())),
		)
	} else {
		form.Set("client_id", clientID)
		form.Set("client_secret", clientSecret.Reveal())
	}
	r, err := o.do(ctx, k.withForm(form))
	if err != nil {
		return tokenReply{}, false, err
	}
	return o.read(r, g)
}

// issued returns the token of a successful reply.
func (o *oauth) issued(t tokenReply, oldRefresh secret.Text, began time.Time) Token {
	token := Token{Access: t.access, Refresh: t.refresh, Scopes: t.scopes}
	if token.Refresh.Empty() {
		token.Refresh = oldRefresh
	}
	life := t.life
	if life == 0 {
		life = o.life(!token.Refresh.Empty())
	}
	if life > 0 {
		token.ExpiresAt = began.Add(life).UTC().Truncate(time.Second)
	}
	return token
}

// always returns a documented life that is the same for every token.
func always(life time.Duration) func(bool) time.Duration {
	return func(bool) time.Duration { return life }
}

// askAs makes a call with the user's token. Where the platform refuses the token or its
// permissions, the problem has the reason of a consent, since the user has no token to copy or
// create.
func (o *oauth) askAs(ctx context.Context, k call, cred Credential, into any) (reply, error) {
	k.auth = bearer(cred.Access)
	r, err := o.ask(ctx, k, into)
	switch {
	case problem.Is(err, problem.TokenRejected), problem.Is(err, problem.TokenExpired):
		return r, problem.Of(err).Because("consent")
	case problem.Is(err, problem.PermissionMissing) && problem.Of(err).Reason == "":
		return r, problem.Of(err).Because(o.scopes.reason)
	}
	return r, err
}
