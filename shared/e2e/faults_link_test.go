package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// toxic is a fault of a link, in toxiproxy's JSON.
type toxic string

// The times are far longer than any client waits.
const (
	slow        toxic = `{"type":"latency","stream":"downstream","attributes":{"latency":60000}}`
	resetting   toxic = `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`
	unreachable toxic = ""
	halfRequest toxic = `{"type":"limit_data","stream":"upstream","attributes":{"bytes":200}}`
	halfHead    toxic = `{"type":"limit_data","stream":"downstream","attributes":{"bytes":20}}`
	halfReply   toxic = `{"type":"limit_data","stream":"downstream","attributes":{"bytes":%d}}`
)

// cut is what happens to the request for which a link was armed.
type cut string

const (
	// replyLost lets the store do the work and resets the connection instead of replying. The next
	// request works.
	replyLost cut = "the reply is lost"
	// replyCut is like replyLost, in the middle of the reply's body.
	replyCut cut = "the reply breaks off"
	// downBefore takes the store down before it does the work.
	downBefore cut = "the store goes away"
	// downAfter takes the store down after it has done the work and before it replies.
	downAfter cut = "the work is done, and the store goes away"
)

// link is the connection from one process to one store. Toxiproxy cuts it when the test says so.
type link struct {
	t     *testing.T
	proxy *toxiproxy.Proxy

	mu       sync.Mutex // guards what follows
	calls    []string   // the operations since the link was armed
	target   int        // the number of the request to cut, 0 for none
	how      cut
	healNext bool // removes the toxics at the next request
}

// newLink opens a link to the service for the process with the session token.
func newLink(t *testing.T, c *awsCloud, session, service string) (l *link, address string) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	upstream := strings.TrimPrefix(c.url, "http://")
	l = &link{t: t}
	// The port is outside of the range that the system assigns from: restore must get it again.
	for range 50 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		l.proxy = toxiproxy.NewProxy(server, session+service, "127.0.0.1:"+port, upstream)
		if l.proxy.Start() == nil {
			break
		}
	}
	if !l.proxy.Enabled {
		t.Fatal("toxiproxy finds no port that is free")
	}
	t.Cleanup(l.proxy.Stop)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[session+" "+service] = l
	return l, "http://" + l.proxy.Listen
}

// link returns the link that a request came over, nil if tests never cut it.
func (c *awsCloud) link(session, service string) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[session+" "+service]
}

// arm cuts the k-th request from now on.
func (l *link) arm(k int, how cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls, l.target, l.how = nil, k, how
}

// addToxic makes the toxic act on everything from now on.
func (l *link) addToxic(from toxic) {
	if from == unreachable {
		l.proxy.Stop()
		return
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(from))); err != nil {
		l.t.Errorf("toxiproxy: %v", err)
	}
}

// restore ends every fault and every open connection of the link, and returns the operations since
// it was armed.
func (l *link) restore() []string {
	l.t.Helper()
	l.mu.Lock()
	calls := l.calls
	l.calls, l.target, l.healNext = nil, 0, false
	l.mu.Unlock()
	l.proxy.Stop()
	l.proxy.Toxics.ResetToxics(l.t.Context())
	// A process that is being started holds the port until its exec.
	err := l.proxy.Start()
	for try := 0; err != nil && try < 500; try++ {
		time.Sleep(10 * time.Millisecond)
		err = l.proxy.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return calls
}

// record counts a request and returns the cut for it, "" for none.
func (l *link) record(operation string) cut {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.healNext {
		l.healNext = false
		l.proxy.Toxics.ResetToxics(l.t.Context())
	}
	l.calls = append(l.calls, operation)
	if len(l.calls) != l.target {
		return ""
	}
	l.healNext = l.how == replyLost || l.how == replyCut
	return l.how
}

// forward passes a request to the store and cuts it if it is the one. A reply that toxiproxy has
// cut off is written all the same.
func (l *link) forward(w http.ResponseWriter, r *http.Request, store http.Handler) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	how := l.record(operation)
	if how == downBefore {
		l.proxy.Stop()
		return
	}
	reply := httptest.NewRecorder()
	store.ServeHTTP(reply, r)
	switch how {
	case downAfter:
		l.proxy.Stop()
	case replyLost:
		l.addToxic(resetting)
	case replyCut:
		l.addToxic(toxic(fmt.Sprintf(string(halfReply), half(reply))))
	}
	maps.Copy(w.Header(), reply.Header())
	w.WriteHeader(reply.Code)
	_, _ = w.Write(reply.Body.Bytes())
}

// half returns how many bytes end a reply in the middle of its body. It sets the headers that the
// server would add.
func half(reply *httptest.ResponseRecorder) int {
	reply.Header().Set("Content-Length", strconv.Itoa(reply.Body.Len()))
	reply.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
	whole, _ := httputil.DumpResponse(reply.Result(), false)
	return len(whole) + reply.Body.Len()/2
}
