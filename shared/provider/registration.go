package provider

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"bindery/shared/netguard"
)

// Registration adds one platform to Bindery: to the catalogue of platforms, the configuration and
// the routes. [Platforms] lists those that are built in; a platform is added by adding its
// registration there.
type Registration struct {
	// Name is the platform's name in paths, records and the file of OAuth apps: "github".
	Name string
	// Origins are where the platform is reached. A platform whose address the user enters has none.
	Origins []Origin
	// New makes the platform. It makes no call. The platform describes itself under Name.
	New func(Environment) Platform
}

// Origin is an origin of a platform, without a slash at the end.
type Origin struct {
	// Variable is the environment variable that replaces it, for tests and proxies.
	Variable string
	// Title says what is there: "GitHub's API".
	Title string
	// Default is the platform's own.
	Default string
}

// Environment is what a platform is made with.
type Environment struct {
	// Guard makes all outgoing calls.
	Guard *netguard.Guard
	// Now is the clock.
	Now func() time.Time
	// Sleep waits, or returns the context's error if that ends first.
	Sleep func(context.Context, time.Duration) error
	// Origins are the registration's, in its order, each replaced where the options say so.
	Origins []string
}

// trusted returns a client for origins that the operator chose.
func (e Environment) trusted(d dialect) *client { return e.client(d, e.Guard.Trusted()) }

// guarded returns a client for addresses that users enter.
func (e Environment) guarded(d dialect) *client { return e.client(d, e.Guard.Guarded()) }

func (e Environment) client(d dialect, hc *http.Client) *client {
	return &client{dialect: d, guard: e.Guard, http: hc, now: e.Now}
}

// Endpoints replace origins of platforms: by the name of the origin's variable, the origin that
// is used in its place. One that is missing or empty is the platform's own.
type Endpoints map[string]string

// origins returns the registration's origins, replaced as e says.
func (e Endpoints) origins(r Registration) []string {
	origins := make([]string, len(r.Origins))
	for i, o := range r.Origins {
		origins[i] = cmp.Or(e[o.Variable], o.Default)
	}
	return origins
}
