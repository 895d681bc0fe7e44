// Package instance is the catalogue of registry instances: which ones an account has.
//
// It knows nothing of bindings. An account sees its own instances only; another's instance is,
// to every question, one that doesn't exist.
package instance

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
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

// Instance is one registry instance. Region and ID together name it within its account.
type Instance struct {
	Type   string `json:"type"`
	Region string `json:"region"`
	ID     string `json:"id"`
	Name   string `json:"name"`
}

// Catalogue answers which instances there are. Its methods may be called at once from many
// goroutines. [problem.InstancesUnknown] means that it can't tell: nobody may conclude from it
// that an instance is gone.
type Catalogue interface {
	// List returns the account's instances by region, then id. An account without any, or one
	// that nobody knows, has an empty list. The list is the caller's own.
	List(ctx context.Context, account string) ([]Instance, error)

	// Find returns one instance of the account. [ErrUnknown] if there is none, or if it is
	// another account's.
	Find(ctx context.Context, account, region, id string) (Instance, error)
}

// ErrUnknown says that the account has no such instance. It is the problem that a user sees.
var ErrUnknown error = problem.New(problem.InstanceUnknown)

// How long a catalogue that has to be fetched serves, how soon it is asked for again, and how much
// of it there may be.
const (
	life       = 5 * time.Minute
	retry      = time.Minute
	retryEmpty = 5 * time.Second
	timeout    = 5 * time.Second
	longest    = 1 << 20
)

// Options of [Open].
type Options struct {
	// Now is the clock, [time.Now] if nil.
	Now func() time.Time
	// Client fetches a catalogue from its address. Redirects are not followed. Without one, a
	// client is made that uses no proxy.
	Client *http.Client
	// ACR is for the catalogue "acr".
	ACR ACR
}

// Open opens the catalogue that spec describes (BINDERY_INSTANCES):
//
//   - JSON text: {account: [{type, region, id, name}]}. The error has a line for all that
//     is wrong with it.
//   - An https:// or file:/// address of such JSON (http:// on this machine itself). It is read
//     when it is first needed, at most 1 MB in 5 seconds, and again after 5 minutes. If that
//     fails or what is there is wrong, the old one goes on serving.
//   - acr: what Alibaba Cloud's Container Registry lists; see [FromACR]. Only a binary with the tag
//     alibaba can.
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
	return kept(func(ctx context.Context) (accounts, error) {
		body, err := get(ctx)
		if err != nil {
			return nil, err
		}
		return parse(body)
	}, o.Now), nil
}

// kept is a catalogue of what get returns, which is asked for when it is first needed and when it
// is old. While that fails, the old one goes on serving.
func kept(get func(context.Context) (accounts, error), now func() time.Time) Catalogue {
	all := cache.New(get, cache.Policy{
		Life: life, Retry: retry, RetryEmpty: retryEmpty, Timeout: timeout, Now: now,
	})
	return catalogue(func(ctx context.Context) (accounts, error) {
		current, _, err := all.Current(ctx)
		return current, err
	})
}

// source returns what reads the bytes at an address.
func source(address string, client *http.Client) (func(context.Context) ([]byte, error), error) {
	u, err := url.Parse(address)
	switch {
	case err != nil: // which would quote the address
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return cache.Web(address, client, longest), nil
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return func(context.Context) ([]byte, error) {
			file, err := os.Open(u.Path)
			if err != nil {
				return nil, fmt.Errorf("opening the catalogue: %w", err)
			}
			defer file.Close()
			return cache.Limited(file, longest)
		}, nil
	}
	return nil, mistake("neither JSON nor an https:// or file:/// address nor acr")
}

// accounts are the instances of each, sorted.
type accounts map[string][]Instance

// catalogue answers from all the accounts, which it is handed anew for every question.
type catalogue func(ctx context.Context) (accounts, error)

func (c catalogue) List(ctx context.Context, account string) ([]Instance, error) {
	all, err := c(ctx)
	if err != nil {
		return nil, problem.New(problem.InstancesUnknown).After(retryEmpty).
			From(fmt.Errorf("reading the catalogue of instances: %w", err))
	}
	return slices.Clone(all[account]), nil
}

func (c catalogue) Find(ctx context.Context, account, region, id string) (Instance, error) {
	list, err := c.List(ctx, account)
	if err != nil {
		return Instance{}, err
	}
	i, found := slices.BinarySearchFunc(list, Instance{Region: region, ID: id}, order)
	if !found {
		return Instance{}, ErrUnknown
	}
	return list[i], nil
}

func order(a, b Instance) int {
	return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}
