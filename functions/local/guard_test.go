package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

// with sends a request with headers, of which Host is the request's own.
func with(t *testing.T, method, address, body string, headers map[string]string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if host := headers["Host"]; host != "" {
		r.Host = host
	}
	got, err := send(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func portIn(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestD18_TheSandboxsPortHasNoOtherHostEither(t *testing.T) {
	p := start(t, t.TempDir())
	port := portIn(t, p.sandbox)
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "attacker.example:" + port: 421,
		"attacker.example": 421, "localhost": 421, "127.0.0.1:1": 421, "[::1]:" + port: 421,
	} {
		got := with(t, http.MethodGet, p.sandbox+"/", "", map[string]string{"Host": host})
		if got.status != want {
			t.Errorf("the host %s: got %d, want %d", host, got.status, want)
		}
	}
}

func TestD18_APageOfAnotherOriginGetsNoTokenAndRunsNoTask(t *testing.T) {
	p := start(t, t.TempDir())
	_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://"), ":")
	for _, c := range []struct {
		headers map[string]string
		refused bool
	}{
		{map[string]string{}, false}, // curl
		{map[string]string{"Sec-Fetch-Site": "none"}, false},
		{map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": p.url}, false},
		{map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		{map[string]string{"Sec-Fetch-Site": "same-site"}, true}, // another port of this machine
		{map[string]string{"Origin": "https://attacker.example"}, true},
		{map[string]string{"Origin": "http://localhost:1"}, true},
		{map[string]string{"Origin": "http://127.0.0.1:" + port}, true},
		{map[string]string{"Origin": "https://localhost:" + port}, true},
		{map[string]string{"Origin": "null"}, true},
	} {
		c.headers["Content-Type"] = "application/json"
		for _, call := range []struct{ method, path, body string }{
			{"GET", "/dev/token", ""}, {"POST", "/dev/task", `{"name":"revoke","platform":"gitlab"}`},
		} {
			got := with(t, call.method, p.url+call.path, call.body, c.headers)
			if (got.status == http.StatusForbidden) != c.refused || !c.refused && got.status != 200 {
				t.Errorf("%s with %v: got %d", call.path, c.headers, got.status)
			}
			if c.refused && strings.Contains(string(got.body), "ey") {
				t.Errorf("%s with %v: the refusal holds a token", call.path, c.headers)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
				"Access-Control-Allow-Origin": "",
			} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s: the header %s is %q, want %q", call.path, name, value, want)
				}
			}
		}
	}
}

// Browsers may take localhost for [::1], where another user of the machine could listen.
func TestD18_NoOtherUserCanListenOnTheIPv6Port(t *testing.T) {
	taken, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		testkit.Missing(t, "IPv6", "sysctl net.ipv6.conf.lo.disable_ipv6=0")
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if listener, err := listenIPv6(t.Context(), port); err == nil {
		listener.Close()
		t.Error("it starts where another program listens on [::1]")
	} else if !strings.Contains(err.Error(), "PORT=") || !strings.Contains(err.Error(), port) {
		t.Errorf("the error doesn't say what to do: %v", err)
	}

	p := start(t, t.TempDir())
	port = portIn(t, p.url)
	if other, err := net.Listen("tcp6", "[::1]:"+port); err == nil {
		other.Close()
		t.Fatal("another program can listen on its port of [::1]")
	}
	got := with(t, http.MethodGet, "http://[::1]:"+port+"/healthz", "",
		map[string]string{"Host": "localhost:" + port})
	if got.status != http.StatusNoContent {
		t.Errorf("at [::1] it answers %d", got.status)
	}
}
