package auth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"bindery/shared/auth"
)

// member is a user of the fake identity provider, with an account.
type member struct{ *mockoidc.MockUser }

func (m member) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	return struct {
		*mockoidc.IDTokenClaims
		Account string `json:"account"`
		Scope   string `json:"scp"`
	}{base, "acme", "bindery.read"}, nil
}

// The token is made by an identity provider that shares no code with this package.
func TestATokenOfAnotherImplementationIsAccepted(t *testing.T) {
	idp, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = idp.Shutdown() })
	idp.QueueUser(member{mockoidc.DefaultUser()})
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	reply, err := client.Get(idp.AuthorizationEndpoint() + "?" + url.Values{
		"scope": {"openid"}, "response_type": {"code"}, "client_id": {idp.ClientID},
		"redirect_uri": {"http://127.0.0.1/back"}, "state": {"s"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	back, err := reply.Location()
	if err != nil {
		t.Fatal(err)
	}
	reply, err = client.PostForm(idp.TokenEndpoint(), url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"client_id": {idp.ClientID}, "client_secret": {idp.ClientSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&tokens); err != nil || tokens.IDToken == "" {
		t.Fatalf("no token: status %d", reply.StatusCode)
	}
	got, err := auth.New(auth.Options{
		Issuer: idp.Issuer(), Audience: idp.ClientID, JWKSURL: idp.JWKSEndpoint(),
	}).Caller(context.Background(), with(tokens.IDToken))
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "1234567890" || got.Account != "acme" || !got.Has("bindery.read") {
		t.Errorf("got %+v", got)
	}
}
