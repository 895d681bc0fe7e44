package dispatch_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/alibabacloud/acs3test"
	"bindery/shared/dispatch"
	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/trigger"
)

var invocations = regexp.MustCompile(`^/2023-03-30/functions/([a-z-]+)/invocations$`)

// functionCompute is a fake API of Function Compute.
type functionCompute struct {
	gate *acs3test.Gate
	// answer replies to an invocation of the function with the event.
	answer func(w http.ResponseWriter, function string, event []byte)

	mu      sync.Mutex // guards the fields below
	invoked []string
}

func (f *functionCompute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if no := f.gate.Check(r, event); no != nil {
		w.WriteHeader(no.Status)
		_ = json.NewEncoder(w).Encode(map[string]string{"Code": no.Code, "Message": no.Message})
		return
	}
	name := invocations.FindStringSubmatch(r.URL.Path)[1]
	if r.Header.Get("X-Fc-Invocation-Type") != "Sync" || r.Header.Get("X-Fc-Log-Type") != "None" {
		name += " in another way"
	}
	f.mu.Lock()
	f.invoked = append(f.invoked, name)
	f.mu.Unlock()
	f.answer(w, name, event)
}

// taken returns the functions that were invoked since the last call.
func (f *functionCompute) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.invoked
	f.invoked = nil
	return all
}

// fixture is a dispatcher in front of a fake API, with its log.
type fixture struct {
	api         *functionCompute
	url         string
	log         *testkit.Log
	credentials *alibabacloud.InvocationCredentials
}

func start(t *testing.T, answer func(http.ResponseWriter, string, []byte)) *fixture {
	t.Helper()
	api := &functionCompute{gate: acs3test.New("2023-03-30", "id", "key", "token"), answer: answer}
	api.gate.Path = invocations
	service := httptest.NewServer(api)
	t.Cleanup(service.Close)
	w := &fixture{api: api, log: &testkit.Log{}, credentials: &alibabacloud.InvocationCredentials{}}
	env := map[string]string{
		"FC_REGION": "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "key", "ALIBABA_CLOUD_SECURITY_TOKEN": "token",
	}
	environment, err := alibabacloud.Read(func(name string) string { return env[name] }, w.credentials)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(dispatch.Options{
		Environment: environment, Account: "1234567890123456", Own: "bindery-router",
		Endpoint: service.URL, Console: "https://console.example", Now: time.Now,
		Log: w.log.Logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// ask sends a request and follows no redirect.
func (w *fixture) ask(t *testing.T, method, path, body string, headers ...string) (
	*http.Response, string,
) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestEachRequestReachesItsFunction(t *testing.T) {
	w := start(t, func(w http.ResponseWriter, _ string, _ []byte) {
		_, _ = io.WriteString(w, `{"statusCode":200,"headers":{},"body":"{}"}`)
	})
	const binding = "/v1/instances/cn-hangzhou/cri%2F1/bindings/github"
	for _, c := range []struct{ method, path, want string }{
		{"PUT", binding, "tokenbind"},
		{"DELETE", binding + "?revoke=true", "unbind"},
		{"POST", binding + "/credential", "credential"},
		{"GET", binding + "/repositories?search=a", "repository"},
		{"GET", binding + "/repositories/a/commits/heads/a%2Fb%25", "repository"},
		{"POST", binding + "/check", "expirycheck"},
		{"GET", binding + "/history?cursor=1", "status"},
		{"GET", "/v1/instances/cn-hangzhou/cri%2F1/bindings", "status"},
		{"GET", "/v1/authorizations/0a/start", "oauthstart"},
		{"GET", "/v1/authorizations/0a", "oauthconfirm"},
		{"POST", "/v1/authorizations/0a/confirm", "oauthconfirm"},
		// Routes that no function has; one function answers this as the API does.
		{"POST", binding, "status"},
		{"GET", "/v1/authorizations/0a/end", "status"},
		{"OPTIONS", binding + "/credential", "status"},
	} {
		response, _ := w.ask(t, c.method, c.path, "")
		if got := strings.Join(w.api.taken(), ", "); got != "bindery-"+c.want ||
			response.StatusCode != http.StatusOK {
			t.Errorf("%s %s: invoked are %q, want %s, with %d",
				c.method, c.path, got, c.want, response.StatusCode)
		}
	}
}

func TestTheFunctionGetsTheEventAndTheClientItsReply(t *testing.T) {
	binary := string([]byte{0xff, 0x00, 0x01})
	var event struct {
		Version, RawPath, Body   string
		IsBase64Encoded          bool
		Headers, QueryParameters map[string]string
		RequestContext           struct {
			DomainName string
			HTTP       struct{ Method, SourceIP string }
		}
	}
	w := start(t, func(w http.ResponseWriter, _ string, body []byte) {
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"statusCode": 302, "isBase64Encoded": true,
			"headers": map[string]string{"Location": "https://a/?b=c,d", "Set-Cookie": "e=f; Secure"},
			"body":    base64.StdEncoding.EncodeToString([]byte(binary)),
		})
	})
	const path = "/v1/instances/a%20b/cri%2F1/bindings/gitlab"
	response, text := w.ask(t, "PUT", path+"?revoke=a%2Cb", binary,
		"Authorization", "Bearer x, y", "Bindery-Request-Id", "forged")
	if event.Version != "v1" || event.RawPath != path ||
		event.QueryParameters["revoke"] != "a,b" || event.Headers["Authorization"] != "Bearer x, y" {
		t.Errorf("the event is %+v", event)
	}
	if event.RequestContext.HTTP.Method != "PUT" ||
		event.RequestContext.HTTP.SourceIP != "127.0.0.1" ||
		event.RequestContext.DomainName != strings.TrimPrefix(w.url, "http://") {
		t.Errorf("the event is about %+v", event.RequestContext)
	}
	body, err := base64.StdEncoding.DecodeString(event.Body)
	if err != nil || !event.IsBase64Encoded || string(body) != binary {
		t.Errorf("the event's body is %q: %v", event.Body, err)
	}
	if _, forged := event.Headers["Bindery-Request-Id"]; forged {
		t.Error("the event has a request id, which the function must set")
	}
	if response.StatusCode != 302 || response.Header.Get("Location") != "https://a/?b=c,d" ||
		response.Header.Get("Set-Cookie") != "e=f; Secure" || text != binary {
		t.Errorf("the reply is %d %v %q", response.StatusCode, response.Header, text)
	}
}

func TestAFailedFunctionIsAProblemAndALogLineThatQuotesNothing(t *testing.T) {
	const canary = "CANARY-0f1e2d3c"
	for what, answer := range map[string]func(http.ResponseWriter, string, []byte){
		"it failed": func(w http.ResponseWriter, _ string, _ []byte) {
			w.Header().Set("X-Fc-Error-Type", "UnhandledInvocationError")
			_, _ = io.WriteString(w, `{"errorMessage":"`+canary+`"}`)
		},
		"403 AccessDenied": func(w http.ResponseWriter, _ string, _ []byte) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"Code":"AccessDenied","Message":"`+canary+`"}`)
		},
		"502": func(w http.ResponseWriter, _ string, _ []byte) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `{"Code":"<b>`+canary+`</b>"}`)
		},
		"not a reply": func(w http.ResponseWriter, _ string, _ []byte) {
			_, _ = io.WriteString(w, `{"body":"`+canary+`"}`)
		},
		"asking Function Compute": func(http.ResponseWriter, string, []byte) {
			panic(http.ErrAbortHandler)
		},
		"too large": func(w http.ResponseWriter, _ string, _ []byte) {
			for range 7 << 10 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<10))
			}
		},
	} {
		w := start(t, answer)
		response, text := w.ask(t, "POST",
			"/v1/instances/a/b/bindings/github/credential?q="+canary, `{"token":"`+canary+`"}`,
			"Authorization", "Bearer "+canary, "Accept-Language", "zh-CN",
			"Origin", "https://console.example")
		var problem struct{ Code, Remedy string }
		if err := json.Unmarshal([]byte(text), &problem); err != nil ||
			response.StatusCode != http.StatusInternalServerError || problem.Code != "internal" {
			t.Errorf("%s: got %d %q", what, response.StatusCode, text)
		}
		if got := response.Header.Get("Access-Control-Allow-Origin"); got != "https://console.example" {
			t.Errorf("%s: the page may not read it: allowed is %q", what, got)
		}
		log := w.log.String()
		if !strings.Contains(log, what) || !strings.Contains(log, "bindery-credential") {
			t.Errorf("%s: the log says %s", what, log)
		}
		if strings.Contains(log+text, canary) || strings.Contains(log, "token") {
			t.Errorf("%s: the log or the reply quotes", what)
		}
		if times := len(w.api.taken()); times != 1 {
			t.Errorf("%s: invoked %d times, want once: the first may have done its work",
				what, times)
		}
	}
}

func TestD15_ABodyThatIsTooLargeInvokesNothingAndRaisesNoAlarm(t *testing.T) {
	w := start(t, func(w http.ResponseWriter, _ string, _ []byte) {
		_, _ = io.WriteString(w, `{"statusCode":204}`)
	})
	const path = "/v1/instances/a/b/bindings/github"
	response, text := w.ask(t, "PUT", path, strings.Repeat("a", trigger.MaxBody+1),
		"Origin", "https://console.example")
	if response.StatusCode != http.StatusRequestEntityTooLarge ||
		!strings.Contains(text, `"body_too_large"`) || !strings.Contains(text, "65536") {
		t.Errorf("got %d %q", response.StatusCode, text)
	}
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != "https://console.example" {
		t.Errorf("the page may not read it: allowed is %q", got)
	}
	if invoked := w.api.taken(); len(invoked) != 0 {
		t.Errorf("invoked are %q", invoked)
	}
	if log := w.log.String(); !strings.Contains(log, `"level":"INFO"`) ||
		strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("logged as %s", log)
	}
	response, _ = w.ask(t, "PUT", path, strings.Repeat("a", trigger.MaxBody))
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("with the largest body: got %d", response.StatusCode)
	}
}

func TestWithoutCapacityTheReplyHasRetryAfter(t *testing.T) {
	w := start(t, func(w http.ResponseWriter, _ string, _ []byte) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"Code":"ResourceExhausted"}`)
	})
	response, text := w.ask(t, "POST", "/v1/instances/a/b/bindings/github/credential", "")
	if response.StatusCode != http.StatusServiceUnavailable ||
		response.Header.Get("Retry-After") != "1" || !strings.Contains(text, `"overloaded"`) {
		t.Errorf("got %d %v %q", response.StatusCode, response.Header, text)
	}
}

func TestOnlyTheConsoleMayReadAFailure(t *testing.T) {
	w := start(t, func(w http.ResponseWriter, _ string, _ []byte) { w.WriteHeader(502) })
	response, _ := w.ask(t, "GET", "/v1/authorizations/0a", "", "Origin", "https://evil.example")
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("another origin may read it: allowed is %q", got)
	}
}

func TestRequestsAreSignedWithTheNewestCredentials(t *testing.T) {
	w := start(t, func(w http.ResponseWriter, _ string, _ []byte) {
		_, _ = io.WriteString(w, `{"statusCode":204}`)
	})
	w.api.gate.SetCredentials("next", "other", "newer")
	if response, _ := w.ask(t, "GET", "/v1/authorizations/0a", ""); response.StatusCode != 500 {
		t.Errorf("with old credentials: got %d", response.StatusCode)
	}
	w.credentials.Set(alibabacloud.Credentials{
		ID: "next", Key: secret.New("other"), Token: secret.New("newer"),
	})
	if response, _ := w.ask(t, "GET", "/v1/authorizations/0a", ""); response.StatusCode != 204 {
		t.Errorf("with the newest: got %d", response.StatusCode)
	}
}

func TestOutsideFunctionComputeNewNamesTheMissingVariables(t *testing.T) {
	for _, o := range []dispatch.Options{
		{Account: "", Own: "bindery-router"},
		{Account: "1", Own: ""},
		{Account: "1", Own: "bindery-status"},
	} {
		if d, err := dispatch.New(o); d != nil || err == nil ||
			!strings.Contains(err.Error(), "FC_ACCOUNT_ID") {
			t.Errorf("%+v: got error %v, want one that names the variables", o, err)
		}
	}
	if _, err := dispatch.New(dispatch.Options{
		Account: "1", Own: "router", Endpoint: "ftp://example.com",
	}); err == nil {
		t.Error("an endpoint that isn't an origin is accepted")
	}
}
