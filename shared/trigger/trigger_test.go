package trigger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

// environment returns a lookup of an environment in which a function starts, with changes.
func environment(changes ...string) func(string) string {
	env := map[string]string{
		"BINDERY_PUBLIC_URL": "https://b.example", "BINDERY_CONSOLE_URL": "https://c.example",
		"BINDERY_OIDC_ISSUER": "https://i.example", "BINDERY_OIDC_AUDIENCE": "bindery",
		"BINDERY_OIDC_JWKS_URL": "https://i.example/keys", "BINDERY_INSTANCES": "{}", "PORT": "0",
	}
	for i := 0; i < len(changes); i += 2 {
		env[changes[i]] = changes[i+1]
	}
	return func(name string) string { return env[name] }
}

// output is a log that also sends each line to a channel.
type output struct {
	testkit.Log
	lines chan string
}

func newOutput() *output { return &output{lines: make(chan string, 1000)} }

func (o *output) Write(line []byte) (int, error) {
	o.lines <- string(line)
	return o.Log.Write(line)
}

// address waits for the log line with the address that the function listens on.
func (o *output) address(t *testing.T) string {
	t.Helper()
	for {
		select {
		case text := <-o.lines:
			var line struct{ Msg, Address string }
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("not a line of JSON: %q", text)
			}
			if line.Msg == "listening" {
				return line.Address
			}
		case <-t.Context().Done():
			t.Fatal("it never listened")
		}
	}
}

func ok(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body)
	})
}

func get(t *testing.T, address string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+
		"/v1/x?code=canary-query", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, string(body)
}

func TestAFunctionIsServedOnlyOnThisMachinesPort(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	log := newOutput()
	ended := make(chan error, 1)
	go func() {
		build := func(p Params) (Function, error) {
			return Function{HTTP: ok(p.Config.PublicURL)}, nil
		}
		ended <- run(ctx, environment(), stores, build, newLogger(log, "status"))
	}()
	address := log.address(t)
	if !strings.HasPrefix(address, "127.0.0.1:") {
		t.Errorf("it listens on %s", address)
	}
	if _, body := get(t, address); body != "https://b.example" {
		t.Errorf("it answers %q", body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestEveryMistakeOfAStartIsReportedAtOnce(t *testing.T) {
	never := func(Params) (Function, error) {
		t.Error("it was built nevertheless")
		return Function{}, nil
	}
	err := run(t.Context(), environment("BINDERY_PUBLIC_URL", "", "PORT", "x"), stores, never,
		newLogger(io.Discard, ""))
	if err == nil || strings.Count(err.Error(), "\n") != 1 ||
		!strings.Contains(err.Error(), "BINDERY_PUBLIC_URL is not set") ||
		!strings.Contains(err.Error(), "PORT isn't a port") {
		t.Errorf("got %v", err)
	}
	cause := errors.New("no table")
	fail := func(Params) (Function, error) { return Function{}, cause }
	err = run(t.Context(), environment(), stores, fail, newLogger(io.Discard, ""))
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the builder's error", err)
	}
}

func TestTheRuntimeIsDetected(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want runtime
	}{
		{nil, port},
		{[]string{"AWS_REGION", "eu-central-1"}, port},
		{[]string{"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"}, lambda},
		{[]string{"FC_RUNTIME_API", "127.0.0.1:9001", "FC_FUNCTION_NAME", "x"}, functionCompute},
	} {
		if got := detect(environment(c.env...)); got != c.want {
			t.Errorf("%q is taken for %s, want %s", c.env, got, c.want)
		}
	}
}

func TestABinaryWithALocalStoreRefusesToRunInACloud(t *testing.T) {
	for _, on := range []runtime{lambda, functionCompute} {
		_, err := adapter(on, "")
		if err == nil || !strings.Contains(err.Error(), string(on)) ||
			!strings.Contains(err.Error(), "-tags aws or -tags alibaba") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("on %s: %v", on, err)
		}
	}
	if stores != "" {
		others := map[string]runtime{"aws": functionCompute, "alibaba": lambda}
		if _, err := adapter(others[stores], stores); err == nil {
			t.Errorf("a binary with the stores of %s runs on the other cloud", stores)
		}
		return // built with a tag; the rest is about binaries without one
	}
	onLambda := environment("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1", "PORT", "x")
	err := run(t.Context(), onLambda, stores, nil, newLogger(io.Discard, ""))
	if err == nil || !strings.Contains(err.Error(), "AWS Lambda") ||
		!strings.Contains(err.Error(), "PORT ") {
		t.Errorf("the refusal hides other mistakes: %v", err)
	}
}

// TestMain is also the main of the processes that tests start.
func TestMain(m *testing.M) {
	name := os.Getenv("BINDERY_TEST_CHILD")
	if name == "" {
		os.Exit(m.Run())
	}
	if main := children[name]; main != nil {
		main()
		return
	}
	Run(func(Params) (Function, error) {
		return Function{}, errors.New("no table")
	})
}

// children are the mains of such processes by name.
var children = map[string]func(){"adapter": runChild, "log": runLogChild}

func TestAFailedStartWritesALinePerMistakeAndExitsWithStatusOne(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	on := "FC_RUNTIME_API"
	if stores == "aws" {
		on = "AWS_LAMBDA_RUNTIME_API"
	}
	child.Env = []string{
		"BINDERY_TEST_CHILD=1", on + "=127.0.0.1:1", "PORT=x", "GOCOVERDIR=" + t.TempDir(),
	}
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	err := child.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("it ended with %v, want status 1", err)
	}
	lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
	want := 8 // the runtime, six variables that are missing, and the port
	if stores != "" {
		want = 7
	}
	if len(lines) != want || stdout.Len() != 0 {
		t.Errorf("%d lines, want %d:\n%s%s", len(lines), want, stderr.String(), stdout.String())
	}
}
