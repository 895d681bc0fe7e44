package netguard_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/netguard"
)

// site is the public address that the tests' servers seem to have.
const site = "93.184.216.34"

// internet is a fake network: names, and servers on loopback that seem to have public addresses.
type internet struct {
	mu      sync.Mutex
	names   map[string][]netip.Addr
	servers map[string]string // "ip:port" -> where it really is
	looked  []string
	dialled []string
}

func newInternet() *internet {
	return &internet{names: map[string][]netip.Addr{}, servers: map[string]string{}}
}

func (n *internet) name(host string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[host] = nil
	for _, a := range addrs {
		n.names[host] = append(n.names[host], netip.MustParseAddr(a))
	}
}

func (n *internet) options() netguard.Options {
	return netguard.Options{Resolve: n.resolve, Dial: n.dial}
}

func (n *internet) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.looked = append(n.looked, host)
	addrs, ok := n.names[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled = append(n.dialled, address)
	to, ok := n.servers[address]
	n.mu.Unlock()
	if !ok {
		return nil, errors.New("no server there")
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

func (n *internet) dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dialled...)
}

func (n *internet) lookups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.looked)
}

// clients returns the two clients and that of a session, by name.
func clients(g *netguard.Guard) map[string]*http.Client {
	session, _ := g.Session()
	return map[string]*http.Client{
		"guarded": g.Guarded(), "session": session, "trusted": g.Trusted(),
	}
}

// listening starts a server on loopback that counts its connections and answers "ok".
func listening(t *testing.T, h http.Handler) (s *httptest.Server, connections func() int) {
	t.Helper()
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("ok"))
		})
	}
	var mu sync.Mutex
	count := 0
	s = httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateNew {
			count++
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

// raw starts a server on loopback that reads a request and then calls serve.
func raw(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					serve(conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

func get(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(client, req)
}

func do(client *http.Client, req *http.Request) (string, error) {
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	body, err := netguard.ReadBody(resp, 1<<20)
	return string(body), err
}

func hostOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	return authority{}.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
}

// sign creates a certificate; with an authority without a key it is self-signed.
func (a authority) sign(t *testing.T, template *x509.Certificate) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if a.key == nil {
		a = authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// leaf returns a server's certificate for host that expires at notAfter.
func (a authority) leaf(t *testing.T, host string, notAfter time.Time) tls.Certificate {
	t.Helper()
	made := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: notAfter.Add(-2 * time.Hour), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return tls.Certificate{Certificate: [][]byte{made.cert.Raw}, PrivateKey: made.key}
}
