package netguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestC5_TheNameIsLookedUpOnceAndTheCheckedAddressIsDialled(t *testing.T) {
	server, _ := listening(t, nil)
	net := newInternet()
	net.servers[site+":80"] = hostOf(t, server)
	net.servers["127.0.0.1:80"] = hostOf(t, server)
	net.name("rebind.example", site)
	o := net.options()
	o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		addrs, err := net.resolve(ctx, host)
		net.name("rebind.example", "127.0.0.1") // the answer to a second look-up
		return addrs, err
	}
	client := netguard.New(o).Guarded()

	if got, err := get(t, client, "http://rebind.example/"); err != nil || got != "ok" {
		t.Fatalf("first GET = %q, %v", got, err)
	}
	if got := net.lookups(); got != 1 {
		t.Errorf("looked up %d times, want once", got)
	}
	_, err := get(t, client, "http://rebind.example/")
	testkit.WantProblem(t, "second GET", err, problem.PlatformUnreachable, "dns")
	if got, want := net.dials(), []string{site + ":80"}; !slices.Equal(got, want) {
		t.Errorf("dialled %v, want %v", got, want)
	}
}

func TestC6_OnePrivateRecordRefusesTheName(t *testing.T) {
	net := newInternet()
	guard := netguard.New(net.options())
	for _, records := range [][]string{
		{site, "127.0.0.1"},
		{"10.0.0.1", site},
		{site, "::1"},
		{"2606:4700::1111", "169.254.169.254"},
		{site, "2606:4700::1111", "64:ff9b::a9fe:a9fe"},
		{site, "fe80::1%eth0"},
		{site, "::ffff:" + site + "%eth0"},
	} {
		net.name("mixed.example", records...)
		for _, address := range []string{"http://mixed.example/", "https://mixed.example/"} {
			_, err := get(t, guard.Guarded(), address)
			testkit.WantProblem(t, strings.Join(records, ", "), err,
				problem.PlatformUnreachable, "dns")
		}
	}
	if got := net.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
}

func TestOneAddressIsDialledIPv4First(t *testing.T) {
	net := newInternet()
	net.name("gitlab.example.com", "2606:4700::1111", "::ffff:"+site, "1.1.1.1")
	_, err := get(t, netguard.New(net.options()).Guarded(), "http://gitlab.example.com/")
	if err == nil {
		t.Error("GET of a server that isn't there succeeded")
	}
	if got, want := net.dials(), []string{site + ":80"}; !slices.Equal(got, want) {
		t.Errorf("dialled %v, want %v", got, want)
	}
}

// TestC7_NoRedirectIsFollowed sends a credential in a header and in a form to a server that
// redirects to another host, and to another path of the same host.
func TestC7_NoRedirectIsFollowed(t *testing.T) {
	other, reached := listening(t, nil)
	requests := 0
	server, _ := listening(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Location", r.Header.Get("To"))
		status, _ := strconv.Atoi(r.Header.Get("Status"))
		w.WriteHeader(status)
	}))
	net := newInternet()
	net.name("gitlab.example.com", site)
	net.name("evil.example", site)
	net.servers[site+":80"] = hostOf(t, server)
	net.servers["gitlab.example.com:80"] = hostOf(t, server)
	net.servers[site+":8080"] = hostOf(t, other)
	net.servers["evil.example:8080"] = hostOf(t, other)
	asked := 0
	for name, client := range clients(netguard.New(net.options())) {
		for _, status := range []string{"301", "302", "303", "307", "308"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				for _, to := range []string{"http://evil.example:8080/", "/login"} {
					req, err := http.NewRequestWithContext(t.Context(), method,
						"http://gitlab.example.com/api", strings.NewReader("refresh_token=canary"))
					if err != nil {
						t.Fatal(err)
					}
					req.Header = http.Header{
						"Private-Token": {"canary"}, "To": {to}, "Status": {status},
					}
					asked++
					resp, err := client.Do(req)
					if err != nil {
						t.Fatalf("%s: %s %s: %v", name, method, status, err)
					}
					resp.Body.Close()
					if got := resp.Status[:3]; got != status || resp.Header.Get("Location") != to {
						t.Errorf("%s: %s %s: got %s, want the redirect itself", name, method, status, got)
					}
				}
			}
		}
	}
	if reached() != 0 || requests != asked {
		t.Errorf("%d connections elsewhere, %d requests for %d calls", reached(), requests, asked)
	}
}

// TestMain sets the proxy variables for every test, because net/http reads them only once in a
// process.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if err := os.Setenv(name, "http://"+environmentProxy); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

const environmentProxy = "127.0.0.1:9"

func TestC11_ProxyVariablesAreNotHonoured(t *testing.T) {
	asked, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{
		Scheme: "https", Host: "gitlab.example.com",
	}})
	if err != nil || asked == nil || asked.Host != environmentProxy {
		t.Fatalf("the environment names the proxy %v, %v, so this test proves nothing", asked, err)
	}
	server, _ := listening(t, nil)
	net := newInternet()
	net.name("gitlab.example.com", site)
	for _, address := range []string{site + ":80", "gitlab.example.com:80"} {
		net.servers[address] = hostOf(t, server)
	}
	for name, client := range clients(netguard.New(net.options())) {
		if got, err := get(t, client, "http://gitlab.example.com/"); err != nil || got != "ok" {
			t.Errorf("%s: GET = %q, %v", name, got, err)
		}
		_, _ = get(t, client, "https://gitlab.example.com/")
	}
	if got := net.dials(); slices.Contains(got, environmentProxy) {
		t.Errorf("dialled %v, and so the proxy of the environment", got)
	}
}

// TestC14_ARefusalTellsNothing checks that the text is the same for an open port, a closed one, and
// one that never answers, typed as an address and behind a name.
func TestC14_ARefusalTellsNothing(t *testing.T) {
	open, connections := listening(t, nil)
	closed := httptest.NewServer(nil)
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	network := newInternet()
	network.name("gitlab.corp.example", "127.0.0.1")
	for host, code := range map[string]problem.Code{
		"127.0.0.1": problem.AddressRefused, "gitlab.corp.example": problem.PlatformUnreachable,
	} {
		texts := map[string]bool{}
		for _, o := range []netguard.Options{
			{Resolve: network.resolve}, // the real dialer, whose errors differ
			network.options(),
		} {
			client := netguard.New(o).Guarded()
			for _, at := range []string{
				open.Listener.Addr().String(), closed.Listener.Addr().String(), silent.Addr().String(),
			} {
				_, err := get(t, client, "http://"+host+":"+portOf(at)+"/")
				p := netguard.Problem(err, "GitLab")
				texts[textsOf(p)] = true
				if p.Code != code || p.RetryAfter != 0 {
					t.Errorf("GET %s of %s = %v, want it refused", host, at, p)
				}
			}
		}
		if len(texts) != 1 {
			t.Errorf("%s: different texts: %v", host, texts)
		}
	}
	if connections() != 0 || len(network.dials()) != 0 {
		t.Errorf("%d connections, dialled %v, want none", connections(), network.dials())
	}
}

// textsOf returns everything that a user sees of a problem.
func textsOf(p *problem.Problem) string {
	return fmt.Sprint(p.Code, p.Reason, p.Params, p.RetryAfter,
		p.In(problem.Chinese), p.In(problem.English))
}

// TestC16_APrivateNameIsLikeOneThatDoesNotExist compares what a user sees, and what takes time: one
// look-up each, and no connection.
func TestC16_APrivateNameIsLikeOneThatDoesNotExist(t *testing.T) {
	network := newInternet()
	private := map[string]string{
		"gitlab.corp.example": "10.0.0.1", "db.corp.example": "fd12::1", "self.example": "127.0.0.1",
		"metadata.example": "169.254.169.254", "odd.example": "64:ff9b::a9fe:a9fe",
	}
	for name, ip := range private {
		network.name(name, ip)
	}
	network.name("mixed.example", site, "10.0.0.1")
	network.name("empty.example")
	guard := netguard.New(network.options())
	seen := map[string][]string{}
	names := append(slices.Collect(maps.Keys(private)),
		"mixed.example", "empty.example", "none.example")
	for _, name := range names {
		before := network.lookups()
		_, err := get(t, guard.Guarded(), "https://"+name+"/")
		text := textsOf(netguard.Problem(err, "GitLab"))
		seen[text] = append(seen[text], name)
		if n := network.lookups() - before; n != 1 {
			t.Errorf("%s is looked up %d times, want once", name, n)
		}
	}
	if len(seen) != 1 {
		t.Errorf("names can be told apart: %v", seen)
	}
	if got := network.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
}

func TestListedPrivateHostsAreReached(t *testing.T) {
	server, _ := listening(t, nil)
	port := portOf(server.URL)
	guard := netguard.New(netguard.Options{PrivateHosts: []string{
		"127.0.0.1:" + port, " LocalHost.:" + port, "no-port.example", "x:y", "[::1", "127.1:" + port,
	}})
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST.", "[::ffff:127.0.0.1]"} {
		address := "http://" + host + ":" + port
		if _, err := guard.Address(address); err != nil {
			t.Errorf("Address(%s): %v", address, err)
		}
		if got, err := get(t, guard.Guarded(), address+"/"); err != nil || got != "ok" {
			t.Errorf("GET %s = %q, %v", address, got, err)
		}
	}
	for _, other := range []string{
		"http://127.0.0.1:9001", "http://127.0.0.2:" + port, "http://a.localhost:" + port,
		"http://[::1]:" + port,
	} {
		_, err := get(t, guard.Guarded(), other)
		testkit.WantProblem(t, "GET "+other, err, problem.AddressRefused, "")
	}
}

// refusedThoughListed checks that IP addresses are refused although the operator has listed them,
// and a name that resolves to them, and that nothing was dialled.
func refusedThoughListed(t *testing.T, ips ...string) {
	t.Helper()
	net := newInternet()
	o := net.options()
	o.PrivateHosts = []string{"gitlab.corp.example:80"}
	for _, ip := range ips {
		o.PrivateHosts = append(o.PrivateHosts, netip.AddrPortFrom(
			netip.MustParseAddr(ip), 80).String())
	}
	guard := netguard.New(o)
	for _, ip := range ips {
		net.name("gitlab.corp.example", ip)
		_, err := get(t, guard.Guarded(), "http://gitlab.corp.example/")
		testkit.WantProblem(t, "a listed name of "+ip, err, problem.PlatformUnreachable, "dns")
		literal := "http://" + strings.TrimSuffix(netip.AddrPortFrom(
			netip.MustParseAddr(ip), 80).String(), ":80")
		_, err = guard.Address(literal)
		testkit.WantProblem(t, literal, err, problem.AddressRefused, "")
		_, err = get(t, guard.Guarded(), literal+"/")
		testkit.WantProblem(t, "GET "+literal, err, problem.AddressRefused, "")
	}
	if got := net.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
}

func TestC1_AListOpensNoMetadataService(t *testing.T) {
	refusedThoughListed(t, "169.254.169.254", "169.254.170.2", "169.254.100.1", "168.63.129.16",
		"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::1", "0.0.0.0", "::",
		"64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254", "::ffff:169.254.169.254",
		"192.0.0.192", "224.0.0.1", "255.255.255.255")
}

func TestC2_AListOpensNoMetadataService(t *testing.T) {
	refusedThoughListed(t, "100.100.100.200", "::ffff:100.100.100.200")
}

// TestAListOpensPrivateNetworks checks that a list permits what it is for.
func TestAListOpensPrivateNetworks(t *testing.T) {
	net := newInternet()
	o := net.options()
	o.PrivateHosts = []string{"gitlab.corp.example:80"}
	guard := netguard.New(o)
	want := []string{"10.0.0.5", "172.16.9.9", "192.168.1.1", "100.64.3.3", "198.18.0.7", "fd12::1"}
	for _, ip := range want {
		net.name("gitlab.corp.example", ip)
		_, err := get(t, guard.Guarded(), "http://gitlab.corp.example/")
		if netguard.Problem(err, "GitLab").Reason == "dns" {
			t.Errorf("a listed name of %s is refused", ip)
		}
	}
	if got := net.dials(); len(got) != len(want) {
		t.Errorf("dialled %v, want one connection to each of %v", got, want)
	}
}

// proxied starts an HTTP proxy on loopback that connects everything to one server.
func proxied(t *testing.T, to string) (proxy *httptest.Server, seen func() []string) {
	t.Helper()
	lines := make(chan string, 100)
	proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines <- r.Method + " " + r.RequestURI
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(w, "by proxy")
			return
		}
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(upstream, conn)
			upstream.Close()
		}()
		_, _ = io.Copy(conn, upstream)
		conn.Close()
	}))
	t.Cleanup(proxy.Close)
	return proxy, func() []string {
		var all []string
		for len(lines) > 0 {
			all = append(all, <-lines)
		}
		return all
	}
}

func TestC5_TheEgressProxyCarriesBothSchemesToCheckedTargets(t *testing.T) {
	signer := newAuthority(t)
	server := tlsServer(t, signer.leaf(t, "gitlab.example.com", time.Now().Add(time.Hour)))
	proxy, seen := proxied(t, server.Listener.Addr().String())
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	network := newInternet()
	network.name("gitlab.example.com", site)
	network.name("gitlab.corp.example", "10.0.0.1")
	guard := netguard.New(netguard.Options{
		Resolve: network.resolve, EgressProxy: address, RootCAs: signer.pool(),
	})
	for name, client := range clients(guard) {
		if got, err := get(t, client, "http://gitlab.example.com/a"); err != nil || got != "by proxy" {
			t.Errorf("%s: GET http = %q, %v", name, got, err)
		}
		if got, err := get(t, client, "https://gitlab.example.com/a"); err != nil || got != "ok" {
			t.Errorf("%s: GET https = %q, %v", name, got, err)
		}
		want := []string{"GET http://gitlab.example.com/a", "CONNECT gitlab.example.com:443"}
		if got := seen(); !slices.Equal(got, want) {
			t.Errorf("%s: the proxy saw %v, want %v", name, got, want)
		}
	}
	for _, refused := range []string{"http://127.0.0.1/", "https://[::1]/", "http://localhost/"} {
		_, err := get(t, guard.Guarded(), refused)
		testkit.WantProblem(t, "GET "+refused, err, problem.AddressRefused, "")
	}
	for _, unknown := range []string{
		"http://gitlab.corp.example/", "https://gitlab.corp.example/", "http://nowhere.example/",
	} {
		_, err := get(t, guard.Guarded(), unknown)
		testkit.WantProblem(t, "GET "+unknown, err, problem.PlatformUnreachable, "dns")
	}
	if got := seen(); len(got) != 0 {
		t.Errorf("the proxy saw %v, want nothing", got)
	}
}

func TestAnUnreachableProxyIsNotThePlatformsRefusal(t *testing.T) {
	proxy, _ := proxied(t, "")
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Close()
	network := newInternet()
	network.name("gitlab.example.com", site)
	guard := netguard.New(netguard.Options{Resolve: network.resolve, EgressProxy: address})
	for name, client := range clients(guard) {
		_, err := get(t, client, "https://gitlab.example.com/")
		p := netguard.Problem(err, "GitLab")
		if p.Code != problem.PlatformUnreachable || p.Reason != "" {
			t.Errorf("%s: %v, want platform_unreachable without a reason", name, p)
		}
	}
}

// closing is a body that records its close.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestARefusedRequestsBodyIsClosed(t *testing.T) {
	body := &closing{Reader: strings.NewReader("x")}
	_, err := netguard.New(netguard.Options{}).Guarded().Post("http://127.0.0.1/", "text/plain", body)
	if !problem.Is(err, problem.AddressRefused) || !body.closed {
		t.Errorf("POST = %v, body closed %v", err, body.closed)
	}
}

func TestNothingIsKeptBetweenCalls(t *testing.T) {
	for name, client := range clients(netguard.New(netguard.Options{})) {
		if client.Jar != nil {
			t.Errorf("%s has a cookie jar", name)
		}
		if client.Timeout != 20*time.Second {
			t.Errorf("%s ends after %v, want 20s", name, client.Timeout)
		}
		if !errors.Is(client.CheckRedirect(nil, nil), http.ErrUseLastResponse) {
			t.Errorf("%s follows redirects", name)
		}
	}
}
