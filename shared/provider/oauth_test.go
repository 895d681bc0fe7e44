package provider

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// canned is one reply. The zero status is 200, the zero kind JSON.
type canned struct {
	status int
	kind   string
	header map[string]string
	body   string
}

// seen is one request that arrived.
type seen struct {
	method, path string
	header       http.Header
	body         string
}

func (s seen) form(t *testing.T) url.Values {
	t.Helper()
	form, err := url.ParseQuery(s.body)
	if err != nil || s.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Fatal("the body is no form")
	}
	return form
}

// oauthSite is a small platform that gives its replies in order.
type oauthSite struct {
	url     string
	mu      sync.Mutex
	replies []canned
	calls   []seen
	slept   []time.Duration
	// takes is how long each call takes by the clock of the test.
	takes time.Duration
}

func newOAuthSite(t *testing.T, replies ...canned) *oauthSite {
	t.Helper()
	s := &oauthSite{replies: replies}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *oauthSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, seen{r.Method, r.URL.RequestURI(), r.Header, string(body)})
	reply := canned{status: http.StatusTeapot} // a call too many; each test counts the calls
	if len(s.replies) > 0 {
		reply, s.replies = s.replies[0], s.replies[1:]
	}
	reply.write(w)
}

// got are the calls so far; the test ends if there weren't as many as wanted.
func (s *oauthSite) got(t *testing.T, want int) []seen {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) != want {
		t.Fatalf("the platform got %d calls, want %d", len(s.calls), want)
	}
	return slices.Clone(s.calls)
}

// noon is the tests' clock.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// now returns noon and the time that the calls so far have taken.
func (s *oauthSite) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return noon.Add(time.Duration(len(s.calls)) * s.takes)
}

func (s *oauthSite) platform(t *testing.T, name string) OAuthPlatform {
	t.Helper()
	p, _ := New(Options{
		Guard: netguard.New(netguard.Options{}),
		Now:   s.now,
		Endpoints: Endpoints{
			"BINDERY_GITEE_URL": s.url, "BINDERY_GITEE_API_URL": s.url,
			"BINDERY_GITHUB_URL": s.url, "BINDERY_GITHUB_API_URL": s.url,
			"BINDERY_BITBUCKET_URL": s.url, "BINDERY_BITBUCKET_API_URL": s.url,
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.slept = append(s.slept, d)
			return ctx.Err()
		},
	}).Get(name)
	oauth, ok := p.(OAuthPlatform)
	if !ok {
		t.Fatalf("%s isn't bound by consent", name)
	}
	return oauth
}

// oauthNames are the platforms bound by consent.
var oauthNames = []string{Gitee, GitHub, Bitbucket}

// The secrets of the tests. None may show in an error, so they look like nothing else.
const (
	canaryCode     = "canary-code-0001"
	canaryVerifier = "canary-verifier-0002"
	canaryRefresh  = "canary-refresh-0003"
	canaryAccess   = "canary-access-0004"
	canaryOld      = "canary-secret-old+0005"
	canaryNew      = "canary-secret-new/0006"
)

func testApp() App {
	return App{
		ClientID:      "id 1",
		ClientSecrets: []secret.Text{secret.New(canaryNew), secret.New(canaryOld)},
	}
}

const testRedirect = "https://bindery.example/v1/callback/x"

func exchange(p OAuthPlatform) (Token, error) {
	return p.Exchange(context.Background(), testApp(), testRedirect,
		secret.New(canaryCode), secret.New(canaryVerifier))
}

func refresh(p OAuthPlatform) (Token, error) {
	return p.Refresh(context.Background(), testApp(), secret.New(canaryRefresh))
}

func check(p OAuthPlatform, scopes ...string) (CheckResult, error) {
	cred := Credential{Access: secret.New(canaryAccess), Scopes: scopes}
	return p.Check(context.Background(), cred)
}

// wantTold is [testkit.WantProblem], and fails too if a parameter of the problem's texts is
// missing.
func wantTold(t *testing.T, what string, err error, code problem.Code, reason string) {
	t.Helper()
	testkit.WantProblem(t, what, err, code, reason)
	text := problem.Of(err).In(problem.English)
	if strings.Contains(text.Title+text.Detail+text.Remedy, "…") {
		t.Errorf("%s: the problem lacks a parameter of its texts: %+v", what, text)
	}
}

func TestAuthorizeURL(t *testing.T) {
	for name, want := range map[string]struct{ path, scope, prompt string }{
		Gitee:     {"https://gitee.com/oauth/authorize", "user_info projects hook groups", ""},
		GitHub:    {"https://github.com/login/oauth/authorize", "repo", "select_account"},
		Bitbucket: {"https://bitbucket.org/site/oauth2/authorize", "", ""},
	} {
		p, _ := New(Options{Guard: netguard.New(netguard.Options{})}).Get(name)
		raw := p.(OAuthPlatform).AuthorizeURL(testApp(), testRedirect, "st&te", "challenge")
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		u.RawQuery = ""
		if u.String() != want.path {
			t.Errorf("%s: the page is %s, want %s", name, u, want.path)
		}
		for param, value := range map[string]string{
			"response_type": "code", "client_id": "id 1", "redirect_uri": testRedirect,
			"state": "st&te", "code_challenge": "challenge", "code_challenge_method": "S256",
			"scope": want.scope, "prompt": want.prompt, "client_secret": "",
		} {
			if q.Get(param) != value || len(q[param]) > 1 {
				t.Errorf("%s: %s = %q, want %q once", name, param, q[param], value)
			}
		}
		if strings.Contains(raw, "canary") {
			t.Errorf("%s: a client secret is in the address", name)
		}
	}
}

// wantClient fails unless the app showed its id and this secret, in the platform's way alone.
func wantClient(t *testing.T, name string, call seen, clientSecret string) {
	t.Helper()
	form := call.form(t)
	id, password, basic := (&http.Request{Header: call.header}).BasicAuth()
	if name != Bitbucket {
		if basic || form.Get("client_id") != "id 1" || form.Get("client_secret") != clientSecret {
			t.Errorf("%s: the app doesn't show id and secret in the form alone", name)
		}
		return
	}
	if id != "id+1" || password != url.QueryEscape(clientSecret) || form.Has("client_id") ||
		form.Has("client_secret") {
		t.Errorf("%s: the app doesn't show its escaped id and secret by Basic alone", name)
	}
}

func TestA9_ExchangeSendsTheVerifierOnce(t *testing.T) {
	paths := map[string]string{
		Gitee: "/oauth/token", GitHub: "/login/oauth/access_token",
		Bitbucket: "/site/oauth2/access_token",
	}
	for _, name := range oauthNames {
		s := newOAuthSite(t, canned{body: `{"access_token": "a", "refresh_token": "r",
			"expires_in": 60, "scope": "x", "token_type": "bearer"}`})
		token, err := exchange(s.platform(t, name))
		if err != nil {
			t.Fatal(err)
		}
		call := s.got(t, 1)[0]
		if call.method != "POST" || call.path != paths[name] {
			t.Errorf("%s: %s %s, want POST %s", name, call.method, call.path, paths[name])
		}
		if call.header.Get("Accept") != "application/json" || call.header.Get("User-Agent") == "" {
			t.Errorf("%s: Accept or User-Agent is missing", name)
		}
		form := call.form(t)
		if form.Get("grant_type") != "authorization_code" || form.Get("code") != canaryCode ||
			form.Get("code_verifier") != canaryVerifier || form.Get("redirect_uri") != testRedirect {
			t.Errorf("%s: the form lacks grant type, code, verifier or redirect address", name)
		}
		wantClient(t, name, call, canaryNew)
		if token.Access.Reveal() != "a" || token.Refresh.Reveal() != "r" ||
			!token.ExpiresAt.Equal(noon.Add(time.Minute)) || !slices.Equal(token.Scopes, []string{"x"}) {
			t.Errorf("%s: the token is read wrong: %+v", name, token)
		}
	}
}

func TestRefreshSendsTheRefreshTokenOnce(t *testing.T) {
	for _, name := range oauthNames {
		s := newOAuthSite(t, canned{body: `{"access_token": "a", "refresh_token": "r2",
			"expires_in": "7200", "scopes": "x y"}`})
		token, err := refresh(s.platform(t, name))
		if err != nil {
			t.Fatal(err)
		}
		call := s.got(t, 1)[0]
		form := call.form(t)
		if form.Get("grant_type") != "refresh_token" || form.Get("refresh_token") != canaryRefresh ||
			form.Has("code") {
			t.Errorf("%s: the form is not that of a refresh", name)
		}
		wantClient(t, name, call, canaryNew)
		if token.Refresh.Reveal() != "r2" || !token.ExpiresAt.Equal(noon.Add(2*time.Hour)) {
			t.Errorf("%s: the token is read wrong: %+v", name, token)
		}
	}
}

func TestB7_NoRefreshTokenKeepsTheOldOneAndNoExpiryIsTheDocumentedLife(t *testing.T) {
	for name, want := range map[string]struct{ first, renewed time.Duration }{
		Gitee:     {24 * time.Hour, 24 * time.Hour},
		GitHub:    {0, 8 * time.Hour},
		Bitbucket: {2 * time.Hour, 2 * time.Hour},
	} {
		for _, expiry := range []string{``, `"expires_in": "",`, `"expires_in": -5,`} {
			bare := canned{body: `{` + expiry + `"access_token": "a"}`}
			s := newOAuthSite(t, bare, bare)
			p := s.platform(t, name)
			token, err := exchange(p)
			if err != nil || !token.Refresh.Empty() {
				t.Errorf("%s: an exchange gives %v, or a refresh token of nowhere", name, err)
			}
			wantLife(t, name, token, want.first)
			token, err = refresh(p)
			if err != nil || token.Refresh.Reveal() != canaryRefresh {
				t.Errorf("%s: a refresh gives %v, or has lost the refresh token", name, err)
			}
			wantLife(t, name, token, want.renewed)
			s.got(t, 2)
		}
	}
}

// TestB9_ALifeIsCountedFromBeforeTheCall: the platform may have issued the token at its start.
func TestB9_ALifeIsCountedFromBeforeTheCall(t *testing.T) {
	for _, name := range oauthNames {
		issued := canned{body: `{"access_token": "a", "refresh_token": "r", "expires_in": 7200}`}
		refused := canned{status: 401, body: `{"error": "invalid_client"}`}
		s := newOAuthSite(t, issued, issued, refused, issued)
		s.takes = 5 * time.Minute
		p := s.platform(t, name)
		token, err := exchange(p)
		testkit.Want(t, "error of an exchange", err, nil)
		wantLife(t, name+", exchange", token, 2*time.Hour)
		token, err = refresh(p)
		testkit.Want(t, "error of a refresh", err, nil)
		wantLife(t, name+", refresh", token, s.takes+2*time.Hour)
		token, err = refresh(p) // its second call, with the app's other secret, issues the token
		testkit.Want(t, "error of a refresh with the other secret", err, nil)
		wantLife(t, name+", the other secret", token, 3*s.takes+2*time.Hour)
		s.got(t, 4)
	}
}

func wantLife(t *testing.T, name string, token Token, life time.Duration) {
	t.Helper()
	want := noon.Add(life)
	if life == 0 {
		want = time.Time{}
	}
	if !token.ExpiresAt.Equal(want) {
		t.Errorf("%s: the token ends at %v, want %v", name, token.ExpiresAt, want)
	}
}

func TestGitHubTokenWithARefreshTokenLivesEightHours(t *testing.T) {
	s := newOAuthSite(t, canned{
		kind: "application/x-www-form-urlencoded; charset=utf-8",
		body: "access_token=a&refresh_token=r&scope=repo%2Cgist&token_type=bearer",
	})
	token, err := exchange(s.platform(t, GitHub))
	if err != nil || token.Refresh.Reveal() != "r" ||
		!slices.Equal(token.Scopes, []string{"repo", "gist"}) {
		t.Errorf("the form is read wrong: %v", err)
	}
	wantLife(t, GitHub, token, 8*time.Hour)
}

func TestDescriptions(t *testing.T) {
	for name, want := range map[string]string{
		Gitee:     "Gitee user_info projects hook groups",
		GitHub:    "GitHub repo",
		Bitbucket: "Bitbucket account repository webhook",
	} {
		d := newOAuthSite(t).platform(t, name).Describe()
		if got := d.Title + " " + strings.Join(d.Scopes, " "); got != want {
			t.Errorf("described as %q, want %q", got, want)
		}
		if d.Name != name || d.Method != ByOAuth || d.Fields != nil || d.TokenURL != "" {
			t.Errorf("%s: the description is %+v", name, d)
		}
	}
}

func TestOnlyGitHubRevokes(t *testing.T) {
	for name, page := range map[string]string{
		Gitee:     "/oauth/applications",
		GitHub:    "/settings/applications",
		Bitbucket: "/account/settings/app-authorizations/",
	} {
		s := newOAuthSite(t, canned{status: http.StatusNoContent})
		p := s.platform(t, name)
		err := p.Revoke(context.Background(), testApp(), Credential{Access: secret.New(canaryAccess)})
		if name == GitHub && err != nil || name != GitHub && !errors.Is(err, ErrNoRevoke) {
			t.Errorf("%s: Revoke gives %v", name, err)
		}
		if got := p.RevokeURL(""); got != s.url+page {
			t.Errorf("%s: the page to revoke is %s", name, got)
		}
	}
}
