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
	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

const publicURL = "https://bindery.example.com"

// The platforms that are bound by consent.
var byConsent = []sandbox.Platform{sandbox.Gitee, sandbox.GitHub, sandbox.Bitbucket}

// minted is the sandbox's source of randomness. It remembers the randomness of every code and
// token, which are the texts that must be shown nowhere.
type minted struct {
	mu     sync.Mutex
	values []string
}

func (m *minted) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	m.add(hex.EncodeToString(b[:n]))
	return n, err
}

// add remembers a secret of Bindery: a state, a verifier, a confirmation code.
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

// wantNoSecret fails if a text holds a secret. It reports the index of the secret, since a failing
// test must not print it.
func (w *world) wantNoSecret(what string, text []byte, but ...string) {
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

// folder returns an empty folder, in a file system in memory if there is one, since every write of
// the table waits for a disk.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bindery-api-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newConsentWorld returns a world with OAuth apps at the sandbox's three platforms.
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

// appsOf returns the operator's OAuth apps as JSON.
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

// as returns an access token of another caller.
func (w *world) as(subject string) string {
	return w.issuer.token(w.t, map[string]any{"sub": subject})
}

// stranger returns an access token of a caller of another account.
func (w *world) stranger() string {
	return w.issuer.token(w.t, map[string]any{"sub": "eve", "account": "beta"})
}

// instance is the instance that most tests use, as a body has it.
var instance = map[string]any{"region": "cn-hangzhou", "id": "cri-1"}

// atShanghai is the account's other instance.
var atShanghai = map[string]any{"region": "cn-shanghai", "id": "cri-1"}

const shanghaiPath = "/v1/instances/cn-shanghai/cri-1/bindings"

// attempt is an authorization, as the reply to its start describes it.
type attempt struct{ platform, id, startURL string }

// start starts an attempt of ann for the usual instance; changes are applied to the body.
func (w *world) start(platform sandbox.Platform, changes ...any) attempt {
	w.t.Helper()
	body := changed(map[string]any{"platform": string(platform), "instance": instance}, changes)
	r := w.do(request{method: "POST", path: "/v1/authorizations", body: body})
	if r.status != http.StatusCreated {
		w.t.Fatalf("start: got %d %s, want 201", r.status, r.body)
	}
	return attempt{string(platform), r.text("id"), r.text("startUrl")}
}

// consoleRedirect is a redirect to the console, with the values of the fragment.
type consoleRedirect struct {
	w                             *world
	path                          string
	id, confirmationCode, problem string
}

// consoleRedirect parses an address of the console.
func (w *world) consoleRedirect(location string) consoleRedirect {
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
	return consoleRedirect{
		w: w, path: u.RequestURI(), id: fragment.Get("authorization"),
		confirmationCode: fragment.Get("confirmationCode"), problem: fragment.Get("problem"),
	}
}

// refused wants a problem's code, the attempt's id and no confirmation code.
func (a consoleRedirect) refused(code problem.Code, id string) consoleRedirect {
	a.w.t.Helper()
	if a.problem != string(code) || a.confirmationCode != "" {
		a.w.t.Fatalf("the fragment has the problem %q (a confirmation code: %v), want %s",
			a.problem, a.confirmationCode != "", code)
	}
	if a.id != id {
		a.w.t.Errorf("the fragment has the id %q, want %q", a.id, id)
	}
	return a
}

// consented wants a confirmation code.
func (a consoleRedirect) consented() consoleRedirect {
	a.w.t.Helper()
	if a.problem != "" || a.confirmationCode == "" || a.id == "" {
		a.w.t.Fatalf("the fragment has the problem %q, want a confirmation code", a.problem)
	}
	return a
}

// grant consents at the platform as the login, and returns the callback's address. Nil scopes are
// all that were asked for.
func (w *world) grant(platform, login, address string, scopes []string) string {
	w.t.Helper()
	back, err := w.box.Consent(sandbox.Platform(platform), login, address, scopes)
	if err != nil {
		w.t.Fatalf("%s at %s: %v", login, platform, err)
	}
	return back
}

// confirmationCode consents to an attempt in this browser and returns its confirmation code.
func (b *browser) confirmationCode(a attempt, login string) string {
	b.w.t.Helper()
	back := b.w.grant(a.platform, login, b.authorizeURL(a), nil)
	return b.callback(back).consented().confirmationCode
}

// confirmation returns ann's request to confirm an attempt.
func confirmation(id, confirmationCode string, changes ...any) request {
	return request{
		method: "POST", path: "/v1/authorizations/" + id + "/confirm",
		body: changed(map[string]any{
			"instance": instance, "confirmationCode": confirmationCode,
		}, changes),
	}
}

// by returns the same request by another caller.
func (r request) by(token string) request { r.as = token; return r }

func (w *world) confirm(id, confirmationCode string, changes ...any) reply {
	w.t.Helper()
	return w.do(confirmation(id, confirmationCode, changes...))
}

// bindBy binds by consent, from start to confirm, in a new browser.
func (w *world) bindBy(platform sandbox.Platform, login string, changes ...any) reply {
	w.t.Helper()
	a := w.start(platform, changes...)
	confirmationCode := newBrowser(w).confirmationCode(a, login)
	fields := changed(map[string]any{"instance": instance}, changes)
	return w.confirm(a.id, confirmationCode, "instance", fields["instance"]).ok()
}

// shown shows the attempt to the user who started it, with or without a confirmation code.
func (w *world) shown(id, confirmationCode string) reply {
	w.t.Helper()
	r := request{method: "GET", path: "/v1/authorizations/" + id, header: map[string]string{}}
	if confirmationCode != "" {
		r.header["Bindery-Confirmation-Code"] = confirmationCode
	}
	return w.do(r)
}

// stage wants the stage of an attempt.
func (w *world) stage(id, want string) {
	w.t.Helper()
	if got := w.shown(id, "").ok().text("stage"); got != want {
		w.t.Errorf("the attempt's stage is %q, want %q", got, want)
	}
}

// unbound wants an instance not to be bound to a platform.
func (w *world) unbound(path string, platform sandbox.Platform) {
	w.t.Helper()
	if got := w.binding(path, string(platform))["status"]; got != "unbound" {
		w.t.Errorf("%s is %v, want unbound", platform, got)
	}
}

// boundTo wants an instance to be bound to the login.
func (w *world) boundTo(path string, platform sandbox.Platform, login string) {
	w.t.Helper()
	b := w.binding(path, string(platform))
	identity, _ := b["identity"].(map[string]any)
	if b["status"] != "bound" || identity["username"] != login {
		w.t.Errorf("%s is %v of %v, want bound of %s", platform, b["status"],
			identity["username"], login)
	}
}

// accessOf returns the access token of a binding from the vault.
func (w *world) accessOf(key binding.Key) secret.Text {
	w.t.Helper()
	rec, err := w.lost.Binding(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.kept(rec.Token)
}

func (w *world) kept(token binding.Token) secret.Text {
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

// keyAt returns the key of ann's binding of an instance.
func keyAt(region, id string, platform sandbox.Platform) binding.Key {
	return binding.Key{Account: "acme", Region: region, Instance: id, Platform: string(platform)}
}

// counted returns how often each method of the table and the vault is called.
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

// attemptSwept is after when the secret of an attempt is swept: 15 minutes after the attempt's
// expiry, which is 15 minutes after its start.
const attemptSwept = 31 * time.Minute

func (w *world) wantCalls(what string, got, want map[string]int) {
	w.t.Helper()
	if !maps.Equal(got, want) {
		w.t.Errorf("%s: got the calls %v, want %v", what, got, want)
	}
}

func (l *lossy) SaveAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, error) {
	saved, err := l.Table.SaveAuthorization(ctx, a)
	if err = l.end(err); err != nil {
		return binding.Authorization{}, err
	}
	return saved, nil
}
