package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/config"
	"bindery/shared/console"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/trigger"
	"bindery/shared/vault/file"
)

// sites are Bindery's functions, its console, the platforms and the issuer. Each is a site of its
// own for a browser: it has its own host, and its own port.
type sites struct {
	t                                     *testing.T
	functions, console, platforms, issuer string
	api                                   *api.API
	box                                   *sandbox.Sandbox
	issuerService                         *issuer
	page                                  *lateHandler // the console's
	offset                                atomic.Int64 // how far Bindery's clock is ahead

	mu       sync.Mutex
	requests []request
}

// request is a request to a site, with what a browser may tell too much in.
type request struct{ site, path, referer string }

const threeInstances = `{"acme": [
	{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-1", "name": "production"},
	{"type": "enterprise", "region": "cn-beijing", "id": "cri-2", "name": "staging"},
	{"type": "personal", "region": "cn-shanghai", "id": "crp-3", "name": "mine"}
]}`

// newSites serves all sites, the functions at this host.
func newSites(t *testing.T, host string) *sites {
	t.Helper()
	s := &sites{t: t}
	functions := s.site("functions", host, &s.functions)
	s.page = s.site("console", "127.0.0.1", &s.console)
	platforms := s.site("platforms", "127.0.0.2", &s.platforms)
	signIn := s.site("issuer", "127.0.0.3", &s.issuer)

	s.box = sandbox.New(sandbox.Options{Now: s.now, Random: rand.Reader, URL: s.platforms})
	t.Cleanup(s.box.Close)
	platforms.set(withUnsafeReferrer(s.box))
	s.issuerService = newIssuer(t, s.issuer, s.console, s.now)
	signIn.set(s.issuerService)
	s.page.set(console.Handler(console.Options{
		PublicURL: s.functions, ConsoleURL: s.console, Issuer: s.issuer, ClientID: "console",
		Audience: "bindery", SandboxURL: s.platforms,
	}))
	functions.set(s.serve(s.registerApps()))
	t.Cleanup(s.wantNoReferrerLeak)
	return s
}

func (s *sites) now() time.Time          { return time.Now().Add(time.Duration(s.offset.Load())) }
func (s *sites) advance(d time.Duration) { s.offset.Add(int64(d)) }

// lateHandler is a handler that is set once all addresses are known.
type lateHandler struct{ handler atomic.Pointer[http.Handler] }

func (l *lateHandler) set(h http.Handler) { l.handler.Store(&h) }

// site listens, and records each request with its Referer.
func (s *sites) site(name, host string, url *string) *lateHandler {
	s.t.Helper()
	address := host
	if host == "localhost" {
		address = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	*url = "http://" + net.JoinHostPort(host, port)
	l := &lateHandler{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			s.requests = append(s.requests, request{name, r.URL.Path, r.Referer()})
			s.mu.Unlock()
			(*l.handler.Load()).ServeHTTP(w, r)
		}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	s.t.Cleanup(server.Close)
	return l
}

// withUnsafeReferrer makes a platform's pages send their whole address as Referer, which real
// platforms may do.
func withUnsafeReferrer(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&unsafeReferrer{w}, r)
	})
}

type unsafeReferrer struct{ http.ResponseWriter }

func (t *unsafeReferrer) WriteHeader(status int) {
	t.Header().Set("Referrer-Policy", "unsafe-url")
	t.ResponseWriter.WriteHeader(status)
}

func (t *unsafeReferrer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// registerApps registers the callback addresses at the platforms, and returns the operator's
// document of OAuth apps.
func (s *sites) registerApps() api.Apps {
	apps := s.box.Apps()
	for name, app := range apps {
		app.RedirectURI = s.functions + "/v1/callback/" + string(name)
		s.box.AddApp(name, app)
	}
	document := map[string]any{}
	for name, app := range apps {
		var secrets []string
		for _, each := range app.ClientSecrets {
			secrets = append(secrets, each.Reveal())
		}
		document[string(name)] = map[string]any{"clientId": app.ClientID, "clientSecrets": secrets}
	}
	return func(context.Context) (secret.Text, error) {
		text, err := json.Marshal(document)
		return secret.New(string(text)), err
	}
}

func (s *sites) setting(name string) string {
	switch name {
	case "BINDERY_PUBLIC_URL":
		return s.functions
	case "BINDERY_CONSOLE_URL":
		return s.console
	case "BINDERY_OIDC_ISSUER":
		return s.issuer
	case "BINDERY_OIDC_JWKS_URL":
		return s.issuer + "/keys"
	case "BINDERY_OIDC_AUDIENCE":
		return "bindery"
	case "BINDERY_INSTANCES":
		return threeInstances
	case "BINDERY_EVENTS_URL":
		return s.platforms + sandbox.ReceiverPath
	case "BINDERY_EVENTS_SECRET":
		return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	case "BINDERY_PRIVATE_HOSTS":
		return strings.TrimPrefix(s.platforms, "http://")
	case "BINDERY_GITHUB_URL", "BINDERY_GITHUB_API_URL", "BINDERY_GITEE_URL",
		"BINDERY_GITEE_API_URL", "BINDERY_BITBUCKET_URL", "BINDERY_BITBUCKET_API_URL",
		"BINDERY_CODEUP_URL", "BINDERY_CODEUP_API_URL":
		return s.platforms
	}
	return ""
}

// serve opens the stores and returns all functions as one handler.
func (s *sites) serve(apps api.Apps) http.Handler {
	s.t.Helper()
	c, err := config.Read(s.setting)
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	rows, err := bolt.Open(filepath.Join(dir, "table.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = rows.Close() })
	key, err := file.ReadKey(filepath.Join(dir, "key"))
	if err != nil {
		s.t.Fatal(err)
	}
	secrets, err := file.Open(filepath.Join(dir, "secrets"), key)
	if err != nil {
		s.t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	s.api, err = api.Open(c, api.Dependencies{
		Table: rows, Vault: secrets, Apps: apps, Now: s.now, Log: log,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	handler := trigger.Recover(log, s.api.Handler(api.Status, api.TokenBind, api.Unbind,
		api.OAuthStart, api.OAuthCallback, api.OAuthConfirm, api.Credential, api.ExpiryCheck,
		api.Repository, api.Subscription))
	var requests atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, trigger.Identify(r, fmt.Sprint("request-", requests.Add(1))))
	})
}

// sweep runs the scheduled task three times.
func (s *sites) sweep() {
	s.t.Helper()
	for range 3 {
		if _, err := s.api.Task(s.t.Context(), nil); err != nil {
			s.t.Fatal(err)
		}
	}
}

// seen returns the requests that the sites got so far.
func (s *sites) seen() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// attemptIDs returns the ids of the attempts whose startUrl a browser opened.
func (s *sites) attemptIDs() []string {
	var ids []string
	for _, r := range s.seen() {
		id, departed := strings.CutSuffix(r.path, "/start")
		id, ours := strings.CutPrefix(id, "/v1/authorizations/")
		if r.site == "functions" && departed && ours && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// wantNoReferrerLeak expects no attempt's id and no confirmation code in a Referer. A platform's
// page may send its whole address to the callback, which knows all of it.
func (s *sites) wantNoReferrerLeak() {
	ids := s.attemptIDs()
	for _, r := range s.seen() {
		if r.site == "functions" && strings.HasPrefix(r.path, "/v1/callback/") ||
			r.site == "platforms" && strings.HasPrefix(r.referer, s.platforms) {
			continue
		}
		told := strings.Contains(r.referer, "confirmationCode") ||
			slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(r.referer, id) })
		if told {
			s.t.Errorf("%s%s got too much in its Referer: %s",
				r.site, r.path, withoutQuery(r.referer))
		}
	}
}

// firstInstance is the address of the account's first instance in the console.
const firstInstance = "#/cn-beijing/cri-2"

// signIn opens an instance's address and signs in as the issuer's user.
func (s *sites) signIn(b *tab, user string) *tab {
	s.t.Helper()
	b.open(s.console + "/" + firstInstance)
	b.click("#signin")
	b.click("#be-" + user)
	b.waitReady("#instance", "#row-bitbucket")
	return b
}

// leave goes from the console to a platform, past the dialog that says what it will ask for.
func (b *tab) leave(platform string) {
	b.t.Helper()
	b.click("#bind-" + platform)
	b.click("#dialog[open] #submit")
}

// pickUser chooses a user on a platform's sign-in page. Who is signed in already has a button of
// its own there.
func (b *tab) pickUser(login string) {
	b.t.Helper()
	b.click(":is(#login-" + login + ", #continue[value='login:" + login + "'])")
}

// startConsent goes from the console to a platform's consent page, as one of the platform's users.
func (s *sites) startConsent(b *tab, platform, login string) {
	s.t.Helper()
	b.leave(platform)
	b.pickUser(login)
	b.waitVisible("#authorize")
}

// bind goes through the consent. What is left for Bitbucket is the dialog for the instance.
func (s *sites) bind(b *tab, platform, login string) {
	s.t.Helper()
	s.startConsent(b, platform, login)
	b.click("#authorize")
}
