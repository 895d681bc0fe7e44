package netguard_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// refusedEverywhere checks that IP addresses are refused as typed, as a request's target, and as
// the result of a name look-up, and that nothing was dialled.
func refusedEverywhere(t *testing.T, ips ...string) {
	t.Helper()
	net := newInternet()
	guard := netguard.New(net.options())
	for _, ip := range ips {
		literal := "http://" + ip + "/"
		if strings.Contains(ip, ":") {
			literal = "http://[" + ip + "]/"
		}
		_, err := guard.Address(literal)
		testkit.WantProblem(t, "Address("+literal+")", err, problem.AddressRefused, "")
		net.name("gitlab.example.com", ip)
		session, _ := guard.Session()
		for _, client := range []*http.Client{guard.Guarded(), session} {
			_, err = get(t, client, literal)
			testkit.WantProblem(t, "GET "+literal, err, problem.AddressRefused, "")
			_, err = get(t, client, "http://gitlab.example.com/")
			testkit.WantProblem(t, "GET a name of "+ip, err, problem.PlatformUnreachable, "dns")
		}
	}
	if got := net.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
}

func TestC1_LocalAndMetadataAddresses(t *testing.T) {
	refusedEverywhere(t, "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "0.1.2.3", "::",
		"169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "10.1.2.3",
		"172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "224.0.0.1", "239.1.1.1",
		"ff02::1", "168.63.129.16")
}

func TestC1_LocalNamesAndTrailingDots(t *testing.T) {
	server, connections := listening(t, nil)
	port := portOf(server.URL)
	guard := netguard.New(netguard.Options{}) // the real resolver, the real dialer
	for _, host := range []string{
		"localhost", "LOCALHOST", "localhost.", "gitlab.localhost", "a.b.LocalHost.",
		"127.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]",
		"169.254.169.254.",
	} {
		for _, address := range []string{
			"http://" + host + ":" + port, "https://" + host, "https://" + host + ":" + port,
		} {
			_, err := guard.Address(address)
			testkit.WantProblem(t, "Address("+address+")", err, problem.AddressRefused, "")
			_, err = get(t, guard.Guarded(), address)
			testkit.WantProblem(t, "GET "+address, err, problem.AddressRefused, "")
		}
	}
	if got := connections(); got != 0 {
		t.Errorf("the local server saw %d connections, want 0", got)
	}
}

func TestC2_SharedAddressSpace(t *testing.T) {
	refusedEverywhere(t, "100.100.100.200", "100.64.0.0", "100.64.0.1", "100.127.255.255")
}

func TestC3_AddressesInsideOfOthers(t *testing.T) {
	refusedEverywhere(t, "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1",
		"2001:0:a9fe:a9fe::1", "::169.254.169.254", "::ffff:100.100.100.200", "::ffff:10.0.0.1",
		"::ffff:0:127.0.0.1", "192.0.0.192", "198.18.0.1", "198.19.255.255", "240.0.0.1",
		"255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
		"2001:db8::1", "2001:10::1", "3fff::1", "100::1", "5f00::1", "4000::1")
}

// TestC3_PublicNeighboursAreReached checks that the rules don't refuse everything.
func TestC3_PublicNeighboursAreReached(t *testing.T) {
	server, _ := listening(t, nil)
	for ip, dialled := range map[string]string{
		site: site + ":80", "100.63.255.255": "100.63.255.255:80",
		"100.128.0.0": "100.128.0.0:80", "172.32.0.1": "172.32.0.1:80",
		"198.20.0.1": "198.20.0.1:80", "223.255.255.1": "223.255.255.1:80",
		"2606:4700::1111": "[2606:4700::1111]:80", "2001:4860:4860::8888": "[2001:4860:4860::8888]:80",
		"::ffff:" + site: site + ":80",
	} {
		net := newInternet()
		net.servers[dialled] = hostOf(t, server)
		net.name("gitlab.example.com", ip)
		if got, err := get(t, netguard.New(net.options()).Guarded(),
			"http://gitlab.example.com/"); err != nil || got != "ok" {
			t.Errorf("GET a name of %s = %q, %v", ip, got, err)
		}
	}
}

func TestC4_AddressesThatOnlySomeParsersRead(t *testing.T) {
	net := newInternet()
	guard := netguard.New(net.options())
	for _, host := range []string{
		"2130706433", "0x7f.1", "017700000001", "127.1", "127.0.1", "0x7f000001", "0x7f.0.0.0x1",
		"0177.0.0.1", "127.0.0.01", "127.0.0.1.1", "256.1.1.1", "1.2.3.0x", "2130706433.", "0X7F.1",
		"gitlab.123",
	} {
		address := "http://" + host + "/"
		_, err := guard.Address(address)
		testkit.WantProblem(t, "Address("+address+")", err, problem.AddressRefused, "malformed")
		_, err = get(t, guard.Guarded(), address)
		testkit.WantProblem(t, "GET "+address, err, problem.AddressRefused, "malformed")
	}
	if net.lookups() != 0 || len(net.dials()) != 0 {
		t.Errorf("looked up %d, dialled %v, want nothing", net.lookups(), net.dials())
	}
	for _, host := range []string{"1password.example", "0x7f.example", "127.1.example", "1.2.3.4a"} {
		if _, err := guard.Address("http://" + host); err != nil {
			t.Errorf("Address(%s) = %v, want it accepted", host, err)
		}
	}
}

func TestC8_ThePortRuleHoldsForAnAddress(t *testing.T) {
	guard := netguard.New(newInternet().options())
	for address, want := range map[string]bool{
		"http://gitlab.example.com": true, "https://gitlab.example.com": true,
		"http://gitlab.example.com:21": true, "http://gitlab.example.com:22": false,
		"http://gitlab.example.com:443": true, "https://gitlab.example.com:443": true,
		"http://gitlab.example.com:777": true, "http://gitlab.example.com:0": false,
		"http://gitlab.example.com:1024": false, "http://gitlab.example.com:1025": true,
		"http://gitlab.example.com:65535": true, "https://gitlab.example.com:8443": false,
		"https://gitlab.example.com:80": false, "http://" + site + ":25": false,
	} {
		_, err := guard.Address(address)
		if want && err != nil || !want && !problem.Is(err, problem.PortRefused) {
			t.Errorf("Address(%s) = %v, want allowed %v", address, err, want)
		}
	}
	for _, port := range []string{"65536", "99999999999999999999"} {
		_, err := guard.Address("http://gitlab.example.com:" + port)
		testkit.WantProblem(t, "port "+port, err, problem.PortRefused, "")
	}
}

func TestC8_ThePortRuleHoldsForTheClientToo(t *testing.T) {
	net := newInternet()
	net.name("gitlab.example.com", site)
	o := net.options()
	o.PrivateHosts = []string{"gitlab.example.com:22", "gitlab.example.com:8443"}
	guard := netguard.New(o)
	for _, address := range []string{
		"http://gitlab.example.com:22/", "http://gitlab.example.com:1024/",
		"http://gitlab.example.com:25/", "https://gitlab.example.com:8443/",
		"https://gitlab.example.com:80/",
	} {
		_, err := get(t, guard.Guarded(), address)
		testkit.WantProblem(t, "GET "+address, err, problem.PortRefused, "")
	}
	if got := net.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
	_, _ = get(t, guard.Trusted(), "http://gitlab.example.com:22/")
	if got := net.dials(); !slices.Equal(got, []string{"gitlab.example.com:22"}) {
		t.Errorf("the trusted client dialled %v, want the port as it is", got)
	}
}

// TestC8_RuntimeAPIs: a client that reaches these APIs can hand out invocations of the function.
func TestC8_RuntimeAPIs(t *testing.T) {
	guard := netguard.New(netguard.Options{PrivateHosts: []string{"169.254.100.1:9001"}})
	for _, api := range []string{
		"127.0.0.1:9001", "169.254.100.1:9001", "169.254.100.1:80", "localhost:9001",
		"100.100.100.200:80",
	} {
		for _, path := range []string{
			"/2018-06-01/runtime/invocation/next", "/2020-11-11/runtime/invocation/next",
		} {
			_, err := guard.Address("http://" + api + path)
			testkit.WantProblem(t, api, err, problem.AddressRefused, "")
			_, err = get(t, guard.Guarded(), "http://"+api+path)
			testkit.WantProblem(t, api, err, problem.AddressRefused, "")
		}
	}
}

func TestC9_WhatAnAddressMayNotHold(t *testing.T) {
	guard := netguard.New(newInternet().options())
	for _, address := range []string{
		"https://user:pass@gitlab.example.com", "https://gitlab.example.com@evil.example",
		"https://@gitlab.example.com", "https://gitlab.example.com#x", "https://gitlab.example.com/#",
		"https://gitlab.example.com?x=1", "https://gitlab.example.com/?",
		`https://gitlab.example.com\@evil.example`, `https:\\gitlab.example.com`,
		`https://gitlab.example.com/a\b`, "https://gitlab.example.com\r\nHost: evil.example",
		"https://gitlab.example.com\r\n", "https://gitlab.example.com/\tx", "https://gitlab. example.com",
		"https://gitlab.example.com/\x00", "https://gitlab。example。com", "https://127。0。0。1",
		"https://\uff11\uff12\uff17.0.0.1", "https://gitlab.example.com/中",
		"https://gitlab.example.com/api/v4/../..", "https://gitlab.example.com/./x",
		"https://gitlab.example.com/..", "https://gitlab.example.com/%2e%2e/x",
		"https://gitlab.example.com//x", "https://%31%32%37.0.0.1", "https://[fe80::1%25eth0]",
		"https://gitlab.example.com:x", "https://gitlab.example.com:-1", "https://", "https:///x",
		"https:gitlab.example.com", "https:/gitlab.example.com", "https://.", "https://a..example",
		"https://.example.com", "https://gitlab.example.com..", "https://[::1", "https://[" + site + "]",
		"https://[gitlab.example.com]", "https://2606:4700::1111", "https://gitlab.example.com/a:b",
		"https://gitlab.example.com/[x]", "https://" + strings.Repeat("a", 64) + ".example",
		"https://" + strings.Repeat("a.", 126) + "example",
		"https://gitlab.example.com/" + strings.Repeat("a", 2048), "https://gitlab*.example.com",
		"https://[v1.x]", "http://gitlab.example.com;evil",
	} {
		_, err := guard.Address(address)
		testkit.WantProblem(t, fmt.Sprintf("Address(%q)", address), err, problem.AddressRefused,
			"malformed")
	}
}

func TestC9_AnInternationalNameIsRefusedWithItsASCIIForm(t *testing.T) {
	guard := netguard.New(newInternet().options())
	for address, want := range map[string]string{
		"https://bücher.example":              "xn--bcher-kva.example",
		"https://BÜCHER.example:8929/git":     "xn--bcher-kva.example",
		"http://代码.公司.example/中":              "xn--mnq551h.xn--55qx5d.example",
		"https://bücher。example":              "xn--bcher-kva.example",
		"https://bücher.example@evil.example": "", "https://bücher.123": "",
		"https://b\u200dücher.example": "", "https://bücher..example": "",
	} {
		_, err := guard.Address(address)
		reason := "international"
		if want == "" {
			reason = "malformed"
		}
		testkit.WantProblem(t, address, err, problem.AddressRefused, reason)
		if got := problem.Of(err).Params["host"]; got != want {
			t.Errorf("%s: the ASCII form is %q, want %q", address, got, want)
		}
		if want == "" {
			continue
		}
		if _, err := guard.Address("https://" + want); err != nil {
			t.Errorf("%s is refused: %v", want, err)
		}
	}
}

func TestC9_AZoneIsNoPartOfAnAddress(t *testing.T) {
	net := newInternet()
	guard := netguard.New(net.options())
	for _, address := range []string{
		"http://[::ffff:" + site + "%25eth0]/", "http://[2606:4700::1111%25eth0]/",
	} {
		_, err := get(t, guard.Guarded(), address)
		testkit.WantProblem(t, "GET "+address, err, problem.AddressRefused, "malformed")
	}
	if got := net.dials(); len(got) != 0 {
		t.Errorf("dialled %v, want nothing", got)
	}
}

func TestC10_OnlyHTTPAndHTTPS(t *testing.T) {
	guard := netguard.New(newInternet().options())
	for _, address := range []string{
		"ftp://gitlab.example.com", "file:///etc/passwd", "gopher://gitlab.example.com",
		"javascript:alert(1)", "data:text/plain,x", "ws://gitlab.example.com",
		"unix:///var/run/docker.sock", "git+ssh://gitlab.example.com", "httpsx://gitlab.example.com",
		"gitlab.example.com", "gitlab.example.com:8080", "//gitlab.example.com", "", "  ", "/", "中",
	} {
		_, err := guard.Address(address)
		testkit.WantProblem(t, fmt.Sprintf("Address(%q)", address), err, problem.AddressRefused, "scheme")
	}
	for _, address := range []string{"ftp://gitlab.example.com/", "file:///etc/passwd"} {
		_, err := get(t, guard.Guarded(), address)
		testkit.WantProblem(t, "GET "+address, err, problem.AddressRefused, "scheme")
	}
}

func TestC13_PlainHTTPIsAnAddress(t *testing.T) {
	server, _ := listening(t, nil)
	net := newInternet()
	net.name("gitlab.example.com", site)
	net.servers[site+":8080"] = hostOf(t, server)
	guard := netguard.New(net.options())
	address, err := guard.Address("http://gitlab.example.com:8080")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, guard.Guarded(), address+"/api/v4/user"); err != nil || got != "ok" {
		t.Errorf("GET = %q, %v", got, err)
	}
}

var normalForms = map[string]string{
	"https://gitlab.com":                   "https://gitlab.com",
	" https://gitlab.com/ ":                "https://gitlab.com",
	"HTTPS://GitLab.COM:443//":             "https://gitlab.com",
	"https://gitlab.com.":                  "https://gitlab.com",
	"https://gitlab.com:":                  "https://gitlab.com",
	"http://gitlab.example.com:80":         "http://gitlab.example.com",
	"http://gitlab.example.com:0080/":      "http://gitlab.example.com",
	"http://gitlab.example.com:443":        "http://gitlab.example.com:443",
	"http://gitlab.example.com.:8080/Git/": "http://gitlab.example.com:8080/Git",
	"https://example.com/git/lab~1_x-2.3/": "https://example.com/git/lab~1_x-2.3",
	"http://" + site + ":8929/gitlab":      "http://" + site + ":8929/gitlab",
	"https://[2606:4700:0:0::1111]/":       "https://[2606:4700::1111]",
	"http://[2606:4700::1111]:8080":        "http://[2606:4700::1111]:8080",
	"https://[::FFFF:" + site + "]":        "https://" + site,
	"https://xn--bcher-kva.example":        "https://xn--bcher-kva.example",
	"https://git_lab.example":              "https://git_lab.example",
}

func TestNormalForm(t *testing.T) {
	guard := netguard.New(newInternet().options())
	for typed, want := range normalForms {
		got, err := guard.Address(typed)
		if err != nil || got != want {
			t.Errorf("Address(%q) = %q, %v, want %q", typed, got, err, want)
			continue
		}
		if again, err := guard.Address(got); err != nil || again != got {
			t.Errorf("Address(%q) = %q, %v, want itself", got, again, err)
		}
	}
}

// FuzzAddress checks that every accepted address has one normal form, which net/http reads in the
// same way.
func FuzzAddress(f *testing.F) {
	for typed := range normalForms {
		f.Add(typed)
	}
	f.Add("https://gitlab.example.com/api/v4/../..")
	f.Add("http://[::ffff:7f00:1]:8080")
	f.Add("http://0x7f.1:21/")
	guard := netguard.New(newInternet().options())
	f.Fuzz(func(t *testing.T, typed string) {
		address, err := guard.Address(typed)
		if err != nil {
			return
		}
		if again, err := guard.Address(address); err != nil || again != address {
			t.Errorf("Address(%q) = %q, and of that %q, %v", typed, address, again, err)
		}
		req, err := http.NewRequest(http.MethodGet, address+"/api/v4/user", nil)
		if err != nil {
			t.Fatalf("NewRequest(%q): %v", address, err)
		}
		if got := req.URL.String(); got != address+"/api/v4/user" || req.URL.User != nil {
			t.Errorf("net/http reads %q as %q", address, got)
		}
		if ip := net.ParseIP(req.URL.Hostname()); ip != nil && (ip.IsLoopback() || ip.IsPrivate()) {
			t.Errorf("Address(%q) = %q", typed, address)
		}
	})
}
