// Package awscloud builds the configuration of AWS's clients directly from the environment: on
// Lambda everything is in a few variables, and the library's own search in files, profiles and
// metadata services costs milliseconds of each cold start.
//
// The operations are left to the packages that call them: table/dynamo, vault/secretsmanager and
// vault/awskms.
package awscloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// The services' names in the variable AWS_ENDPOINT_URL_<service>.
const (
	DynamoDB       = "DYNAMODB"
	SecretsManager = "SECRETS_MANAGER"
	KMS            = "KMS"
)

// These variables are set by Lambda, except the endpoints; for a service that was started for a
// test, any values of the first three work.
const (
	regionVariable   = "AWS_REGION"
	keyIDVariable    = "AWS_ACCESS_KEY_ID"
	keyVariable      = "AWS_SECRET_ACCESS_KEY"
	sessionVariable  = "AWS_SESSION_TOKEN"
	endpointVariable = "AWS_ENDPOINT_URL"
)

// limits limit the duration of one call. A function of 15 seconds must be able to end on its own:
// three tries of 4 seconds and two waits of at most one are 14.
type limits struct {
	attempts int
	connect  time.Duration // for TCP, and again for TLS
	response time.Duration // from the request's last byte to the reply's first
	attempt  time.Duration // of a whole try, including the reply's body
	backoff  time.Duration // the longest wait between two tries
}

func usual() limits {
	return limits{
		attempts: 3,
		connect:  time.Second,
		response: 3 * time.Second,
		attempt:  4 * time.Second,
		backoff:  time.Second,
	}
}

// Config returns the configuration of one service's client. lookup returns a variable of the
// environment, "" if it is not set, like [os.Getenv]; it is called again for the credentials at
// each use, so that they may change. The endpoint is AWS_ENDPOINT_URL_<service>, else
// AWS_ENDPOINT_URL, else the region's own.
//
// A call ends within 14 seconds, including tries and waits, or when its context does. The client
// ignores the usual proxy variables and follows no redirect.
//
// The error has one line for each variable that is missing or wrong, and quotes no value.
func Config(service string, lookup func(string) string) (aws.Config, error) {
	return config(service, lookup, usual())
}

func config(service string, lookup func(string) string, most limits) (aws.Config, error) {
	get := func(name string) string { return strings.TrimSpace(lookup(name)) }
	region := get(regionVariable)
	missing := []error{
		needed(get, regionVariable), needed(get, keyIDVariable),
		needed(get, keyVariable),
	}
	endpoint, err := endpoint(service, get)
	if err := errors.Join(append(missing, err)...); err != nil {
		return aws.Config{}, err
	}
	return aws.Config{
		Region:       region,
		Credentials:  credentials(get),
		BaseEndpoint: endpoint,
		HTTPClient:   client(most),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.Backoff = most.attempts, backoffs(most.backoff)
				o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(truncated))
			})
		},
	}, nil
}

// firstBackoff is the longest wait before the second try.
const firstBackoff = 250 * time.Millisecond

// backoffs returns waits that double and are of random length, so that callers that failed together
// don't retry together. The library's own waits would always be as long as the longest, if that is
// a second.
func backoffs(longest time.Duration) retry.BackoffDelayerFunc {
	return func(tries int, _ error) (time.Duration, error) {
		most := min(longest, firstBackoff<<min(max(tries-1, 0), 10))
		return most/2 + rand.N(most/2+1), nil
	}
}

// truncated reports whether a reply whose end is missing should be asked for again, which the
// library doesn't do. A write that succeeded nevertheless is recognised by its version when it is
// repeated.
func truncated(err error) aws.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

func needed(get func(string) string, name string) error {
	if get(name) == "" {
		return fmt.Errorf("%s is not set", name)
	}
	return nil
}

// endpoint returns the configured endpoint, or nil for the region's own.
func endpoint(service string, get func(string) string) (*string, error) {
	for _, name := range []string{endpointVariable + "_" + service, endpointVariable} {
		value := get(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%s isn't an address that begins with http:// or https://", name)
		}
		return &value, nil
	}
	return nil, nil
}

func credentials(get func(string) string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if err := errors.Join(needed(get, keyIDVariable), needed(get, keyVariable)); err != nil {
			return aws.Credentials{}, err
		}
		return aws.Credentials{
			AccessKeyID:     get(keyIDVariable),
			SecretAccessKey: get(keyVariable),
			SessionToken:    get(sessionVariable),
			Source:          "environment",
		}, nil
	})
}

func client(most limits) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: most.connect}).DialContext,
			TLSHandshakeTimeout:   most.connect,
			ResponseHeaderTimeout: most.response,
			// Measured by the wall clock, so that a function that was frozen for longer doesn't
			// wait on a connection that was closed long ago.
			IdleConnTimeout:     30 * time.Second,
			MaxIdleConnsPerHost: 16,
		},
		Timeout:       most.attempt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
