package provider

import (
	"cmp"
	"context"
	"slices"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/timing"
)

// Platforms returns the registrations of the platforms that are built in, in the order of the
// console, which is the order everywhere.
func Platforms() []Registration {
	return []Registration{
		codeupRegistration(),
		giteeRegistration(),
		gitHubRegistration(),
		gitLabRegistration(),
		bitbucketRegistration(),
	}
}

// Names returns the names of [Platforms], in their order.
func Names() []string {
	var names []string
	for _, r := range Platforms() {
		names = append(names, r.Name)
	}
	return names
}

// Options configure the platforms.
type Options struct {
	// Platforms are those of the set, in this order; nil means [Platforms].
	Platforms []Registration
	// Guard makes all outgoing calls.
	Guard *netguard.Guard
	// Now is the clock; nil is [time.Now].
	Now func() time.Time
	// Sleep waits, or returns the context's error if that ends first; nil is [Sleep].
	Sleep     func(context.Context, time.Duration) error
	Endpoints Endpoints
}

// Set holds the platforms. Its methods may be called at once from many goroutines.
type Set struct {
	names     []string
	platforms []Platform
	sites     []string // of each platform the first origin, "" if it has none
}

// New makes the platforms. It makes no call.
func New(o Options) *Set {
	if o.Platforms == nil {
		o.Platforms = Platforms()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = timing.Sleep
	}
	s := &Set{}
	for _, r := range o.Platforms {
		origins := o.Endpoints.origins(r)
		s.names = append(s.names, r.Name)
		site := ""
		if len(origins) > 0 {
			site = origins[0]
		}
		s.sites = append(s.sites, site)
		s.platforms = append(s.platforms, r.New(Environment{
			Guard: o.Guard, Now: o.Now, Sleep: o.Sleep, Origins: origins,
		}))
	}
	return s
}

// Get returns the platform of this name, and whether there is one.
func (s *Set) Get(name string) (Platform, bool) {
	i := slices.Index(s.names, name)
	if i < 0 {
		return nil, false
	}
	return s.platforms[i], true
}

// Site returns the address of a platform's pages and git server: the first of its registration's
// origins, or address if it has none, which is the address that the user of a binding entered.
func (s *Set) Site(name, address string) string {
	if i := slices.Index(s.names, name); i >= 0 {
		return cmp.Or(s.sites[i], address)
	}
	return address
}

// Names returns the platforms' names in the order of their registrations.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// All returns the platforms in the order of [Set.Names].
func (s *Set) All() []Platform { return slices.Clone(s.platforms) }
