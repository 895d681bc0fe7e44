package e2e_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/trigger/triggertest"
)

// consoleURL is where a browser is sent back to.
const consoleURL = "https://bindery.example.com"

// host is a cloud with Bindery deployed in it, on this machine: all that differs from one to
// another.
type host interface {
	// api brings requests to the processes, as the cloud's gateway does.
	api(processes map[string]*triggertest.Process) http.Handler
	// options are what a function's process is started with.
	options(folder string) triggertest.Options
	// tick is the event of the schedule.
	tick() []byte
	// left are the names of all that the vault has, and tokens what it was ever given.
	left() []string
	tokens() []string
	// denied are the calls that a role didn't allow, and idle the rights that nobody had a use for.
	denied() []string
	idle() []string
}

// world is a deployment in a cloud: every function's binary as it is packaged, run by the cloud's
// protocol behind its gateway; and around it the platforms, an issuer, and the cloud's stores.
type world struct {
	host

	t         *testing.T
	cloud     *cloud           // AWS, if it is there
	alibaba   *fcCloud         // Alibaba Cloud, if it is there
	front     *httptest.Server // the gateway
	origin    string           // what the gateway is called
	client    *http.Client     // that finds it
	box       *sandbox.Sandbox
	boxURL    string
	table     table.Table // with every right
	key       *ecdsa.PrivateKey
	issuer    *httptest.Server
	processes map[string]*triggertest.Process // by the functions' folders
	instance  string                          // that its user works on
	person    string                          // the user at the platforms
	started   *started
}

// started are all processes that were ever started.
type started struct {
	mu  sync.Mutex
	all []*triggertest.Process
}

// newWorld is a world without a cloud.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, processes: map[string]*triggertest.Process{}, instance: "cri/1", person: "alice",
		started: &started{},
	}
	w.startIssuer()
	w.startSandbox()
	return w
}

// populate starts a process for each function. When the test ends, their logs are searched.
func (w *world) populate(folders []string) {
	w.t.Helper()
	for _, f := range folders {
		w.processes[f] = w.start(f, 0)
	}
	w.t.Cleanup(w.search)
}

// start starts a process that may take so long for an event, 0 for as long as it is deployed with.
func (w *world) start(folder string, timeout time.Duration, more ...string) *triggertest.Process {
	w.t.Helper()
	o := w.options(folder)
	o.Env, o.Timeout = append(o.Env, more...), cmp.Or(timeout, o.Timeout)
	p := triggertest.Start(w.t, o)
	w.started.mu.Lock()
	defer w.started.mu.Unlock()
	w.started.all = append(w.started.all, p)
	return p
}

// at is the path of the instance's bindings.
func (w *world) at() string {
	return "/v1/instances/eu/" + url.PathEscape(w.instance) + "/bindings"
}

// row is the key of a binding.
func (w *world) row(platform string) table.Key {
	return table.Key{Account: "acme", Region: "eu", Instance: w.instance, Platform: platform}
}

func (w *world) startIssuer() {
	w.t.Helper()
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		w.t.Fatal(err)
	}
	w.issuer = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(out).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: w.key.Public(), KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"},
		}})
	}))
	w.t.Cleanup(w.issuer.Close)
}

// bearer is an access token of a user of the account acme.
func (w *world) bearer(user, scope string) secret.Text {
	w.t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: w.key}, options)
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now()
	signed, err := jwt.Signed(signer).Claims(object{
		"iss": w.issuer.URL, "aud": "bindery", "sub": user, "account": "acme", "scope": scope,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return secret.New(signed)
}

func (w *world) startSandbox() {
	w.t.Helper()
	w.box = sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader})
	server := httptest.NewServer(w.box)
	w.t.Cleanup(func() { w.box.Close(); server.Close() })
	w.boxURL = server.URL
}

// apps is the secret of the OAuth apps, which lead back to the gateway.
func (w *world) apps() []byte {
	w.t.Helper()
	all := object{}
	for platform, app := range w.box.Apps() {
		app.RedirectURI = w.origin + "/v1/callback/" + string(platform)
		w.box.AddApp(platform, app)
		var secrets []string
		for _, s := range app.ClientSecrets {
			secrets = append(secrets, s.Reveal())
		}
		all[string(platform)] = object{"clientId": app.ClientID, "clientSecrets": secrets}
	}
	text, err := json.Marshal(all)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// answer is a reply, read to its end.
type answer struct {
	status int
	header http.Header
	body   object
	text   string
}

// call sends a request to the API; body may be nil. No redirect is followed.
func (w *world) call(method, address string, bearer secret.Text, body any, more ...string) answer {
	w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.origin + address
	}
	a, err := sendBy(w.t.Context(), w.client, method, address, bearer, body, more...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// send is call, from any goroutine. No error quotes the address, which may have a code in it.
func send(
	ctx context.Context, method, address string, bearer secret.Text, body any, more ...string,
) (answer, error) {
	return sendBy(ctx, http.DefaultClient, method, address, bearer, body, more...)
}

// sendBy is send by a client of one's own.
func sendBy(
	ctx context.Context, by *http.Client, method, address string, bearer secret.Text, body any,
	more ...string,
) (answer, error) {
	text := ""
	if body != nil {
		marshalled, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(marshalled)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(text))
	if err != nil {
		return answer{}, errors.New("the address makes no request")
	}
	r.Header.Set("Content-Type", "application/json")
	if !bearer.Empty() {
		r.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	client := http.Client{
		Transport:     by.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("%s: no reply", method)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: half a reply: %w", method, err)
	}
	a := answer{status: response.StatusCode, header: response.Header, text: string(got)}
	_ = json.Unmarshal(got, &a.body)
	return a, nil
}

// platformVariables are those that lead to the platforms.
func platformVariables() (all []string) {
	for _, platform := range []string{"GITEE", "GITHUB", "BITBUCKET", "CODEUP"} {
		all = append(all, "BINDERY_"+platform+"_URL", "BINDERY_"+platform+"_API_URL")
	}
	return all
}

// listed is an environment as a process is started with one.
func listed(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// canaries are what must not be in any log.
func (w *world) canaries() []string {
	words := []string{"canary-key", "canary-session", "Bearer ey", "code="}
	for _, s := range w.box.Samples() {
		if !s.Token.Empty() {
			words = append(words, s.Token.Reveal())
		}
	}
	for _, app := range w.box.Apps() {
		for _, s := range app.ClientSecrets {
			words = append(words, s.Reveal())
		}
	}
	return append(words, w.tokens()...)
}

// search looks for what must not be in any log, and for calls that a role didn't allow.
func (w *world) search() {
	w.t.Helper()
	words := w.canaries()
	w.started.mu.Lock()
	defer w.started.mu.Unlock()
	for _, p := range w.started.all {
		log := p.Log()
		for i, word := range words {
			if strings.Contains(log, word) {
				function, _, _ := strings.Cut(log[strings.Index(log, `"function"`)+1:], ",")
				w.t.Errorf("the log of %s shows secret %d", function, i)
			}
		}
	}
	for _, call := range w.denied() {
		w.t.Errorf("its role doesn't allow it: %s", call)
	}
}

// needs looks for rights that the whole story had no use for.
func (w *world) needs() {
	w.t.Helper()
	for _, right := range w.idle() {
		w.t.Errorf("a role allows what nobody needs: %s", right)
	}
}
