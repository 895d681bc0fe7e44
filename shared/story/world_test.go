package story_test

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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bindery/shared/awscloud"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/dynamo"
	"bindery/shared/trigger/triggertest"
)

// The time-outs that template.yaml gives the functions behind the API, and the check.
const (
	functionTime = 29 * time.Second
	runTime      = 180 * time.Second
)

const (
	consoleURL = "https://console.example"
)

// world is a deployment on Lambda, on this machine: every function's binary as it is packaged,
// run by Lambda's protocol behind an HTTP API with the routes of template.yaml; and around it the
// platforms, an issuer, and the cloud's stores.
type world struct {
	t         *testing.T
	front     *httptest.Server
	box       *sandbox.Sandbox
	boxURL    string
	cloud     *cloud
	table     table.Table // with every right
	key       *ecdsa.PrivateKey
	issuer    *httptest.Server
	binaries  string
	processes map[string]*triggertest.Process // by the functions' folders
	document  object
	instance  string // that its user works on
	person    string // the user at the platforms

	mu  *sync.Mutex // guards what follows
	all []*triggertest.Process
}

// instances are how many instances, beside the story's own, the account has.
const instances = 99

// catalogued is the catalogue: cri/1, and 1 to 99.
func catalogued() string {
	list := []object{{"type": "enterprise", "region": "eu", "id": "cri/1", "name": "prod"}}
	for n := range instances {
		id := strconv.Itoa(n + 1)
		list = append(list, object{"type": "enterprise", "region": "eu", "id": id, "name": id})
	}
	text, _ := json.Marshal(object{"acme": list}) // text alone never fails
	return string(text)
}

// at is the path of the instance's bindings.
func (w *world) at() string {
	return "/v1/instances/eu/" + url.PathEscape(w.instance) + "/bindings"
}

// row is the key of a binding.
func (w *world) row(platform string) table.Key {
	return table.Key{Account: "acme", Region: "eu", Instance: w.instance, Platform: platform}
}

func startWorld(t *testing.T) *world {
	t.Helper()
	document := readYAML(t, template)
	w := &world{
		t: t, document: document, processes: map[string]*triggertest.Process{},
		instance: "cri/1", person: "alice", mu: &sync.Mutex{},
	}
	rights := map[string][]right{}
	var folders []string
	for _, f := range functionsOf(t, document) {
		rights[f.folder] = rightsOf(t, document, f)
		folders = append(folders, f.folder)
	}
	w.cloud = startCloud(t, rights)
	w.binaries = kept.functions(t, folders)
	w.startIssuer()
	w.front = httptest.NewServer(w.api(w.processes))
	t.Cleanup(w.front.Close)
	w.startSandbox()
	w.openStores()
	for _, f := range folders {
		w.processes[f] = w.start(f, 0)
	}
	t.Cleanup(w.search)
	return w
}

// buildFunctions builds as make package-aws does, for this machine.
func buildFunctions(t testing.TB, folders []string, folder string) {
	t.Helper()
	args := []string{
		"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-tags", "aws,lambda.norpc",
		"-o", folder + "/",
	}
	for _, f := range folders {
		args = append(args, "./functions/"+f)
	}
	build := exec.Command("go", args...)
	build.Dir = root
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
}

// functions builds all functions, or has done so already.
func (s *shared) functions(t testing.TB, folders []string) (folder string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.built == "" {
		folder = filepath.Join(s.dir, "functions")
		buildFunctions(t, folders, folder)
		s.built = folder
	}
	return s.built
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

// api is the HTTP API: the template's routes, and its authorizer as far as that asks for a bearer.
func (w *world) api(processes map[string]*triggertest.Process) http.Handler {
	mux := http.NewServeMux()
	for route, served := range routesOf(w.t, w.document) {
		folder, gate, _ := strings.Cut(served, " ")
		route = strings.Replace(strings.Replace(route, "+}", "...}", 1), " /", " /", 1)
		if strings.HasSuffix(route, " /") {
			route += "{$}"
		}
		mux.HandleFunc(route, func(out http.ResponseWriter, r *http.Request) {
			if gate == "bearer" && r.Header.Get("Authorization") == "" {
				http.Error(out, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
				return
			}
			processes[folder].ServeHTTP(out, r)
		})
	}
	return mux
}

func (w *world) startSandbox() {
	w.t.Helper()
	w.box = sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader})
	server := httptest.NewServer(w.box)
	w.t.Cleanup(func() { w.box.Close(); server.Close() })
	w.boxURL = server.URL
}

// openStores makes the table, and the secret of the OAuth apps as an operator does.
func (w *world) openStores() {
	w.t.Helper()
	lookup := func(name string) string { return w.environment(admin)[name] }
	rows, err := awscloud.Config(awscloud.DynamoDB, lookup)
	if err != nil {
		w.t.Fatal(err)
	}
	client := dynamodb.NewFromConfig(rows)
	if err := dynamo.Create(w.t.Context(), client, tableName); err != nil {
		w.t.Fatal(err)
	}
	w.table = dynamo.New(client, tableName)
	all := object{}
	for platform, app := range w.box.Apps() {
		app.RedirectURI = w.front.URL + "/v1/callback/" + string(platform)
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
	vault, err := awscloud.Config(awscloud.SecretsManager, lookup)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(vault).CreateSecret(w.t.Context(),
		&secretsmanager.CreateSecretInput{
			Name: aws.String(appsName), SecretString: aws.String(string(text)),
		})
	if err != nil {
		w.t.Fatal(err)
	}
}

// environment is a function's, as the template and Lambda set it.
func (w *world) environment(who string) map[string]string {
	env := map[string]string{
		"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": who, "AWS_SECRET_ACCESS_KEY": "canary-key",
		"AWS_ENDPOINT_URL_DYNAMODB": w.cloud.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": w.cloud.url,
		"AWS_LAMBDA_FUNCTION_NAME": who,
		"BINDERY_PUBLIC_URL":       w.front.URL,
		"BINDERY_CONSOLE_URL":      consoleURL,
		"BINDERY_OIDC_ISSUER":      w.issuer.URL,
		"BINDERY_OIDC_AUDIENCE":    "bindery",
		"BINDERY_OIDC_JWKS_URL":    w.issuer.URL,
		"BINDERY_OIDC_CLIENT_ID":   "console",
		"BINDERY_INSTANCES":        catalogued(),
		"BINDERY_TABLE":            tableName,
		"BINDERY_SECRET_PREFIX":    secretPrefix,
		"BINDERY_OAUTH_APPS":       appsName,
		"BINDERY_PRIVATE_HOSTS":    strings.TrimPrefix(w.boxURL, "http://"),
	}
	for _, platform := range []string{"GITEE", "GITHUB", "BITBUCKET", "CODEUP"} {
		env["BINDERY_"+platform+"_URL"] = w.boxURL
		env["BINDERY_"+platform+"_API_URL"] = w.boxURL
	}
	return env
}

func (w *world) start(folder string, timeout time.Duration, more ...string) *triggertest.Process {
	w.t.Helper()
	var env []string
	for name, value := range w.environment(folder) {
		env = append(env, name+"="+value)
	}
	p := triggertest.Start(w.t, triggertest.Options{
		On: triggertest.Lambda(), Binary: filepath.Join(w.binaries, folder),
		Env: append(env, more...), Timeout: cmp.Or(timeout, functionTime),
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, p)
	return p
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
		address = w.front.URL + address
	}
	a, err := send(w.t.Context(), method, address, bearer, body, more...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// send is call, from any goroutine. No error quotes the address, which may have a code in it.
func send(
	ctx context.Context, method, address string, bearer secret.Text, body any, more ...string,
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

// unused are the rights that the story has no use for, and what does.
var unused = map[string]string{
	"expirycheck sqs:SendMessage":                 "Lambda itself, for what fails",
	"tokenbind secretsmanager:PutSecretValue":     "binding, should a bind ever not begin a secret",
	"oauthcallback secretsmanager:PutSecretValue": "the same",
	"tokenbind dynamodb:Query":                    "asking who holds a token that is to be revoked",
	"tokenbind dynamodb:DeleteItem":               "dropping an entry of a holder that is long gone",
	"oauthcallback dynamodb:DeleteItem":           "the same",
	"unbind dynamodb:DeleteItem":                  "the same",
	"unbind dynamodb:BatchWriteItem":              "draining a record that has eight events",
	"credential dynamodb:BatchWriteItem":          "the same",
	"oauthconfirm dynamodb:BatchWriteItem":        "the same",
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
	return append(words, w.cloud.tokens()...)
}

// search looks for what must not be in any log, and for calls that a role didn't allow.
func (w *world) search() {
	w.t.Helper()
	words := w.canaries()
	for _, p := range w.all {
		for i, word := range words {
			if log := p.Log(); strings.Contains(log, word) {
				function, _, _ := strings.Cut(log[strings.Index(log, `"function"`)+1:], ",")
				w.t.Errorf("the log of %s shows secret %d", function, i)
			}
		}
	}
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	for _, call := range w.cloud.denied {
		w.t.Errorf("template.yaml doesn't allow it: %s", call)
	}
}

// needs looks for rights that the whole story had no use for.
func (w *world) needs() {
	w.t.Helper()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	for folder, rights := range w.cloud.rights {
		for _, r := range rights {
			if !w.cloud.used[folder+" "+r.action] && unused[folder+" "+r.action] == "" {
				w.t.Errorf("template.yaml allows what nobody needs: %s: %s", folder, r.action)
			}
		}
	}
}
