package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/console"
)

// A cloud's gateway refuses some requests itself, with a body of its own.
func TestBrowserExplainsAGatewaysOwnRefusals(t *testing.T) {
	var status atomic.Int64
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	url := "http://" + server.Listener.Addr().String()
	mux.Handle("/", console.Handler(console.Options{PublicURL: url, ConsoleURL: url, Dev: true}))
	mux.HandleFunc("/dev/token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "not-a-token")
	})
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, `{"message": "no"}`)
	})
	server.Start()
	t.Cleanup(server.Close)
	b := newBrowser(t)
	for refusal, code := range map[int]string{
		http.StatusUnauthorized:       "signed_out",
		http.StatusTooManyRequests:    "busy",
		http.StatusServiceUnavailable: "busy",
		http.StatusBadGateway:         "no_sense",
	} {
		status.Store(int64(refusal))
		b.open(url + "/")
		b.waitReady("#content [data-code]", "#retry")
		got := b.text(`document.querySelector("#content [data-code]").dataset.code`)
		if got != code {
			t.Errorf("a gateway's %d is shown as %s, want %s", refusal, got, code)
		}
	}
}

// Where the page is on the functions' host, a user who blocks that host's cookies blocks the
// page's storage too.
func TestBrowserWithoutStorageShowsWhatToAllow(t *testing.T) {
	listener, err := net.Listen("tcp", cookiesOff+":0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	page := console.Handler(console.Options{PublicURL: url, ConsoleURL: url, Dev: true})
	server := httptest.NewUnstartedServer(page)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	b := newBrowser(t)
	b.open(url + "/")
	b.until("words", `document.getElementById("content").innerText`)
	if got := b.innerText("#content"); !strings.Contains(got, "Cookie") {
		t.Errorf("the page says %q", got)
	}
}
