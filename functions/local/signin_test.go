package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bindery/shared/secret"
)

// only returns a single parameter.
func only(name, value string) url.Values { return url.Values{name: {value}} }

func TestWithoutParametersTheSignInIsAliceOfAcmeWithEveryScope(t *testing.T) {
	p := start(t, t.TempDir())
	p.bind("gitlab")
	got := p.call(http.MethodGet, bindings, p.signIn(nil), nil)
	if !strings.Contains(string(got.body), `"boundBy":"alice"`) {
		t.Error("the binding is not said to be alice's")
	}
	reply := p.call(http.MethodGet, "/dev/token", secret.Text{}, nil)
	if kind := reply.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("its Content-Type is %q, want plain text", kind)
	}
	if reply.header.Get("Cache-Control") != "no-store" {
		t.Error("a cache may keep the token")
	}
}

func TestTheSignInsParametersSetTheClaims(t *testing.T) {
	p := start(t, t.TempDir())
	for _, test := range []struct {
		name, method, path string
		parameters         url.Values
		status             int
		code               string
	}{
		{"the account's own instance", "GET", bindings, only("account", "acme"), 200, ""},
		{"another account", "GET", bindings, only("account", "globex"), 404, "instance_unknown"},
		{"the scope asked for", "GET", bindings, only("scope", "bindery.read"), 200, ""},
		{
			"another scope", "DELETE", bindings + "/gitlab", only("scope", "bindery.read"), 403,
			"scope_missing",
		},
		{
			"the instance listed", "GET", bindings,
			only("instances", "cn-beijing/cri-globex,cn-hangzhou/cri-acme-prod"), 200, "",
		},
		{
			"an instance not listed", "GET", bindings,
			only("instances", "cn-shanghai/crp-acme-dev"), 404, "instance_unknown",
		},
		{"no instance listed", "GET", bindings, only("instances", ""), 404, "instance_unknown"},
		{"a life in seconds", "GET", bindings, only("ttl", "90"), 200, ""},
		{"a life as Go writes it", "GET", bindings, only("ttl", "8h"), 200, ""},
		{"a life that has ended", "GET", bindings, only("ttl", "-1h"), 401, "not_signed_in expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := p.call(test.method, test.path, p.signIn(test.parameters), nil)
			if got.status != test.status || got.code() != test.code {
				t.Errorf("got %d %q, want %d %q", got.status, got.code(), test.status, test.code)
			}
		})
	}
	who := p.signIn(url.Values{"user": {"王芳"}})
	p.call(http.MethodPut, bindings+"/gitlab", who, form(p.sample("gitlab", "good")))
	got := p.call(http.MethodGet, bindings, who, nil)
	if !strings.Contains(string(got.body), `"boundBy":"王芳"`) {
		t.Error("the binding is not said to be the user's who was signed in")
	}
	for _, wrong := range []url.Values{
		only("ttl", "soon"), only("ttl", "1 h"), only("ttl", "99999999999999999999"),
		only("scopes", "bindery.read"), only("scope", "bindery.read admin"), only("tenant", "acme"),
	} {
		got := p.call(http.MethodGet, "/dev/token?"+wrong.Encode(), secret.Text{}, nil)
		if got.status != http.StatusBadRequest {
			t.Errorf("%v answers %d, want 400", wrong, got.status)
		}
		for _, name := range []string{"user", "account", "scope", "instances", "ttl"} {
			if !strings.Contains(string(got.body), "\n  "+name+" ") {
				t.Errorf("the reply to %v doesn't list %s", wrong, name)
			}
		}
	}
}

// A web page of another host can make its own name resolve to 127.0.0.1. Its requests then have
// that name as their Host.
func TestC5_AnotherHostIsMisdirected(t *testing.T) {
	p := start(t, t.TempDir())
	at, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	port := at.Port()
	for _, test := range []struct {
		host   string
		status int
	}{
		{"localhost:" + port, http.StatusOK},
		{"127.0.0.1:" + port, http.StatusOK},
		{"attacker.example:" + port, http.StatusMisdirectedRequest},
		{"attacker.example", http.StatusMisdirectedRequest},
		{"localhost.attacker.example:" + port, http.StatusMisdirectedRequest},
		{"attacker.localhost:" + port, http.StatusMisdirectedRequest},
		{"localhost", http.StatusMisdirectedRequest},
		{"localhost:1", http.StatusMisdirectedRequest},
		{"0.0.0.0:" + port, http.StatusMisdirectedRequest},
	} {
		for _, path := range []string{"/dev/token", "/dev/jwks", "/healthz"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			got, err := send(r)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != test.status && (got.status != 204 || test.status != 200) {
				t.Errorf("%s at the host %s answers %d, want %d", path, test.host, got.status,
					test.status)
			}
		}
	}
}

func TestAnotherIssuerDisablesTheLaptopsSignIn(t *testing.T) {
	p := start(t, t.TempDir(), "BINDERY_OIDC_ISSUER=https://login.example",
		"BINDERY_OIDC_JWKS_URL=https://login.example/keys")
	for _, path := range []string{"/dev/token", "/dev/jwks"} {
		if got := p.call(http.MethodGet, path, secret.Text{}, nil); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d, want 404", path, got.status)
		}
	}
}

func TestADeployedFunctionHasNoSignIn(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "status")
	if err := buildBinary(binary, "../status"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = environment(t.TempDir(), "BINDERY_PUBLIC_URL=http://localhost",
		"BINDERY_CONSOLE_URL=http://localhost", "BINDERY_OIDC_ISSUER=http://localhost",
		"BINDERY_OIDC_AUDIENCE=bindery", "BINDERY_OIDC_JWKS_URL=http://127.0.0.1:1/dev/jwks",
		"BINDERY_INSTANCES={}")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	var listening struct{ Address string }
	for lines := bufio.NewScanner(out); listening.Address == "" && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &listening) // only this line has an address
	}
	for path, want := range map[string]int{"/dev/token": 404, "/dev/jwks": 404, "/healthz": 204} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet,
			"http://"+listening.Address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := send(r); err != nil || got.status != want {
			t.Errorf("%s answers %d, want %d (%v)", path, got.status, want, err)
		}
	}
}
