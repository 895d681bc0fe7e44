package e2e_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/dispatch"
	"bindery/shared/testkit"
)

// fcFunctions returns the properties of the functions in s.yaml, by their folder under functions/.
func fcFunctions(t *testing.T, document object) map[string]object {
	t.Helper()
	all := map[string]object{}
	for name, resource := range in(document, "resources").(object) {
		if in(resource, "component") != "fc3" {
			continue
		}
		props := in(resource, "props").(object)
		all[name] = props
		if want := "./dist/fc/" + name; props["code"] != want {
			t.Errorf("%s: code is %v, want %s", name, props["code"], want)
		}
		if want := "bindery-" + name; props["functionName"] != want {
			t.Errorf("%s is called %v, want %s", name, props["functionName"], want)
		}
	}
	return all
}

func TestTheDeploymentHasEveryFunctionButTheLaptops(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range folders {
		if f.Name() != "local" {
			want = append(want, f.Name())
		}
	}
	all := fcFunctions(t, readDeployment(t))
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("it deploys %v, want %v", got, want)
	}
	for name, f := range all {
		memory, _ := f["memorySize"].(int)
		cpu, _ := f["cpu"].(float64)
		if share := float64(memory) / 1024 / cpu; share < 1 || share > 4 {
			t.Errorf("%s: %d MB with %v of a processor, want 1 to 4 GB a processor", name, memory, cpu)
		}
		// A request ends itself after 20 seconds, a run of the schedule after 120; the router waits for
		// another function.
		least := map[string]int{"expirycheck": 150, "router": 36}[name]
		if timeout, _ := f["timeout"].(int); timeout < max(least, 25) || timeout > 180 {
			t.Errorf("%s has a timeout of %d seconds", name, timeout)
		}
		if f["runtime"] != "go1" || f["handler"] != "main" {
			t.Errorf("%s: make package-fc doesn't build for %v %v", name, f["runtime"], f["handler"])
		}
	}
}

// triggerOf returns the configuration of a function's trigger of this kind, or nil.
func triggerOf(f object, kind string) object {
	list, _ := f["triggers"].([]any)
	for _, trigger := range list {
		if in(trigger, "triggerType") == kind {
			return in(trigger, "triggerConfig").(object)
		}
	}
	return nil
}

// fcRoute is a route of the custom domain in s.yaml.
type fcRoute struct {
	path, function string
	methods        []string
}

func fcRoutes(t *testing.T, document object) (all []fcRoute) {
	t.Helper()
	list, _ := in(document, "resources", "domain", "props", "routeConfig", "routes").([]any)
	for _, r := range list {
		path, _ := in(r, "path").(string)
		name, _ := in(r, "functionName").(string)
		function, found := strings.CutPrefix(name, "bindery-")
		if !found || in(r, "rewriteConfig") != nil || in(r, "qualifier") != nil {
			t.Errorf("a route that isn't plain: %v", r)
		}
		all = append(all, fcRoute{path, function, texts(in(r, "methods"))})
	}
	return all
}

// routedTo returns the function that the domain routes a request to, or "". The cloud's rules: an
// exact path goes before one that ends with *, and of the matching ones the longest counts; then
// the route must have the method.
func routedTo(routes []fcRoute, method, path string) string {
	var best fcRoute
	for _, r := range routes {
		begin, open := strings.CutSuffix(r.path, "*")
		switch {
		case r.path == path:
			best = r
		case best.path == path:
		case open && strings.HasPrefix(path, begin) && len(r.path) > len(best.path):
			best = r
		}
	}
	if !slices.Contains(best.methods, method) {
		return ""
	}
	return best.function
}

// routerTarget returns a function that asks the router which function it invokes for a request.
func routerTarget(t *testing.T) func(method, path string) string {
	t.Helper()
	invoked := ""
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		invoked = filepath.Base(filepath.Dir(r.URL.Path))
		_, _ = io.WriteString(w, `{"statusCode":204}`)
	}))
	t.Cleanup(service.Close)
	d, err := dispatch.New(dispatch.Options{
		Environment: alibabacloud.Environment{
			Credentials: func() alibabacloud.Credentials { return alibabacloud.Credentials{} },
		},
		Account: "1", Own: "router", Endpoint: service.URL, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path string) string {
		invoked = ""
		r, err := http.NewRequestWithContext(t.Context(), method, "http://bindery.example.com"+path,
			http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		d.ServeHTTP(httptest.NewRecorder(), r)
		return invoked
	}
}

func TestTheDomainServesTheContract(t *testing.T) {
	document := readDeployment(t)
	routes, ask := fcRoutes(t, document), routerTarget(t)
	functions := fcFunctions(t, document)
	part := regexp.MustCompile(`\{(\w+)\+?\}`)
	// It must be the same function as on AWS, whose API has a route for each operation.
	for route, want := range routesOf(t, readYAML(t, template)) {
		method, pattern, _ := strings.Cut(route, " ")
		want, gate, _ := strings.Cut(want, " ")
		path := part.ReplaceAllString(strings.ReplaceAll(pattern, "{asset+}", "a/b.js"), "x%2F1")
		got := routedTo(routes, method, path)
		if got != "" && !slices.Contains(texts(triggerOf(functions[got], "http")["methods"]), method) {
			t.Errorf("%s arrives at %s, whose trigger refuses it", route, got)
		}
		if got == "router" {
			got = ask(method, path)
		}
		if got != want {
			t.Errorf("%s arrives at %q, want %s", route, got, want)
		}
		// If the console is on another origin, a preflight comes before a call with a bearer.
		before := routedTo(routes, http.MethodOptions, path)
		if gate == "bearer" && (before == "" ||
			!slices.Contains(texts(triggerOf(functions[before], "http")["methods"]), "OPTIONS")) {
			t.Errorf("OPTIONS for %s arrives at %q", route, before)
		}
	}
	testkit.Want(t, "the function for an unknown path",
		routedTo(routes, http.MethodGet, "/v1/nothing"), "status")
}

func TestAFunctionAcceptsOnlyTheMethodsOfItsRoutes(t *testing.T) {
	document := readDeployment(t)
	want := map[string][]string{}
	for _, r := range fcRoutes(t, document) {
		for _, method := range r.methods {
			if !slices.Contains(want[r.function], method) {
				want[r.function] = append(want[r.function], method)
			}
		}
	}
	for name, f := range fcFunctions(t, document) {
		http := triggerOf(f, "http")
		if http == nil {
			if want[name] != nil {
				t.Errorf("the domain leads to %s, which has no HTTP trigger", name)
			}
			continue
		}
		got := texts(http["methods"])
		slices.Sort(got)
		slices.Sort(want[name])
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s takes %v, and its routes %v", name, got, want[name])
		}
		// The functions verify the caller themselves: Function Compute's authentication knows no issuer.
		if http["authType"] != "anonymous" || http["disableURLInternet"] != true {
			t.Errorf("%s: its trigger is %v", name, http)
		}
	}
	if slices.Contains(want["oauthcallback"], "OPTIONS") {
		t.Error("the callback accepts preflights, although browsers only navigate to it")
	}
}

func TestTheTimersRunTheCheckAndTheSubscriptions(t *testing.T) {
	schedules := in(readYAML(t, template), "Resources", "ExpiryCheck", "Properties", "Events")
	for name, f := range fcFunctions(t, readDeployment(t)) {
		timers := map[string]any{}
		list, _ := f["triggers"].([]any)
		for _, trigger := range list {
			if in(trigger, "triggerType") == "timer" {
				timers[in(trigger, "triggerName").(string)] = in(trigger, "triggerConfig")
			}
		}
		if name != "expirycheck" {
			testkit.Want(t, "timers of "+name, len(timers), 0)
			continue
		}
		testkit.Want(t, "timers", len(timers), 2)
		// AWS's schedules invoke the same function with the same input.
		for _, same := range []struct{ timer, every, schedule, rate, task string }{
			{"schedule", "@every 15m", "Schedule", "rate(15 minutes)", "expiry-check"},
			{"subscriptions", "@every 1m", "Subscriptions", "rate(1 minute)", "subscriptions"},
		} {
			timer, schedule := timers[same.timer], in(schedules, same.schedule, "Properties")
			input := `{"source":"app.schedule","name":"` + same.task + `"}`
			testkit.Want(t, same.timer+": payload", in(timer, "payload"), any(input))
			testkit.Want(t, same.timer+": input on AWS", in(schedule, "Input"), any(input))
			testkit.Want(t, same.timer+": enabled", in(timer, "enable"), any(true))
			testkit.Want(t, same.timer+": every", in(timer, "cronExpression"), any(same.every))
			testkit.Want(t, same.timer+": on AWS", in(schedule, "ScheduleExpression"), any(same.rate))
		}
	}
}

func TestTheDomainServesOnlyHTTPSWithStrongCiphers(t *testing.T) {
	props := in(readDeployment(t), "resources", "domain", "props")
	if in(props, "protocol") != "HTTPS" || in(props, "tlsConfig", "minVersion") != "TLSv1.2" {
		t.Errorf("it speaks %v from %v", in(props, "protocol"), in(props, "tlsConfig", "minVersion"))
	}
	suites := texts(in(props, "tlsConfig", "cipherSuites"))
	sound := regexp.MustCompile(`^TLS_ECDHE_(RSA|ECDSA)_WITH_(AES_\d+_GCM_SHA\d+|CHACHA20_POLY1305)$`)
	for _, suite := range suites {
		if !sound.MatchString(suite) {
			t.Errorf("it offers %s", suite)
		}
	}
	if len(suites) == 0 {
		t.Error("no cipher suites are listed, so the cloud's defaults with RC4 apply")
	}
}

// The domain has no log. What else could log a request's address is switched off.
func TestD3_NothingOnFunctionComputeLogsAnAddress(t *testing.T) {
	document := readDeployment(t)
	for name, f := range fcFunctions(t, document) {
		logs := f["logConfig"]
		if in(logs, "enableRequestMetrics") != false || in(logs, "project") == nil ||
			in(logs, "logstore") == nil || f["tracingConfig"] != nil {
			t.Errorf("%s: logs are %v, traces %v", name, logs, f["tracingConfig"])
		}
	}
	if waf := in(document, "resources", "domain", "props", "wafConfig"); waf != nil {
		t.Errorf("a firewall that logs each request: %v", waf)
	}
}

// environmentOf returns the variables of a function, which must be strings.
func environmentOf(t *testing.T, name string, f object) map[string]string {
	t.Helper()
	all := map[string]string{}
	for variable, value := range f["environmentVariables"].(object) {
		text, ok := value.(string)
		if !ok {
			t.Errorf("%s: %s is %v, want text", name, variable, value)
		}
		all[variable] = text
	}
	return all
}

func TestTheDeploymentSetsEveryVariable(t *testing.T) {
	env := fcSettings(t)
	env["BINDERY_EVENTS_URL"] = "https://hooks.example.com/bindery"
	env["BINDERY_EVENTS_SECRET"] = "whsec_" + strings.Repeat("QUFB", 8)
	onAWS := map[string]templateFunction{}
	aws := readYAML(t, template)
	for _, f := range functionsOf(t, aws) {
		onAWS[f.folder] = f
	}
	anywhere := map[string]bool{}
	for name, f := range fcFunctions(t, readServerless(t, document(t, "s.yaml"), env)) {
		variables, size := environmentOf(t, name, f), 0
		for variable, value := range variables {
			anywhere[variable] = true
			size += len(variable) + len(value)
		}
		if size > 4096-1024 { // the cloud's limit, less room for a catalogue and a list of hosts
			t.Errorf("%s: its variables have %d bytes", name, size)
		}
		if _, err := config.Read(func(name string) string { return variables[name] }); err != nil {
			t.Errorf("%s can't start: %v", name, err)
		}
		for variable := range variablesOf(aws, onAWS[name]) {
			_, set := variables[variable]
			// Only functions that reach KMS get the prefix.
			if !set && (variable != "BINDERY_SECRET_PREFIX" || variables["BINDERY_KMS_KEY"] != "") &&
				name != "router" {
				t.Errorf("%s: %s is set on AWS and not here", name, variable)
			}
		}
		for variable, want := range map[string]bool{
			"BINDERY_EVENTS_SECRET": postsEvents(name), "BINDERY_FC_URL": name == "router",
		} {
			if _, has := variables[variable]; has != want {
				t.Errorf("%s: has %s: %v", name, variable, has)
			}
		}
	}
	laptops := []string{"PORT", "BINDERY_DATA", "BINDERY_VAULT_KEY"}
	for _, v := range config.Variables() {
		if anywhere[v.Name] == slices.Contains(laptops, v.Name) {
			t.Errorf("%s: set is %v", v.Name, anywhere[v.Name])
		}
		delete(anywhere, v.Name)
	}
	if len(anywhere) != 0 {
		t.Errorf("variables that no code reads: %v", anywhere)
	}
}

// s.yaml is in version control, so every setting of an operator comes from the environment.
func TestNoSecretIsInTheDeployment(t *testing.T) {
	text := document(t, "s.yaml")
	literal := regexp.MustCompile(`(?m)^ +(BINDERY_\w+): (.+)$`)
	found := literal.FindAllStringSubmatch(text, -1)
	if len(found) < 25 {
		t.Fatalf("%d variables were found, which can't be all", len(found))
	}
	for _, line := range found {
		if !ofEnv.MatchString(strings.Trim(line[2], `"`)) && line[2] != `"https://${vars.domain}"` {
			t.Errorf("%s is %s, want the environment's", line[1], line[2])
		}
	}
	for _, word := range []string{"whsec_", "PRIVATE KEY", "LTAI"} {
		if strings.Contains(text, word) {
			t.Errorf("it holds %s…", word)
		}
	}
}
