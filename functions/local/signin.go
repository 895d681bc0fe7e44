package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bindery/shared/api"
	"bindery/shared/config"
)

const keyID = "laptop"

// signIn issues access tokens for any user without a password. Its key is made at the start and
// isn't kept.
type signIn struct {
	key              *ecdsa.PrivateKey
	issuer, audience string
	accountClaim     string
	instanceClaim    string
	now              func() time.Time
}

// addSignIn adds /dev/token and /dev/jwks, unless the environment names another issuer.
func (l laptop) addSignIn(mux *http.ServeMux, c config.Config) error {
	if c.OIDC.Issuer != l.url() {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the key of the laptop's sign-in: %w", err)
	}
	s := signIn{
		key:           key,
		issuer:        c.OIDC.Issuer,
		audience:      c.OIDC.Audience,
		accountClaim:  c.AccountClaim,
		instanceClaim: c.InstanceClaim,
		now:           time.Now,
	}
	mux.HandleFunc("GET /dev/token", onlySameOrigin(s.token))
	mux.HandleFunc("GET /dev/jwks", onlySameOrigin(s.keys))
	return nil
}

// parameters are those of /dev/token, in the words that a reply to a wrong one lists them in.
const parameters = `

The parameters of /dev/token, all optional:
  user       who signs in; default alice
  account    the user's account; default acme
  scope      some of bindery.read, bindery.write, bindery.credential and
             bindery.repositories, separated by spaces; default all
  instances  the only instances that the token is for, as region/id,
             separated by commas; default all of the account
  ttl        for how long the token is valid, as seconds or like 90s or 8h; default 1h
`

// token replies with a JWT as plain text. Without parameters it is for alice of acme, with every
// scope, for an hour.
func (s signIn) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	claims, err := s.claims(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error()+parameters, http.StatusBadRequest)
		return
	}
	signed, err := s.sign(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, signed)
}

func (s signIn) claims(q url.Values) (map[string]any, error) {
	for name := range q {
		if !slices.Contains([]string{"user", "account", "scope", "instances", "ttl"}, name) {
			return nil, fmt.Errorf("there is no parameter %.40q", name)
		}
	}
	ttl, err := time.ParseDuration(cmp.Or(q.Get("ttl"), "1h"))
	if err != nil {
		if ttl, err = time.ParseDuration(q.Get("ttl") + "s"); err != nil {
			return nil, fmt.Errorf("ttl is a number of seconds, or a time like 90s or 8h")
		}
	}
	scopes := []string{
		api.ScopeRead, api.ScopeWrite, api.ScopeCredential, api.ScopeRepositories,
	}
	for scope := range strings.FieldsSeq(q.Get("scope")) {
		if !slices.Contains(scopes, scope) {
			return nil, fmt.Errorf("there is no scope %.40q", scope)
		}
	}
	claims := map[string]any{
		"iss":          s.issuer,
		"aud":          s.audience,
		"sub":          cmp.Or(q.Get("user"), "alice"),
		"scope":        cmp.Or(q.Get("scope"), strings.Join(scopes, " ")),
		"iat":          s.now().Unix(),
		"exp":          s.now().Add(ttl).Unix(),
		s.accountClaim: cmp.Or(q.Get("account"), "acme"),
	}
	if q.Has("instances") {
		claims[s.instanceClaim] = strings.FieldsFunc(q.Get("instances"), func(r rune) bool {
			return r == ',' || r == ' '
		})
	}
	return claims, nil
}

func (s signIn) sign(claims map[string]any) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, options)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func (s signIn) keys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: s.key.Public(), KeyID: keyID, Algorithm: string(jose.ES256), Use: "sig"},
	}})
}
