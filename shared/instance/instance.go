// Package instance is the catalogue of registry instances: it knows which instances an account has.
//
// It knows nothing about bindings. An account sees only its own instances; to every query, an
// instance of another account doesn't exist.
package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
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
	// List returns the account's instances. For an account without instances, or an unknown one, the
	// list is empty.
	List(ctx context.Context, account string) (List, error)

	// Find returns one instance of the account, or [ErrUnknown] if there is none or it belongs to
	// another account.
	Find(ctx context.Context, account, region, id string) (Instance, error)
}

// ErrUnknown means that the account has no such instance. It is the problem that a user sees.
var ErrUnknown error = problem.New(problem.InstanceUnknown)

// How long a fetched catalogue is used, how soon it is fetched again, and how large it may be: a
// hundred thousand instances with the longest names fit.
const (
	ttl                = 5 * time.Minute
	retryInterval      = time.Minute
	retryEmptyInterval = 5 * time.Second
	// A list of 64 MB takes longer than the registry's interface.
	listTimeout = 10 * time.Second
	acrTimeout  = 5 * time.Second

	maxCatalogueLength = 64 << 20
	maxInstances       = 200_000
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
	// Log gets an error each time that a catalogue can't be read; nil is no log.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Open opens the catalogue that spec describes (BINDERY_INSTANCES):
//
//   - JSON text: {account: [{type, region, id, name}]}. The error has a line for each mistake.
//   - An https:// or file:/// address of such JSON (http:// only on this machine), of at most 64 MB
//     and 200,000 instances. It is read when it is first needed, a file already by Open, in 10
//     seconds at most, and again after 5 minutes. If that fails or the content is wrong, the log
//     has an error, and the old one is used. Open fails if a file is there and is wrong.
//   - acr: the instances that Alibaba Cloud's Container Registry lists; see [FromACR]. This
//     needs a binary with the tag alibaba.
func Open(spec string, o Options) (Catalogue, error) {
	o = o.withDefaults()
	spec = strings.TrimSpace(spec)
	if spec == "acr" {
		return openACR(o)
	}
	if strings.HasPrefix(spec, "{") {
		all, err := parse(strings.NewReader(spec))
		if err != nil {
			return nil, err
		}
		return catalogue(func(context.Context) (accounts, error) { return all, nil }), nil
	}
	get, isFile, err := source(spec, o.Client)
	if err != nil {
		return nil, err
	}
	c := cached(func(ctx context.Context) (accounts, error) {
		content, err := get(ctx)
		if err != nil {
			return nil, err
		}
		defer content.Close()
		all, err := parse(content)
		if errors.Is(err, cache.ErrTooLong) {
			return nil, mistake("it is longer than %d MB", maxCatalogueLength>>20)
		}
		return all, err
	}, listTimeout, o)
	if isFile { // a file that is missing may be on a file system that is mounted later
		if _, err := c(context.Background()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return c, nil
}

// cached returns a catalogue of what get returns. get is called when the catalogue is first needed
// and when it is old. If that fails, the old one is used and the log has an error.
func cached(
	get func(context.Context) (accounts, error), timeout time.Duration, o Options,
) catalogue {
	all := cache.New(func(ctx context.Context) (accounts, error) {
		current, err := get(ctx)
		if err != nil {
			o.Log.ErrorContext(ctx, "the catalogue of instances can't be read", "error", err)
		}
		return current, err
	}, cache.Policy{
		TTL: ttl, RetryInterval: retryInterval, RetryEmptyInterval: retryEmptyInterval,
		Timeout: timeout, Now: o.Now,
	})
	return func(ctx context.Context) (accounts, error) {
		current, _, err := all.Current(ctx)
		return current, err
	}
}

// source returns a func that opens the content of an address, and reports whether it is a file.
func source(
	address string, client *http.Client,
) (open func(context.Context) (io.ReadCloser, error), isFile bool, err error) {
	u, err := url.Parse(address)
	switch {
	case err != nil: // its text would quote the address
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return cache.Stream(address, client, maxCatalogueLength), false, nil
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return func(context.Context) (io.ReadCloser, error) {
			file, err := os.Open(u.Path)
			if err != nil {
				return nil, fmt.Errorf("opening the catalogue: %w", err)
			}
			return cache.Limited(file, maxCatalogueLength), nil
		}, true, nil
	}
	return nil, false, mistake("neither JSON nor an https:// or file:/// address nor acr")
}

// accounts are the instances of each account.
type accounts map[string]List

// catalogue answers from all accounts, which it gets anew for every query.
type catalogue func(ctx context.Context) (accounts, error)

func (c catalogue) List(ctx context.Context, account string) (List, error) {
	all, err := c(ctx)
	if err != nil {
		return List{}, problem.New(problem.InstancesUnknown).After(retryEmptyInterval).
			From(fmt.Errorf("reading the catalogue of instances: %w", err))
	}
	return all[account], nil
}

func (c catalogue) Find(ctx context.Context, account, region, id string) (Instance, error) {
	list, err := c.List(ctx, account)
	if err != nil {
		return Instance{}, err
	}
	return list.Find(region, id)
}
