package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"bindery/shared/awscloud"
	"bindery/shared/table/dynamo"
	"bindery/shared/trigger/triggertest"
)

func TestBindToUnbindOnLambda(t *testing.T) {
	address, events := startReceiver(t)
	d := startLambda(t,
		"BINDERY_EVENTS_URL", address, "BINDERY_EVENTS_SECRET", eventsSecret)
	d.events = events
	d.bindToUnbind()
}

// The time limits in template.yaml: of the functions behind the API, and of the check.
const (
	functionTimeout = 29 * time.Second
	scheduleTimeout = 180 * time.Second
)

// onLambda is AWS: Lambda's protocol, an HTTP API with the routes of template.yaml, and the rights
// of its roles.
type onLambda struct {
	*awsCloud

	w        *deployment
	document object
	routes   map[string]string
	binaries string
	more     []string // names and values of variables
	sealed   sealedRows
}

// startLambda starts a deployment on Lambda. more are names and values of variables.
func startLambda(t *testing.T, more ...string) *deployment {
	t.Helper()
	d, document := newDeployment(t), readYAML(t, template)
	rights := map[string][]right{}
	var folders []string
	for _, f := range functionsOf(t, document) {
		rights[f.folder] = rightsOf(t, document, f, vaultOf(more))
		folders = append(folders, f.folder)
	}
	d.aws = startCloud(t, rights, d.issued)
	on := &onLambda{
		awsCloud: d.aws, w: d, document: document, routes: routesOf(t, document),
		binaries: built.functions(t, forAWS), more: more,
	}
	d.host, d.instance = on, onLambdaID
	d.front = httptest.NewServer(d.api(d.processes))
	t.Cleanup(d.front.Close)
	d.origin, d.client = d.front.URL, http.DefaultClient
	on.openStores()
	d.startFunctions(folders)
	return d
}

// api is the HTTP API with the template's routes. Its authorizer only asks for a bearer.
func (on *onLambda) api(processes map[string]*triggertest.Process) http.Handler {
	mux := http.NewServeMux()
	for route, served := range on.routes {
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

// openStores creates the table and the OAuth apps' secret, as an operator does.
func (on *onLambda) openStores() {
	on.w.t.Helper()
	lookup := func(name string) string { return on.environment(admin)[name] }
	rows, err := awscloud.Config(awscloud.DynamoDB, lookup)
	if err != nil {
		on.w.t.Fatal(err)
	}
	client := dynamodb.NewFromConfig(rows)
	if err := dynamo.Create(on.w.t.Context(), client, tableName); err != nil {
		on.w.t.Fatal(err)
	}
	on.w.table = dynamo.New(client, tableName)
	if vaultOf(on.more) == envelopeVault {
		on.w.mustSucceed(dynamo.Create(on.w.t.Context(), client, sealedTableName))
		on.sealed.Driver = dynamo.NewDriver(client, sealedTableName)
	}
	vault, err := awscloud.Config(awscloud.SecretsManager, lookup)
	if err != nil {
		on.w.t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(vault).CreateSecret(on.w.t.Context(),
		&secretsmanager.CreateSecretInput{
			Name: aws.String(appsName), SecretString: aws.String(string(on.w.apps())),
		})
	if err != nil {
		on.w.t.Fatal(err)
	}
}

// onLambdaID is an instance whose id must be escaped in a path. An HTTP API takes %2F for a slash,
// so that an id with a slash can't be named there.
const onLambdaID = "cri 1"

// moreInstances is the number of the account's instances apart from that one.
const moreInstances = 99

// catalogue returns the catalogue: that instance, and 1 to 99.
func catalogue() string {
	list := []object{{"type": "enterprise", "region": "eu", "id": onLambdaID, "name": "prod"}}
	for n := range moreInstances {
		id := strconv.Itoa(n + 1)
		list = append(list, object{"type": "enterprise", "region": "eu", "id": id, "name": id})
	}
	text, _ := json.Marshal(object{"acme": list}) // encoding strings never fails
	return string(text)
}

// environment returns a function's variables, as the template and Lambda set them.
func (on *onLambda) environment(who string) map[string]string {
	env := map[string]string{
		"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": who, "AWS_SECRET_ACCESS_KEY": "canary-key",
		"AWS_ENDPOINT_URL_DYNAMODB": on.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": on.url,
		"AWS_ENDPOINT_URL_KMS":     on.url,
		"AWS_LAMBDA_FUNCTION_NAME": who,
		"BINDERY_PUBLIC_URL":       on.w.origin,
		"BINDERY_CONSOLE_URL":      consoleURL,
		"BINDERY_OIDC_ISSUER":      on.w.issuer.URL,
		"BINDERY_OIDC_AUDIENCE":    "bindery",
		"BINDERY_OIDC_JWKS_URL":    on.w.issuer.URL,
		"BINDERY_OIDC_CLIENT_ID":   "console",
		"BINDERY_INSTANCES":        catalogue(),
		"BINDERY_TABLE":            tableName,
		"BINDERY_SECRET_PREFIX":    secretPrefix,
		"BINDERY_OAUTH_APPS":       appsName,
		"BINDERY_PRIVATE_HOSTS":    strings.TrimPrefix(on.w.sandboxURL, "http://"),
	}
	for _, variable := range platformVariables() {
		env[variable] = on.w.sandboxURL
	}
	for i := 0; i < len(on.more); i += 2 {
		env[on.more[i]] = on.more[i+1]
	}
	return env
}

func (on *onLambda) options(folder string) triggertest.Options {
	return triggertest.Options{
		On: triggertest.Lambda(), Binary: filepath.Join(on.binaries, folder),
		Env: environ(on.environment(folder)), Timeout: functionTimeout,
	}
}

// secretNames returns the names in Secrets Manager, and of the sealed secrets.
func (on *onLambda) secretNames() []string {
	return append(on.awsCloud.secretNames(), on.sealed.names(on.w.t)...)
}

func (on *onLambda) ageSecrets(by time.Duration) {
	on.awsCloud.ageSecrets(by)
	on.sealed.age(on.w.t, by)
}

// scheduleEvent returns the input that template.yaml gives the schedule.
func (on *onLambda) scheduleEvent(schedule string) []byte {
	input, _ := in(on.document, "Resources", "ExpiryCheck", "Properties", "Events", schedule,
		"Properties", "Input").(string)
	return []byte(input)
}
