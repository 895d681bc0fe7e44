package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is an OpenID Connect provider: authorization code with PKCE, for public clients. A
// session lasts until the client asks for a new sign-in.
type issuer struct {
	url     string
	console string // the one client's origin
	now     func() time.Time
	key     jose.JSONWebKey

	mu    sync.Mutex
	codes map[string]granted
	age   int // part of the session cookie's name; sessions of a smaller age have ended
}

// granted is what a code was issued for.
type granted struct{ user, scope, challenge string }

func newIssuer(t *testing.T, url, console string, now func() time.Time) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{
		url: url, console: console, now: now, codes: map[string]granted{},
		key: jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"},
	}
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", i.console)
	w.Header().Set("Cache-Control", "no-store")
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/openid-configuration":
		i.reply(w, map[string]any{
			"issuer":                 i.url,
			"authorization_endpoint": i.url + "/authorize",
			"token_endpoint":         i.url + "/token",
		})
	case "GET /keys":
		i.reply(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	case "GET /authorize":
		i.authorize(w, r)
	case "POST /authorize":
		http.SetCookie(w, &http.Cookie{
			Name: i.cookie(), Value: r.PostFormValue("user"), Path: "/", HttpOnly: true,
			SameSite: http.SameSiteLaxMode,
		})
		query := r.URL.Query()
		query.Del("prompt")
		http.Redirect(w, r, "/authorize?"+query.Encode(), http.StatusSeeOther)
	case "POST /token":
		i.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

// cookie returns the name of the session cookie.
func (i *issuer) cookie() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return fmt.Sprint("session-", i.age)
}

// signOut ends all sessions.
func (i *issuer) signOut() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.age++
}

func (i *issuer) reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// authorize redirects to the client with a code, or shows the sign-in.
func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("redirect_uri") != i.console+"/" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "not a client of this issuer", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {i.url}}
	session, err := r.Cookie(i.cookie())
	switch {
	case err == nil && q.Get("prompt") != "login":
		code := rand.Text()
		i.mu.Lock()
		i.codes[code] = granted{session.Value, q.Get("scope"), q.Get("code_challenge")}
		i.mu.Unlock()
		back.Set("code", code)
	case q.Get("prompt") == "none":
		back.Set("error", "login_required")
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>Sign in</title><link rel="icon" href="data:,">
			<form method="post"><button id="be-ann" name="user" value="ann">ann</button>
			<button id="be-bob" name="user" value="bob">bob</button>
			<button id="be-reader" name="user" value="reader">reader</button></form>`)
		return
	}
	http.Redirect(w, r, i.console+"/?"+back.Encode(), http.StatusSeeOther)
}

// token exchanges a code, once, if the verifier fits its challenge.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	g, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	access, err := i.access(g.user, g.scope)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i.reply(w, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": 3600,
	})
}

// access returns an access token. Every user belongs to the account acme, and the reader may only
// read.
func (i *issuer) access(user, scope string) (string, error) {
	if user == "reader" {
		scope = "bindery.read"
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": i.url, "aud": "bindery", "sub": user, "account": "acme", "scope": scope,
		"iat": i.now().Unix(), "exp": i.now().Add(time.Hour).Unix(),
	}).Serialize()
}
