package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/trigger"
)

// inProcess is the laptop's handler in the tests' own process.
type inProcess struct {
	handler http.Handler
	host    string
	bearers []secret.Text // of as many callers
}

// openInProcess opens a data folder. The handler listens, because it fetches its keys from itself.
func openInProcess(t testing.TB, data, instances string, callers int) *inProcess {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	settings := map[string]string{"BINDERY_DATA": data}
	name, value, _ := strings.Cut(instances, "=")
	settings[name] = value
	l := laptop{port: port, sandbox: "1", eventsKey: newEventsKey(), lookup: func(name string) string {
		return settings[name]
	}}
	c, err := config.Read(l.setting)
	if err != nil {
		t.Fatal(err)
	}
	box := l.newSandbox()
	t.Cleanup(box.Close)
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	f, closer, err := build(c, l, box, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	guarded := trigger.Recover(log, f.HTTP)
	p := &inProcess{host: "localhost:" + port, handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			guarded.ServeHTTP(w, trigger.Identify(r, "request"))
		})}
	server.Config.Handler = p.handler
	server.Start()
	t.Cleanup(server.Close)
	for n := range callers {
		token := p.serve(t, p.request(http.MethodGet, fmt.Sprint("/dev/token?user=caller-", n)))
		p.bearers = append(p.bearers, secret.New(strings.TrimSpace(token.Body.String())))
	}
	return p
}

func (p *inProcess) request(method, path string) *http.Request {
	return httptest.NewRequest(method, "http://"+p.host+path, nil)
}

// as returns the request by the nth caller.
func (p *inProcess) as(n int, r *http.Request) *http.Request {
	r.Header.Set("Authorization", "Bearer "+p.bearers[n%len(p.bearers)].Reveal())
	return r
}

// serve serves a request, which must succeed.
func (p *inProcess) serve(t testing.TB, r *http.Request) *httptest.ResponseRecorder {
	reply := httptest.NewRecorder()
	p.handler.ServeHTTP(reply, r)
	if reply.Code != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", r.Method, r.URL.Path, reply.Code, reply.Body)
	}
	return reply
}

// BenchmarkHandler serves requests without a network and without waiting for a store: the table
// and the vault are in memory. The requests and the recorders of the replies are counted too.
func BenchmarkHandler(b *testing.B) {
	data, instances := memoryFolder(b), catalogue(b, 100)
	seed(b, data, 100, instances)
	p := openInProcess(b, data, instances, 400) // a caller may read 600 credentials a minute
	home := "/v1/instances/r/" + instanceID(0) + "/bindings"
	for _, route := range []struct{ name, method, path string }{
		{"credential", http.MethodPost, credentialPath(0)},
		{"platforms", http.MethodGet, "/v1/platforms"},
		{"instances=100", http.MethodGet, "/v1/instances"},
		{"bindings-of-an-instance", http.MethodGet, home},
		{"bindings=100", http.MethodGet, "/v1/bindings"},
		{"history", http.MethodGet, home + "/gitlab/history"},
	} {
		b.Run(route.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				p.serve(b, p.as(n, p.request(route.method, route.path)))
			}
		})
	}
}

// A read of a credential whose caller, token and row the process has seen before. The request and
// the recorder of the test are in it.
func TestAWarmReadOfACredentialAllocatesLittle(t *testing.T) {
	data, instances := t.TempDir(), catalogue(t, 1)
	seed(t, data, 1, instances)
	p := openInProcess(t, data, instances, 1)
	read := func() { p.serve(t, p.as(0, p.request(http.MethodPost, credentialPath(0)))) }
	read()
	const most = 125
	if got := testing.AllocsPerRun(100, read); got > most {
		t.Errorf("%v allocations, want at most %d", got, most)
	}
}
