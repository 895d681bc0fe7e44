package provider

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/timing"
)

// Endpoints are the origins of the platforms that have one address, without a slash at the end.
// An empty one is the platform's own; others are for tests and proxies.
type Endpoints struct {
	CodeupURL, CodeupAPIURL       string
	GiteeURL, GiteeAPIURL         string
	GitHubURL, GitHubAPIURL       string
	BitbucketURL, BitbucketAPIURL string
}

// DefaultEndpoints are the platforms' own. Codeup's is the central edition.
func DefaultEndpoints() Endpoints {
	return Endpoints{
		CodeupURL:       "https://codeup.aliyun.com",
		CodeupAPIURL:    "https://openapi-rdc.aliyuncs.com",
		GiteeURL:        "https://gitee.com",
		GiteeAPIURL:     "https://gitee.com",
		GitHubURL:       "https://github.com",
		GitHubAPIURL:    "https://api.github.com",
		BitbucketURL:    "https://bitbucket.org",
		BitbucketAPIURL: "https://api.bitbucket.org",
	}
}

func (e Endpoints) orDefaults() Endpoints {
	d := DefaultEndpoints()
	return Endpoints{
		CodeupURL:       cmp.Or(e.CodeupURL, d.CodeupURL),
		CodeupAPIURL:    cmp.Or(e.CodeupAPIURL, d.CodeupAPIURL),
		GiteeURL:        cmp.Or(e.GiteeURL, d.GiteeURL),
		GiteeAPIURL:     cmp.Or(e.GiteeAPIURL, d.GiteeAPIURL),
		GitHubURL:       cmp.Or(e.GitHubURL, d.GitHubURL),
		GitHubAPIURL:    cmp.Or(e.GitHubAPIURL, d.GitHubAPIURL),
		BitbucketURL:    cmp.Or(e.BitbucketURL, d.BitbucketURL),
		BitbucketAPIURL: cmp.Or(e.BitbucketAPIURL, d.BitbucketAPIURL),
	}
}

// Options is what the platforms need of the world.
type Options struct {
	// Guard is the way out of all calls.
	Guard *netguard.Guard
	// Now is the clock; nil is [time.Now].
	Now func() time.Time
	// Sleep waits, or returns the context's error if that ends first; nil is a real one.
	Sleep     func(context.Context, time.Duration) error
	Endpoints Endpoints
}

// Set holds the platforms. It may be used at once from many goroutines.
type Set struct{ ordered []Platform }

// New makes the platforms. It makes no call.
func New(o Options) *Set {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = timing.Sleep
	}
	e := o.Endpoints.orDefaults()
	reach := func(name string, hc *http.Client) *client {
		return newClient(name, o.Guard, hc, o.Now)
	}
	trusted := o.Guard.Trusted()
	return &Set{ordered: []Platform{
		newCodeup(reach(Codeup, trusted), e.CodeupURL, e.CodeupAPIURL),
		newGitee(reach(Gitee, trusted), e.GiteeURL, e.GiteeAPIURL),
		newGitHub(reach(GitHub, trusted), e.GitHubURL, e.GitHubAPIURL, o.Sleep),
		newGitLab(reach(GitLab, o.Guard.Guarded())),
		newBitbucket(reach(Bitbucket, trusted), e.BitbucketURL, e.BitbucketAPIURL),
	}}
}

// Get returns the platform of this name, and whether there is one.
func (s *Set) Get(name string) (Platform, bool) {
	for _, p := range s.ordered {
		if p.Describe().Name == name {
			return p, true
		}
	}
	return nil, false
}

// All returns the platforms in the order of [Names].
func (s *Set) All() []Platform { return slices.Clone(s.ordered) }
