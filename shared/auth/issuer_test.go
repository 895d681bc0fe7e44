package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/auth"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// issuer signs tokens, serves its keys on its own socket, and counts the requests.
type issuer struct {
	*testkit.Clock
	url      string
	fetches  atomic.Int32
	redirect atomic.Int32 // requests that followed one

	mu    sync.Mutex
	keys  []jose.JSONWebKey
	serve http.HandlerFunc // instead of the keys
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{Clock: testkit.NewClock()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		serve, keys := i.serve, jose.JSONWebKeySet{}
		for _, key := range i.keys {
			keys.Keys = append(keys.Keys, key.Public())
		}
		i.mu.Unlock()
		if serve != nil {
			serve(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(keys)
	})
	mux.HandleFunc("GET /elsewhere", func(http.ResponseWriter, *http.Request) { i.redirect.Add(1) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// answer replaces what the keys' address returns; nil is the keys again.
func (i *issuer) answer(serve http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serve = serve
}

// list adds a private key, and its public key to the issuer's list.
func (i *issuer) list(id string, algorithm jose.SignatureAlgorithm) jose.JSONWebKey {
	key := newKey(id, algorithm)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
	return key
}

func newKey(id string, algorithm jose.SignatureAlgorithm) jose.JSONWebKey {
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(algorithm), Use: "sig"}
}

// claims returns the claims of a valid token, with changes; nil removes the claim.
func (i *issuer) claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"iss": i.url, "sub": "ann", "aud": "bindery", "account": "acme",
		"scope": "bindery.read bindery.write",
		"iat":   i.Now().Unix(), "exp": i.Now().Add(time.Hour * 24 * 7).Unix(),
	}
	maps.Copy(all, changes)
	for name, value := range all {
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

func sign(t testing.TB, key jose.JSONWebKey, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := token.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (i *issuer) verifier() *auth.Verifier {
	return auth.New(auth.Options{
		Issuer: i.url, Audience: "bindery", JWKSURL: i.url + "/keys", Now: i.Now,
	})
}

func with(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1/platforms", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// ask verifies a token, twice because the first time may leave something in the cache, and expects
// the code and the reason; an empty code expects a caller.
func ask(t *testing.T, v *auth.Verifier, token string, code problem.Code, reason string) {
	t.Helper()
	for _, time := range []string{"first", "second"} {
		_, err := v.Caller(context.Background(), with(token))
		if code != "" {
			testkit.WantProblem(t, "the caller, the "+time+" time", err, code, reason)
		} else if err != nil {
			t.Errorf("refused the %s time: %v", time, err)
		}
	}
}

// coldAndWarm returns a new verifier, and another one that has the caller of a genuine token in its
// cache.
func (i *issuer) coldAndWarm(t *testing.T, genuine string) map[string]*auth.Verifier {
	t.Helper()
	warm := i.verifier()
	ask(t, warm, genuine, "", "")
	return map[string]*auth.Verifier{"cold": i.verifier(), "warm": warm}
}
