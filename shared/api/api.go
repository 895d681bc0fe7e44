// Package api is Bindery's HTTP API. Each function has a file with its routes and handlers; they
// share the authentication of callers, the reading of requests and the writing of replies. The
// contract is openapi.yaml.
//
// A handler determines the caller and the request, calls the packages below binding, and writes
// the result. Errors become HTTP replies in one place, [API.fail].
package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/auth"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/consent"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/repository"
	"bindery/shared/binding/subscription"
	"bindery/shared/binding/workqueue"
	"bindery/shared/config"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/vault"
)

// The scopes of access tokens. None implies another.
const (
	ScopeRead         = "bindery.read"
	ScopeWrite        = "bindery.write"
	ScopeCredential   = "bindery.credential"
	ScopeRepositories = "bindery.repositories"
)

// bindsPerMinute is how many binds, starts and checks together a caller may make in a minute, and
// how many confirms, unbinds and looks at an authorization each. Most of them make several calls to
// a platform, and a platform counts wrong tokens against the address that sends them.
const bindsPerMinute = 30

// credentialsPerMinute is how many credentials a caller may ask for in a minute. Many builds share
// a caller.
const credentialsPerMinute = 600

// looksPerMinute is how many looks at repositories a caller may make in a minute. Each is a call to
// a platform, which counts them for each of its users. A page that searches while its user types
// makes a few a second.
const looksPerMinute = 300

// requestTimeout is how long a request may take in all.
const requestTimeout = 20 * time.Second

// API serves the routes of all functions.
type API struct {
	connect     *connect.Service
	consent     *consent.Service
	credentials *credential.Service
	maintenance *maintenance.Service
	looks       *repository.Service
	subscribed  *subscription.Service
	deliveries  *delivery.Service

	// The leases of the schedules.
	checkLease, subscriptionLease *workqueue.Lease

	known     *provider.Set // the platforms
	instances instance.Catalogue
	callers   *auth.Verifier
	public    string // the functions' own origin
	console   string // the console's origin, to which the browser returns; the only CORS origin
	log       *slog.Logger
	now       func() time.Time

	bindLimiter       *auth.RateLimiter
	credentialLimiter *auth.RateLimiter
	repositoryLimiter *auth.RateLimiter
}

// Dependencies are what [Open] needs besides the configuration.
type Dependencies struct {
	Table ledger.Table
	Vault vault.Vault // nil for a function that reads no token
	Apps  Apps
	Now   func() time.Time
	Log   *slog.Logger
	// Credentials are those that come with each invocation on Alibaba Cloud, or nil.
	Credentials *alibabacloud.InvocationCredentials
	// Guard makes the requests to the platforms. Nil is a guard with the configuration's hosts and
	// proxy.
	Guard *netguard.Guard
}

// Openers are how a deployed function opens what its API needs. Each is the one of this build. The
// credentials are those that come with each invocation on Alibaba Cloud; the other builds ignore
// them.
type Openers struct {
	Table func(config.Config, *alibabacloud.InvocationCredentials) (ledger.Table, io.Closer, error)
	// Vault is nil for a function that reads no token.
	Vault func(config.Config, *alibabacloud.InvocationCredentials) (vault.Vault, error)
	// Apps is nil for a function that needs no OAuth app.
	Apps func(config.Config, *alibabacloud.InvocationCredentials) Apps
}

// Open opens them and returns the API, which logs to log, and the closer of table and vault. Close
// that when the last request has ended. The credentials may be nil if there are no invocations.
func (o Openers) Open(
	c config.Config, credentials *alibabacloud.InvocationCredentials, log *slog.Logger,
) (*API, io.Closer, error) {
	d := Dependencies{Credentials: credentials, Now: time.Now, Log: log}
	rows, closer, err := o.Table(c, credentials)
	if err != nil {
		return nil, nil, err
	}
	d.Table = rows
	if o.Vault != nil {
		if d.Vault, err = o.Vault(c, credentials); err != nil {
			return nil, nil, errors.Join(err, closer.Close())
		}
		if sealed, ok := d.Vault.(io.Closer); ok {
			closer = closers{sealed, closer}
		}
	}
	if o.Apps != nil {
		d.Apps = o.Apps(c, credentials)
	}
	a, err := Open(c, d)
	if err != nil {
		return nil, nil, errors.Join(err, closer.Close())
	}
	return a, closer, nil
}

// closers are closed together.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// Routes adds one function's routes: [Status], [TokenBind] and so on.
type Routes func(a *API, mux *http.ServeMux)

// Open returns the API that the configuration describes.
func Open(c config.Config, d Dependencies) (*API, error) {
	instances, err := instance.Open(c.Instances, instance.Options{
		Now: d.Now, Log: d.Log, ACR: instance.ACR{
			Account: c.ACRAccount, URL: c.Alibaba.ACRURL, Credentials: d.Credentials,
		},
	})
	if err != nil {
		return nil, err // each line of it names the variable
	}
	if d.Guard == nil {
		d.Guard = netguard.New(netguard.Options{
			PrivateHosts: c.PrivateHosts,
			EgressProxy:  c.EgressProxy,
		})
	}
	platforms := provider.New(provider.Options{
		Guard:     d.Guard,
		Now:       d.Now,
		Platforms: c.Platforms,
		Endpoints: c.Endpoints,
	})
	var webhook *event.Webhook
	if c.EventsURL != "" {
		webhook, err = event.NewWebhook(c.EventsURL, c.ConsoleURL, c.EventsSecret,
			d.Guard.Trusted(), d.Now)
		if err != nil {
			return nil, fmt.Errorf("BINDERY_EVENTS_SECRET: %w", err)
		}
	}
	l := ledger.New(ledger.Options{
		Table:     d.Table,
		Vault:     d.Vault,
		Platforms: platforms,
		App:       appOf(platforms, d.Apps, d.Now),
		Webhook:   webhook,
		Log:       d.Log,
		Clock:     d.Now,
		Fill:      func(b []byte) { _, _ = rand.Read(b) }, // never fails: see crypto/rand
	})
	credentials := credential.New(l)
	deliveries := delivery.New(l, credentials)
	subscriptions := subscription.New(l, credentials, deliveries, c.PublicURL)
	return &API{
		connect:     connect.New(l, subscriptions),
		consent:     consent.New(l, c.PublicURL+callbackPath, subscriptions),
		credentials: credentials,
		maintenance: maintenance.New(l, credentials, instances, subscriptions),
		looks:       repository.New(l, credentials),
		subscribed:  subscriptions,
		deliveries:  deliveries,

		checkLease:        workqueue.NewLease(l, "check"),
		subscriptionLease: workqueue.NewLease(l, "subscriptions"),

		known:     platforms,
		instances: instances,
		callers: auth.New(auth.Options{
			Issuer:        c.OIDC.Issuer,
			Audience:      c.OIDC.Audience,
			JWKSURL:       c.OIDC.JWKSURL,
			AccountClaim:  c.AccountClaim,
			InstanceClaim: c.InstanceClaim,
			Now:           d.Now,
		}),
		public:  c.PublicURL,
		console: c.ConsoleURL,
		log:     d.Log,
		now:     d.Now,

		bindLimiter:       auth.NewRateLimiter(bindsPerMinute, d.Now),
		credentialLimiter: auth.NewRateLimiter(credentialsPerMinute, d.Now),
		repositoryLimiter: auth.NewRateLimiter(looksPerMinute, d.Now),
	}, nil
}

// newBindLimiter returns a limiter of as many calls as binds.
func (a *API) newBindLimiter() *auth.RateLimiter {
	return auth.NewRateLimiter(bindsPerMinute, a.now)
}

// Prefetch begins to fetch what the first call of a signed-in user needs, and doesn't wait for it:
// the issuer's keys.
func (a *API) Prefetch(ctx context.Context) { a.callers.Prefetch(ctx) }

// Handler returns the handler of the routes and of /healthz.
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
