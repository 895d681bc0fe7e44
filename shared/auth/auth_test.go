package auth_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/auth"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestATokenIdentifiesTheCaller(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	got, err := i.verifier().Caller(context.Background(), with(sign(t, key, i.claims(nil))))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != i.url || got.Subject != "ann" || got.Account != "acme" {
		t.Errorf("the user is %q %q %q", got.Issuer, got.Subject, got.Account)
	}
	if !got.Has("bindery.read") || !got.Has("bindery.write") {
		t.Errorf("scopes are missing: %q", got.Scopes)
	}
	for _, scope := range []string{"bindery.credential", "bindery", "bindery.read bindery.write", ""} {
		if got.Has(scope) {
			t.Errorf("%q is granted, which the token doesn't say", scope)
		}
	}
	if !got.Sees("cn-hangzhou", "cri-1") {
		t.Error("a token without a list of instances doesn't see an instance")
	}
}

func TestEveryAsymmetricAlgorithmIsAccepted(t *testing.T) {
	i := newIssuer(t)
	keys := []jose.JSONWebKey{
		i.list("r", jose.RS256), i.list("p", jose.PS256), i.list("e", jose.ES256),
		i.list("d", jose.EdDSA),
	}
	v := i.verifier()
	for _, key := range keys {
		ask(t, v, sign(t, key, i.claims(nil)), "", "")
	}
	anonymous := keys[2]
	anonymous.KeyID = ""
	ask(t, v, sign(t, anonymous, i.claims(nil)), "", "")
	fetches(t, i, 1)
}

func TestD13_ATokenThatIsNotForUsIsRefused(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	verifiers := i.coldAndWarm(t, sign(t, key, i.claims(nil)))
	at := func(d time.Duration) int64 { return i.Now().Add(d).Unix() }
	type change map[string]any
	for name, c := range map[string]struct {
		change change
		reason string
	}{
		"another issuer":            {change{"iss": "https://evil.example"}, ""},
		"the issuer and a slash":    {change{"iss": i.url + "/"}, ""},
		"no issuer":                 {change{"iss": nil}, ""},
		"another audience":          {change{"aud": "bindery2"}, ""},
		"other audiences":           {change{"aud": []string{"a", "b"}}, ""},
		"no audience":               {change{"aud": nil}, ""},
		"expired":                   {change{"exp": at(-time.Second)}, "expired"},
		"expiring now":              {change{"exp": at(0)}, "expired"},
		"never expiring":            {change{"exp": nil}, ""},
		"an expiry of another kind": {change{"exp": "soon"}, ""},
		"not yet valid":             {change{"nbf": at(10 * time.Minute)}, ""},
		"no subject":                {change{"sub": nil}, ""},
		"no account":                {change{"account": nil}, "no_account"},
		"an empty account":          {change{"account": ""}, "no_account"},
		"a blank account":           {change{"account": " "}, "no_account"},
		"a null account":            {change{"account": json.RawMessage("null")}, "no_account"},
		"a list of accounts":        {change{"account": []string{"acme"}}, "no_account"},
		"a number as account":       {change{"account": 7}, "no_account"},
		"the account misspelt":      {change{"account": nil, "Account": "acme"}, "no_account"},
		"scopes of another kind":    {change{"scope": 7}, ""},
		"a null among the scopes":   {change{"scope": []any{"bindery.read", nil}}, ""},
		"instances as an object":    {change{"instances": change{"a/b": true}}, ""},
		"instances as null":         {change{"instances": json.RawMessage("null")}, ""},
		"numbers as instances":      {change{"instances": []int{1}}, ""},
		"true as instances":         {change{"instances": true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range verifiers {
				ask(t, v, sign(t, key, i.claims(c.change)), problem.NotSignedIn, c.reason)
			}
		})
	}
	for _, v := range verifiers {
		ask(t, v, sign(t, key, []string{"no", "object"}), problem.NotSignedIn, "")
		ask(t, v, sign(t, key, i.claims(change{"aud": []string{"a", "bindery"}})), "", "")
		ask(t, v, sign(t, key, i.claims(change{"nbf": at(5 * time.Minute)})), "", "")
	}
}

// Some libraries accept one well-known issuer without its scheme.
func TestD13_TheIssuerIsComparedLetterByLetter(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := auth.New(auth.Options{
		Issuer: "https://accounts.google.com", Audience: "bindery", JWKSURL: i.url + "/keys",
		Now: i.Now,
	})
	short := i.claims(map[string]any{"iss": "accounts.google.com"})
	ask(t, v, sign(t, key, short), problem.NotSignedIn, "")
}

func TestD13_NoneAndThePublicKeyAsASecretAreRefused(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.RS256)
	v := i.verifier()
	genuine := sign(t, key, i.claims(nil))
	attack := func() {
		for _, token := range unsignedOrShared(t, key, genuine) {
			ask(t, v, token, problem.NotSignedIn, "")
		}
	}
	attack()
	// They are refused before a key is looked up.
	fetches(t, i, 0)
	ask(t, v, genuine, "", "")
	attack()
}

// unsignedOrShared returns tokens with the payload of a genuine one that are not signed, or that
// are signed with the public key as a shared secret.
func unsignedOrShared(t *testing.T, key jose.JSONWebKey, genuine string) (tokens []string) {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	encoded := strings.Split(genuine, ".")[1]
	for _, alg := range []string{"none", "None", "NONE", ""} {
		tokens = append(tokens, part([]byte(`{"alg":"`+alg+`","kid":"1"}`))+"."+encoded+".")
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public().Key.(*rsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := key.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for _, shared := range [][]byte{
		public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), asJSON,
	} {
		forged := jose.JSONWebKey{Key: shared, KeyID: "1", Algorithm: "HS256"}
		tokens = append(tokens, sign(t, forged, json.RawMessage(payload)))
	}
	return tokens
}

// A key set may contain a shared secret or a private key by mistake.
func TestD13_OnlyPublicKeysForSigningAreUsed(t *testing.T) {
	i := newIssuer(t)
	good := i.list("1", jose.RS256)
	private, encrypting := newKey("2", jose.ES256), newKey("3", jose.ES256)
	encrypting.Use = "enc"
	shared := jose.JSONWebKey{Key: []byte(strings.Repeat("s", 32)), KeyID: "4", Algorithm: "HS256"}
	i.answer(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{
			map[string]string{"kty": "new", "kid": "5"},
			map[string]string{"kty": "RSA", "n": "?"},
			private, encrypting.Public(), shared, good.Public(),
		}})
	})
	v := i.verifier()
	ask(t, v, sign(t, good, i.claims(nil)), "", "")
	for _, key := range []jose.JSONWebKey{private, encrypting, shared} {
		ask(t, v, sign(t, key, i.claims(nil)), problem.NotSignedIn, "")
	}
	// A key for one algorithm doesn't verify another.
	good.Algorithm = "PS256"
	ask(t, v, sign(t, good, i.claims(nil)), problem.NotSignedIn, "")
}

func TestD13_AHeaderThatIsNotOneBearerIsRefused(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.RS256)
	token := sign(t, key, i.claims(nil))
	verifiers := i.coldAndWarm(t, token)
	long := sign(t, key, i.claims(map[string]any{"more": strings.Repeat("x", 7000)}))
	full, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	for name, headers := range map[string][]string{
		"none":                 nil,
		"empty":                {""},
		"basic":                {"Basic " + token},
		"no scheme":            {token},
		"no token":             {"Bearer "},
		"two headers":          {"Bearer " + token, "Bearer " + token},
		"two tokens":           {"Bearer " + token + ", Bearer " + token},
		"longer than 8 KB":     {"Bearer " + long},
		"five parts":           {"Bearer a.b.c.d.e"},
		"not base64":           {"Bearer ?.?.?"},
		"the JSON form":        {"Bearer " + full.FullSerialize()},
		"JSON with dots in it": {"Bearer " + strings.Replace(full.FullSerialize(), "{", `{"a":"..",`, 1)},
		"a token cut short":    {"Bearer " + token[:len(token)-8]},
		"a space in the token": {"Bearer " + token[:30] + " " + token[30:]},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/platforms?access_token="+token, nil)
		r.AddCookie(&http.Cookie{Name: "Authorization", Value: token})
		for _, header := range headers {
			r.Header.Add("Authorization", header)
		}
		t.Run(name, func(t *testing.T) {
			for state, v := range verifiers {
				_, err := v.Caller(context.Background(), r)
				testkit.WantProblem(t, "the caller, "+state, err, problem.NotSignedIn, "")
				if err != nil && strings.Contains(err.Error(), token[:30]) {
					t.Error("the error shows a piece of the token")
				}
			}
		})
	}
	r := with("")
	r.Header.Set("Authorization", "bEARER   "+token)
	for state, v := range verifiers {
		if _, err := v.Caller(context.Background(), r); err != nil {
			t.Errorf("the scheme's case matters, %s: %v", state, err)
		}
	}
}

// A client must not be able to write its header's fields into the log.
func TestD13_AnErrorShowsNothingOfAForgedToken(t *testing.T) {
	i := newIssuer(t)
	verifiers := i.coldAndWarm(t, sign(t, i.list("1", jose.RS256), i.claims(nil)))
	const canary = "canary-3kW8"
	part := base64.RawURLEncoding.EncodeToString
	forged := newKey(canary, jose.RS256)
	for _, token := range []string{
		part([]byte(`{"alg":"`+canary+`"}`)) + "." + part([]byte(`{}`)) + ".AA",
		part([]byte(`{"alg":"RS256","kid":"`+canary+`"}`)) + "." + part([]byte(canary)) + ".AA",
		part([]byte(`{"alg":"RS256",`+canary)) + ".AA.AA",
		sign(t, forged, i.claims(map[string]any{"iss": canary})),
	} {
		for state, v := range verifiers {
			_, err := v.Caller(context.Background(), with(token))
			testkit.WantProblem(t, "the caller, "+state, err, problem.NotSignedIn, "")
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Error("the error shows a piece of the token")
			}
		}
	}
}

func TestScopesHaveThreeForms(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := i.verifier()
	for name, c := range map[string]struct {
		change map[string]any
		want   []string
	}{
		"scope":             {map[string]any{"scope": "a  b"}, []string{"a", "b"}},
		"scp in one string": {map[string]any{"scope": nil, "scp": "a b"}, []string{"a", "b"}},
		"scp as a list": {
			map[string]any{"scope": nil, "scp": []string{"a", "b"}},
			[]string{"a", "b"},
		},
		"scope before scp":       {map[string]any{"scope": "a", "scp": "b"}, []string{"a"}},
		"an empty scope":         {map[string]any{"scope": "", "scp": "b"}, nil},
		"neither":                {map[string]any{"scope": nil}, nil},
		"a list splits no words": {map[string]any{"scope": []string{"a b"}}, []string{"a b"}},
	} {
		got, err := v.Caller(context.Background(), with(sign(t, key, i.claims(c.change))))
		if err != nil || !slices.Equal(got.Scopes, c.want) {
			t.Errorf("%s: got %q and %v, want %q", name, got.Scopes, err, c.want)
		}
	}
}

func TestB12_ALimitedTokenSeesOnlyItsInstances(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := auth.New(auth.Options{
		Issuer: i.url, Audience: "bindery", JWKSURL: i.url + "/keys", Now: i.Now,
		AccountClaim: "https://acme.example/tenant", InstanceClaim: "only",
		Client: http.DefaultClient,
	})
	for name, c := range map[string]struct {
		only any
		want []string
	}{
		"absent":              {nil, []string{"r1/a", "r1/b", "r2/a", "r1/b/c"}},
		"a list":              {[]string{"r1/a", "r1/b/c"}, []string{"r1/a", "r1/b/c"}},
		"a string":            {"r1/a r2/a", []string{"r1/a", "r2/a"}},
		"an empty list":       {[]string{}, nil},
		"an empty string":     {"", nil},
		"a star":              {[]string{"*", "r1/*", "r1"}, nil},
		"with a space in it":  {[]string{" r1/a", "r1/a "}, nil},
		"in another spelling": {[]string{"R1/A"}, nil},
	} {
		claims := i.claims(map[string]any{
			"only": c.only, "instances": []string{}, "https://acme.example/tenant": "acme2",
		})
		got, err := v.Caller(context.Background(), with(sign(t, key, claims)))
		if err != nil {
			t.Fatal(err)
		}
		var sees []string
		for _, name := range []string{"r1/a", "r1/b", "r2/a", "r1/b/c"} {
			region, id, _ := strings.Cut(name, "/")
			if got.Sees(region, id) {
				sees = append(sees, name)
			}
		}
		if !slices.Equal(sees, c.want) || got.Account != "acme2" {
			t.Errorf("%s: sees %q as %s, want %q as acme2", name, sees, got.Account, c.want)
		}
		if c.only != nil && got.Sees("r1/b", "c") {
			t.Errorf("%s: an id's slash is taken for the region's", name)
		}
	}
}
