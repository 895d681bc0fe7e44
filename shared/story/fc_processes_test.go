package story_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/alibabacloud/acs3test"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/trigger/triggertest"
)

// fcProcesses are the built functions, each with the environment that s.yaml gives it, behind the
// routes of its domain. Tablestore and Function Compute's own API are pretend ones.
type fcProcesses struct {
	routes    []fcRoute
	processes map[string]*triggertest.Process
	// may is what the router's role lets it invoke.
	may map[string]string
}

func startFCProcesses(t *testing.T) *fcProcesses {
	t.Helper()
	all := &fcProcesses{processes: map[string]*triggertest.Process{}, may: mayDo(t, "router")}
	env := fcSettings(t)
	env["BINDERY_INSTANCES"] = `{"acme":[{"type":"enterprise","region":"a","id":"b","name":"c"}]}`
	delete(env, "BINDERY_ACR_ACCOUNT")
	cloud := map[string]string{
		"FC_REGION": env["FC_REGION"], "FC_ACCOUNT_ID": env["FC_ACCOUNT_ID"],
		"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "key",
		"ALIBABA_CLOUD_SECURITY_TOKEN": "token",
	}
	env["BINDERY_TABLESTORE_URL"] = startTablestore(t, cloud, env)
	api := httptest.NewServer(all.api())
	t.Cleanup(api.Close)
	env["BINDERY_FC_URL"] = api.URL

	deployment := readServerless(t, document(t, "s.yaml"), env)
	all.routes = fcRoutes(t, deployment)
	functions, folder := fcFunctions(t, deployment), t.TempDir()
	args := []string{
		"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-tags", "alibaba,lambda.norpc",
		"-o", folder + "/",
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		args = append(args, "./functions/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = root
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
	for name, f := range functions {
		set := environmentOf(t, name, f)
		maps.Copy(set, cloud)
		set["ALIBABA_CLOUD_SECURITY_TOKEN"] = "of an instance that is old"
		set["FC_FUNCTION_NAME"], _ = f["functionName"].(string)
		var variables []string
		for variable, value := range set {
			variables = append(variables, variable+"="+value)
		}
		all.processes[name] = triggertest.Start(t, triggertest.Options{
			On: triggertest.FunctionCompute(), Binary: filepath.Join(folder, name), Env: variables,
		})
	}
	for name, p := range all.processes {
		p.SetCredentials(triggertest.Credentials{ID: "id", Key: "key", Token: "token"})
		if _, err := p.Ready(t.Context()); err != nil {
			t.Fatalf("%s doesn't start: %v: %s", name, err, p.Log())
		}
	}
	return all
}

// startTablestore makes the table that the functions use.
func startTablestore(t *testing.T, cloud, env map[string]string) (url string) {
	t.Helper()
	service := httptest.NewServer(otstest.New(otstest.Options{
		Instance: env["BINDERY_TABLESTORE_INSTANCE"], ID: "id", Key: "key", Token: "token",
	}))
	t.Cleanup(service.Close)
	environment, err := alibabacloud.Read(func(name string) string { return cloud[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: env["BINDERY_TABLESTORE_INSTANCE"],
		Endpoint: service.URL, Sleep: alibabacloud.Sleep,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), client, env["BINDERY_TABLE"]); err != nil {
		t.Fatal(err)
	}
	return service.URL
}

// api is what the router asks: it invokes what its role allows.
func (all *fcProcesses) api() http.Handler {
	gate := acs3test.New("2023-03-30", "id", "key", "token")
	gate.Path = regexp.MustCompile(`^/2023-03-30/functions/bindery-(\w+)/invocations$`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if no := gate.Check(r, event); err != nil || no != nil {
			http.Error(w, `{"Code":"SignatureNotMatch"}`, http.StatusForbidden)
			return
		}
		name := gate.Path.FindStringSubmatch(r.URL.Path)[1]
		if all.may[name] != "InvokeFunction" {
			http.Error(w, `{"Code":"AccessDenied"}`, http.StatusForbidden)
			return
		}
		reply, err := all.processes[name].Invoke(r.Context(), event)
		if err != nil {
			w.Header().Set("X-Fc-Error-Type", "UnhandledInvocationError")
		}
		_, _ = w.Write(reply)
	})
}

// ask sends a request to the domain.
func (all *fcProcesses) ask(t *testing.T, method, path string, headers ...string) (
	*http.Response, object,
) {
	t.Helper()
	name := arrives(all.routes, method, strings.Split(path, "?")[0])
	if name == "" {
		t.Fatalf("%s %s arrives nowhere", method, path)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "https://bindery.example.com"+path,
		http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	all.processes[name].ServeHTTP(w, r)
	var body object
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Result(), body
}

func TestOnFunctionComputeTheFunctionsStartAndAnswerThroughTheDomain(t *testing.T) {
	all := startFCProcesses(t)
	const binding = "/v1/instances/a/b/bindings/github"
	for _, route := range []string{
		"PUT " + binding, "DELETE " + binding + "?revoke=true", "POST " + binding + "/credential",
		"POST " + binding + "/check", "GET " + binding + "/history", "GET /v1/instances/a/b/bindings",
		"GET /v1/platforms", "GET /v1/instances", "GET /v1/bindings", "POST /v1/authorizations",
		"GET /v1/authorizations/0a", "POST /v1/authorizations/0a/confirm",
	} {
		method, path, _ := strings.Cut(route, " ")
		r, body := all.ask(t, method, path)
		if r.StatusCode != http.StatusUnauthorized || body["code"] != "not_signed_in" {
			t.Errorf("%s without a bearer: %d %v", route, r.StatusCode, body)
		}
		r, _ = all.ask(t, http.MethodOptions, path, "Origin", "https://bindery.example.com",
			"Access-Control-Request-Method", method)
		if r.StatusCode != http.StatusNoContent ||
			!strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("the preflight of %s: %d %v", route, r.StatusCode, r.Header)
		}
	}
	for _, c := range []struct {
		path, location, kind string
		status               int
	}{
		{"/healthz", "", "", http.StatusNoContent},
		{"/", "", "text/html; charset=utf-8", http.StatusOK},
		{
			"/v1/authorizations/" + strings.Repeat("0", 32) + "/start",
			"https://bindery.example.com/#problem=authorization_unknown", "", http.StatusSeeOther,
		},
		{
			"/v1/callback/github?state=a&code=b",
			"https://bindery.example.com/#problem=authorization_unknown", "", http.StatusSeeOther,
		},
		{"/v1/nothing", "", "application/problem+json", http.StatusNotFound},
		{binding + "/nothing", "", "application/problem+json", http.StatusNotFound},
	} {
		r, _ := all.ask(t, http.MethodGet, c.path, "Sec-Fetch-Mode", "navigate")
		if r.StatusCode != c.status || r.Header.Get("Location") != c.location ||
			c.kind != "" && r.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: %d %v", c.path, r.StatusCode, r.Header)
		}
	}
	// The timer's own event, as the cloud makes one.
	payload, _ := triggerOf(fcFunctions(t, deployment(t))["expirycheck"], "timer")["payload"].(string)
	event, err := json.Marshal(object{
		"triggerTime": time.Now().UTC().Format(time.RFC3339), "triggerName": "schedule",
		"payload": payload,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.processes["expirycheck"].Invoke(t.Context(), event); err != nil {
		t.Errorf("the schedule: %v: %s", err, all.processes["expirycheck"].Log())
	}
}
