// Package netguard is the only way out: every HTTP call to a platform goes through one of its two
// clients.
//
// [Guard.Guarded] is for an address that a user typed. It keeps Bindery from being used as a way
// into the network it runs in: only public addresses, only the ports of the port rule, and the
// address that was checked is the one that is dialled. [Guard.Trusted] is for endpoints that the
// operator configured; it has no address and no port rule. Everything else is the same for both:
//
//   - No redirect is followed: a 3xx is a reply like another. Go's own client would send
//     Private-Token on to another host, and post a form again on a 307.
//   - TLS is always verified, from version 1.2 on. There is no switch.
//   - No proxy but [Options.EgressProxy], whatever the environment says. No cookies.
//   - Everything has an end: 5 s to look up and connect, 5 s for the TLS handshake, and 20 s for
//     the whole call with its body, unless the request's context ends sooner. The reply's header
//     holds 64 KB at most; [ReadBody] bounds the body's size. Nothing is decompressed.
//   - HTTP/1.1 only: there is less of it.
//
// With an egress proxy the target is looked up and checked here before anything is sent, but the
// proxy looks the name up again. So the proxy must itself refuse private destinations (but those
// listed): what is checked here and what it connects to may differ.
//
// What a failed call means to a user is for [Problem] to say. What a reply means, and whether a
// call may be made again, is left to package provider.
package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	callTimeout      = 20 * time.Second
	maxHeaderBytes   = 64 << 10

	// The trusted client keeps a connection for the next call of a batch. Not for long: a function
	// is frozen between invocations, and a connection that died meanwhile would leave the outcome
	// of the next POST unknown.
	idleTimeout    = 10 * time.Second
	maxIdle        = 16
	maxIdlePerHost = 4
)

// Options is what [New] takes. The zero value guards with the system's resolver and authorities.
type Options struct {
	// PrivateHosts are "host:port" entries (a name or an address, the port spelled out) that may
	// be called although they are private. They open addresses, not ports: the port rule holds.
	// Nothing opens link-local addresses and the clouds' metadata services. An entry that can't
	// be read opens nothing.
	PrivateHosts []string
	// EgressProxy is the only proxy, nil for none. Its own address may be private.
	EgressProxy *url.URL
	// RootCAs are the authorities that sign servers' certificates, nil for the system's.
	RootCAs *x509.CertPool
	// Resolve looks a name up for the guarded client, nil for the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects, nil for a [net.Dialer]. The guarded client hands it a checked "ip:port", the
	// trusted client the "host:port" of the request. Only the net.Dialer checks once more, at the
	// moment of connecting.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Guard holds the two clients. Make it with [New]; it may be used from many goroutines.
type Guard struct {
	listed   map[string]bool // normalised "host:port"
	public   *ssrf.Guardian
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	guarded  *http.Client
	trusted  *http.Client
	hasProxy bool
}

// New makes a guard. Each has its own connections.
func New(o Options) *Guard {
	g := &Guard{
		listed:   readListed(o.PrivateHosts),
		public:   ssrf.New(ssrf.WithAnyNetwork(), ssrf.WithAnyPort()),
		resolve:  o.Resolve,
		dial:     o.Dial,
		hasProxy: o.EgressProxy != nil,
	}
	if g.resolve == nil {
		g.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	trusted, guarded := newTransport(o), newTransport(o)
	trusted.DialContext = g.dialTrusted
	guarded.DialContext = g.dialGuarded
	// Each call is checked anew, and a server can't put words on a connection's idle time, which
	// net/http would print into the log.
	guarded.DisableKeepAlives = true
	if g.hasProxy {
		guarded.DialContext = g.dialTrusted // it dials the proxy alone
	}
	g.trusted = newClient(trusted)
	g.guarded = newClient(&gate{guard: g, next: guarded})
	return g
}

// Guarded is the client for an address that a user typed. A request to an address or a port that
// the rules refuse ends with [problem.AddressRefused] or [problem.PortRefused] in its error, and
// nothing is dialled. Each request has a connection of its own, and its name is looked up once; if
// any of the name's addresses is refused, the name is.
func (g *Guard) Guarded() *http.Client { return g.guarded }

// Trusted is the client for endpoints that the operator configured.
func (g *Guard) Trusted() *http.Client { return g.trusted }

func newTransport(o Options) *http.Transport {
	t := &http.Transport{
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if o.EgressProxy != nil {
		t.Proxy = http.ProxyURL(o.EgressProxy)
	}
	return t
}

func newClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: t,
		Timeout:   callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// gate holds each request of the guarded client against the rules before it goes anywhere, be it
// to a proxy.
type gate struct {
	guard *Guard
	next  *http.Transport
}

func (t *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.check(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper always closes it
		}
		return nil, err
	}
	return t.next.RoundTrip(req)
}

func (t *gate) check(req *http.Request) error {
	to, err := t.guard.target(req.URL)
	if err != nil || !t.guard.hasProxy {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), dialTimeout)
	defer cancel()
	_, err = t.guard.lookup(ctx, to)
	return err
}
