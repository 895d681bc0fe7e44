package config_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"bindery/shared/config"
	"bindery/shared/provider"
)

// right is an environment with every required variable.
func right() map[string]string {
	return map[string]string{
		"BINDERY_PUBLIC_URL":    "https://bindery.example.com",
		"BINDERY_CONSOLE_URL":   "https://console.example.com",
		"BINDERY_OIDC_ISSUER":   "https://login.example.com/",
		"BINDERY_OIDC_AUDIENCE": "bindery",
		"BINDERY_OIDC_JWKS_URL": "https://login.example.com/keys?v=1",
		"BINDERY_INSTANCES":     `{"acme":[]}`,
	}
}

func read(t *testing.T, changes ...string) (config.Config, error) {
	t.Helper()
	env := right()
	for i := 0; i < len(changes); i += 2 {
		env[changes[i]] = changes[i+1]
	}
	return config.Read(func(name string) string { return env[name] })
}

func mustRead(t *testing.T, changes ...string) config.Config {
	t.Helper()
	c, err := read(t, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsFillWhatIsNotSet(t *testing.T) {
	c := mustRead(t)
	got := []string{
		c.PublicURL, c.ConsoleURL, c.OIDC.Issuer, c.OIDC.Audience, c.OIDC.JWKSURL,
		c.OIDC.ClientID, c.AccountClaim, c.InstanceClaim, c.Instances, c.ACRAccount, c.Table,
		c.SecretPrefix, c.OAuthApps, c.EventsURL, c.Data, fmt.Sprint(c.Port), fmt.Sprint(c.Vaults),
		c.VaultTable,
	}
	want := []string{
		"https://bindery.example.com", "https://console.example.com", "https://login.example.com/",
		"bindery", "https://login.example.com/keys?v=1", "", "account", "instances", `{"acme":[]}`,
		"", "bindery", "bindery/", "", "", "data", "8080", "[native]", "bindery_vault",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c.EgressProxy != nil || c.PrivateHosts != nil || len(c.Endpoints) > 0 ||
		!c.EventsSecret.Empty() || !c.VaultKey.Empty() {
		t.Error("something is set that nobody has set")
	}
}

func TestEveryMistakeIsReportedAtOnceInALineThatNamesItsVariable(t *testing.T) {
	env := map[string]string{
		"BINDERY_CONSOLE_URL":   "https://console.example.com/app",
		"BINDERY_PRIVATE_HOSTS": "gitlab.corp:443 gitlab.corp",
		"PORT":                  "70000",
	}
	c, err := config.Read(func(name string) string { return env[name] })
	if err == nil {
		t.Fatal("no error")
	}
	if c.ConsoleURL != "" || c.Data != "" {
		t.Error("a broken configuration is returned all the same")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{
		"BINDERY_PUBLIC_URL is not set; for example https://bindery.example.com",
		"BINDERY_CONSOLE_URL is more than an origin: it must end after the host and port; " +
			"for example https://console.example.com",
		"BINDERY_OIDC_ISSUER is not set; for example https://login.example.com/realm",
		"BINDERY_OIDC_AUDIENCE is not set; for example bindery",
		"BINDERY_OIDC_JWKS_URL is not set; for example https://login.example.com/realm/keys",
		`BINDERY_INSTANCES is not set; for example {"acme":[{"type":"enterprise",` +
			`"region":"cn-hangzhou","id":"cri-1","name":"prod"}]}`,
		"BINDERY_PRIVATE_HOSTS has an entry (number 2) that isn't host:port; " +
			"for example gitlab.corp.example:443,10.0.0.5:80",
		"PORT isn't a port from 0 to 65535; for example 8080",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestVaultsAndTheirKeys(t *testing.T) {
	for value, want := range map[string]string{
		"native": "[native]", "envelope": "[envelope]",
		"envelope+native": "[envelope native]", "native+envelope": "[native envelope]",
	} {
		if got := fmt.Sprint(mustRead(t, "BINDERY_VAULT", value).Vaults); got != want {
			t.Errorf("%s is read as %s, want %s", value, got, want)
		}
	}
	keys := mustRead(t, "BINDERY_WRAPPING_KEYS", "arn:aws:kms:eu-1:1:key/a-1, key-2").Wrapping
	if want := []string{"arn:aws:kms:eu-1:1:key/a-1", "key-2"}; !slices.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	for name, values := range map[string][]string{
		"BINDERY_VAULT": {"kms", "envelope+envelope", "native,envelope", "Envelope"},
		"BINDERY_WRAPPING_KEYS": {
			",", "alias/bindery", "arn:aws:kms:eu-1:1:alias/bindery", `key-1"`, "key-1;key-2",
		},
	} {
		for _, value := range values {
			if _, err := read(t, name, value); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
				t.Errorf("%s=%s: got %v, want an error", name, value, err)
			}
		}
	}
}

func TestAnOriginIsNormalizedAsABrowserDoes(t *testing.T) {
	for value, want := range map[string]string{
		"https://bindery.example.com/":   "https://bindery.example.com",
		"  https://Bindery.Example.com ": "https://bindery.example.com",
		"HTTPS://b.example:443":          "https://b.example",
		"https://b.example:8443/":        "https://b.example:8443",
		"http://localhost:8080":          "http://localhost:8080",
		"http://LOCALHOST:80/":           "http://localhost",
		"http://127.0.0.1:1":             "http://127.0.0.1:1",
		"http://[::1]:8080":              "http://[::1]:8080",
		"https://[2001:DB8::1]":          "https://[2001:db8::1]",
	} {
		if got := mustRead(t, "BINDERY_PUBLIC_URL", value).PublicURL; got != want {
			t.Errorf("%q is read as %q, want %q", value, got, want)
		}
	}
}

func TestEveryEndpointIsReadUnderItsVariable(t *testing.T) {
	var changes []string
	want := provider.Endpoints{}
	for _, name := range []string{
		"GITHUB", "GITHUB_API", "GITEE", "GITEE_API", "BITBUCKET", "BITBUCKET_API", "CODEUP",
		"CODEUP_API",
	} {
		host := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		changes = append(changes, "BINDERY_"+name+"_URL", "https://"+host+".example/")
		want["BINDERY_"+name+"_URL"] = "https://" + host + ".example"
	}
	if got := mustRead(t, changes...).Endpoints; !maps.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheRestIsReadIntoItsField(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	c := mustRead(
		t,
		"BINDERY_OIDC_CLIENT_ID", "console", "BINDERY_ACCOUNT_CLAIM", "https://acme/tenant",
		"BINDERY_INSTANCE_CLAIM", "only", "BINDERY_INSTANCES", "acr", "BINDERY_ACR_ACCOUNT", "acme",
		"BINDERY_TABLE", "t.b_l-e", "BINDERY_SECRET_PREFIX", "prod/bindery-",
		"BINDERY_OAUTH_APPS", "/etc/my apps.json",
		"BINDERY_PRIVATE_HOSTS", " GitLab.corp:443, 10.0.0.5:80\n[FD00::1]:8443,",
		"BINDERY_EGRESS_PROXY", "http://user:pa%20ss@proxy.example:3128/",
		"BINDERY_EVENTS_URL", "https://hooks.example/a?b=c", "BINDERY_EVENTS_SECRET", "whsec_"+key,
		"BINDERY_DATA", "/tmp/my data", "BINDERY_VAULT_KEY", strings.Repeat("0f", 32), "PORT", "0",
	)
	got := []string{
		c.OIDC.ClientID, c.AccountClaim, c.InstanceClaim, c.Instances, c.ACRAccount, c.Table,
		c.SecretPrefix, c.OAuthApps, strings.Join(c.PrivateHosts, " "), c.EgressProxy.String(),
		c.EventsURL, c.Data, fmt.Sprint(c.Port),
	}
	want := []string{
		"console", "https://acme/tenant", "only", "acr", "acme", "t.b_l-e", "prod/bindery-",
		"/etc/my apps.json", "gitlab.corp:443 10.0.0.5:80 [fd00::1]:8443",
		"http://user:pa%20ss@proxy.example:3128", "https://hooks.example/a?b=c", "/tmp/my data", "0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c.EventsSecret.Reveal() != "whsec_"+key || c.VaultKey.Reveal() != strings.Repeat("0f", 32) {
		t.Error("a secret isn't the one that was set")
	}
	mustRead(t, "BINDERY_VAULT_KEY", key)
	mustRead(t, "BINDERY_INSTANCES", "file:///etc/instances.json")
	mustRead(t, "BINDERY_INSTANCES", "https://catalogue.example/instances.json")
}

func TestAWrongValueIsRefusedUnderItsVariablesName(t *testing.T) {
	for _, wrong := range [][2]string{
		{"BINDERY_PUBLIC_URL", "bindery.example.com"},
		{"BINDERY_PUBLIC_URL", "ftp://bindery.example.com"},
		{"BINDERY_PUBLIC_URL", "http://bindery.example.com"},
		{"BINDERY_PUBLIC_URL", "http://localhost.example.com"},
		{"BINDERY_PUBLIC_URL", "https://me@bindery.example.com"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com?"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com#"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com/v1"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com:0"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com:"},
		{"BINDERY_PUBLIC_URL", "https://bindery.example.com:65536"},
		{"BINDERY_PUBLIC_URL", "https://"},
		{"BINDERY_PUBLIC_URL", "https://*.example.com"},
		{"BINDERY_PUBLIC_URL", "https://300.1.1.1"},
		{"BINDERY_PUBLIC_URL", "https://[fe80::1%25eth0]"},
		{"BINDERY_PUBLIC_URL", "https://-a.example"},
		{"BINDERY_PUBLIC_URL", "https://a..example"},
		{"BINDERY_PUBLIC_URL", "https://" + strings.Repeat("a.", 130) + "example"},
		{"BINDERY_PUBLIC_URL", "https://b\x7f.example"},
		{"BINDERY_CONSOLE_URL", "null"},
		{"BINDERY_OIDC_ISSUER", "https://login.example.com?a"},
		{"BINDERY_OIDC_ISSUER", "login"},
		{"BINDERY_OIDC_JWKS_URL", "http://login.example.com/keys"},
		{"BINDERY_OIDC_AUDIENCE", "a b"},
		{"BINDERY_ACCOUNT_CLAIM", "a\u200bb"},
		{"BINDERY_INSTANCES", "[]"},
		{"BINDERY_INSTANCES", "http://catalogue.example/instances.json"},
		{"BINDERY_INSTANCES", "/etc/instances.json"},
		{"BINDERY_TABLE", "a"},
		{"BINDERY_TABLE", "a table"},
		{"BINDERY_SECRET_PREFIX", "a*"},
		{"BINDERY_OAUTH_APPS", "a\nb"},
		{"BINDERY_GITHUB_API_URL", "https://ghe.example/api/v3"},
		{"BINDERY_PRIVATE_HOSTS", "10.0.0.0/8:443"},
		{"BINDERY_PRIVATE_HOSTS", "*.corp:443"},
		{"BINDERY_PRIVATE_HOSTS", "gitlab.corp:0"},
		{"BINDERY_PRIVATE_HOSTS", ","},
		{"BINDERY_EGRESS_PROXY", "socks5://proxy.example:1080"},
		{"BINDERY_EGRESS_PROXY", "http://proxy.example:3128/path"},
		{"BINDERY_EGRESS_PROXY", "http://proxy.example:%zz"},
		{"BINDERY_VAULT_KEY", strings.Repeat("0f", 31)},
		{"PORT", "-1"},
		{"PORT", "http"},
	} {
		_, err := read(t, wrong[0], wrong[1])
		if err == nil {
			t.Errorf("%s=%q is accepted", wrong[0], wrong[1])
			continue
		}
		if !strings.HasPrefix(err.Error(), wrong[0]+" ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%q is reported as %q", wrong[0], wrong[1], err)
		}
	}
}

func TestVariablesThatNeedEachOtherAreAskedForTogether(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 24))
	for _, c := range []struct{ name, value, missing string }{
		{"BINDERY_EVENTS_URL", "https://hooks.example", "BINDERY_EVENTS_SECRET"},
		{"BINDERY_EVENTS_SECRET", key, "BINDERY_EVENTS_URL"},
		{"BINDERY_INSTANCES", "acr", "BINDERY_ACR_ACCOUNT"},
	} {
		_, err := read(t, c.name, c.value)
		if err == nil || !strings.HasPrefix(err.Error(), c.missing+" is not set, but "+c.name) {
			t.Errorf("%s alone is reported as %v", c.name, err)
		}
	}
}

// A secret may be pasted into any variable.
func TestNoErrorAndNoPrintShowsAValue(t *testing.T) {
	const canary = "canary-7Qx9"
	for _, v := range config.Variables() {
		for _, value := range []string{
			canary, canary + "\n" + canary, "https://u:" + canary + "@h.example:x",
			"ftp://u:" + canary + "@h.example", "https://u:" + canary + "@h.example/p#f",
		} {
			_, err := read(t, v.Name, value)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error shows the value", v.Name)
			}
		}
	}
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	c := mustRead(t, "BINDERY_EGRESS_PROXY", "http://u:"+canary+"@proxy.example:3128",
		"BINDERY_EVENTS_SECRET", key, "BINDERY_EVENTS_URL", "https://h.example",
		"BINDERY_VAULT_KEY", key)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s", c, &c, c, errors.Join(fmt.Errorf("%v", c))) +
		string(asJSON)
	if strings.Contains(printed, canary) || strings.Contains(printed, key) {
		t.Error("a printed configuration shows a secret")
	}
}

func TestEveryVariableIsDocumentedAndItsDefaultAndExampleAreRight(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range config.Variables() {
		if seen[v.Name] || v.Meaning == "" || v.Example == "" || (v.Required && v.Default != "") {
			t.Errorf("%s is listed twice, or lacks a meaning or an example", v.Name)
		}
		seen[v.Name] = true
		if strings.Contains(v.Example, "random bytes") {
			continue // a secret that was an example would be used
		}
		_, err := read(t, v.Name, v.Example)
		if v.Name == "BINDERY_EVENTS_URL" { // asks for its secret
			continue
		}
		if err != nil {
			t.Errorf("the example of %s is refused: %v", v.Name, err)
		}
	}
	for name := range right() {
		if !seen[name] {
			t.Errorf("%s is not listed", name)
		}
	}
}
