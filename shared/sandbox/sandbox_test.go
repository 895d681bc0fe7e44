package sandbox_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/secret"
)

// clock is the time in these tests.
var clock = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// open serves a sandbox on a socket and returns its origin.
func open(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	o.URL, o.Random = "http://"+server.Listener.Addr().String(), rand.Reader
	if o.Now == nil {
		o.Now = func() time.Time { return clock }
	}
	s := sandbox.New(o)
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(s.Close)
	return s, o.URL
}

// answer is a reply that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// field returns a field of a JSON object, or of the first object of a list.
func (a answer) field(t *testing.T, name string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("not JSON, with status %d", a.status)
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	o, _ := v.(map[string]any)
	return o[name]
}

// header is a header of a request.
type header struct{ name, value string }

func privateToken(token secret.Text) header  { return header{"Private-Token", token.Reveal()} }
func privateText(token string) header        { return header{"Private-Token", token} }
func yunxiaoToken(token string) header       { return header{"X-Yunxiao-Token", token} }
func contentType(kind string) header         { return header{"Content-Type", kind} }
func noBody(method, address string) *request { return &request{method: method, address: address} }

// request is a request for call.
type request struct {
	method, address, body string
}

// call sends a request and reads the whole reply. It follows no redirect.
func call(t *testing.T, in *request, headers ...header) answer {
	t.Helper()
	r, err := http.NewRequest(in.method, in.address, strings.NewReader(in.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	a, err := try(r)
	if err != nil {
		t.Fatalf("%s %s: %v", in.method, in.address, err)
	}
	return a
}

// try sends a request and reads the whole reply. It follows no redirect.
func try(r *http.Request) (answer, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// get sends the request that most tests send, with a valid token.
func get(t *testing.T, origin string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/api/v4/user", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Private-Token", "glpat-sandbox-alice-good")
	return try(r)
}

func TestFaultsAnswer(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	for _, c := range []struct {
		kind   sandbox.FaultKind
		status int
		header string
		value  string
	}{
		{sandbox.FaultNone, 200, "Content-Type", "application/json"},
		{sandbox.Fault500, 500, "Retry-After", ""},
		{sandbox.Fault503, 503, "Retry-After", "30"},
		{sandbox.Fault429, 429, "Retry-After", "30"},
		{sandbox.FaultRateLimit, 403, "X-RateLimit-Remaining", "0"},
		{sandbox.FaultHTML, 200, "Content-Type", "text/html; charset=utf-8"},
		{sandbox.FaultEmpty, 200, "Content-Length", "0"},
		{sandbox.FaultRedirect, 307, "Location", "/sandbox/redirected/gitlab"},
	} {
		s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: c.kind})
		got, err := get(t, origin)
		if err != nil || got.status != c.status || got.header.Get(c.header) != c.value {
			t.Errorf("%s: got %d, %s %q, %v; want %d, %q", c.kind, got.status,
				c.header, got.header.Get(c.header), err, c.status, c.value)
		}
	}
}

func TestFaultsBreakTheConnection(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultDrop})
	if _, err := get(t, origin); err == nil {
		t.Error("drop: got a reply")
	}
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultCut})
	got, err := get(t, origin)
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.status != 200 || got.body == "" {
		t.Errorf("cut: got %d, %d bytes, %v; want 200, some, unexpected EOF",
			got.status, len(got.body), err)
	}
	for i, want := range []int{0, 200} {
		if r := s.Requests()[i]; r.Status != want {
			t.Errorf("logged status: got %d, want %d", r.Status, want)
		}
	}
}

func TestFaultHugeDoesNotEndByItself(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultHuge})
	response, err := http.Get(origin + "/api/v4/user")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if n, err := io.CopyN(io.Discard, response.Body, 20<<20); err != nil {
		t.Errorf("got %d bytes, %v; want 20 MB", n, err)
	}
}

func TestFaultLatencyEndsWhenTheCallerHangsUpOrTheSandboxCloses(t *testing.T) {
	arrived := make(chan sandbox.Request, 2)
	s, origin := open(t, sandbox.Options{OnRequest: func(r sandbox.Request) { arrived <- r }})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultLatency, Latency: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	send := func(ctx context.Context) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/api/v4/user", nil)
		if err == nil {
			_, err = try(r)
		}
		errs <- err
	}
	go send(ctx)
	if r := <-arrived; r.Platform != sandbox.GitLab {
		t.Errorf("got %q, want gitlab", r.Platform)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("hung up: got %v, want canceled", err)
	}
	go send(t.Context())
	<-arrived
	s.Close()
	if err := <-errs; err == nil {
		t.Error("closed: got a reply")
	}
}

func TestFaultAffectsTimesRequestsOfItsPath(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.Fault500, Times: 2, Path: "/user"})
	if got := call(t, noBody("GET", origin+"/api/v4/projects")); got.status != 401 {
		t.Errorf("another path: got %d, want 401", got.status)
	}
	for i, want := range []int{500, 500, 200} {
		if got, err := get(t, origin); err != nil || got.status != want {
			t.Errorf("request %d: got %d, %v; want %d", i+1, got.status, err, want)
		}
	}
	if got := s.Fault(sandbox.GitLab).Kind; got != sandbox.FaultNone {
		t.Errorf("got %q, want none", got)
	}
}

func TestFaultAfterTheWorkLosesOnlyTheReply(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{sandbox.FaultDrop, sandbox.Fault500} {
		s, origin := open(t, sandbox.Options{})
		s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: kind, Times: 1, After: true})
		self := origin + "/api/v4/personal_access_tokens/self"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, self, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Private-Token", "glpat-sandbox-alice-good")
		if got, err := try(r); err == nil && got.status != 500 {
			t.Errorf("%s: got %d, want a failure", kind, got.status)
		}
		if got, err := get(t, origin); err != nil || got.status != 401 {
			t.Errorf("%s: afterwards got %d, %v; want 401", kind, got.status, err)
		}
	}
}

func TestLatencyAfterTheWorkStillAnswers(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{
		Kind: sandbox.FaultLatency, Latency: time.Millisecond, After: true,
	})
	if got, err := get(t, origin); err != nil || got.field(t, "username") != "alice" {
		t.Errorf("got %d, %v; want alice", got.status, err)
	}
}

func TestRedirectLogsWhetherACredentialFollowed(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultRedirect})
	r, err := http.NewRequest(http.MethodGet, origin+"/api/v4/user", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Private-Token", "glpat-sandbox-alice-good")
	// which follows redirects, as a client of a platform must not
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	all := s.Requests()
	last := all[len(all)-1]
	if len(all) != 2 || last.Path != "/sandbox/redirected/gitlab" || !last.HasCredential {
		t.Errorf("got %+v, want the credential at the redirect's end", all)
	}
}

func TestLogHoldsNoSecret(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	call(t, noBody("GET", origin+"/api/v4/user?private_token=canary-1"))
	call(t, noBody("GET", origin+"/api/v4/user"), privateText("canary-2"))
	call(t, &request{"POST", origin + "/api/v4/x", "refresh_token=canary-3"})
	call(t, noBody("GET", origin+"/api/v4/user"))
	if got := fmt.Sprintf("%+v", s.Requests()); strings.Contains(got, "canary") {
		t.Error("a secret is in the log")
	}
	for i, want := range []bool{true, true, true, false} {
		if got := s.Requests()[i].HasCredential; got != want {
			t.Errorf("request %d: credential %v, want %v", i+1, got, want)
		}
	}
	if got := s.Count(sandbox.GitLab); got != 4 {
		t.Errorf("counted %d, want 4", got)
	}
	s.ResetLog()
	if len(s.Requests()) != 0 || s.Count(sandbox.GitLab) != 0 {
		t.Error("the log was not reset")
	}
}

func TestPageSaysThatItIsASandbox(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	for _, path := range []string{"/", "/sandbox/"} {
		got := call(t, noBody("GET", origin+path))
		for _, want := range []string{
			"SANDBOX", "沙箱", "glpat-sandbox-alice-good", "pt-sandbox-minimal",
			`value="rate-limit"`, codeup.AllowList,
		} {
			if got.status != 200 || !strings.Contains(got.body, want) {
				t.Errorf("%s: got %d, want a page with %q", path, got.status, want)
			}
		}
	}
	if got := call(t, noBody("GET", origin+"/sandbox/style.css")); got.status != 200 {
		t.Errorf("style: got %d, want 200", got.status)
	}
	for _, sample := range s.Samples() {
		if sample.Title.Chinese == "" || sample.Title.English == "" ||
			sample.Expect.Chinese == "" || sample.Expect.English == "" {
			t.Errorf("sample %+v lacks words", sample)
		}
	}
}

func TestFaultsAndSwitchesBySocket(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	form := contentType("application/x-www-form-urlencoded")
	asJSON := contentType("application/json")
	post := func(path, body string, headers ...header) int {
		return call(t, &request{"POST", origin + path, body}, headers...).status
	}
	got := post("/sandbox/faults", "platform=codeup&fault=500&times=3", form)
	if f := s.Fault(sandbox.Codeup); got != 303 || f.Kind != sandbox.Fault500 || f.Times != 3 {
		t.Errorf("form: got %d, %+v", got, f)
	}
	got = post("/sandbox/faults",
		`{"platform":"gitlab","fault":"drop","times":1,"after":true,"path":"/user"}`, asJSON)
	f := s.Fault(sandbox.GitLab)
	if got != 204 || f.Kind != sandbox.FaultDrop || f.Times != 1 || !f.After || f.Path != "/user" {
		t.Errorf("JSON: got %d, %+v", got, f)
	}
	got = post("/sandbox/faults", "platform=codeup&fault=latency&latency=20ms", form)
	if f := s.Fault(sandbox.Codeup); got != 303 || f.Latency != 20*time.Millisecond {
		t.Errorf("latency: got %d, %+v", got, f)
	}
	got = post("/sandbox/switches",
		`{"platform":"gitlab","switch":"version-15.4","on":true}`, asJSON)
	if got != 204 {
		t.Errorf("switch: got %d, want 204", got)
	}
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultNone})
	self := origin + "/api/v4/personal_access_tokens/self"
	old := call(t, noBody("GET", self), privateText("glpat-sandbox-alice-good"))
	if old.status != 401 {
		t.Errorf("after the switch: got %d, want 401", old.status)
	}
	for _, body := range []string{
		`{"platform":"nowhere","fault":"500"}`, `{"platform":"gitlab","fault":"odd"}`, `[`,
		`{"platform":"gitlab","fault":"500","times":"x"}`,
	} {
		if got := post("/sandbox/faults", body, asJSON); got != 400 {
			t.Errorf("%s: got %d, want 400", body, got)
		}
	}
	if got := post("/sandbox/switches", "platform=gitlab&switch=odd", form); got != 400 {
		t.Errorf("unknown switch: got %d, want 400", got)
	}
	cross := header{"Sec-Fetch-Site", "cross-site"}
	if got := post("/sandbox/faults", "platform=codeup&fault=none", form, cross); got != 403 {
		t.Errorf("from another site: got %d, want 403", got)
	}
	if got := call(t, noBody("GET", origin+"/nothing-here")); got.status != 404 {
		t.Errorf("unknown path: got %d, want 404", got.status)
	}
}

func TestGitLabPagesForABrowserLeadToTheSandboxPage(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	for _, path := range []string{
		"/gitlab", "/gitlab/", "/gitlab/-/profile", "/-/profile",
	} {
		got := call(t, noBody("GET", origin+path))
		if got.status != 303 || got.header.Get("Location") != "/sandbox/#gitlab" {
			t.Errorf("%s: got %d to %q", path, got.status, got.header.Get("Location"))
		}
	}
}
