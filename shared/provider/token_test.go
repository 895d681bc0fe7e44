package provider

import (
	"cmp"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// canaryToken is the personal access token of these tests.
const canaryToken = "pt-canary_0007-4711"

// tokenSite is a small platform that answers by path.
type tokenSite struct {
	*httptest.Server
	mu      sync.Mutex
	replies map[string]canned // by method and path, without the query; a path alone is GET
	calls   []seen
	// answer, if it is set, is asked first; false leaves the call to replies.
	answer func(http.ResponseWriter, *http.Request) bool
}

func newTokenSite(t *testing.T, replies map[string]canned) *tokenSite {
	t.Helper()
	s := &tokenSite{replies: replies}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *tokenSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, seen{r.Method, r.URL.RequestURI(), r.Header, ""})
	key := r.URL.EscapedPath()
	if r.Method != http.MethodGet {
		key = r.Method + " " + key
	}
	reply, known := s.replies[key]
	s.mu.Unlock()
	if s.answer != nil && s.answer(w, r) {
		return
	}
	if !known {
		reply = canned{status: 404, body: `{"message":"404 Not Found","error":"404 Not Found"}`}
	}
	reply.write(w)
}

func (c canned) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", cmp.Or(c.kind, "application/json"))
	for name, value := range c.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(cmp.Or(c.status, 200))
	_, _ = io.WriteString(w, c.body)
}

// with is a copy of the replies with one of them changed.
func with(replies map[string]canned, path string, reply canned) map[string]canned {
	changed := map[string]canned{path: reply}
	for p, r := range replies {
		if p != path {
			changed[p] = r
		}
	}
	return changed
}

// paths are what was asked so far, sorted, for side by side has no order.
func (s *tokenSite) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, call := range s.calls {
		path, _, _ := strings.Cut(call.path, "?")
		paths = append(paths, call.method+" "+path)
	}
	slices.Sort(paths)
	return paths
}

func (s *tokenSite) host() string { return strings.TrimPrefix(s.URL, "http://") }

// platforms are made to reach the site alone.
func (s *tokenSite) platforms() *Set {
	return New(Options{
		Guard: netguard.New(netguard.Options{PrivateHosts: []string{s.host()}}),
		Now:   func() time.Time { return noon },
		Endpoints: Endpoints{
			"BINDERY_CODEUP_URL": s.URL, "BINDERY_CODEUP_API_URL": s.URL,
			"BINDERY_GITEE_URL": s.URL, "BINDERY_GITEE_API_URL": s.URL,
			"BINDERY_GITHUB_URL": s.URL, "BINDERY_GITHUB_API_URL": s.URL,
			"BINDERY_BITBUCKET_URL": s.URL, "BINDERY_BITBUCKET_API_URL": s.URL,
		},
	})
}

func (s *tokenSite) gitLab() TokenPlatform { return tokenPlatform(s.platforms(), GitLab) }

func (s *tokenSite) codeup() TokenPlatform { return tokenPlatform(s.platforms(), Codeup) }

func tokenPlatform(set *Set, name string) TokenPlatform {
	p, _ := set.Get(name)
	return p.(TokenPlatform)
}

// secure is a site over TLS and the guard that takes it for example.com on its own port.
func (s *tokenSite) secure(t *testing.T) *netguard.Guard {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return netguard.New(netguard.Options{
		RootCAs: pool,
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.Listener.Addr().String())
		},
	})
}

// warned are the codes of the warnings, with their reasons and permissions.
func warned(f CheckResult) []string {
	var all []string
	for _, w := range f.Warnings {
		all = append(all, strings.TrimSpace(
			string(w.Code)+" "+w.Reason+" "+w.Params["permission"]))
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// keepsQuiet fails if an error shows one of the tests' secrets.
func keepsQuiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	for _, lang := range []problem.Language{problem.Chinese, problem.English} {
		words := problem.Of(err).In(lang)
		text += words.Title + words.Detail + words.Remedy
	}
	if strings.Contains(text, "canary") {
		t.Error("the error shows a token")
	}
}

func wantMalformed(t *testing.T, err error, field, reason string) {
	t.Helper()
	p := problem.Of(err)
	if p.Code != problem.InputMalformed || p.Reason != reason || p.Params["field"] != field {
		t.Errorf("got %s (%s) of %q, want input_malformed (%s) of %q",
			p.Code, p.Reason, p.Params["field"], reason, field)
	}
}

func TestPlatformsAreInTheConsolesOrder(t *testing.T) {
	set := New(Options{Guard: netguard.New(netguard.Options{})})
	var names []string
	for _, p := range set.All() {
		d := p.Describe()
		names = append(names, d.Name)
		for _, field := range d.Optional {
			if !slices.Contains(d.Fields, field) {
				t.Errorf("%s: the optional %s is no field", d.Name, field)
			}
		}
		_, byToken := p.(TokenPlatform)
		_, byOAuth := p.(OAuthPlatform)
		if byToken != (d.Method == ByToken) || byOAuth != (d.Method == ByOAuth) {
			t.Errorf("%s is described as bound by %s", d.Name, d.Method)
		}
		if d.Title == "" || len(d.Scopes) == 0 {
			t.Errorf("%s has no title or no scopes", d.Name)
		}
		if u, err := url.Parse(p.RevokeURL("https://example.com")); err != nil || u.Host == "" {
			t.Errorf("%s: %q is no page to revoke on", d.Name, p.RevokeURL(""))
		}
	}
	same(t, "names", names, Names())
	if _, found := set.Get("sourceforge"); found {
		t.Error("found a platform that there isn't")
	}
}

func TestD8_APastedTokenIsTrimmedOrRefused(t *testing.T) {
	for _, pasted := range []string{
		canaryToken, " " + canaryToken + "\r\n", "Bearer " + canaryToken,
		"\tbearer  " + canaryToken + " ",
	} {
		token, err := cleanToken(secret.New(pasted))
		if err != nil || token.Reveal() != canaryToken {
			t.Errorf("a token of %d bytes isn't brought into shape: %v", len(pasted), err)
		}
	}
	for pasted, reason := range map[string]string{
		"": "required", " \n": "required",
		"canary\r\nX-Injected: 1": "characters", "canary canary": "characters",
		"canary\x00": "characters", "canary\u200bcanary": "characters",
		"canary\x7f": "characters", strings.Repeat("c", maxTokenLength+1): "too_long",
	} {
		_, err := cleanToken(secret.New(pasted))
		wantMalformed(t, err, "token", reason)
		keepsQuiet(t, err)
	}
}

func TestD9_AUserNameCannotMoveTheBoundaryToThePassword(t *testing.T) {
	for _, typed := range []string{"alice", " alice\n", "alice@example.com", "组织/爱丽丝", "a.b-c_d"} {
		if name, err := cleanUsername(typed); err != nil || name != strings.TrimSpace(typed) {
			t.Errorf("%q became %q, %v", typed, name, err)
		}
	}
	for typed, reason := range map[string]string{
		"": "required", "alice:secret": "characters", "alice\nmachine evil": "characters",
		"a b": "characters", "a\x00b": "characters", "a\u2028b": "characters",
		"a\xffb": "characters", "a\u202eb": "characters", strings.Repeat("a", 256): "too_long",
	} {
		_, err := cleanUsername(typed)
		wantMalformed(t, err, "username", reason)
	}
	for _, typed := range []string{"..", "a/b", "a?b", "a%2fb", "组织", "a b"} {
		_, err := cleanOrganization(typed)
		wantMalformed(t, err, "organization", "characters")
	}
	_, err := cleanOrganization(strings.Repeat("a", 256))
	wantMalformed(t, err, "organization", "too_long")
}
