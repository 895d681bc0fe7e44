package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"bindery/shared/config"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// laptop provides the configuration that the environment doesn't set.
type laptop struct {
	lookup        func(string) string
	port, sandbox string
	eventsKey     secret.Text // with which the sandbox's receiver verifies events
}

// instances is the default of BINDERY_INSTANCES: sample instances of two accounts.
const instances = `{
  "acme": [
    {"type": "enterprise", "region": "cn-hangzhou", "id": "cri-acme-prod", "name": "acme-prod"},
    {"type": "enterprise", "region": "ap-southeast-1", "id": "cri-acme-sg", "name": "acme-sg"},
    {"type": "personal", "region": "cn-shanghai", "id": "crp-acme-dev", "name": "acme-dev"}
  ],
  "globex": [
    {"type": "enterprise", "region": "cn-beijing", "id": "cri-globex", "name": "globex"}
  ]
}`

// url returns Bindery's origin as a browser writes it, without the default port of http.
func (l laptop) url() string        { return strings.TrimSuffix("http://localhost:"+l.port, ":80") }
func (l laptop) sandboxURL() string { return "http://" + l.sandboxHost() }

func (l laptop) sandboxHost() string { return "127.0.0.1:" + l.sandbox }

// setting returns the value of an environment variable, or a default, so that everything works
// without configuration. A platform whose address is set is the real one; the others are the
// sandbox's.
func (l laptop) setting(name string) string {
	value := l.lookup(name)
	if name == "BINDERY_PRIVATE_HOSTS" {
		return strings.TrimSpace(value + " " + l.sandboxHost())
	}
	if value != "" {
		return value
	}
	if name == "BINDERY_EVENTS_URL" || name == "BINDERY_EVENTS_SECRET" {
		return l.receiver(name)
	}
	switch name {
	case "BINDERY_PUBLIC_URL", "BINDERY_CONSOLE_URL", "BINDERY_OIDC_ISSUER":
		return l.url()
	case "BINDERY_OIDC_JWKS_URL":
		return "http://127.0.0.1:" + l.port + "/dev/jwks"
	case "BINDERY_OIDC_AUDIENCE":
		return "bindery"
	case "BINDERY_INSTANCES":
		return instances
	case "BINDERY_GITHUB_URL", "BINDERY_GITHUB_API_URL", "BINDERY_GITEE_URL",
		"BINDERY_GITEE_API_URL", "BINDERY_BITBUCKET_URL", "BINDERY_BITBUCKET_API_URL",
		"BINDERY_CODEUP_URL", "BINDERY_CODEUP_API_URL":
		return l.sandboxURL()
	}
	return ""
}

// receiver returns the setting of the sandbox's receiver of events, unless one of the two settings
// of another receiver is there: an address without its secret is a mistake.
func (l laptop) receiver(name string) string {
	switch {
	case l.lookup("BINDERY_EVENTS_URL") != "" || l.lookup("BINDERY_EVENTS_SECRET") != "":
		return ""
	case name == "BINDERY_EVENTS_SECRET":
		return l.eventsKey.Reveal()
	}
	return l.sandboxURL() + sandbox.ReceiverPath
}

// newEventsKey returns a random key. The sandbox keeps no event for the next start, so neither is
// the key kept.
func newEventsKey() secret.Text {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return secret.New(base64.StdEncoding.EncodeToString(key))
}

func (l laptop) newSandbox() *sandbox.Sandbox {
	return sandbox.New(sandbox.Options{
		Now: time.Now, URL: l.sandboxURL(), Random: rand.Reader, EventsKey: l.eventsKey,
	})
}

// greet prints the addresses. The sandbox's page has the sample tokens.
func (l laptop) greet(out io.Writer, c config.Config) {
	fmt.Fprintf(out, `
Data is kept in   %s
The sandbox is at %s  (simulated platforms: users, tokens to paste, faults)
Stop with Ctrl-C. Bindings are kept for the next start.

Bindery is at     %s
`, c.Data, l.sandboxURL(), c.ConsoleURL)
}
