package netguard_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
)

// soon limits calls to servers that never answer. Its length doesn't matter.
const soon = 100 * time.Millisecond

// led returns a guard for which every public address leads to one server.
func led(server string) *netguard.Guard {
	return netguard.New(netguard.Options{
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(site)}, nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		},
	})
}

func within(t *testing.T, d time.Duration, client *http.Client) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gitlab.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(client, req)
}

func TestC12_SlowServersRunIntoTheContextsEnd(t *testing.T) {
	done := make(chan struct{})
	stalls := map[string]string{
		"silence":         "",
		"half a header":   "HTTP/1.1 200 OK\r\nContent-Ty",
		"half a body":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
		"half a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{",
		"an early answer": "HTTP/1.1 103 Early Hints\r\n\r\n",
	}
	for what, sent := range stalls {
		address := raw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, sent)
			<-done
		})
		for name, client := range clients(led(address)) {
			_, err := within(t, soon, client)
			p := netguard.Problem(err, "GitLab")
			if p.Code != problem.PlatformUnreachable || p.Reason != "timeout" {
				t.Errorf("%s, %s: got %v, want a time-out", name, what, p)
			}
		}
	}
	close(done)
}

func TestC12_EndlessHeadersEnd(t *testing.T) {
	for what, line := range map[string]string{
		"many lines":    "X-Filler: " + strings.Repeat("a", 1000) + "\r\n",
		"one line":      strings.Repeat("a", 1000),
		"early answers": "\r\nHTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("a", 1000) + ">\r\n",
	} {
		var sent atomic.Int64
		address := raw(t, func(conn net.Conn) {
			_, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX-Filler: ")
			for err == nil && sent.Load() < 64<<20 {
				var n int
				n, err = io.WriteString(conn, line)
				sent.Add(int64(n))
			}
		})
		for name, client := range clients(led(address)) {
			sent.Store(0)
			_, err := within(t, time.Minute, client)
			if err == nil || netguard.Problem(err, "GitLab").Reason == "timeout" {
				t.Errorf("%s, %s: got %v, want it cut off", name, what, err)
			}
			if got := sent.Load(); got >= 64<<20 {
				t.Errorf("%s, %s: all %d bytes were read", name, what, got)
			}
		}
	}
}

func TestC12_AGzipBombStaysSmall(t *testing.T) {
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	if _, err := packer.Write(make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	server, _ := listening(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "" {
			t.Errorf("Accept-Encoding: %s was sent", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	for name, client := range clients(led(hostOf(t, server))) {
		got, err := within(t, time.Minute, client)
		if !errors.Is(err, netguard.ErrTooLong) || got != "" {
			t.Errorf("%s: got %d bytes, %v, want %v", name, len(got), err, netguard.ErrTooLong)
		}
	}
}

func TestACompressedReplyIsRead(t *testing.T) {
	const text = `{"refresh_token":"once"}`
	var zipped, deflated bytes.Buffer
	for _, w := range []io.WriteCloser{gzip.NewWriter(&zipped), zlib.NewWriter(&deflated)} {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ coding, body, want string }{
		"gzip":             {"gzip", zipped.String(), text},
		"its old name":     {"x-gzip", zipped.String(), text},
		"in capitals":      {"GZIP", zipped.String(), text},
		"without a header": {"", zipped.String(), text},
		"deflate":          {"deflate", deflated.String(), text},
		"none, announced":  {"gzip", text, text},
		"cut off":          {"gzip", zipped.String()[:20], ""},
		"broken":           {"deflate", "no zlib", ""},
	} {
		server, _ := listening(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", c.coding)
			_, _ = io.WriteString(w, c.body)
		}))
		for client, hc := range clients(led(hostOf(t, server))) {
			got, err := within(t, time.Minute, hc)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s, %s: got %q, %v", client, name, got, err)
			}
		}
	}
}

func TestC12_AGigabyteIsCutOff(t *testing.T) {
	var sent atomic.Int64
	server, _ := listening(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for piece := bytes.Repeat([]byte(`{"a":`), 10_000); sent.Load() < 1<<30; {
			n, err := w.Write(piece)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	for name, client := range clients(led(hostOf(t, server))) {
		sent.Store(0)
		_, err := within(t, time.Minute, client)
		if !errors.Is(err, netguard.ErrTooLong) {
			t.Errorf("%s: got %v, want ErrTooLong", name, err)
		}
		if got := netguard.Problem(err, "GitLab"); got.Code != problem.PlatformError {
			t.Errorf("%s: the problem is %v, want platform_error", name, got)
		}
		if got := sent.Load(); got >= 1<<30 {
			t.Errorf("%s: all %d bytes were read", name, got)
		}
	}
}

func TestReadBodyTakesExactlyTheLimit(t *testing.T) {
	for length, want := range map[int]error{0: nil, 9: nil, 10: nil, 11: netguard.ErrTooLong} {
		body := &closing{Reader: strings.NewReader(strings.Repeat("x", length))}
		got, err := netguard.ReadBody(&http.Response{Body: body}, 10)
		if !errors.Is(err, want) || err == nil && len(got) != length || !body.closed {
			t.Errorf("%d bytes: got %d, %v, closed %v", length, len(got), err, body.closed)
		}
	}
}

func tlsServer(t *testing.T, cert tls.Certificate) *httptest.Server {
	t.Helper()
	return tlsServerOf(t, &tls.Config{Certificates: []tls.Certificate{cert}})
}

func tlsServerOf(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestC15_TLSIsAlwaysVerified(t *testing.T) {
	const host = "gitlab.example.com"
	signer, stranger := newAuthority(t), newAuthority(t)
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	cases := map[string]struct {
		cert   tls.Certificate
		code   problem.Code // "" is success
		reason string
	}{
		"good": {signer.leaf(t, host, later), "", ""},
		"self-signed": {
			authority{}.leaf(t, host, later), problem.CertificateUntrusted, "self_signed",
		},
		"unknown authority": {
			stranger.leaf(t, host, later), problem.CertificateUntrusted, "incomplete_chain",
		},
		"expired": {signer.leaf(t, host, before), problem.CertificateUntrusted, "expired"},
		"not valid yet": {
			signer.leaf(t, host, later.Add(9*time.Hour)), problem.CertificateUntrusted, "expired",
		},
		"another host": {
			signer.leaf(t, "other.example", later), problem.CertificateUntrusted, "hostname",
		},
	}
	for what, c := range cases {
		server := tlsServer(t, c.cert)
		network := newInternet()
		network.name(host, site)
		network.servers[site+":443"] = server.Listener.Addr().String()
		network.servers[host+":443"] = server.Listener.Addr().String()
		o := network.options()
		o.RootCAs = signer.pool()
		for name, client := range clients(netguard.New(o)) {
			got, err := get(t, client, "https://"+host+"/?access_token=canary")
			if c.code == "" {
				if err != nil || got != "ok" {
					t.Errorf("%s, %s: got %q, %v", name, what, got, err)
				}
				continue
			}
			p := netguard.Problem(err, "GitLab")
			if p.Code != c.code || p.Reason != c.reason || strings.Contains(p.Error(), "canary") {
				t.Errorf("%s, %s: got %v, want %s (%s)", name, what, p, c.code, c.reason)
			}
			if text := p.In(problem.English); text.Remedy == "" {
				t.Errorf("%s, %s: no remedy", name, what)
			}
		}
	}
}

func TestC15_OldTLSIsRefused(t *testing.T) {
	signer := newAuthority(t)
	server := tlsServerOf(t, &tls.Config{
		Certificates: []tls.Certificate{
			signer.leaf(t, "gitlab.example.com", time.Now().Add(time.Hour)),
		},
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	network := newInternet()
	network.servers["gitlab.example.com:443"] = server.Listener.Addr().String()
	o := network.options()
	o.RootCAs = signer.pool()
	_, err := get(t, netguard.New(o).Trusted(), "https://gitlab.example.com/")
	if err == nil {
		t.Fatal("a server of TLS 1.1 was called")
	}
	if p := netguard.Problem(err, "GitLab"); p.Code != problem.PlatformUnreachable || p.Reason != "" {
		t.Errorf("got %v, want platform_unreachable", p)
	}
}

func TestProblemNamesTheFailure(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	network := newInternet()
	network.name("gitlab.example.com", site)
	network.name("empty.example")
	dns := netguard.New(network.options())
	refusing := led(closed.Listener.Addr().String())
	hasty := led(raw(t, func(net.Conn) {}))
	broken := netguard.New(netguard.Options{
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return nil, errors.New("resolver is down")
		},
	})
	for _, c := range []struct {
		what    string
		client  *http.Client
		address string
		reason  string
	}{
		{"unknown name", dns.Guarded(), "http://nowhere.example/", "dns"},
		{"no address", dns.Guarded(), "http://empty.example/", "dns"},
		{"broken resolver", broken.Guarded(), "http://gitlab.example.com/", "dns"},
		{
			"unknown name, trusted", netguard.New(netguard.Options{}).Trusted(),
			"http://nowhere.invalid./", "dns",
		},
		{"closed port", refusing.Guarded(), "http://gitlab.example.com/", "refused"},
		{"closed port, trusted", netguard.New(netguard.Options{}).Trusted(), closed.URL, "refused"},
		{"hangs up", hasty.Guarded(), "http://gitlab.example.com/", ""},
		{"no TLS there", hasty.Guarded(), "https://gitlab.example.com/", ""},
		{"no route", dns.Guarded(), "http://gitlab.example.com/", ""},
	} {
		_, err := get(t, c.client, c.address+"?code=canary")
		p := netguard.Problem(fmt.Errorf("asking for canary: %w", err), "GitLab")
		if p.Code != problem.PlatformUnreachable || p.Reason != c.reason {
			t.Errorf("%s: got %v, want platform_unreachable with %q", c.what, p, c.reason)
		}
		if p.Cause == nil || strings.Contains(fmt.Sprintf("%v %+v", p, p.Cause), "canary") {
			t.Errorf("%s: the cause is missing or shows the request", c.what)
		}
		if got := p.In(problem.English).Title; got != "GitLab can't be reached" {
			t.Errorf("%s: title = %q", c.what, got)
		}
	}
}

// TestD16_NoCauseShowsAHostThatAUserTyped: it may be a token in the wrong field.
func TestD16_NoCauseShowsAHostThatAUserTyped(t *testing.T) {
	const canary = "glpat-canary-0f1e2d3c"
	network := newInternet()
	network.name("private."+canary, "10.0.0.1")
	network.name("empty." + canary)
	network.name(canary+".example.com", site)
	network.name("tls."+canary, site)
	server := tlsServer(t, newAuthority(t).leaf(t, "other.example", time.Now().Add(time.Hour)))
	network.servers[site+":443"] = hostOf(t, server)
	guard := netguard.New(network.options())
	for _, address := range []string{
		canary, "http://" + canary, "https://" + canary + ".invalid", "https://private." + canary,
		"https://empty." + canary, "http://" + canary + ".example.com", "https://tls." + canary,
		"ftp://" + canary, "https://" + canary + ":1", "https://user@" + canary,
		"https://" + canary + ".invalid/" + canary, "https://" + canary + "%", "https://ü" + canary,
	} {
		_, err := guard.Address(address)
		if err == nil {
			_, err = get(t, guard.Guarded(), address)
		}
		if p := netguard.Problem(err, "GitLab"); strings.Contains(p.Error(), canary) {
			t.Errorf("%s: the log shows %v", address, p)
		}
	}
}

// TestD1_TheCauseShowsNoAddressAndNoReply: a query may hold a code, and a server may return the
// token in place of a status line.
func TestD1_TheCauseShowsNoAddressAndNoReply(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, client := range clients(led(closed.Listener.Addr().String())) {
		_, err := get(t, client, "http://gitlab.example.com/?code=canary")
		if p := netguard.Problem(err, "GitLab"); strings.Contains(p.Error(), "canary") {
			t.Errorf("%s: the cause shows the address", name)
		}
	}
	for _, reply := range []string{
		"canary\r\n\r\n", "HTTP/1.1 canary\r\n\r\n", "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
	} {
		address := raw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, reply) })
		_, err := within(t, time.Minute, led(address).Guarded())
		p := netguard.Problem(err, "GitLab")
		if p.Code != problem.PlatformUnreachable || strings.Contains(p.Error(), "canary") {
			t.Errorf("a malformed reply is shown in the cause, or is %s", p.Code)
		}
	}
}

func TestProblemsInsideArePassedOn(t *testing.T) {
	inside := problem.New(problem.PlatformRateLimited).After(time.Minute)
	got := netguard.Problem(fmt.Errorf("calling: %w", inside), "Gitee")
	if got.Code != problem.PlatformRateLimited || got.RetryAfter != time.Minute ||
		got.Params["platform"] != "Gitee" {
		t.Errorf("got %+v, want the problem with its platform", got)
	}
}
