package dynamo

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/awscloud"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/table/engine"
)

// newClient is the client that a function has, for a server of a test. It tries as often, but
// without waits, and also after many failures.
func newClient(t *testing.T, origin string) *dynamodb.Client {
	t.Helper()
	env := map[string]string{
		"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
		"AWS_ENDPOINT_URL": origin,
	}
	config, err := awscloud.Config(awscloud.DynamoDB, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxBackoff, o.RateLimiter = time.Millisecond, ratelimit.None
		})
	}
	return dynamodb.NewFromConfig(config)
}

// proxy stands before a DynamoDB, counts what is asked, and may answer in its place.
type proxy struct {
	origin string
	driver *driver // of the table behind it

	mu    sync.Mutex
	calls map[string]int
	// answer may answer a request itself, and then returns true.
	answer func(w http.ResponseWriter, operation, body string) bool
	// lose reports whether the reply to a request, which was carried out, is lost.
	lose func(operation, body string) bool
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	target, err := url.Parse(dynamotest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{calls: map[string]int{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// Many tests write at once: the default of two kept connections would use up the ports.
		Transport: &http.Transport{MaxIdleConnsPerHost: 128},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, forward)
	}))
	t.Cleanup(server.Close)
	p.origin = server.URL
	return p
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	p.mu.Lock()
	p.calls[operation]++
	answer, lose := p.answer, p.lose
	p.mu.Unlock()
	if answer != nil && answer(w, operation, string(body)) {
		return
	}
	if lose != nil && lose(operation, string(body)) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	forward.ServeHTTP(w, r)
}

// count forgets what was asked before, calls, and returns what was asked by the call, such as
// "1 PutItem".
func (p *proxy) count(call func()) string {
	p.mu.Lock()
	clear(p.calls)
	p.mu.Unlock()
	call()
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for operation, n := range p.calls {
		list = append(list, fmt.Sprint(n, " ", operation))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// answering lets the func answer from now on; nil for the server.
func (p *proxy) answering(answer func(w http.ResponseWriter, operation, body string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// losing lets the func decide from now on which replies are lost; nil for none.
func (p *proxy) losing(lose func(operation, body string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = lose
}

const tableName = "bindery-test"

func createTable(t *testing.T, client *dynamodb.Client) {
	t.Helper()
	if err := Create(t.Context(), client, tableName); err != nil {
		t.Fatal(err)
	}
}

// open is a table behind a proxy, on a server of the test's own.
func open(t *testing.T) (*engine.Table, *proxy) {
	t.Helper()
	p := startProxy(t)
	client := newClient(t, p.origin)
	createTable(t, client)
	p.driver = &driver{client, tableName}
	return New(client, tableName), p
}

// scanned are all items of the table, with every attribute.
func (p *proxy) scanned(t *testing.T) (all []item) {
	t.Helper()
	in := &dynamodb.ScanInput{TableName: &p.driver.name, ConsistentRead: aws.Bool(true)}
	for {
		got, err := p.driver.client.Scan(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, got.Items...); got.LastEvaluatedKey == nil {
			return all
		}
		in.ExclusiveStartKey = got.LastEvaluatedKey
	}
}
