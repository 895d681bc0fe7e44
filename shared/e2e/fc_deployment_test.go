package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/instance/acrtest"
	"bindery/shared/secret"
	"bindery/shared/table/tablestore"
	"bindery/shared/trigger/triggertest"
)

func TestBindToUnbindOnFunctionCompute(t *testing.T) {
	address, events := startReceiver(t)
	d := startFC(t,
		"BINDERY_EVENTS_URL", address, "BINDERY_EVENTS_SECRET", eventsSecret)
	d.events = events
	d.bindToUnbind()
}

// onFC is Function Compute's protocol with the environment that s.yaml gives each function, and
// the routes of its domain.
type onFC struct {
	*fcCloud

	w         *deployment
	routes    []fcRoute
	functions map[string]object // properties in s.yaml, by folder
	binaries  string
	sealed    sealedRows
}

// startFC starts a deployment on Function Compute. more are names and values of settings.
func startFC(t *testing.T, more ...string) *deployment {
	t.Helper()
	d := newDeployment(t)
	settings := fcSettings(t)
	for i := 0; i < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	d.origin = "https://" + settings["FC_DOMAIN"]
	settings["BINDERY_OIDC_ISSUER"], settings["BINDERY_OIDC_JWKS_URL"] = d.issuer.URL, d.issuer.URL
	settings["BINDERY_PRIVATE_HOSTS"] = strings.TrimPrefix(d.sandboxURL, "http://")
	for _, variable := range platformVariables() {
		settings[variable] = d.sandboxURL
	}
	c := startFCCloud(t, settings, functionFolders(t), d.issued,
		func(folder string) *triggertest.Process { return d.processes[folder] })
	document := readServerless(t, document(t, "s.yaml"), settings)
	on := &onFC{
		fcCloud: c, w: d, routes: fcRoutes(t, document), functions: fcFunctions(t, document),
		binaries: built.functions(t, forAlibaba),
	}
	d.host, d.alibaba = on, c
	d.front = httptest.NewTLSServer(d.api(d.processes))
	t.Cleanup(d.front.Close)
	d.client = d.front.Client() // its certificate is for example.com, and it dials the test server
	on.openStores()
	c.registry.Set(acrtest.Instance{ID: "cri/1", Name: "prod", Region: "eu", Status: "RUNNING"})
	d.startFunctions(slices.Sorted(maps.Keys(on.functions)))
	return d
}

// api is the domain: it passes a request to the HTTP trigger that its routes lead to.
func (on *onFC) api(processes map[string]*triggertest.Process) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		folder := routedTo(on.routes, r.Method, r.URL.EscapedPath())
		if folder == "" {
			http.Error(w, `{"Code":"AccessDenied"}`, http.StatusForbidden)
			return
		}
		processes[folder].ServeHTTP(w, r)
	})
}

// ofCloud returns the variables that Function Compute sets. Their credentials have expired: a
// function that uses them in place of an invocation's is denied.
func (on *onFC) ofCloud(function string) map[string]string {
	return map[string]string{
		"FC_REGION": on.settings["FC_REGION"], "FC_ACCOUNT_ID": on.settings["FC_ACCOUNT_ID"],
		"FC_FUNCTION_NAME": function, "FC_FUNCTION_HANDLER": "main",
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     "old",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "canary-key-old",
		"ALIBABA_CLOUD_SECURITY_TOKEN":    "canary-token-old",
	}
}

// openStores creates the table and the OAuth apps' secret, as an operator does.
func (on *onFC) openStores() {
	t := on.w.t
	t.Helper()
	var credentials alibabacloud.InvocationCredentials
	as := credentialsOf(admin)
	credentials.Set(alibabacloud.Credentials{
		ID: as.ID, Key: secret.New(as.Key), Token: secret.New(as.Token),
	})
	environment, err := alibabacloud.Read(func(name string) string {
		return on.ofCloud(admin)[name]
	}, &credentials)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: on.settings["BINDERY_TABLESTORE_INSTANCE"],
		Endpoint: on.settings["BINDERY_TABLESTORE_URL"],
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), client, on.settings["BINDERY_TABLE"]); err != nil {
		t.Fatal(err)
	}
	on.w.table = tablestore.New(client, on.settings["BINDERY_TABLE"])
	if sealed := on.settings["BINDERY_VAULT_TABLE"]; on.settings["BINDERY_VAULT"] != "" {
		on.w.mustSucceed(tablestore.Create(t.Context(), client, sealed))
		on.sealed.Driver = tablestore.NewDriver(client, sealed)
	}
	on.vault.Set(on.settings["BINDERY_OAUTH_APPS"], "v1", "text", string(on.w.apps()))
}

// secretNames returns the names in the secrets manager, and of the sealed secrets.
func (on *onFC) secretNames() []string {
	return append(on.fcCloud.secretNames(), on.sealed.names(on.w.t)...)
}

func (on *onFC) ageSecrets(by time.Duration) {
	on.fcCloud.ageSecrets(by)
	on.sealed.age(on.w.t, by)
}

func (on *onFC) options(folder string) triggertest.Options {
	f := on.functions[folder]
	name, _ := f["functionName"].(string)
	limit, _ := f["timeout"].(int)
	env := environmentOf(on.w.t, folder, f)
	maps.Copy(env, on.ofCloud(name))
	return triggertest.Options{
		On: triggertest.FunctionCompute(), Binary: filepath.Join(on.binaries, folder),
		Env: environ(env), As: credentialsOf(folder), Timeout: time.Duration(limit) * time.Second,
	}
}

// scheduleEvent returns the event that Function Compute makes of the timer.
func (on *onFC) scheduleEvent(schedule string) []byte {
	name := strings.ToLower(schedule)
	triggers, _ := on.functions["expirycheck"]["triggers"].([]any)
	for _, trigger := range triggers {
		if in(trigger, "triggerName") != name {
			continue
		}
		event, err := json.Marshal(object{
			"triggerTime": time.Now().UTC().Format(time.RFC3339), "triggerName": name,
			"payload": in(trigger, "triggerConfig", "payload"),
		})
		if err != nil {
			on.w.t.Fatal(err)
		}
		return event
	}
	on.w.t.Fatalf("s.yaml has no timer %s", name)
	return nil
}
