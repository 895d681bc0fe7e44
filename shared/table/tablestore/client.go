package tablestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"

	"bindery/shared/alibabacloud"
	"bindery/shared/timing"
)

// A call must end within a function's 15 seconds: three tries of 3 seconds and two waits of at
// most half a second are 10.
const (
	tries          = 3
	tryTimeout     = 3 * time.Second // of one try, the reply's body included
	connectTimeout = 2 * time.Second // of TCP, and again of TLS
	firstBackoff   = 100 * time.Millisecond
)

// maxReply is more bytes than any reply has: a page ends after 4 MB.
const maxReply = 16 << 20

// Client calls one instance of Tablestore. Create one with [NewClient]. Its methods may be called
// at once from many goroutines.
type Client struct {
	options   ClientOptions
	transport http.RoundTripper
}

// ClientOptions says how a client is created.
type ClientOptions struct {
	alibabacloud.Environment
	// Instance is the name of the Tablestore instance.
	Instance string
	// Endpoint is an origin that is used instead of the instance's own in the region.
	Endpoint string
	// Sleep waits between two tries, or returns the context's error if that ends first; nil is
	// [timing.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient returns a client, and makes no call. The usual proxy variables are ignored, and no
// redirect is followed.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Sleep == nil {
		o.Sleep = timing.Sleep
	}
	if o.Endpoint == "" {
		o.Endpoint = fmt.Sprintf("https://%s.%s.ots.aliyuncs.com", o.Instance, o.Region)
	}
	scheme, host, err := alibabacloud.Origin(o.Endpoint)
	if err != nil {
		return nil, err
	}
	o.Endpoint = scheme + "://" + host
	return &Client{options: o, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout,
		// Measured on the wall clock, so that a function that was frozen for longer doesn't wait on a
		// connection that has ended.
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConnsPerHost: 64,
	}}, nil
}

// call calls the service, at most three times while the failure is transient.
func (c *Client) call(ctx context.Context, ask func(*sdk.TableStoreClient) error) error {
	_, err := c.callUnclear(ctx, ask)
	return err
}

// callUnclear also reports whether a try before the last may have done its work without an answer.
func (c *Client) callUnclear(
	ctx context.Context, ask func(*sdk.TableStoreClient) error,
) (unclear bool, err error) {
	for try, wait := 1, firstBackoff; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, ask)
		if err == nil || ctx.Err() != nil || try == tries || !transient(err) {
			return unclear, err
		}
		unclear = unclear || !notDone(err)
		if err := c.options.Sleep(ctx, wait); err != nil {
			return unclear, err
		}
	}
}

// once asks once, with a client of the library's for this one call: the library takes no context,
// so that the transport has to know it. The library's own retries are off.
func (c *Client) once(ctx context.Context, ask func(*sdk.TableStoreClient) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The library dereferences pointers that a reply without its required parts leaves nil.
	defer func() {
		if recover() != nil {
			err = errors.New(unreadable)
		}
	}()
	client := sdk.NewClientWithCredentialsProvider(
		c.options.Endpoint, c.options.Instance, credentialsProvider{c.options.Credentials},
		&sdk.TableStoreConfig{
			HTTPTimeout: sdk.HTTPTimeout{ConnectionTimeout: connectTimeout, RequestTimeout: tryTimeout},
			Transport:   boundTransport{ctx, c.transport},
		},
	)
	err = ask(client)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return describe(err)
}

// credentialsProvider gives the credentials to the library.
type credentialsProvider struct {
	now func() alibabacloud.Credentials
}

func (p credentialsProvider) GetCredentials() common.Credentials {
	now := p.now()
	return &common.DefaultCredentials{
		AccessKeyID: now.ID, AccessKeySecret: now.Key.Reveal(), SecurityToken: now.Token.Reveal(),
	}
}

// boundTransport ends requests with a context that the library doesn't know of, refuses redirects,
// and limits a reply's size.
type boundTransport struct {
	ctx  context.Context // of the one call that it is made for
	next http.RoundTripper
}

func (b boundTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	stop := context.AfterFunc(b.ctx, cancel)
	end := func() {
		stop()
		cancel()
	}
	reply, err := b.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	if reply.StatusCode >= 300 && reply.StatusCode < 400 {
		_ = reply.Body.Close()
		end()
		return nil, errRedirect
	}
	reply.Body = endingBody{http.MaxBytesReader(nil, reply.Body, maxReply), end}
	return reply, nil
}

// endingBody is a reply's body that ends the call's context when it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (e endingBody) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}
