package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/netguard"
	"bindery/shared/testkit"
)

// The addresses of the simulated internet. They are public; the servers behind them are on
// loopback.
const (
	siteIP   = "93.184.216.34" // http on 80 and 8929, https on 443
	closedIP = "93.184.216.35" // refuses connections
	silentIP = "93.184.216.36" // answers nothing
)

// internet is the simulated internet to which the guard connects.
type internet struct {
	names     map[string]string
	plain     string // the loopback address of http
	secure    string // the loopback address of https
	closed    string
	authority *x509.CertPool
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	return &internet{
		closed: closed,
		names: map[string]string{
			"gitlab.example": siteIP, "expired.example": siteIP, "self.example": siteIP,
			"other.example": siteIP, "chain.example": siteIP,
			"closed.example": closedIP, "silent.example": silentIP,
			"private.example": "10.0.0.7",
		},
	}
}

// serve serves the sandbox over http and https, and returns the http address.
func (n *internet) serve(t *testing.T, h http.Handler) string {
	t.Helper()
	plain := httptest.NewServer(h)
	t.Cleanup(plain.Close)
	all := certificates()
	n.authority = all.pool
	secure := httptest.NewUnstartedServer(h)
	choose := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c, ok := all.byName[hello.ServerName]; ok {
			return c, nil
		}
		return all.byName["gitlab.example"], nil
	}
	secure.TLS = &tls.Config{GetCertificate: choose}
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	n.plain, n.secure = plain.Listener.Addr().String(), secure.Listener.Addr().String()
	return plain.URL
}

func (n *internet) options(privateHosts []string) netguard.Options {
	return netguard.Options{
		PrivateHosts: privateHosts, RootCAs: n.authority, Dial: n.dial,
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			ip, ok := n.names[host]
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []netip.Addr{netip.MustParseAddr(ip)}, nil
		},
	}
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch address {
	case siteIP + ":80", siteIP + ":8929":
		address = n.plain
	case siteIP + ":443":
		address = n.secure
	case closedIP + ":443":
		address = n.closed
	case silentIP + ":443":
		return nil, os.ErrDeadlineExceeded
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// certificateSet holds the certificates of the https servers. It is made once, since keys take
// time.
type certificateSet struct {
	pool   *x509.CertPool
	byName map[string]*tls.Certificate
}

var certificates = sync.OnceValue(func() certificateSet {
	root := certificate(nil, "authority", time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pool.AddCert(root.Leaf)
	unsent := certificate(nil, "an authority that is not sent", time.Now().Add(time.Hour))
	return certificateSet{pool: pool, byName: map[string]*tls.Certificate{
		"gitlab.example":  certificate(root, "gitlab.example", time.Now().Add(time.Hour)),
		"expired.example": certificate(root, "expired.example", time.Now().Add(-time.Hour)),
		"chain.example":   certificate(unsent, "chain.example", time.Now().Add(time.Hour)),
		"self.example":    certificate(nil, "self.example", time.Now().Add(time.Hour)),
	}}
})

// certificate returns a certificate that is signed by signer, or self-signed.
func certificate(signer *tls.Certificate, name string, ends time.Time) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ends.Add(-2 * time.Hour), NotAfter: ends, BasicConstraintsValid: true,
		IsCA: signer == nil, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signs := template, key
	if signer != nil {
		parent, signs = signer.Leaf, signer.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signs)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// issuer issues access tokens and serves its key.
type issuer struct {
	clock *testkit.Clock
	url   string
	key   jose.JSONWebKey
	mu    sync.Mutex
	down  bool
}

var issuerKey = sync.OnceValue(func() jose.JSONWebKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"}
})

func newIssuer(t *testing.T, c *testkit.Clock) *issuer {
	t.Helper()
	i := &issuer{clock: c, key: issuerKey()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}}
		_ = json.NewEncoder(w).Encode(keys)
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// token returns an access token of ann, who may read and write, with the claims changed; nil
// removes a claim.
func (i *issuer) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": i.url, "sub": "ann", "aud": "bindery", "account": "acme",
		"scope": "bindery.read bindery.write",
		"iat":   i.clock.Now().Unix(), "exp": i.clock.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
