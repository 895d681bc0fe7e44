package netguard_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bindery/shared/netguard"
)

// pipeTo returns a connection to a server that does serve.
func pipeTo(serve func(net.Conn)) net.Conn {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		serve(there)
	}()
	return here
}

// silent is a server that reads and answers nothing.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// dripping is a server that reads a request and sends a byte of its reply's body each second.
func dripping(conn net.Conn) {
	if _, err := conn.Read(make([]byte, 4<<10)); err != nil {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		silent(conn)
	}()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
	for {
		select {
		case <-closed:
			return
		case <-time.After(time.Second):
			_, _ = io.WriteString(conn, ".")
		}
	}
}

// TestC12_EachPartOfACallHasItsLimit measures the limits by a clock that runs only while everything
// waits. The request's context has no end of its own.
func TestC12_EachPartOfACallHasItsLimit(t *testing.T) {
	for what, c := range map[string]struct {
		address string
		serve   func(net.Conn) // nil: nothing accepts the connection
		want    time.Duration
	}{
		"connecting":       {"http://gitlab.example.com/", nil, 5 * time.Second},
		"the handshake":    {"https://gitlab.example.com/", silent, 5 * time.Second},
		"the reply":        {"http://gitlab.example.com/", silent, 20 * time.Second},
		"the reply's body": {"http://gitlab.example.com/", dripping, 20 * time.Second},
	} {
		for _, name := range []string{"guarded", "trusted"} {
			synctest.Test(t, func(t *testing.T) {
				client := clients(netguard.New(netguard.Options{
					Resolve: func(context.Context, string) ([]netip.Addr, error) {
						return []netip.Addr{netip.MustParseAddr(site)}, nil
					},
					Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
						if c.serve == nil {
							<-ctx.Done()
							return nil, ctx.Err()
						}
						return pipeTo(c.serve), nil
					},
				}))[name]
				wantTimeout(t, what+", "+name, client, c.address, c.want)
			})
		}
	}
}

func TestC12_ALookUpHasALimit(t *testing.T) {
	for _, proxy := range []*url.URL{nil, {Scheme: "http", Host: "127.0.0.1:9"}} {
		synctest.Test(t, func(t *testing.T) {
			client := netguard.New(netguard.Options{
				EgressProxy: proxy,
				Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				},
			}).Guarded()
			start := time.Now()
			if _, err := get(t, client, "http://gitlab.example.com/"); err == nil {
				t.Error("a name that was not looked up was called")
			}
			if got, want := time.Since(start), 5*time.Second; got != want {
				t.Errorf("with the proxy %v: the look-up ended after %v, want %v", proxy, got, want)
			}
		})
	}
}

// wantTimeout wants a call to end with a time-out after exactly want.
func wantTimeout(
	t *testing.T, what string, client *http.Client, address string, want time.Duration,
) {
	t.Helper()
	start := time.Now()
	_, err := get(t, client, address)
	if err == nil || netguard.Problem(err, "GitLab").Reason != "timeout" {
		t.Errorf("%s: got %v, want a time-out", what, err)
	}
	if got := time.Since(start); got != want {
		t.Errorf("%s: ended after %v, want %v", what, got, want)
	}
}

func TestC12_AHeaderIsReadUpTo64KB(t *testing.T) {
	for length, fits := range map[int]bool{60 << 10: true, 70 << 10: false} {
		server, _ := listening(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range length >> 10 {
				w.Header().Add("X-Filler", strings.Repeat("a", 1<<10-len("X-Filler: \r\n")))
			}
		}))
		for name, client := range clients(led(hostOf(t, server))) {
			if _, err := within(t, time.Minute, client); (err == nil) != fits {
				t.Errorf("%s: a header of %d bytes: got %v, want it read %v", name, length, err, fits)
			}
		}
	}
}
