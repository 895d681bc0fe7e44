package kms

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
)

// A call must end within a function's 15 seconds: three tries of 4 seconds and two waits of at
// most half a second are 13.
const (
	tries        = 3
	tryLimit     = 4 * time.Second // one try in all, the reply's body included
	connectLimit = time.Second     // TCP, and TLS again
	firstWait    = 250 * time.Millisecond
)

// mostReply is more than any reply has: a value of which JSON writes each byte as \u0000, and the
// names around it.
const mostReply = 6*30_720 + 8192

// Client asks KMS. Make one with [NewClient]. Its methods may be called at once from many
// goroutines.
type Client struct {
	options ClientOptions
	http    *http.Client
}

// ClientOptions are what a client is made with.
type ClientOptions struct {
	alibabacloud.Environment
	// Endpoint is an origin to ask in place of the region's own.
	Endpoint string
	// Now is the clock that requests are signed by.
	Now func() time.Time
	// Sleep waits between two tries, or returns the context's error if that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient makes a client, and no call. The usual proxy variables are not honoured, and no
// redirect is followed.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = "https://kms." + o.Region + ".aliyuncs.com"
	}
	scheme, host, err := alibabacloud.Origin(o.Endpoint)
	if err != nil {
		return nil, err
	}
	o.Endpoint = scheme + "://" + host
	return &Client{options: o, http: &http.Client{
		Timeout: tryLimit,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: connectLimit}).DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: connectLimit,
			// By the clock on the wall, so that a function that was frozen for longer doesn't wait
			// on a connection that is long dead.
			IdleConnTimeout:     30 * time.Second,
			MaxIdleConnsPerHost: 16,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call asks the service, three times if it fails in passing, and decodes its reply. The parameters
// travel in the request's body: in its address a value would be seen in the logs of everything on
// the way.
func (c *Client) call(ctx context.Context, action string, form url.Values, reply any) error {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, action, form, reply)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || try == tries || !passing(err) {
			return err
		}
		if err := c.options.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, action string, form url.Values, reply any) error {
	body := form.Encode()
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, c.options.Endpoint+"/", strings.NewReader(body),
	)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Acs-Action", action)
	request.Header.Set("X-Acs-Version", "2016-01-20")
	sign(request, body, c.options.Credentials(), c.options.Now())
	response, err := c.http.Do(request)
	if err != nil {
		return disconnected(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostReply+1))
	switch {
	case err != nil:
		return disconnected(err)
	case response.StatusCode >= 400:
		return describe(response.StatusCode, text)
	case len(text) > mostReply || json.Unmarshal(text, reply) != nil:
		return errors.New(unreadable) // without the cause, which may quote it
	}
	return nil
}
