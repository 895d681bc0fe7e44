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
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// oauthCallback is the registered callback of the apps in these tests.
const oauthCallback = "https://bindery.example/v1/callback"

// codeTTL is how long a code may be redeemed.
const codeTTL = 10 * time.Minute

// oauthWorld is a sandbox on a socket, with a clock of its own.
type oauthWorld struct {
	*Sandbox
	t      *testing.T
	server *httptest.Server
	clock  *testkit.Clock
}

// newOAuthWorld starts a sandbox in which every app has its callback.
func newOAuthWorld(t *testing.T) *oauthWorld {
	t.Helper()
	w := &oauthWorld{t: t, clock: testkit.NewClock()}
	w.Sandbox = New(Options{Random: rand.Reader, Now: w.clock.Now})
	w.server = httptest.NewServer(w.Sandbox)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.Close)
	for p, app := range w.Apps() {
		app.RedirectURI = oauthCallback
		w.AddApp(p, app)
	}
	return w
}

// authorizeURL returns the address that an app sends a browser to. The parameters in more replace
// the usual ones; one without values is removed.
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

// code returns a new code that alice has granted.
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

// query returns the query of an address.
func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("not an address")
	}
	return u.Query()
}

// oauthReply is the reply of a token endpoint or an API.
type oauthReply struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// get returns a string of the body, "" if it isn't one.
func (r oauthReply) get(name string) string {
	text, _ := r.body[name].(string)
	return text
}

// send sends a request and reads the reply, as JSON if it is.
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

// request returns a request to the sandbox.
func (w *oauthWorld) request(method, path, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal("not a request")
	}
	return r
}

// token calls the token endpoint as the platform's app, with the form changed by more.
func (w *oauthWorld) token(p Platform, more url.Values) oauthReply {
	w.t.Helper()
	return w.send(w.tokenRequest(p, more))
}

// tokenRequest returns the request that [oauthWorld.token] sends.
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

// bind consents as alice, redeems the code and returns the reply of the token endpoint.
func (w *oauthWorld) bind(p Platform) oauthReply {
	w.t.Helper()
	reply := w.exchange(p, w.code(p, nil), nil)
	if reply.get("access_token") == "" {
		w.t.Fatalf("%s: no token, status %d, error %q", p, reply.status, reply.get("error"))
	}
	return reply
}

// refresh refreshes a token.
func (w *oauthWorld) refresh(p Platform, refresh string) oauthReply {
	w.t.Helper()
	return w.token(p, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// me asks for the token's user.
func (w *oauthWorld) me(p Platform, token string) oauthReply {
	w.t.Helper()
	paths := map[Platform]string{Gitee: "/api/v5/user", GitHub: "/user", Bitbucket: "/2.0/user"}
	r := w.request("GET", paths[p], "")
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

// oauthPlatforms returns the platforms that are bound by consent.
func oauthPlatforms() []Platform { return []Platform{Gitee, GitHub, Bitbucket} }

// oauthBrowser returns a browser: it keeps cookies and follows redirects, but not to the callback.
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

// read reads a reply as a page.
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

// sorted sorts a space- or comma-separated list.
func sorted(list string) string {
	return strings.Join(slices.Sorted(strings.FieldsFuncSeq(list, func(r rune) bool {
		return r == ' ' || r == ','
	})), " ")
}
