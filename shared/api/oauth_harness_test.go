package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/vault"
)

const publicURL = "https://bindery.example.com"

// The platforms that are bound by consent.
var byConsent = []sandbox.Platform{sandbox.Gitee, sandbox.GitHub, sandbox.Bitbucket}

// minted is the sandbox's source of randomness. It remembers what every code and token is made
// of, and so are the texts that must show nowhere.
type minted struct {
	mu     sync.Mutex
	values []string
}

func (m *minted) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	m.add(hex.EncodeToString(b[:n]))
	return n, err
}

// add remembers a secret of Bindery's own: a state, a verifier, a finish.
func (m *minted) add(value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value != "" && !slices.Contains(m.values, value) {
		m.values = append(m.values, value)
	}
}

func (m *minted) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.values)
}

// hide looks for a secret in a text. Its index says which it was, for a failing test must not
// print one either.
func (w *world) hide(what string, text []byte, but ...string) {
	w.t.Helper()
	for i, value := range w.minted.all() {
		if bytes.Contains(text, []byte(value)) && !slices.Contains(but, value) {
			w.t.Errorf("%s shows a secret (number %d)", what, i)
		}
	}
	if bytes.Contains(text, []byte("fake-client-secret")) {
		w.t.Errorf("%s shows a client secret", what)
	}
}

// folder is an empty one, in memory if there is a file system in memory: a disk makes every write
// of the table a wait.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bindery-api-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newConsentWorld is a world with OAuth apps at the sandbox's three platforms.
func newConsentWorld(t *testing.T, settings ...setting) *world {
	t.Helper()
	return newWorld(t, append([]setting{consent}, settings...)...)
}

func consent(env map[string]string, w *world) {
	for _, name := range []string{"GITEE", "GITHUB", "BITBUCKET"} {
		env["BINDERY_"+name+"_URL"] = env["BINDERY_CODEUP_URL"]
		env["BINDERY_"+name+"_API_URL"] = env["BINDERY_CODEUP_URL"]
	}
	for name, app := range w.box.Apps() {
		app.RedirectURI = publicURL + "/v1/callback/" + string(name)
		w.box.AddApp(name, app)
	}
	w.apps = appsOf(w.box.Apps())
}

// appsOf is the operator's document.
func appsOf(registered map[sandbox.Platform]sandbox.App) api.Apps {
	document := map[string]any{}
	for name, app := range registered {
		var secrets []string
		for _, s := range app.ClientSecrets {
			secrets = append(secrets, s.Reveal())
		}
		document[string(name)] = map[string]any{"clientId": app.ClientID, "clientSecrets": secrets}
	}
	return func(context.Context) (secret.Text, error) {
		text, err := json.Marshal(document)
		return secret.New(string(text)), err
	}
}

// as is another caller's access token.
func (w *world) as(subject string) string {
	return w.issuer.token(w.t, map[string]any{"sub": subject})
}

// stranger is a caller of another account.
func (w *world) stranger() string {
	return w.issuer.token(w.t, map[string]any{"sub": "eve", "account": "beta"})
}

// instance is the body's form of the one that most tests use.
var instance = map[string]any{"region": "cn-hangzhou", "id": "cri-1"}

// atShanghai is the account's other instance.
var atShanghai = map[string]any{"region": "cn-shanghai", "id": "cri-1"}

const shanghaiPath = "/v1/instances/cn-shanghai/cri-1/bindings"

// attempt is one authorization, as whoever started it sees it.
type attempt struct{ platform, id, startURL string }

// start begins an attempt of ann's for the usual instance; changes are those of the body.
func (w *world) start(platform sandbox.Platform, changes ...any) attempt {
	w.t.Helper()
	body := changed(map[string]any{"platform": string(platform), "instance": instance}, changes)
	r := w.do(request{method: "POST", path: "/v1/authorizations", body: body})
	if r.status != http.StatusCreated {
		w.t.Fatalf("start: got %d %s, want 201", r.status, r.body)
	}
	return attempt{string(platform), r.text("id"), r.text("startUrl")}
}

// arrival is where a browser ends: at the console, with what the fragment carries.
type arrival struct {
	w                   *world
	path                string
	id, finish, problem string
}

// arrived reads an address of the console.
func (w *world) arrived(location string) arrival {
	w.t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Scheme+"://"+u.Host != consoleURL {
		w.t.Fatal("the browser was not sent to the console")
	}
	_, raw, _ := strings.Cut(location, "#")
	fragment, err := url.ParseQuery(raw)
	if err != nil {
		w.t.Fatal("the fragment can't be read")
	}
	return arrival{
		w: w, path: u.RequestURI(), id: fragment.Get("authorization"),
		finish: fragment.Get("confirmationCode"), problem: fragment.Get("problem"),
	}
}

// refused wants a problem's code, the attempt's id and no finish.
func (a arrival) refused(code problem.Code, id string) arrival {
	a.w.t.Helper()
	if a.problem != string(code) || a.finish != "" {
		a.w.t.Fatalf("arrived with the problem %q (a finish: %v), want %s",
			a.problem, a.finish != "", code)
	}
	if a.id != id {
		a.w.t.Errorf("arrived with the id %q, want %q", a.id, id)
	}
	return a
}

// consented wants a finish.
func (a arrival) consented() arrival {
	a.w.t.Helper()
	if a.problem != "" || a.finish == "" || a.id == "" {
		a.w.t.Fatalf("arrived with the problem %q, want a finish", a.problem)
	}
	return a
}

// says is the person at the platform: who grants what. Nil scopes are all.
func (w *world) says(platform, login, address string, scopes []string) string {
	w.t.Helper()
	back, err := w.box.Consent(sandbox.Platform(platform), login, address, scopes)
	if err != nil {
		w.t.Fatalf("%s at %s: %v", login, platform, err)
	}
	return back
}

// finishIn is the one-time finish of an attempt that a login consented to in this browser.
func (b *browser) finish(a attempt, login string) string {
	b.w.t.Helper()
	return b.arrive(b.w.says(a.platform, login, b.depart(a), nil)).consented().finish
}

// confirmation is a call of ann's that ends an attempt.
func confirmation(id, finish string, changes ...any) request {
	return request{
		method: "POST", path: "/v1/authorizations/" + id + "/confirm",
		body: changed(map[string]any{"instance": instance, "confirmationCode": finish}, changes),
	}
}

// by is the same call by another caller.
func (r request) by(token string) request { r.as = token; return r }

func (w *world) confirm(id, finish string, changes ...any) reply {
	w.t.Helper()
	return w.do(confirmation(id, finish, changes...))
}

// bindBy binds by consent, from start to confirm, in a new browser.
func (w *world) bindBy(platform sandbox.Platform, login string, changes ...any) reply {
	w.t.Helper()
	a := w.start(platform, changes...)
	finish := newBrowser(w).finish(a, login)
	fields := changed(map[string]any{"instance": instance}, changes)
	return w.confirm(a.id, finish, "instance", fields["instance"]).ok()
}

// shown is the attempt as its starter sees it, with a finish or none.
func (w *world) shown(id, finish string) reply {
	w.t.Helper()
	r := request{method: "GET", path: "/v1/authorizations/" + id, header: map[string]string{}}
	if finish != "" {
		r.header["Bindery-Confirmation-Code"] = finish
	}
	return w.do(r)
}

// stage wants how far an attempt has come.
func (w *world) stage(id, want string) {
	w.t.Helper()
	if got := w.shown(id, "").ok().text("stage"); got != want {
		w.t.Errorf("the attempt's stage is %q, want %q", got, want)
	}
}

// unbound wants that an instance has no binding at a platform.
func (w *world) unbound(path string, platform sandbox.Platform) {
	w.t.Helper()
	if got := w.binding(path, string(platform))["status"]; got != "unbound" {
		w.t.Errorf("%s is %v, want unbound", platform, got)
	}
}

// boundTo wants whose an instance's binding is.
func (w *world) boundTo(path string, platform sandbox.Platform, login string) {
	w.t.Helper()
	b := w.binding(path, string(platform))
	identity, _ := b["identity"].(map[string]any)
	if b["status"] != "bound" || identity["username"] != login {
		w.t.Errorf("%s is %v of %v, want bound of %s", platform, b["status"],
			identity["username"], login)
	}
}

// accessOf is the token that an instance's binding holds, as the vault has it.
func (w *world) accessOf(key table.Key) secret.Text {
	w.t.Helper()
	rec, err := w.lost.Binding(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.kept(rec.Token)
}

func (w *world) kept(token table.Token) secret.Text {
	w.t.Helper()
	value, err := w.secrets.Get(w.t.Context(), vault.SecretName(token.Secret), token.Generation)
	if err != nil {
		w.t.Fatal(err)
	}
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		w.t.Fatal("the vault's value isn't JSON")
	}
	return secret.New(fields["access_token"])
}

// keyAt names ann's binding of an instance.
func keyAt(region, id string, platform sandbox.Platform) table.Key {
	return table.Key{Account: "acme", Region: region, Instance: id, Platform: string(platform)}
}

// both are the calls to table and vault in numbers, by name.
func (w *world) counted(do func()) map[string]int {
	w.t.Helper()
	w.table.reset(nil)
	w.vault.reset(nil)
	do()
	calls := map[string]int{}
	for _, call := range append(w.table.made(), w.vault.made()...) {
		calls[call]++
	}
	return calls
}

// attemptSwept is after when the secret of an attempt is swept: 15 minutes after the attempt's expiry,
// which is 15 minutes after its start.
const attemptSwept = 31 * time.Minute

func (w *world) wantCalls(what string, got, want map[string]int) {
	w.t.Helper()
	if !maps.Equal(got, want) {
		w.t.Errorf("%s: got the calls %v, want %v", what, got, want)
	}
}

func (l *lossy) SaveAuthorization(
	ctx context.Context, a table.Authorization,
) (table.Authorization, error) {
	saved, err := l.Table.SaveAuthorization(ctx, a)
	if err = l.end(err); err != nil {
		return table.Authorization{}, err
	}
	return saved, nil
}
