package trigger

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/trigger/triggertest"
)

// runChild is the main of a function's process under a runtime, with the vendors' loops and the
// adapters as they are deployed.
func runChild() {
	f := Function{HTTP: childHandler()}
	if os.Getenv("CHILD_SCHEDULE") != "" {
		f.Schedule = childTask
	}
	serve, err := adapter(detect(os.Getenv), "aws")
	if err == nil {
		err = serve(context.Background(), Params{}, f, Logger("child"))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// seen is the part of a request that a handler sees.
type seen struct {
	Method, Host, Path, RawPath, Query, URI, Remote, Body, ID string
	Header                                                    http.Header
	Cookies                                                   []string
	Length                                                    int64
}

func childHandler() http.Handler {
	first := make(chan struct{})
	mux := http.NewServeMux()
	look := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := seen{
			r.Method, r.Host, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI, r.RemoteAddr,
			string(body), RequestID(r.Context()), r.Header, nil, r.ContentLength,
		}
		for _, c := range r.Cookies() {
			s.Cookies = append(s.Cookies, c.Name+"="+c.Value)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	}
	mux.HandleFunc("/", look)
	mux.HandleFunc("/reply", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		w.Header().Add("Vary", "Accept")
		for _, cookie := range r.URL.Query()["cookie"] {
			w.Header().Add("Set-Cookie", cookie+"=1; Path=/; Expires=Thu, 19 Nov 2026 10:00:00 GMT")
		}
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // is too late
		_, _ = io.WriteString(w, r.URL.Query().Get("body"))
	})
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "half=done")
		if r.URL.Query().Has("late") {
			_, _ = io.WriteString(w, "half a reply")
		}
		panic("canary-panic")
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, _ = io.WriteString(w, r.Context().Err().Error())
	})
	mux.HandleFunc("/first", func(http.ResponseWriter, *http.Request) { <-first })
	mux.HandleFunc("/second", func(http.ResponseWriter, *http.Request) { close(first) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "//") { // which the mux would answer itself
			look(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func childTask(ctx context.Context, input json.RawMessage) (any, error) {
	switch string(input) {
	case `"fail"`:
		return nil, errors.New("reading canary-error")
	case `"panic"`:
		panic("canary-panic")
	case `"wait"`:
		<-ctx.Done()
		return ctx.Err().Error(), nil
	}
	return map[string]string{"input": string(input), "id": RequestID(ctx)}, nil
}

// start starts a child process; env is added to its environment.
func start(t *testing.T, on triggertest.Runtime, timeout time.Duration, env ...string,
) *triggertest.Process {
	t.Helper()
	return triggertest.Start(t, triggertest.Options{
		On: on, Binary: os.Args[0], Timeout: timeout,
		Env: append(env, "BINDERY_TEST_CHILD=adapter", "GOCOVERDIR="+t.TempDir()),
	})
}

// both runs the test on both clouds' runtimes, or on that of the cloud that the test is built for.
func both(t *testing.T, test func(t *testing.T, on triggertest.Runtime)) {
	t.Helper()
	for name, on := range map[runtime]triggertest.Runtime{
		lambda: triggertest.Lambda(), functionCompute: triggertest.FunctionCompute(),
	} {
		if clouds()[name] != nil {
			t.Run(string(name), func(t *testing.T) { test(t, on) })
		}
	}
}

// event returns a request's event, with the fields that every gateway sends.
func event(method, path, more string) string {
	return fmt.Sprintf(`{"rawPath":%q,"requestContext":{"domainName":"b.example","stage":"$default",`+
		`"requestId":"gateway","timeEpoch":"1693896071895",`+
		`"http":{"method":%q,"path":"/decoded","sourceIp":"192.0.2.7"}}%s}`, path, method, more)
}

// replied is the reply to a request in either cloud's format.
type replied struct {
	StatusCode      int
	Headers         map[string]string
	Cookies         []string
	Body            string
	IsBase64Encoded bool
}

// call sends an event to the process and expects a reply to a request.
func call(t *testing.T, p *triggertest.Process, event string) replied {
	t.Helper()
	text, err := p.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	var reply replied
	if err := json.Unmarshal(text, &reply); err != nil || reply.StatusCode == 0 {
		t.Fatalf("not a reply: %s", text)
	}
	return reply
}

// look calls the handler that reports what it sees of the request.
func look(t *testing.T, p *triggertest.Process, event string) seen {
	t.Helper()
	reply := call(t, p, event)
	var s seen
	if err := json.Unmarshal([]byte(reply.Body), &s); err != nil || reply.StatusCode != 200 ||
		reply.Headers["Content-Type"] != "application/json" {
		t.Fatalf("got %+v", reply)
	}
	return s
}

// lines returns the log's JSON lines that have the message.
func lines(t *testing.T, p *triggertest.Process, message string) (all []map[string]any) {
	t.Helper()
	for text := range strings.Lines(p.Log()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			all = append(all, line)
		}
	}
	return all
}

// silent fails the test if the process's log shows one of the words.
func silent(t *testing.T, p *triggertest.Process, words ...string) {
	t.Helper()
	for _, word := range append(words, "canary-panic", "canary-token", "canary-key-secret") {
		if strings.Contains(p.Log(), word) {
			t.Errorf("the log shows %s", word)
		}
	}
}

func TestARequestIsTheSameOnEveryRuntime(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		s := look(t, p, event("PUT", "/v1/instances/r%2F1/a%20b", `,"body":"{\"a\":1}",`+
			`"headers":{"hOsT":"evil.example","x-list":"a, \"b, c\", d","if-match":"\"1\"",`+
			`"BINDERY-request-id":"forged"}`))
		want := seen{
			Method: "PUT", Host: "b.example", Path: "/v1/instances/r/1/a b",
			RawPath: "/v1/instances/r%2F1/a%20b", URI: "/v1/instances/r%2F1/a%20b",
			Remote: "192.0.2.7:0", Body: `{"a":1}`, ID: s.ID, Length: 7,
		}
		header := s.Header
		s.Header = nil
		if fmt.Sprint(s) != fmt.Sprint(want) || s.ID == "" {
			t.Errorf("got  %+v\nwant %+v", s, want)
		}
		for name, value := range map[string]string{
			"X-List": `a, "b, c", d`, "If-Match": `"1"`, "Host": "", "Bindery-Request-Id": s.ID,
		} {
			if got := header.Get(name); got != value {
				t.Errorf("the header %s is %q, want %q", name, got, value)
			}
		}
		if s := look(t, p, event("GET", "/", `,"body":"AP8=","isBase64Encoded":true`)); s.Length != 2 {
			t.Errorf("of a body in base64 it sees %d bytes, want 2", s.Length)
		}
		text := strings.Replace(event("GET", "//evil.example/v1", ""), "192.0.2.7", "2001:db8::7", 1)
		if s := look(t, p, text); s.Path != "//evil.example/v1" || s.Host != "b.example" ||
			s.Remote != "[2001:db8::7]:0" {
			t.Errorf("two slashes make a host, or an address has no brackets: %+v", s)
		}
	})
}

func TestAMalformedRequestIsRefusedAndDoesNotFailTheFunction(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0, "CHILD_SCHEDULE=1")
		for _, path := range []string{"no-slash", "http://evil.example/", ""} {
			reply := call(t, p, event("GET", path, `,"headers":{"accept-language":"zh"}`))
			var got struct{ Code, Title, RequestID string }
			_ = json.Unmarshal([]byte(reply.Body), &got)
			want := problem.New(problem.RouteUnknown).In(problem.Chinese).Title
			if reply.StatusCode != 404 || got.Code != "route_unknown" || got.Title != want ||
				got.RequestID == "" {
				t.Errorf("%q: got %+v", path, reply)
			}
		}
		for _, broken := range []string{
			event("GET", "/", `,"body":"%","isBase64Encoded":true`),
			event("G T", "/", ""),
			event("GET", "/", `,"headers":{"a":1}`),
			`{"version":"1.0","httpMethod":"GET","requestContext":{"stage":"$default"}}`,
		} {
			reply, err := p.Invoke(t.Context(), []byte(broken))
			var failure *triggertest.Failure
			if !errors.As(err, &failure) {
				t.Errorf("%s: %s, %v", broken, reply, err)
			}
		}
	})
}

// Neither form of the body is decoded, so the handler only learns its length.
func TestD15_ABodyThatIsTooLargeIsNotDecoded(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		const hook = "/v1/hooks/github/1"
		inBase64 := func(length int) string {
			return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), length))
		}
		for _, c := range []struct {
			path, body    string
			base64        bool
			length, canBe int64
		}{
			{"/", strings.Repeat("a", MaxBody), false, MaxBody, MaxBody},
			{"/", strings.Repeat("a", MaxBody+1), false, MaxBody + 1, 0},
			{"/", inBase64(MaxBody), true, MaxBody, MaxBody},
			{"/", inBase64(MaxBody + 1), true, MaxBody + 1, 0},
			{"/", strings.Repeat("%", 4<<20), true, 3 << 20, 0}, // not even base64
			{"/", strings.Repeat("a", 5<<20), false, 5 << 20, 0},
			{hook, strings.Repeat("a", MaxDelivery), false, MaxDelivery, MaxDelivery},
			{hook, strings.Repeat("a", MaxDelivery+1), false, MaxDelivery + 1, 0},
			{hook, inBase64(MaxDelivery), true, MaxDelivery, MaxDelivery},
			{hook, inBase64(MaxDelivery + 1), true, MaxDelivery + 1, 0},
			{"/v1/hooks", strings.Repeat("a", MaxBody+1), false, MaxBody + 1, 0},
			{"/x/v1/hooks/", strings.Repeat("a", MaxBody+1), false, MaxBody + 1, 0},
		} {
			s := look(t, p, event("PUT", c.path, fmt.Sprintf(
				`,"body":%q,"isBase64Encoded":%v`, c.body, c.base64)))
			if s.Length != c.length || int64(len(s.Body)) != c.canBe {
				t.Errorf("%s: of %d bytes, base64 %v, it sees length %d and reads %d; want %d and %d",
					c.path, len(c.body), c.base64, s.Length, len(s.Body), c.length, c.canBe)
			}
		}
	})
}

func TestAReplyIsSentWhole(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		query := `,"rawQueryString":"body=%E4%BD%A0"`
		reply := call(t, p, event("GET", "/reply", query))
		if reply.StatusCode != 418 || reply.Body != "你" || reply.IsBase64Encoded ||
			reply.Headers["Vary"] != "Origin, Accept" || len(reply.Cookies) != 0 {
			t.Errorf("got %+v", reply)
		}
		reply = call(t, p, event("GET", "/reply", `,"rawQueryString":"body=%00%FF"`))
		if reply.Body != "AP8=" || !reply.IsBase64Encoded {
			t.Errorf("bytes are sent as %q, base64 %v", reply.Body, reply.IsBase64Encoded)
		}
		if reply := call(t, p, event("HEAD", "/reply", query)); reply.Body != "" {
			t.Errorf("HEAD is answered with a body: %q", reply.Body)
		}
	})
}

// Browsers then use no plain http for the host. On a port there is no TLS.
func TestEveryReplyOfACloudRequiresTLS(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		for _, path := range []string{"/", "/reply", "/panic", "no-slash"} {
			reply := call(t, p, event("GET", path, ""))
			if got := reply.Headers["Strict-Transport-Security"]; got != "max-age=31536000" {
				t.Errorf("%s: Strict-Transport-Security is %q", path, got)
			}
		}
	})
	address, _ := serve(t, ok("yes"))
	if reply, _ := get(t, address); reply.Header.Get("Strict-Transport-Security") != "" {
		t.Error("on a port it is required too")
	}
}

func TestAPanicBecomesAProblemAndALogLineAndTheProcessContinues(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		for _, query := range []string{"code=canary-token", "late=1&code=canary-token"} {
			reply := call(t, p, event("GET", "/panic", fmt.Sprintf(
				`,"rawQueryString":%q,"headers":{"authorization":"Bearer canary-token"}`, query)))
			var got struct{ Code, RequestID string }
			_ = json.Unmarshal([]byte(reply.Body), &got)
			panics := lines(t, p, "panic")
			if reply.StatusCode != 500 || got.Code != "internal" || got.RequestID == "" ||
				reply.Headers["Content-Type"] != "application/problem+json" ||
				len(reply.Cookies) != 0 || reply.Headers["Set-Cookie"] != "" ||
				strings.Contains(reply.Body, "half") {
				t.Errorf("%s: got %+v", query, reply)
			}
			if len(panics) == 0 || panics[len(panics)-1]["requestId"] != got.RequestID {
				t.Errorf("%s: logged %v", query, panics)
			}
		}
		if got := len(lines(t, p, "panic")); got != 2 {
			t.Errorf("two panics are %d lines", got)
		}
		look(t, p, event("GET", "/", ""))
		silent(t, p)
	})
}

func TestTheDeadlineReachesTheHandler(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 200*time.Millisecond, "CHILD_SCHEDULE=1")
		want := context.DeadlineExceeded.Error()
		if reply := call(t, p, event("GET", "/wait", "")); reply.Body != want {
			t.Errorf("a request ends with %q", reply.Body)
		}
		reply, err := p.Invoke(t.Context(), []byte(`"wait"`))
		if err != nil || !strings.Contains(string(reply), want) {
			t.Errorf("a task ends with %s, %v", reply, err)
		}
	})
}

func TestATaskThatFailsShowsTheErrorOnlyInTheLog(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0, "CHILD_SCHEDULE=1")
		for _, task := range []string{`"fail"`, `"panic"`} {
			_, err := p.Invoke(t.Context(), []byte(task))
			var failure *triggertest.Failure
			if !errors.As(err, &failure) || failure.Message != "the task failed: see the log" ||
				strings.Contains(failure.Posted, "canary") {
				t.Errorf("%s: posted %v", task, err)
			}
		}
		failed, panicked := lines(t, p, "the task failed"), lines(t, p, "panic")
		if len(failed) != 1 || failed[0]["error"] != "reading canary-error" {
			t.Errorf("the failure is logged as %v", failed)
		}
		if len(panicked) != 1 || !strings.Contains(fmt.Sprint(panicked[0]["stack"]), "childTask") {
			t.Errorf("the panic is logged as %v", panicked)
		}
		silent(t, p)
		if _, err := p.Invoke(t.Context(), []byte(`{}`)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestAFunctionWithoutAScheduleRefusesOtherEvents(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0)
		for _, unknown := range []string{`{}`, `{"Records":[{"eventSource":"aws:s3"}]}`, `[1]`, `null`} {
			_, err := p.Invoke(t.Context(), []byte(unknown))
			var failure *triggertest.Failure
			if !errors.As(err, &failure) || !strings.Contains(failure.Message, "requests only") {
				t.Errorf("%s: %v", unknown, err)
			}
		}
		look(t, p, event("GET", "/", ""))
	})
}

// TestD17_ARequestThatLooksLikeATaskIsARequest: a caller chooses the body, the query and the
// headers of a request, and the gateway the rest.
func TestD17_ARequestThatLooksLikeATaskIsARequest(t *testing.T) {
	both(t, func(t *testing.T, on triggertest.Runtime) {
		p := start(t, on, 0, "CHILD_SCHEDULE=1")
		const task = `{"name":"revoke","source":"aws.events","triggerName":"check","payload":"{}"}`
		body, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		more := fmt.Sprintf(`,"body":%s,"rawQueryString":"source=aws.events&triggerName=check",`+
			`"headers":{"x-fc-event":"timer","detail-type":"Scheduled Event"}`, body)
		if s := look(t, p, event("POST", "/", more)); s.Body != task {
			t.Errorf("the handler saw %+v", s)
		}
		// A request in a format that isn't known runs no task either.
		unknown := fmt.Sprintf(`{"requestContext":{"httpMethod":"POST"},"name":"revoke",`+
			`"body":%s}`, body)
		if reply, err := p.Invoke(t.Context(), []byte(unknown)); err == nil {
			t.Errorf("a request in another format is answered with %s", reply)
		}
	})
}

func TestAFunctionEndsOnASignal(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := until(ctx, func() { <-t.Context().Done() }); err != nil {
		t.Errorf("on a signal it ends with %v", err)
	}
	if err := until(t.Context(), func() {}); err == nil {
		t.Error("a loop that ends by itself is no error")
	}
}

// captured are paths that were sent to a real HTTP API, and the rawPath of the events that it made
// of them in July 2026 (hotsock/voker, vokerhttp/testdata). The API refused a path without one.
var captured = []struct{ sent, raw string }{
	{"/capture/plain", "/capture/plain"},
	{"/capture/space%20value", "/capture/space value"},
	{"/capture/question%3Fvalue", "/capture/question"},
	{"/capture/percent%25done", ""},
	{"/capture/hash%23value", "/capture/hash#value"},
	{"/capture/slash%2Fvalue", "/capture/slash/value"},
	{"/capture/unicode-%CE%BB-%E4%B8%96%E7%95%8C", "/capture/unicode-λ-世界"},
	{"/capture/literal%252Fvalue", "/capture/literal/value"},
	{"/capture/literal%253Fvalue", "/capture/literal?value"},
	{"/capture/literal%2525value", "/capture/literal%value"},
}

// rawEvent returns a request's event with the fields that say how its path is encoded.
func rawEvent(t *testing.T, raw, decoded string, more map[string]any) string {
	t.Helper()
	event := map[string]any{
		"rawPath": raw,
		"requestContext": map[string]any{
			"stage": "$default", "domainName": "b.example",
			"http": map[string]any{"method": "GET", "path": decoded, "sourceIp": "192.0.2.7"},
		},
	}
	for name, value := range more {
		event[name] = value
	}
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
