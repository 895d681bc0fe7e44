// Package netguard makes every outgoing HTTP call to a platform or to the operator's webhook. Each
// call goes through one of its two clients, or through one of [Guard.Session].
//
// [Guard.Guarded] is for an address that a user typed. It prevents the use of Bindery as a way into
// the network that it runs in: it allows only public addresses and only the ports of the port rule,
// and it connects to the address that was checked. [Guard.Trusted] is for endpoints that the
// operator configured; it has no rules for addresses and ports. Everything else is the same for
// both:
//
//   - No redirect is followed: a 3xx is an ordinary reply. Go's own client would send
//     Private-Token to another host, and post a form again on a 307.
//   - TLS is always verified, with version 1.2 or higher. This can't be turned off.
//   - No proxy but [Options.EgressProxy], whatever the environment says. No cookies.
//   - Everything has a time limit: 5 s to look up and connect, 5 s for the TLS handshake, and
//     20 s for the whole call with its body, unless the request's context ends sooner. The
//     reply's header has at most 64 KB; [ReadBody] limits the body's size, compressed or not.
//   - HTTP/1.1 only, because it is simpler.
//
// With an egress proxy the target is looked up and checked here before anything is sent, but the
// proxy looks the name up again. So the proxy itself must refuse private destinations (except those
// listed): the address that is checked here and the one that the proxy connects to may differ.
//
// [Problem] says what a failed call means to a user. What a reply means, and whether a call may be
// repeated, is left to package provider.
package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
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

	// The trusted client keeps a connection for the next call of a batch, but not for long: a
	// function is frozen between invocations, and if its connection was closed meanwhile, the
	// outcome of the next POST would be unknown.
	idleTimeout    = 10 * time.Second
	maxIdle        = 16
	maxIdlePerHost = 4
)

// Options configures a guard. The zero value uses the system's resolver and authorities.
type Options struct {
	// PrivateHosts are "host:port" entries (a name or an address, with an explicit port) that may
	// be called although they are private. They permit addresses, not ports: the port rule still
	// applies. No entry permits link-local addresses or the clouds' metadata services. An entry
	// that can't be parsed permits nothing.
	PrivateHosts []string
	// EgressProxy is the only proxy, nil for none. Its own address may be private.
	EgressProxy *url.URL
	// RootCAs are the authorities that sign servers' certificates, nil for the system's.
	RootCAs *x509.CertPool
	// Resolve looks a name up for the guarded client, nil for the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects; nil is a [net.Dialer]. The guarded client passes it a checked "ip:port", the
	// trusted client the "host:port" of the request. Only the net.Dialer checks the address once
	// more at the moment of connecting.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Guard has the two clients. Create it with [New]. It may be used at once from many goroutines.
type Guard struct {
	listed   map[string]bool // normalised "host:port"
	public   *ssrf.Guardian
	resolve  func(ctx context.Context, host string) ([]netip.Addr, error)
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	guarded  *http.Client
	session  *http.Transport // what those of [Guard.Session] are copied from
	trusted  *http.Client
	hasProxy bool
}

// New returns a guard with its own connections.
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
	if g.hasProxy {
		guarded.DialContext = g.dialTrusted // it dials only the proxy
	}
	g.session = guarded.Clone()
	guarded.DisableKeepAlives = true // each call is checked anew
	g.trusted = newClient(trusted)
	g.guarded = newClient(&gate{guard: g, next: guarded})
	return g
}

// Guarded returns the client for an address that a user typed. A request to an address or a port
// that the rules refuse fails with [problem.AddressRefused] or [problem.PortRefused] in its error,
// and nothing is dialled. Each request has its own connection, and its name is looked up once. If
// any of the name's addresses is refused, the request fails as if the name didn't exist:
// [problem.PlatformUnreachable] with the reason "dns".
func (g *Guard) Guarded() *http.Client { return g.guarded }

// Session returns a client like that of [Guard.Guarded], whose requests to a host share a
// connection if each begins after the reply to the one before was read. Their name is looked up,
// and its addresses are checked, when the connection is made. It is for one operation, which calls
// end when it has made its requests: no connection is left then.
//
// net/http prints what a server sends on an open connection between the requests, which may be the
// token that it was sent. A program that uses a session drops that line from its standard log.
func (g *Guard) Session() (client *http.Client, end func()) {
	transport := g.session.Clone()
	return newClient(&gate{guard: g, next: transport}), transport.CloseIdleConnections
}

// Trusted returns the client for endpoints that the operator configured.
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
		t.OnProxyConnectResponse = func(
			_ context.Context, _ *url.URL, _ *http.Request, reply *http.Response,
		) error {
			if reply.StatusCode != http.StatusOK {
				return fmt.Errorf("%w with %d", errProxyRefused, reply.StatusCode)
			}
			return nil
		}
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

// gate checks each request of the guarded client against the rules before it is sent anywhere, also
// before it is sent to a proxy.
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
