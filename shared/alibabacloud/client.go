package alibabacloud

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

	"bindery/shared/timing"
)

// A call must end within a function's 15 seconds: three tries of 4 seconds and two waits of at most
// half a second are 13.
const (
	tries          = 3
	tryTimeout     = 4 * time.Second // of a whole try, including the reply's body
	connectTimeout = time.Second     // for TCP, and again for TLS
	firstBackoff   = 250 * time.Millisecond
)

// Service describes one of the cloud's services.
type Service struct {
	// Name is the first part of its host: {name}.{region}.aliyuncs.com. Title is its name in
	// errors.
	Name, Title string
	// Version is the version of its interface.
	Version string
	// MaxReply is larger in bytes than any reply.
	MaxReply int
	// Explain tells an operator what a code means if it is about the deployment's settings, or
	// returns "".
	Explain func(code string) string
}

// Client calls one service. Create one with [NewClient]. Its methods may be called at once from
// many goroutines.
type Client struct {
	service Service
	options ClientOptions
	http    *http.Client
}

// ClientOptions says how a client is created.
type ClientOptions struct {
	Environment
	// Endpoint is an origin that is used instead of the region's own.
	Endpoint string
	// Now is the clock for signing requests.
	Now func() time.Time
	// Sleep waits between two tries, or returns the context's error if that ends first; nil is
	// [timing.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient returns a client, and makes no call. The client ignores the usual proxy variables and
// follows no redirect.
func NewClient(service Service, o ClientOptions) (*Client, error) {
	if o.Sleep == nil {
		o.Sleep = timing.Sleep
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://" + service.Name + "." + o.Region + ".aliyuncs.com"
	}
	scheme, host, err := Origin(o.Endpoint)
	if err != nil {
		return nil, err
	}
	o.Endpoint = scheme + "://" + host
	return &Client{service: service, options: o, http: &http.Client{
		Timeout: tryTimeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout: connectTimeout,
			// Measured by the wall clock, so that a function that was frozen for longer doesn't
			// wait on a connection that was closed long ago.
			IdleConnTimeout:     30 * time.Second,
			MaxIdleConnsPerHost: 16,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Endpoint returns the origin that the client calls.
func (c *Client) Endpoint() string { return c.options.Endpoint }

// Operation is one call to a service.
type Operation struct {
	Action string
	// Query parameters are sent in the request's address, where logs on the way show them. Form
	// parameters are sent in its body.
	Query, Form url.Values
}

// Call calls the service and decodes its reply, which is JSON. A transient failure is tried three
// times. Call ends within 13 seconds, or when its context does. An error shows nothing of the
// request or the reply; [Is] and [Refused] tell some errors apart.
func (c *Client) Call(ctx context.Context, o Operation, reply any) error {
	for try, wait := 1, firstBackoff; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, o, reply)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || try == tries || !transient(err) {
			return err
		}
		if err := c.options.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, o Operation, reply any) error {
	body := o.Form.Encode()
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, c.options.Endpoint+"/", strings.NewReader(body),
	)
	if err != nil {
		return err
	}
	request.URL.RawQuery = canonical(o.Query)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Acs-Action", o.Action)
	request.Header.Set("X-Acs-Version", c.service.Version)
	Sign(request, body, c.options.Credentials(), c.options.Now())
	response, err := c.http.Do(request)
	if err != nil {
		return c.disconnected(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, int64(c.service.MaxReply)+1))
	switch {
	case err != nil:
		return c.disconnected(err)
	case response.StatusCode >= 400:
		return c.describe(response.StatusCode, text)
	case len(text) > c.service.MaxReply || json.Unmarshal(text, reply) != nil:
		// Without the cause, which may quote the reply.
		return errors.New("the reply of " + c.service.Title + " can't be read")
	}
	return nil
}
