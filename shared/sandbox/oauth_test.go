package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/secret"
)

// oauthCallback is where the apps of these tests are registered.
const oauthCallback = "https://bindery.example/v1/callback"

// codeTTL is how long a code may be redeemed.
const codeTTL = 10 * time.Minute

// oauthWorld is a sandbox on a socket, with a clock of its own.
type oauthWorld struct {
	*Sandbox
	t      *testing.T
	server *httptest.Server

	mu    sync.Mutex
	clock time.Time
}

// newOAuthWorld starts a sandbox in which every app has its callback.
func newOAuthWorld(t *testing.T) *oauthWorld {
	t.Helper()
	w := &oauthWorld{t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	w.Sandbox = New(Options{Random: rand.Reader, Now: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.clock
	}})
	w.server = httptest.NewServer(w.Sandbox)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.Close)
	for p, app := range w.Apps() {
		app.RedirectURI = oauthCallback
		w.AddApp(p, app)
	}
	return w
}

// pass moves the clock.
func (w *oauthWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// authorizeURL is what an app sends a browser to.
func (w *oauthWorld) authorizeURL(p Platform, more url.Values) string {
	q := url.Values{
		"client_id": {w.Apps()[p].ClientID}, "response_type": {"code"},
		"redirect_uri": {oauthCallback}, "state": {"s1"},
	}
	switch p {
	case GitHub:
		q.Set("scope", "repo")
	case Gitee:
		q.Set("scope", "user_info projects hook")
	}
	for name, values := range more {
		q[name] = values
		if len(values) == 0 {
			q.Del(name)
		}
	}
	return w.server.URL + w.Platforms[p].AuthorizePath + "?" + q.Encode()
}

// code is a fresh one, granted by alice.
func (w *oauthWorld) code(p Platform, more url.Values) string {
	w.t.Helper()
	back, err := w.Consent(p, "alice", w.authorizeURL(p, more), nil)
	if err != nil {
		w.t.Fatalf("consent: %v", err)
	}
	code := query(w.t, back).Get("code")
	if code == "" {
		w.t.Fatalf("%s: the callback has no code", p)
	}
	return code
}

// query is an address's.
func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("not an address")
	}
	return u.Query()
}

// oauthReply is what a token endpoint or an API answered.
type oauthReply struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// get is a text of the body, "" if it isn't one.
func (r oauthReply) get(name string) string {
	text, _ := r.body[name].(string)
	return text
}

// send makes a request and reads the reply; JSON if it is.
func (w *oauthWorld) send(r *http.Request) oauthReply {
	w.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatalf("request: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("reading: %v", err)
	}
	reply := oauthReply{status: resp.StatusCode, header: resp.Header, text: string(b)}
	_ = json.Unmarshal(b, &reply.body)
	return reply
}

// request is one to the sandbox.
func (w *oauthWorld) request(method, path, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal("not a request")
	}
	return r
}

// token asks the token endpoint as the platform's own app does, with the fields changed by more.
func (w *oauthWorld) token(p Platform, more url.Values) oauthReply {
	w.t.Helper()
	return w.send(w.tokenRequest(p, more))
}

// tokenRequest is what [oauthWorld.token] sends.
func (w *oauthWorld) tokenRequest(p Platform, more url.Values) *http.Request {
	w.t.Helper()
	paths := map[Platform]string{
		Gitee: "/oauth/token", GitHub: "/login/oauth/access_token",
		Bitbucket: "/site/oauth2/access_token",
	}
	app := w.Apps()[p]
	form := url.Values{}
	if p != Bitbucket {
		form.Set("client_id", app.ClientID)
		form.Set("client_secret", app.ClientSecrets[0].Reveal())
	}
	for name, values := range more {
		form[name] = values
		if len(values) == 0 {
			form.Del(name)
		}
	}
	r := w.request("POST", paths[p], form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if p == Bitbucket {
		r.SetBasicAuth(app.ClientID, app.ClientSecrets[0].Reveal())
	}
	return r
}

// exchange redeems a code.
func (w *oauthWorld) exchange(p Platform, code string, more url.Values) oauthReply {
	w.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {oauthCallback},
	}
	for name, values := range more {
		form[name] = values
	}
	return w.token(p, form)
}

// bind goes the whole way as alice and returns the token's reply.
func (w *oauthWorld) bind(p Platform) oauthReply {
	w.t.Helper()
	reply := w.exchange(p, w.code(p, nil), nil)
	if reply.get("access_token") == "" {
		w.t.Fatalf("%s: no token, status %d, error %q", p, reply.status, reply.get("error"))
	}
	return reply
}

// refresh renews a token.
func (w *oauthWorld) refresh(p Platform, refresh string) oauthReply {
	w.t.Helper()
	return w.token(p, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// me asks whose token it is.
func (w *oauthWorld) me(p Platform, token string) oauthReply {
	w.t.Helper()
	paths := map[Platform]string{Gitee: "/api/v5/user", GitHub: "/user", Bitbucket: "/2.0/user"}
	r := w.request("GET", paths[p], "")
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

// want fails the test if the two differ. Give it no secrets.
func want[T comparable](t *testing.T, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: got %v, want %v", what, got, wanted)
	}
}

// oauthPlatforms are the three.
func oauthPlatforms() []Platform { return []Platform{Gitee, GitHub, Bitbucket} }

// oauthBrowser is a person's: it keeps cookies and follows redirects, but not to the callback.
func oauthBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), oauthCallback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// shownPage is a page that a browser shows, or the address of the app that it is sent back to.
type shownPage struct {
	text string
	back string
}

// read turns a reply into a page.
func read(t *testing.T, resp *http.Response, err error) shownPage {
	t.Helper()
	if err != nil {
		t.Fatal("the page could not be read")
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return shownPage{string(b), resp.Header.Get("Location")}
}

// open opens an address.
func open(t *testing.T, b *http.Client, address string) shownPage {
	t.Helper()
	resp, err := b.Get(address)
	return read(t, resp, err)
}

// press presses a button of the page at an address, with the scopes ticked.
func press(t *testing.T, b *http.Client, address, do string, scopes ...string) shownPage {
	t.Helper()
	resp, err := b.PostForm(address, url.Values{"do": {do}, "scope": scopes})
	return read(t, resp, err)
}

// secretOf wraps a value for the sandbox's methods.
func secretOf(value string) secret.Text { return secret.New(value) }

// sorted is a sorted copy of a space- or comma-separated list.
func sorted(list string) string {
	return strings.Join(slices.Sorted(strings.FieldsFuncSeq(list, func(r rune) bool {
		return r == ' ' || r == ','
	})), " ")
}
