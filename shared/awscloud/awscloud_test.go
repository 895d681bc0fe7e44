package awscloud

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// environment returns a working environment with changes.
func environment(changes map[string]string) func(string) string {
	env := map[string]string{
		regionVariable: "eu-test-1", keyIDVariable: "id-1", keyVariable: "canary-key",
	}
	maps.Copy(env, changes)
	return func(name string) string { return env[name] }
}

// ask makes one call of DynamoDB with the configuration.
func ask(t *testing.T, lookup func(string) string, most limits) error {
	t.Helper()
	c, err := config(DynamoDB, lookup, most)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dynamodb.NewFromConfig(c).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	return err
}

// answering starts a server that records the headers of the last request.
func answering(t *testing.T) (url string, last func() http.Header) {
	t.Helper()
	var header atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header.Store(r.Header)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{"TableNames":[]}`))
	}))
	t.Cleanup(server.Close)
	return server.URL, func() http.Header {
		h, _ := header.Load().(http.Header)
		return h
	}
}

func TestRequestsAreSignedForTheRegionWithTheCredentialsOfTheMoment(t *testing.T) {
	url, last := answering(t)
	env := map[string]string{endpointVariable: url}
	lookup := func(name string) string { return environment(env)(name) }
	c, err := Config(DynamoDB, lookup)
	if err != nil {
		t.Fatal(err)
	}
	client := dynamodb.NewFromConfig(c)
	for _, want := range []struct{ id, session string }{{"id-1", ""}, {"id-2", "session-2"}} {
		env[keyIDVariable], env[sessionVariable] = want.id, want.session
		if _, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
			t.Fatal(err)
		}
		got := last()
		scope := "Credential=" + want.id + "/"
		if signed := got.Get("Authorization"); !strings.Contains(signed, scope) ||
			!strings.Contains(signed, "/eu-test-1/dynamodb/") {
			t.Errorf("%s: the request isn't signed with it, or not for the region", want.id)
		}
		if got.Get("X-Amz-Security-Token") != want.session {
			t.Errorf("%s: the session token isn't the one of the moment", want.id)
		}
	}
	env[keyVariable] = ""
	_, err = client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY is not set") {
		t.Errorf("credentials that went away: got error %v", err)
	}
}

func TestTheServicesOwnEndpointHasPriority(t *testing.T) {
	mine, lastOfMine := answering(t)
	general, lastOfGeneral := answering(t)
	if err := ask(t, environment(map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": mine, endpointVariable: general,
	}), usual()); err != nil || lastOfMine() == nil || lastOfGeneral() != nil {
		t.Errorf("the service's endpoint: error %v, or another was asked", err)
	}
	if err := ask(t, environment(map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": mine, endpointVariable: general,
	}), usual()); err != nil || lastOfGeneral() == nil {
		t.Errorf("the general endpoint: error %v, or another was asked", err)
	}
	c, err := Config(SecretsManager, environment(nil))
	if err != nil || c.BaseEndpoint != nil {
		t.Errorf("without a variable: got endpoint %v, error %v, want the region's own",
			c.BaseEndpoint, err)
	}
}

func TestEachMissingVariableIsNamedInALine(t *testing.T) {
	empty := func(string) string { return "" }
	_, err := Config(DynamoDB, empty)
	want := "AWS_REGION is not set\nAWS_ACCESS_KEY_ID is not set\nAWS_SECRET_ACCESS_KEY is not set"
	if err == nil || err.Error() != want {
		t.Errorf("got error %q, want %q", err, want)
	}
	for _, name := range []string{regionVariable, keyIDVariable, keyVariable} {
		_, err := Config(DynamoDB, environment(map[string]string{name: " "}))
		if err == nil || err.Error() != name+" is not set" {
			t.Errorf("without %s: got error %v", name, err)
		}
	}
	for _, bad := range []string{"localhost:8000", "ftp://h", "http://", "/path", "http://[canary"} {
		_, err := Config(DynamoDB, environment(map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": bad}))
		if err == nil || !strings.HasPrefix(err.Error(), "AWS_ENDPOINT_URL_DYNAMODB isn't") ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("an endpoint of %q: got error %v", bad, err)
		}
	}
}

func TestACallThatGetsNoAnswerEndsAfterItsTries(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  limits
		begin string // what the server sends before it stops
	}{
		{"no beginning", limits{response: 20 * time.Millisecond}, ""},
		{"no end", limits{attempt: 50 * time.Millisecond}, `{"TableNames":[`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.most.attempts, c.most.connect, c.most.backoff = 3, time.Second, time.Millisecond
			var tries atomic.Int32
			end := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				tries.Add(1)
				if c.begin != "" {
					_, _ = w.Write([]byte(c.begin))
					_ = http.NewResponseController(w).Flush()
				}
				<-end
			}))
			defer server.Close()
			defer close(end)
			err := ask(t, environment(map[string]string{endpointVariable: server.URL}), c.most)
			if err == nil || tries.Load() != 3 {
				t.Errorf("got error %v after %d tries, want an error after 3", err, tries.Load())
			}
		})
	}
}

// TestAHandshakeThatIsNotAnsweredEnds: the other limits would let it take an hour.
func TestAHandshakeThatIsNotAnsweredEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	most := limits{
		attempts: 1, connect: 20 * time.Millisecond, response: time.Hour, attempt: time.Hour,
		backoff: time.Millisecond,
	}
	c, err := config(DynamoDB, environment(map[string]string{
		endpointVariable: "https://" + listener.Addr().String(),
	}), most)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
	if err == nil || ctx.Err() != nil {
		t.Errorf("got %v, want the handshake's own limit to end it", err)
	}
}

// A reply without its end is asked for again: otherwise every caller would have to do so.
func TestATruncatedReplyIsAskedForAgain(t *testing.T) {
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"TableNames":["a`))
			return
		}
		_, _ = w.Write([]byte(`{"TableNames":[]}`))
	}))
	defer server.Close()
	err := ask(t, environment(map[string]string{endpointVariable: server.URL}), usual())
	if err != nil || tries.Load() != 2 {
		t.Errorf("got error %v after %d tries, want none after 2", err, tries.Load())
	}
}

// Callers that failed together don't retry together, and a short failure costs little.
func TestBackoffsGrowAndDiffer(t *testing.T) {
	pause := backoffs(time.Second)
	seen := map[time.Duration]bool{}
	for range 50 {
		for tries, most := range map[int]time.Duration{
			1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 3: time.Second, 9: time.Second,
		} {
			got, err := pause(tries, nil)
			if err != nil || got < most/2 || got > most {
				t.Errorf("after %d tries: %v, %v, want %v to %v", tries, got, err, most/2, most)
			}
			seen[got] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("200 backoffs have %d lengths", len(seen))
	}
}

func TestTheLimitsFitAFunctionOf15Seconds(t *testing.T) {
	most := usual()
	tries := time.Duration(most.attempts)
	if all := tries*most.attempt + (tries-1)*most.backoff; all >= 15*time.Second {
		t.Errorf("a call may take %v", all)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	url, last := answering(t)
	server := httptest.NewServer(http.RedirectHandler(url, http.StatusTemporaryRedirect))
	defer server.Close()
	err := ask(t, environment(map[string]string{endpointVariable: server.URL}), usual())
	if err == nil || last() != nil {
		t.Errorf("got error %v, want one, and no request behind the redirect", err)
	}
}
