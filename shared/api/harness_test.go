package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/api"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/table/bolt"
	"bindery/shared/testkit"
	"bindery/shared/trigger"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

const consoleURL = "https://console.example.com"

// catalogue has instances whose names have special characters, and two with the same id.
const catalogue = `{
	"acme": [
		{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-1", "name": "production"},
		{"type": "enterprise", "region": "cn-shanghai", "id": "cri-1", "name": "elsewhere"},
		{"type": "personal", "region": "cn-hangzhou", "id": "a/b%2F..", "name": ""},
		{"type": "personal", "region": "杭州", "id": "实例 ?#1", "name": "镜像仓库"}
	],
	"beta": [{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-beta", "name": "beta"}]
}`

// The path of the instance that most tests use.
const home = "/v1/instances/cn-hangzhou/cri-1/bindings"

// world is Bindery with all the servers that it calls, on loopback.
type world struct {
	t        *testing.T
	clock    *testkit.Clock
	issuer   *issuer
	box      *sandbox.Sandbox
	boxURL   string
	net      *internet
	api      *api.API
	config   config.Config
	asked    atomic.Pointer[func()] // is called with each request to a platform; nil: none
	server   *httptest.Server
	url      string
	table    *watched
	vault    *watched
	lost     *lossy
	secrets  *file.Vault
	dir      string
	log      *testkit.Log
	contract *contract
	client   *http.Client
	apps     api.Apps // the operator's OAuth apps
	minted   *minted  // what the sandbox has issued

	platforms []provider.Registration
}

// setting changes the environment or the parts of a world.
type setting func(env map[string]string, w *world)

func env(name, value string) setting {
	return func(env map[string]string, _ *world) { env[name] = value }
}

func newWorld(t *testing.T, settings ...setting) *world {
	t.Helper()
	w := &world{
		t: t, clock: testkit.NewClock(), dir: folder(t), log: &testkit.Log{}, contract: readContract(t),
		table: &watched{}, vault: &watched{}, net: newInternet(t), minted: &minted{},
		platforms: provider.Platforms(),
	}
	w.issuer = newIssuer(t, w.clock)
	w.server = httptest.NewUnstartedServer(nil)
	w.url = "http://" + w.server.Listener.Addr().String()
	w.box = sandbox.New(sandbox.Options{
		Now: w.clock.Now, Random: w.minted, OnRequest: func(sandbox.Request) {
			if look := w.asked.Load(); look != nil {
				(*look)()
			}
		},
	})
	w.boxURL = w.net.serve(t, w.box)
	t.Cleanup(w.box.Close)
	vars := map[string]string{
		"BINDERY_PUBLIC_URL":     "https://bindery.example.com",
		"BINDERY_CONSOLE_URL":    consoleURL,
		"BINDERY_OIDC_ISSUER":    w.issuer.url,
		"BINDERY_OIDC_AUDIENCE":  "bindery",
		"BINDERY_OIDC_JWKS_URL":  w.issuer.url + "/keys",
		"BINDERY_INSTANCES":      catalogue,
		"BINDERY_CODEUP_URL":     w.boxURL,
		"BINDERY_CODEUP_API_URL": w.boxURL,
	}
	for _, set := range settings {
		set(vars, w)
	}
	c, err := config.ReadFor(w.platforms, func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	w.config = c
	w.open()
	w.serve()
	t.Cleanup(w.scanStorage)
	return w
}

// open opens the storage, and the API on top of it.
func (w *world) open() {
	w.t.Helper()
	rows, err := bolt.Open(filepath.Join(w.dir, "table.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = rows.Close() })
	key, err := file.ReadKey(filepath.Join(w.dir, "key"))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.secrets, err = file.Open(filepath.Join(w.dir, "secrets"), key); err != nil {
		w.t.Fatal(err)
	}
	w.lost = &lossy{Table: rows}
	w.api = w.process()
}

// process returns an API on the storage, as another process has one.
func (w *world) process() *api.API {
	w.t.Helper()
	a, err := api.Open(w.config, api.Dependencies{
		Table: ledger.WithBeforeCall(w.lost, w.table.hook),
		Vault: vault.WithBeforeCall(w.secrets, w.vault.hook),
		Apps:  w.apps,
		Now:   w.clock.Now,
		Log:   w.log.Logger(),
		Guard: netguard.New(w.net.options(w.config.PrivateHosts)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// serve serves all functions as package trigger does: each request has an id, and a panic is a
// reply.
func (w *world) serve() {
	handler := w.api.Handler(api.Status, api.TokenBind, api.Unbind,
		api.OAuthStart, api.OAuthCallback, api.OAuthConfirm, api.Credential,
		api.Repository, api.Subscription, api.Delivery, api.ExpiryCheck)
	var requests atomic.Int64
	guarded := trigger.Recover(w.log.Logger(), handler)
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		guarded.ServeHTTP(rw, trigger.Identify(r, fmt.Sprintf("request-%d", requests.Add(1))))
	})
	w.server.Start()
	w.t.Cleanup(w.server.Close)
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{
		Transport:     &contractTransport{world: w, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request is one call to the API.
type request struct {
	method, path string
	as           string // the access token; "" is that of ann, who may read and write
	body         any    // a string is sent as it is
	header       map[string]string
	// odd is set for a request that violates the contract on purpose. It must be refused.
	odd bool
	// unlisted is set for an operation that the contract doesn't have.
	unlisted bool
}

// reply is the reply to a request.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (w *world) get(path string) reply { return w.do(request{method: "GET", path: path}) }

// put binds with the fields as the body.
func (w *world) put(path string, fields map[string]any) reply {
	return w.do(request{method: "PUT", path: path, body: fields})
}

func (w *world) do(r request) reply {
	w.t.Helper()
	req := w.request(r)
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{t: w.t, status: resp.StatusCode, header: resp.Header, body: body}
}

func (w *world) request(r request) *http.Request {
	w.t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	ctx := context.WithValue(w.t.Context(), requestKey{}, r)
	req, err := http.NewRequestWithContext(ctx, r.method, w.url+r.path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.as == "" {
		r.as = w.issuer.token(w.t, nil)
	}
	req.Header.Set("Authorization", "Bearer "+r.as)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	return req
}

type requestKey struct{}

// json parses the reply's body.
func (r reply) json() map[string]any {
	r.t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(r.body, &fields); err != nil {
		r.t.Fatalf("the reply isn't a JSON object: %v", err)
	}
	return fields
}

func (r reply) text(field string) string {
	r.t.Helper()
	text, _ := r.json()[field].(string)
	return text
}

// list returns a field that is a list of objects.
func (r reply) list(field string) []map[string]any {
	r.t.Helper()
	var found []map[string]any
	items, ok := r.json()[field].([]any)
	if !ok {
		r.t.Fatalf("the reply (%d) has no list %q: %s", r.status, field, r.body)
	}
	for _, item := range items {
		found = append(found, item.(map[string]any))
	}
	return found
}

// ok wants the status 200.
func (r reply) ok() reply {
	r.t.Helper()
	if r.status != http.StatusOK {
		r.t.Fatalf("got %d %s, want 200", r.status, r.body)
	}
	return r
}

// refused wants a problem with the code, the reason and the code's own status.
func (r reply) refused(code problem.Code, reason string) reply {
	r.t.Helper()
	if r.status < 400 {
		r.t.Fatalf("got %d, want %s", r.status, code)
	}
	fields := r.json()
	got, _ := fields["reason"].(string)
	if fields["code"] != string(code) || got != reason {
		r.t.Fatalf("got %v (%s), want %s (%s)", fields["code"], got, code, reason)
	}
	if want := problem.New(code).Status(); r.status != want {
		r.t.Errorf("%s: got status %d, want %d", code, r.status, want)
	}
	return r
}

// at returns the path of an instance's bindings.
func at(region, id string) string {
	return "/v1/instances/" + url.PathEscape(region) + "/" + url.PathEscape(id) + "/bindings"
}

// The bodies of binds that work.
func gitlab(changes ...any) map[string]any {
	return changed(map[string]any{
		"address": "https://gitlab.example", "username": "alice",
		"token": "glpat-sandbox-alice-good",
	}, changes)
}

func codeup(changes ...any) map[string]any {
	return changed(map[string]any{"username": "alice", "token": "pt-sandbox-good"}, changes)
}

// bob's token for the same GitLab.
func bobs(changes ...any) map[string]any {
	return gitlab(append([]any{"username", "bob", "token", "glpat-sandbox-bob-good"}, changes...)...)
}

func changed(fields map[string]any, changes []any) map[string]any {
	fields = maps.Clone(fields)
	for i := 0; i < len(changes); i += 2 {
		fields[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(fields, changes[i].(string))
		}
	}
	return fields
}

// binding returns a platform's binding in an instance's list.
func (w *world) binding(path, platform string) map[string]any {
	w.t.Helper()
	for _, b := range w.get(path).ok().list("bindings") {
		if b["platform"] == platform {
			return b
		}
	}
	w.t.Fatalf("%s isn't listed", platform)
	return nil
}

// sweep runs the schedule until nothing is due.
func (w *world) sweep() {
	w.t.Helper()
	for range 3 {
		if _, err := w.api.Task(w.t.Context(), nil); err != nil {
			w.t.Fatal(err)
		}
	}
}
