package trigger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
)

// serve runs h on a free port until the test ends.
func serve(t *testing.T, h http.Handler) (address string, log *output) {
	t.Helper()
	listener, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	log = newOutput()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, Function{HTTP: h}, newLogger(log, "status")) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), log
}

func TestAPortInUseSaysHowToChooseAnother(t *testing.T) {
	taken, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	number := taken.Addr().(*net.TCPAddr).Port
	_, err = Listen(t.Context(), number)
	want := fmt.Sprintf("port %d is in use: set PORT= to another one, or PORT=0 for any that is free",
		number)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Listen(t.Context(), 1<<16); err == nil {
		t.Error("a port that doesn't exist is listened on")
	}
}

func TestRequestsInProgressFinishBeforeTheFunctionEnds(t *testing.T) {
	listener, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, Function{
			HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				<-release
				_, _ = fmt.Fprint(w, r.Context().Err())
			}),
		}, newLogger(io.Discard, ""))
	}()
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, listener.Addr().String())
		answer <- body
	}()
	<-begun
	stop()
	// From here on the function accepts no new requests.
	for {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		connection.Close()
	}
	close(release)
	if got := <-answer; got != "<nil>" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAFunctionWithoutAnHTTPHandlerIsNotServed(t *testing.T) {
	listener, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(t.Context(), listener, Function{}, newLogger(io.Discard, ""))
	if err == nil || !strings.Contains(err.Error(), "schedule") {
		t.Errorf("got %v", err)
	}
	closed := Serve(t.Context(), listener, Function{HTTP: ok("")}, newLogger(io.Discard, ""))
	if !errors.Is(closed, net.ErrClosed) {
		t.Errorf("a listener that is closed: %v", closed)
	}
}

func TestAHeaderLongerThanTheLimitIsRefused(t *testing.T) {
	address, _ := serve(t, ok("yes"))
	reply, _ := get(t, address, "X", strings.Repeat("x", 12<<10))
	if reply.StatusCode != http.StatusOK {
		t.Errorf("12 KB: status %d", reply.StatusCode)
	}
	reply, _ = get(t, address, "X", strings.Repeat("x", 40<<10))
	if reply.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("40 KB: status %d", reply.StatusCode)
	}
}

func TestEveryRequestHasAnIDThatTheServerMade(t *testing.T) {
	log := newOutput()
	logger := newLogger(log, "status")
	address, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "asked")
		_, _ = fmt.Fprintln(w, r.Header.Values(problem.RequestIDHeader), RequestID(r.Context()))
	}))
	seen := map[string]bool{}
	for range 3 {
		_, body := get(t, address, problem.RequestIDHeader, "forged", "bindery-request-id", "forged")
		var inHeader, inContext string
		if _, err := fmt.Sscanf(body, "[%s %s", &inHeader, &inContext); err != nil {
			t.Fatal(err)
		}
		inHeader = strings.TrimSuffix(inHeader, "]")
		if inHeader != inContext || len(inHeader) < 20 || seen[inHeader] {
			t.Errorf("the id is %q in the header and %q in the context", inHeader, inContext)
		}
		seen[inHeader] = true
		var line map[string]any
		if err := json.Unmarshal([]byte(<-log.lines), &line); err != nil {
			t.Fatal(err)
		}
		if line["requestId"] != inHeader || line["function"] != "status" ||
			line["level"] != "INFO" || line["msg"] != "asked" || len(line) != 5 {
			t.Errorf("logged as %v", line)
		}
		if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"])); err != nil {
			t.Error(err)
		}
	}
	if RequestID(t.Context()) != "" {
		t.Error("there is an id outside of a request")
	}
}

func TestALogLineInAGroupKeepsTheID(t *testing.T) {
	log := newOutput()
	ctx := WithRequestID(t.Context(), "run-1")
	newLogger(log, "expirycheck").WithGroup("g").With("a", 1).InfoContext(ctx, "swept")
	if !strings.Contains(log.String(), `"requestId":"run-1"`) {
		t.Errorf("logged as %s", log)
	}
}

type secretive struct{ token string }

func TestAPanicBecomesAReplyAndALogLineAndTheServerContinues(t *testing.T) {
	causes := []any{nil, secretive{"canary-value"}, errors.New("canary-value"), "canary-value"}
	address, log := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "half=done")
		w.Header().Set("Access-Control-Allow-Origin", "https://c.example")
		var which int
		_, _ = fmt.Sscan(r.Header.Get("Which"), &which)
		if causes[which] != nil {
			panic(causes[which])
		}
		_, _ = io.WriteString(w, r.URL.RawQuery[1000:])
	}))
	log.address(t)
	for i, c := range []struct{ kind, language string }{
		{"runtime.boundsError", "en-GB,zh;q=0.1"},
		{"trigger.secretive", ""},
		{"*errors.errorString", "zh-CN"},
		{"string", "z"},
	} {
		reply, body := get(t, address, "Which", fmt.Sprint(i), "Accept-Language", c.language,
			"Authorization", "Bearer canary-header")
		var got struct {
			Type, Title, Detail, Code, Remedy, RequestID string
			Status                                       int
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("the reply isn't JSON: %q", body)
		}
		language := problem.English
		if c.language == "zh-CN" {
			language = problem.Chinese
		}
		want := problem.New(problem.Internal).In(language)
		if reply.StatusCode != http.StatusInternalServerError || got.Status != reply.StatusCode ||
			reply.Header.Get("Content-Type") != "application/problem+json" ||
			got.Code != string(problem.Internal) || got.Type != "urn:bindery:problem:internal" ||
			got.Title != want.Title || got.Detail != want.Detail || got.Remedy != want.Remedy {
			t.Errorf("panic(%s): status %d, %s", c.kind, reply.StatusCode, body)
		}
		if reply.Header.Get("Set-Cookie") != "" ||
			reply.Header.Get("Access-Control-Allow-Origin") != "https://c.example" {
			t.Errorf("panic(%s): the reply's header is %v", c.kind, reply.Header)
		}
		var line struct{ Level, Msg, Type, Stack, RequestID string }
		if err := json.Unmarshal([]byte(<-log.lines), &line); err != nil {
			t.Fatal(err)
		}
		if line.Level != "ERROR" || line.Type != c.kind || line.RequestID != got.RequestID ||
			!strings.Contains(line.Stack, "serve_test.go") {
			t.Errorf("panic(%s) is logged as %+v", c.kind, line)
		}
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log shows what must not be seen:\n%s", log)
	}
	if !strings.Contains(log.String(), "slice bounds out of range [1000:17]") {
		t.Error("the log doesn't show Go's own reason")
	}
}

func TestAPanicAfterTheReplyHasBegunAbortsIt(t *testing.T) {
	address, log := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		if r.Header.Get("Late") == "" {
			panic("early")
		}
		_, _ = io.WriteString(w, "half")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic("late")
	}))
	if reply, _ := get(t, address); reply.StatusCode != http.StatusInternalServerError {
		t.Errorf("before the reply: status %d", reply.StatusCode)
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, _ = io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\nLate: 1\r\n\r\n")
	reader := bufio.NewReader(connection)
	reply, err := http.ReadResponse(reader, nil)
	for err == nil && reply.StatusCode == http.StatusEarlyHints {
		reply, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if body, err := io.ReadAll(reply.Body); err == nil {
		t.Errorf("half a reply looks complete: %q", body)
	}
	if got := strings.Count(log.String(), `"msg":"panic"`); got != 2 {
		t.Errorf("%d panics are logged, want 2:\n%s", got, log)
	}
}

func TestAHandlerMayAbortAReplyOnPurpose(t *testing.T) {
	log := newOutput()
	h := Recover(newLogger(log, ""), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer func() {
		if value := recover(); value != http.ErrAbortHandler {
			t.Errorf("it ends with %v", value)
		}
		if log.String() != "" {
			t.Errorf("logged: %s", log)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
}
