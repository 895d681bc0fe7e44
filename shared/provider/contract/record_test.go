// Package contract_test holds every request of the platforms, and every reply of the sandbox,
// against what the vendors publish: recorded replies, descriptions of their APIs, and their
// documentation. The calls are the table in docs/platforms.md.
package contract_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
)

// userAddress is the host of a platform whose address the user enters, in the table of calls.
const userAddress = "{address}"

// codeupAPI is the host of Codeup's API.
const codeupAPI = "openapi-rdc.aliyuncs.com"

// exchange is one request and its reply.
type exchange struct {
	platform string
	// call is the method and the address at the vendor, without scheme and query:
	// "GET api.github.com/user". A GitLab's own address is "{address}".
	call   string
	sent   *http.Request // its body is closed; [exchange.body] is what it was
	body   []byte
	status int
	header http.Header
	reply  []byte
}

// world is the sandbox, with a server of its own for each origin of each platform, and the
// platforms that call them, on one clock.
type world struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	set     *provider.Set
	origins map[string]string // of the servers, by the vendor's host
	minutes atomic.Int64      // since the start
	browser *http.Client      // follows no redirect
	mu      sync.Mutex        // guards exchanges
	records []exchange        // in the order of the replies
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, origins: map[string]string{}, browser: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(time.Duration(w.minutes.Load()) * time.Minute) }
	w.sandbox = sandbox.New(sandbox.Options{Now: now, Random: rand.Reader})
	t.Cleanup(w.sandbox.Close)
	endpoints := provider.Endpoints{}
	for _, r := range provider.Platforms() {
		for _, origin := range r.Origins {
			host := strings.TrimPrefix(origin.Default, "https://")
			w.origins[host] = w.serve(r.Name, host)
			endpoints[origin.Variable] = w.origins[host]
		}
	}
	gitLab := w.serve(provider.GitLab, userAddress)
	w.origins[userAddress] = gitLab
	for name, app := range w.sandbox.Apps() {
		app.RedirectURI = redirect
		w.sandbox.AddApp(name, app)
	}
	w.set = provider.New(provider.Options{
		Guard: netguard.New(netguard.Options{
			PrivateHosts: []string{strings.TrimPrefix(gitLab, "http://")},
		}),
		Now:       now,
		Sleep:     noSleep,
		Endpoints: endpoints,
	})
	return w
}

// serve starts a server that records what the sandbox answers as the platform at the host. It
// returns the server's origin.
func (w *world) serve(platform, host string) string {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorder := httptest.NewRecorder()
		w.sandbox.ServeHTTP(recorder, r)
		w.mu.Lock()
		w.records = append(w.records, exchange{
			platform: platform, call: r.Method + " " + host + r.URL.EscapedPath(),
			sent: r, body: body,
			status: recorder.Code, header: recorder.Header(), reply: recorder.Body.Bytes(),
		})
		w.mu.Unlock()
		for name, values := range recorder.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(recorder.Code)
		_, _ = rw.Write(recorder.Body.Bytes())
	}))
	w.t.Cleanup(server.Close)
	return server.URL
}
