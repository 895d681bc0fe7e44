// Package alibabacloud reads out of the environment what Alibaba Cloud's clients need: the region,
// and credentials that change.
//
// What to ask the services is left to the packages that do: table/tablestore and vault/kms.
package alibabacloud

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

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

// Environment is what a client is made with.
type Environment struct {
	Region string
	// Credentials are asked for at each use, so that they may change. They may be called at once
	// from many goroutines. Empty ones are an error of the service's.
	Credentials func() Credentials
}

// Read reads the environment that lookup shows ("" for a variable that is not set, as [os.Getenv]
// has it); the credentials are looked up again at each use. The error has one line for each
// variable that is missing.
func Read(lookup func(string) string) (Environment, error) {
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
	return Environment{
		Region: get(regionVariable),
		Credentials: func() Credentials {
			return Credentials{
				ID:    get(idVariable),
				Key:   secret.New(get(keyVariable)),
				Token: secret.New(get(tokenVariable)),
			}
		},
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
