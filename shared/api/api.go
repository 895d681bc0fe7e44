// Package api is Bindery's HTTP: one file a function, each with its own routes, and what they
// share: who is calling, bodies in, replies and problems out. The contract is openapi.yaml.
//
// A handler here finds out who asks for what, calls package binding, and writes what comes back.
// Errors become HTTP in one place, [API.fail].
package api

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"bindery/shared/auth"
	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// The scopes. None implies another.
const (
	ScopeRead       = "bindery.read"
	ScopeWrite      = "bindery.write"
	ScopeCredential = "bindery.credential"
)

// RequestIDHeader carries the request's id from package trigger, which sets it whatever the
// client sent, into the replies and the log.
const RequestIDHeader = "Bindery-Request-Id"

// bindsPerMinute is how many binds one caller may try in a minute. Each makes several calls to a
// platform, and a platform counts wrong tokens against the address that they come from.
const bindsPerMinute = 30

// credentialsPerMinute is how many one caller may ask for in a minute: many builds share a caller.
const credentialsPerMinute = 600

// whole is how long a request may take in all.
const whole = 20 * time.Second

// API is what the functions' handlers work with.
type API struct {
	bindings  *binding.Service
	known     *provider.Set // the platforms
	instances instance.Catalogue
	callers   *auth.Verifier
	public    string // the functions' own origin
	console   string // where the browser returns; the one CORS origin
	log       *slog.Logger
	now       func() time.Time
	binds     *auth.RateLimiter
	// credentials is the cap of those that are handed out.
	credentials *auth.RateLimiter
}

// Dependencies are what a function opens before it can serve.
type Dependencies struct {
	Table table.Table
	Vault vault.Vault // nil for a function that reads no token
	Apps  Apps
	Now   func() time.Time
	Log   *slog.Logger
	// Guard is the way out to the platforms. Nil is one as the configuration has it.
	Guard *netguard.Guard
}

// Routes adds one function's routes: [Status], [TokenBind] and so on.
type Routes func(a *API, mux *http.ServeMux)

// Open builds everything that the configuration describes, on top of the parts.
func Open(c config.Config, p Dependencies) (*API, error) {
	instances, err := instance.Open(c.Instances, instance.Options{Now: p.Now, ACR: instance.ACR{
		Account: c.ACRAccount, URL: c.Alibaba.ACRURL, Latest: c.Alibaba.Latest,
	}})
	if err != nil {
		return nil, err // which names the variable in each of its lines
	}
	if p.Guard == nil {
		p.Guard = netguard.New(netguard.Options{
			PrivateHosts: c.PrivateHosts,
			EgressProxy:  c.EgressProxy,
		})
	}
	platforms := provider.New(provider.Options{
		Guard:     p.Guard,
		Now:       p.Now,
		Platforms: c.Platforms,
		Endpoints: c.Endpoints,
	})
	var webhook *event.Webhook
	if c.EventsURL != "" {
		webhook, err = event.NewWebhook(c.EventsURL, c.EventsSecret, p.Guard.Trusted(), p.Now)
		if err != nil {
			return nil, fmt.Errorf("BINDERY_EVENTS_SECRET: %w", err)
		}
	}
	return &API{
		bindings: binding.New(binding.Options{
			Table:     p.Table,
			Vault:     p.Vault,
			Platforms: platforms,
			App:       appOf(platforms, p.Apps, p.Now),
			Callback:  c.PublicURL + callbackPath,
			Instances: instances,
			Webhook:   webhook,
			Log:       p.Log,
			Now:       p.Now,
			Random:    func(b []byte) { _, _ = rand.Read(b) }, // never fails: see crypto/rand
		}),
		known:     platforms,
		instances: instances,
		callers: auth.New(auth.Options{
			Issuer:        c.OIDC.Issuer,
			Audience:      c.OIDC.Audience,
			JWKSURL:       c.OIDC.JWKSURL,
			AccountClaim:  c.AccountClaim,
			InstanceClaim: c.InstanceClaim,
			Now:           p.Now,
		}),
		public:  c.PublicURL,
		console: c.ConsoleURL,
		log:     p.Log,
		now:     p.Now,
		binds:   auth.NewRateLimiter(bindsPerMinute, p.Now),

		credentials: auth.NewRateLimiter(credentialsPerMinute, p.Now),
	}, nil
}

// Handler serves the routes of one function, or of several.
func (a *API) Handler(routes ...Routes) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
	})
	for _, add := range routes {
		add(a, mux)
	}
	return a.cors(a.routed(mux))
}
