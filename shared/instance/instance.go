// Package instance is the catalogue of registry instances: it knows which instances an account has.
//
// It knows nothing about bindings. An account sees only its own instances; to every query, an
// instance of another account doesn't exist.
package instance

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"bindery/shared/cache"
	"bindery/shared/problem"
)

// The types of instances.
const (
	Enterprise = "enterprise"
	Personal   = "personal"
)

// Instance is one registry instance. Region and ID together identify it within its account.
type Instance struct {
	Type   string `json:"type"`
	Region string `json:"region"`
	ID     string `json:"id"`
	Name   string `json:"name"`
}

// Catalogue answers which instances exist. Its methods may be called at once from many goroutines.
// [problem.InstancesUnknown] means that the catalogue can't tell: no caller may conclude from it
// that an instance no longer exists.
type Catalogue interface {
	// List returns the account's instances by region, then id. For an account without instances, or
	// an unknown one, the list is empty. The caller owns the list.
	List(ctx context.Context, account string) ([]Instance, error)

	// Find returns one instance of the account, or [ErrUnknown] if there is none or it belongs to
	// another account.
	Find(ctx context.Context, account, region, id string) (Instance, error)
}

// ErrUnknown means that the account has no such instance. It is the problem that a user sees.
var ErrUnknown error = problem.New(problem.InstanceUnknown)

// How long a fetched catalogue is used, how soon it is fetched again, and how large it may be.
const (
	ttl                = 5 * time.Minute
	retryInterval      = time.Minute
	retryEmptyInterval = 5 * time.Second
	timeout            = 5 * time.Second
	maxCatalogueLength = 16 << 20
)

// Options of [Open].
type Options struct {
	// Now is the clock; nil is [time.Now].
	Now func() time.Time
	// Client fetches a catalogue from its address; it follows no redirect. Nil is a client without
	// a proxy.
	Client *http.Client
	// ACR is for the catalogue "acr".
	ACR ACR
}

// Open opens the catalogue that spec describes (BINDERY_INSTANCES):
//
//   - JSON text: {account: [{type, region, id, name}]}. The error has a line for each mistake.
//   - An https:// or file:/// address of such JSON (http:// only on this machine). It is read
//     when it is first needed, at most 16 MB in 5 seconds, and again after 5 minutes. If that
//     fails or the content is wrong, the old one is used.
//   - acr: the instances that Alibaba Cloud's Container Registry lists; see [FromACR]. This
//     needs a binary with the tag alibaba.
func Open(spec string, o Options) (Catalogue, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	spec = strings.TrimSpace(spec)
	if spec == "acr" {
		return openACR(o)
	}
	if strings.HasPrefix(spec, "{") {
		all, err := parse([]byte(spec))
		if err != nil {
			return nil, err
		}
		return catalogue(func(context.Context) (accounts, error) { return all, nil }), nil
	}
	get, err := source(spec, o.Client)
	if err != nil {
		return nil, err
	}
	return cached(func(ctx context.Context) (accounts, error) {
		body, err := get(ctx)
		if err != nil {
			return nil, err
		}
		return parse(body)
	}, o.Now), nil
}

// cached returns a catalogue of what get returns. get is called when the catalogue is first needed
// and when it is old. If that fails, the old one is used.
func cached(get func(context.Context) (accounts, error), now func() time.Time) Catalogue {
	all := cache.New(get, cache.Policy{
		TTL: ttl, RetryInterval: retryInterval, RetryEmptyInterval: retryEmptyInterval,
		Timeout: timeout, Now: now,
	})
	return catalogue(func(ctx context.Context) (accounts, error) {
		current, _, err := all.Current(ctx)
		return current, err
	})
}

// source returns a func that reads the bytes at an address.
func source(address string, client *http.Client) (func(context.Context) ([]byte, error), error) {
	u, err := url.Parse(address)
	switch {
	case err != nil: // its text would quote the address
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return cache.Web(address, client, maxCatalogueLength), nil
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return func(context.Context) ([]byte, error) {
			file, err := os.Open(u.Path)
			if err != nil {
				return nil, fmt.Errorf("opening the catalogue: %w", err)
			}
			defer file.Close()
			return cache.Limited(file, maxCatalogueLength)
		}, nil
	}
	return nil, mistake("neither JSON nor an https:// or file:/// address nor acr")
}

// accounts are the sorted instances of each account.
type accounts map[string][]Instance

// catalogue answers from all accounts, which it gets anew for every query.
type catalogue func(ctx context.Context) (accounts, error)

func (c catalogue) List(ctx context.Context, account string) ([]Instance, error) {
	list, err := c.of(ctx, account)
	return slices.Clone(list), err
}

func (c catalogue) Find(ctx context.Context, account, region, id string) (Instance, error) {
	list, err := c.of(ctx, account)
	if err != nil {
		return Instance{}, err
	}
	i, found := slices.BinarySearchFunc(list, Instance{Region: region, ID: id}, order)
	if !found {
		return Instance{}, ErrUnknown
	}
	return list[i], nil
}

// of returns the account's list, which all calls share.
func (c catalogue) of(ctx context.Context, account string) ([]Instance, error) {
	all, err := c(ctx)
	if err != nil {
		return nil, problem.New(problem.InstancesUnknown).After(retryEmptyInterval).
			From(fmt.Errorf("reading the catalogue of instances: %w", err))
	}
	return all[account], nil
}

func order(a, b Instance) int {
	return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}

// sortList sorts a list by order. slices.SortFunc would add 9 KB to every function.
func sortList(list []Instance) {
	sort.Slice(list, func(i, j int) bool { return order(list[i], list[j]) < 0 })
}
