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

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/trigger/triggertest"
)

// consoleURL is the console's origin, to which callbacks redirect the browser.
const consoleURL = "https://bindery.example.com"

// host is what differs between the clouds that a deployment runs in.
type host interface {
	// api passes requests to the processes, as the cloud's gateway does.
	api(processes map[string]*triggertest.Process) http.Handler
	// options returns what a function's process is started with.
	options(folder string) triggertest.Options
	// scheduleEvent returns the event with which a schedule of the cloud, "Schedule" or
	// "Subscriptions", invokes expirycheck.
	scheduleEvent(schedule string) []byte
	// secretNames returns the names of all secrets in the vault.
	secretNames() []string
	// ageSecrets makes every secret in the vault older.
	ageSecrets(by time.Duration)
	// deniedCalls returns the calls that a role didn't allow, and unusedRights the rights that no
	// call used.
	deniedCalls() []string
	unusedRights() []string
	// calls returns how many calls of a function the table and the vault have got.
	calls(folder string) storeCalls
}

// storeCalls counts calls to the stores.
type storeCalls struct{ table, vault int }

// callCounter counts the calls of each function. Its zero value is ready.
type callCounter struct {
	mu  sync.Mutex
	all map[string]storeCalls // by function
}

func (c *callCounter) count(folder string, table bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]storeCalls{}
	}
	n := c.all[folder]
	if table {
		n.table++
	} else {
		n.vault++
	}
	c.all[folder] = n
}

func (c *callCounter) calls(folder string) storeCalls {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[folder]
}

// deployment is Bindery deployed in a cloud on this machine: every function's binary as it is
// packaged, run by the cloud's protocol behind its gateway, with the sandbox's platforms, an
// issuer and the cloud's stores.
type deployment struct {
	host

	t            *testing.T
	aws          *awsCloud        // nil unless the cloud is AWS
	alibaba      *fcCloud         // nil unless the cloud is Alibaba Cloud
	front        *httptest.Server // the gateway
	origin       string           // the gateway's public origin
	client       *http.Client     // resolves origin to front
	sandbox      *sandbox.Sandbox
	sandboxURL   string
	issued       *issuedSecrets
	table        ledger.Table // with an operator's rights
	key          *ecdsa.PrivateKey
	issuer       *httptest.Server
	processes    map[string]*triggertest.Process // by the function's folder
	instance     string                          // the instance that is bound
	platformUser string                          // who consents at the platforms
	started      *startedProcesses
	retired      *sync.Map // by a binding's key, what shortenLists took off its list
	events       <-chan sourceEvent
}

// startedProcesses collects every process that the deployment has started.
type startedProcesses struct {
	mu  sync.Mutex
	all []*triggertest.Process
}

// newDeployment returns a deployment without a cloud: its issuer and its platforms.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{
		t: t, processes: map[string]*triggertest.Process{}, instance: "cri/1", platformUser: "alice",
		started: &startedProcesses{}, retired: &sync.Map{}, issued: &issuedSecrets{},
	}
	d.startIssuer()
	d.startSandbox()
	return d
}

// startFunctions starts a process for each function. At the end of the test the logs of all
// processes are searched.
func (d *deployment) startFunctions(folders []string) {
	d.t.Helper()
	for _, f := range folders {
		d.processes[f] = d.startProcess(f, 0)
	}
	d.t.Cleanup(d.wantNoSecretInLogs)
}

// startProcess starts a process with this limit for one event; 0 is the limit of the template.
// more are variables, NAME=value.
func (d *deployment) startProcess(
	folder string, timeout time.Duration, more ...string,
) *triggertest.Process {
	d.t.Helper()
	o := d.options(folder)
	o.Env, o.Timeout = append(o.Env, more...), cmp.Or(timeout, o.Timeout)
	p := triggertest.Start(d.t, o)
	d.started.mu.Lock()
	defer d.started.mu.Unlock()
	d.started.all = append(d.started.all, p)
	return p
}

// bindingsPath returns the path of the instance's bindings.
func (d *deployment) bindingsPath() string {
	return "/v1/instances/eu/" + url.PathEscape(d.instance) + "/bindings"
}

// bindingKey returns the table's key of the instance's binding to a platform.
func (d *deployment) bindingKey(platform string) binding.Key {
	return binding.Key{Account: "acme", Region: "eu", Instance: d.instance, Platform: platform}
}

func (d *deployment) startIssuer() {
	d.t.Helper()
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		d.t.Fatal(err)
	}
	d.issuer = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(out).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: d.key.Public(), KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"},
		}})
	}))
	d.t.Cleanup(d.issuer.Close)
}

// bearer returns an access token of a user of the account acme.
func (d *deployment) bearer(user, scope string) secret.Text {
	d.t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: d.key}, options)
	if err != nil {
		d.t.Fatal(err)
	}
	now := time.Now()
	signed, err := jwt.Signed(signer).Claims(object{
		"iss": d.issuer.URL, "aud": "bindery", "sub": user, "account": "acme", "scope": scope,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		d.t.Fatal(err)
	}
	return secret.New(signed)
}

func (d *deployment) startSandbox() {
	d.t.Helper()
	d.sandbox = sandbox.New(sandbox.Options{
		Now: time.Now, Random: rand.Reader, Transport: throughFront{d},
	})
	server := httptest.NewServer(d.issued.note(d.sandbox))
	d.t.Cleanup(func() { d.sandbox.Close(); server.Close() })
	d.sandboxURL = server.URL
}

// throughFront sends the platforms' deliveries to the gateway.
type throughFront struct{ *deployment }

func (d throughFront) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.client.Transport == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return d.client.Transport.RoundTrip(r)
}

// apps returns the value of the OAuth apps' secret, with the gateway's callback addresses.
func (d *deployment) apps() []byte {
	d.t.Helper()
	all := object{}
	for platform, app := range d.sandbox.Apps() {
		app.RedirectURI = d.origin + "/v1/callback/" + string(platform)
		d.sandbox.AddApp(platform, app)
		var secrets []string
		for _, s := range app.ClientSecrets {
			secrets = append(secrets, s.Reveal())
		}
		all[string(platform)] = object{"clientId": app.ClientID, "clientSecrets": secrets}
	}
	text, err := json.Marshal(all)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// reply is a response whose body has been read.
type reply struct {
	status int
	header http.Header
	body   object
	text   string
}

// call sends a request to the API and follows no redirect. body may be nil; more are names and
// values of headers.
func (d *deployment) call(
	method, address string, bearer secret.Text, body any, more ...string,
) reply {
	d.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = d.origin + address
	}
	a, err := sendBy(d.t.Context(), d.client, method, address, bearer, body, more...)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// send is like call, for use in any goroutine. No error quotes the address, which may hold a code.
func send(
	ctx context.Context, method, address string, bearer secret.Text, body any, more ...string,
) (reply, error) {
	return sendBy(ctx, http.DefaultClient, method, address, bearer, body, more...)
}

// sendBy is like send, with a client of the caller's choice.
func sendBy(
	ctx context.Context, by *http.Client, method, address string, bearer secret.Text, body any,
	more ...string,
) (reply, error) {
	text := ""
	if body != nil {
		marshalled, err := json.Marshal(body)
		if err != nil {
			return reply{}, err
		}
		text = string(marshalled)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(text))
	if err != nil {
		return reply{}, errors.New("the address makes no request")
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
		return reply{}, fmt.Errorf("%s: no reply", method)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, fmt.Errorf("%s: half a reply: %w", method, err)
	}
	a := reply{status: response.StatusCode, header: response.Header, text: string(got)}
	_ = json.Unmarshal(got, &a.body)
	return a, nil
}

// platformVariables returns the variables that set the platforms' addresses.
func platformVariables() (all []string) {
	for _, platform := range []string{"GITEE", "GITHUB", "BITBUCKET", "CODEUP"} {
		all = append(all, "BINDERY_"+platform+"_URL", "BINDERY_"+platform+"_API_URL")
	}
	return all
}

// environ returns the variables as NAME=value.
func environ(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// canaries returns the texts that must not be in any log.
func (d *deployment) canaries() []string {
	words := []string{"canary-key", "canary-session", "Bearer ey", "code="}
	for _, s := range d.sandbox.Samples() {
		if !s.Token.Empty() {
			words = append(words, s.Token.Reveal())
		}
	}
	for _, app := range d.sandbox.Apps() {
		for _, s := range app.ClientSecrets {
			words = append(words, s.Reveal())
		}
	}
	return append(words, d.issued.list()...)
}

// wantNoSecretInLogs reports an error for each canary in a log, and for each call that a role
// denied.
func (d *deployment) wantNoSecretInLogs() {
	d.t.Helper()
	words := d.canaries()
	d.started.mu.Lock()
	defer d.started.mu.Unlock()
	for _, p := range d.started.all {
		log := p.Log()
		for i, word := range words {
			if strings.Contains(log, word) {
				function, _, _ := strings.Cut(log[strings.Index(log, `"function"`)+1:], ",")
				d.t.Errorf("the log of %s holds secret %d", function, i)
			}
		}
	}
	for _, call := range d.deniedCalls() {
		d.t.Errorf("its role doesn't allow it: %s", call)
	}
}

// wantNoUnusedRight reports an error for each right that no call of bindToUnbind used.
func (d *deployment) wantNoUnusedRight() {
	d.t.Helper()
	for _, right := range d.unusedRights() {
		d.t.Errorf("a role allows what no call needs: %s", right)
	}
}
