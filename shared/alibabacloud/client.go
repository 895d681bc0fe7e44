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

// A call must end within a function's 15 seconds: three tries of 4 seconds and two waits of at
// most half a second are 13.
const (
	tries        = 3
	tryLimit     = 4 * time.Second // one try in all, the reply's body included
	connectLimit = time.Second     // TCP, and TLS again
	firstWait    = 250 * time.Millisecond
)

// Service says which of the cloud's services a client asks, and how.
type Service struct {
	// Name begins its host: {name}.{region}.aliyuncs.com. Title is what errors call it.
	Name, Title string
	// Version is that of its interface.
	Version string
	// MaxReply is more bytes than any reply has.
	MaxReply int
	// Explain says to an operator what a code means where it is about what he has to set up, or "".
	Explain func(code string) string
}

// Client asks one service. Make one with [NewClient]. Its methods may be called at once from many
// goroutines.
type Client struct {
	service Service
	options ClientOptions
	http    *http.Client
}

// ClientOptions are what a client is made with.
type ClientOptions struct {
	Environment
	// Endpoint is an origin to ask in place of the region's own.
	Endpoint string
	// Now is the clock that requests are signed by.
	Now func() time.Time
	// Sleep waits between two tries, or returns the context's error if that ends first; nil is
	// [timing.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient makes a client, and no call. The usual proxy variables are not honoured, and no
// redirect is followed.
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

// Endpoint is the origin that the client asks.
func (c *Client) Endpoint() string { return c.options.Endpoint }

// Operation is one thing to ask of a service.
type Operation struct {
	Action string
	// Query are the parameters that travel in the request's address, where they are seen in the logs
	// of everything on the way. Form are those in its body.
	Query, Form url.Values
}

// Call asks the service, three times if it fails in passing, and decodes its reply, which is JSON.
// It ends within 13 seconds, or when its context does. An error shows nothing of the request or the
// reply; [Is] and [Refused] tell some apart.
func (c *Client) Call(ctx context.Context, o Operation, reply any) error {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, o, reply)
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
		// Without the cause, which may quote it.
		return errors.New("the reply of " + c.service.Title + " can't be read")
	}
	return nil
}
