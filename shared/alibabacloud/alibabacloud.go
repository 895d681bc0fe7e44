// Package alibabacloud has what Bindery's clients of Alibaba Cloud share: the region, credentials
// that change, and a small client for services that use the cloud's signatures of version 3.
//
// The operations are left to the packages that call them: table/tablestore, which uses the vendor's
// client, vault/kms and instance.
package alibabacloud

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"bindery/shared/secret"
)

// These variables are set by Function Compute; see its page "Environment variables".
const (
	regionVariable = "FC_REGION"
	idVariable     = "ALIBABA_CLOUD_ACCESS_KEY_ID"
	keyVariable    = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
	tokenVariable  = "ALIBABA_CLOUD_SECURITY_TOKEN"
)

// Credentials sign requests. A function's credentials are temporary and come with a token.
type Credentials struct {
	ID    string
	Key   secret.Text
	Token secret.Text
}

// InvocationCredentials holds the credentials that came with the newest invocation of a function.
// The cloud sends new ones with each invocation, while those of the environment are as old as the
// instance and may have expired. The zero value and a nil pointer hold none. Its methods may be
// called at once from many goroutines; if invocations overlap, the credentials of the invocation
// that began last are used.
//
// Package trigger makes one for the process and sets it; clients read it through [Read].
type InvocationCredentials struct {
	newest atomic.Pointer[Credentials]
}

// Set stores the credentials of an invocation. The three parts belong together: if one is missing,
// Set keeps the previous credentials.
func (i *InvocationCredentials) Set(c Credentials) {
	if i == nil || c.ID == "" || c.Key.Empty() || c.Token.Empty() {
		return
	}
	i.newest.Store(&c)
}

// or returns the credentials, or those of the environment until an invocation has set some.
func (i *InvocationCredentials) or(environment func() Credentials) Credentials {
	if i != nil {
		if newest := i.newest.Load(); newest != nil {
			return *newest
		}
	}
	return environment()
}

// Environment is the region and the credentials of a client.
type Environment struct {
	Region string
	// Credentials is called at each use, because credentials change. It may be called at once from
	// many goroutines. Empty credentials lead to an error of the service.
	Credentials func() Credentials
}

// Read reads the environment through lookup, which returns "" for a variable that is not set, like
// [os.Getenv]. The credentials are looked up at each use: those of the newest invocation if an
// invocation has set some, else the environment's. The pointer may be nil if there are no
// invocations.
//
// The error has one line for each missing variable. The environment must have credentials in any
// case: Function Compute sets them for every function that has a role, unless it is configured not
// to, and a function without a role should fail when it starts.
func Read(
	lookup func(string) string, invocation *InvocationCredentials,
) (Environment, error) {
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
		Credentials: func() Credentials { return invocation.or(environment) },
	}, nil
}

// Origin splits an endpoint into scheme and host. It must be http or https and a host, with or
// without a port, and nothing else.
func Origin(endpoint string) (scheme, host string, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") ||
		u.Scheme+"://"+u.Host != strings.TrimSuffix(endpoint, "/") {
		return "", "", errors.New("the endpoint isn't an origin that begins with http:// or https://")
	}
	return u.Scheme, u.Host, nil
}
