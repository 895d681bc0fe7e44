// Package alibabacloud is what Bindery's clients of Alibaba Cloud share: the region, credentials
// that change, and a small client for those services that speak the cloud's version 3 of signed
// requests.
//
// What to ask the services is left to the packages that do: table/tablestore, which has a client of
// the vendor's, vault/kms and instance.
package alibabacloud

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"bindery/shared/secret"
)

// The variables. Function Compute sets them all; see its page "Environment variables".
const (
	regionVariable = "FC_REGION"
	idVariable     = "ALIBABA_CLOUD_ACCESS_KEY_ID"
	keyVariable    = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
	tokenVariable  = "ALIBABA_CLOUD_SECURITY_TOKEN"
)

// Credentials sign requests. Those of a function are temporary and come with a token.
type Credentials struct {
	ID    string
	Key   secret.Text
	Token secret.Text
}

// Latest holds the credentials that came with the newest invocation of a function. The cloud sends
// new ones with each, while those of the environment are as old as the instance and may have ended.
// The zero value holds none, and so does a nil pointer. Its methods may be called at once from many
// goroutines; where invocations overlap, it is the one that began last which counts.
type Latest struct {
	kept atomic.Pointer[Credentials]
}

// Set takes the credentials of an invocation. They come as three that belong together: if one is
// missing they are none, and what was there before is kept.
func (l *Latest) Set(c Credentials) {
	if l == nil || c.ID == "" || c.Key.Empty() || c.Token.Empty() {
		return
	}
	l.kept.Store(&c)
}

// or returns the credentials, or those of the environment as long as no invocation has brought any.
func (l *Latest) or(environment func() Credentials) Credentials {
	if l != nil {
		if kept := l.kept.Load(); kept != nil {
			return *kept
		}
	}
	return environment()
}

// Environment is what a client is made with.
type Environment struct {
	Region string
	// Credentials are asked for at each use, so that they may change. They may be called at once
	// from many goroutines. Empty ones are an error of the service's.
	Credentials func() Credentials
}

// Read reads the environment that lookup shows ("" for a variable that is not set, as [os.Getenv]
// has it). The credentials are looked up at each use: those of the newest invocation if there has
// been one that brought any, else the environment's. latest may be nil, where nothing brings any.
//
// The error has one line for each variable that is missing. The credentials are wanted there in any
// case: Function Compute sets them for every function that has a role, unless it is told not to,
// and a function without a role should say so when it starts.
func Read(lookup func(string) string, latest *Latest) (Environment, error) {
	get := func(name string) string { return strings.TrimSpace(lookup(name)) }
	var missing []error
	for _, name := range []string{regionVariable, idVariable, keyVariable} {
		if get(name) == "" {
			missing = append(missing, fmt.Errorf("%s is not set", name))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return Environment{}, err
	}
	environment := func() Credentials {
		return Credentials{
			ID:    get(idVariable),
			Key:   secret.New(get(keyVariable)),
			Token: secret.New(get(tokenVariable)),
		}
	}
	return Environment{
		Region:      get(regionVariable),
		Credentials: func() Credentials { return latest.or(environment) },
	}, nil
}

// Origin takes an endpoint apart. It must be a scheme, http or https, and a host, with a port or
// not, and nothing else.
func Origin(endpoint string) (scheme, host string, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") ||
		u.Scheme+"://"+u.Host != strings.TrimSuffix(endpoint, "/") {
		return "", "", errors.New("the endpoint isn't an origin that begins with http:// or https://")
	}
	return u.Scheme, u.Host, nil
}
