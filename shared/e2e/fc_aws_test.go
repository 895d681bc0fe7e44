package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/trigger/triggertest"
)

// onAWSsStores is s.yaml as the guide has it changed for AWS's stores.
func onAWSsStores(t *testing.T) string {
	t.Helper()
	var parts []string
	for _, f := range fences(document(t, fcGuide)) {
		if f.language == "yaml" {
			parts = append(parts, f.body)
		}
	}
	if len(parts) != 2 {
		t.Fatalf("the guide has %d blocks of YAML, want the keys and status", len(parts))
	}
	text := document(t, "s.yaml")
	for _, change := range []struct{ old, replacement string }{
		{`(?m)^    BINDERY_TABLESTORE_.*\n`, ""},
		{`(?m)(^    BINDERY_KMS_.*\n)+`, parts[0]},
		{`(?m)(^      role: .*-status\n)      environmentVariables: \*environment\n`, "$1" + parts[1]},
	} {
		old := regexp.MustCompile(change.old)
		if !old.MatchString(text) {
			t.Fatalf("s.yaml has no %s any more", change.old)
		}
		// A $ that isn't a group's is doubled in a replacement.
		replacement := strings.ReplaceAll(change.replacement, "${", "$${")
		text = old.ReplaceAllString(text, replacement)
	}
	return text
}

// startOnFC starts a function's binary with the environment that the deployment gives it, and more.
func startOnFC(t *testing.T, folder, name string, f object, more ...string) *triggertest.Process {
	t.Helper()
	variables := slices.Clone(more)
	for variable, value := range environmentOf(t, name, f) {
		variables = append(variables, variable+"="+value)
	}
	return triggertest.Start(t, triggertest.Options{
		On: triggertest.FunctionCompute(), Binary: filepath.Join(folder, name), Env: variables,
	})
}

func TestTheFunctionsRunOnFunctionComputeWithAWSsStores(t *testing.T) {
	folder := kept.functions(t, forAWS)
	if tags := "-tags " + forAWS + ",lambda.norpc "; !strings.Contains(document(t, fcGuide), tags) {
		t.Errorf("the guide doesn't build with %s", tags)
	}
	var asked atomic.Value
	dynamo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("X-Amz-Target"))
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(dynamo.Close)

	env := fcSettings(t)
	for _, name := range []string{
		"BINDERY_TABLESTORE_INSTANCE", "BINDERY_KMS_INSTANCE", "BINDERY_KMS_KEY", "BINDERY_ACR_ACCOUNT",
	} {
		delete(env, name)
	}
	env["BINDERY_INSTANCES"] = `{"acme":[{"type":"enterprise","region":"a","id":"b","name":"c"}]}`
	env["AWS_REGION"], env["AWS_ACCESS_KEY_ID"] = "ap-test-1", "id"
	env["AWS_SECRET_ACCESS_KEY"] = "key"
	functions := fcFunctions(t, readServerless(t, onAWSsStores(t), env))
	for _, name := range []string{"router", "console"} {
		if _, has := environmentOf(t, name, functions[name])["AWS_SECRET_ACCESS_KEY"]; has {
			t.Errorf("%s has AWS's key, and keeps nothing there", name)
		}
	}
	endpoint := "AWS_ENDPOINT_URL_DYNAMODB=" + dynamo.URL
	for _, c := range []struct {
		function, path, location string
		status                   int
	}{
		{"status", "/healthz", "", http.StatusNoContent},
		{"status", "/v1/bindings", "", http.StatusUnauthorized},
		{
			"oauthstart", "/v1/authorizations/" + strings.Repeat("0", 32) + "/start",
			"https://bindery.example.com/#problem=authorization_unknown", http.StatusSeeOther,
		},
	} {
		p := startOnFC(t, folder, c.function, functions[c.function], endpoint)
		if _, err := p.Ready(t.Context()); err != nil {
			t.Fatalf("%s doesn't start: %v: %s", c.function, err, p.Log())
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			"https://bindery.example.com"+c.path, http.NoBody)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s: %d %v, want %d: %s", c.path, w.Code, w.Header(), c.status, p.Log())
		}
	}
	if asked.Load() != "DynamoDB_20120810.GetItem" {
		t.Errorf("the attempt was looked up by %v", asked.Load())
	}
	// The registry's own list needs Alibaba Cloud's client.
	env["BINDERY_INSTANCES"], env["BINDERY_ACR_ACCOUNT"] = "acr", "acme"
	functions = fcFunctions(t, readServerless(t, onAWSsStores(t), env))
	p := startOnFC(t, folder, "status", functions["status"], endpoint)
	if _, err := p.Ready(t.Context()); err == nil ||
		!strings.Contains(p.Log(), "BINDERY_INSTANCES") {
		t.Errorf("with acr it starts, or says only: %s", p.Log())
	}
}
