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
	tries        = 3
	tryLimit     = 3 * time.Second // one try in all, the reply's body included
	connectLimit = 2 * time.Second // TCP, and TLS again
	firstWait    = 100 * time.Millisecond
)

// mostReply is more than any reply has: a page ends after 4 MB.
const mostReply = 16 << 20

// Client asks one instance of Tablestore. Make one with [NewClient]. Its methods may be called at
// once from many goroutines.
type Client struct {
	options   ClientOptions
	transport http.RoundTripper
}

// ClientOptions are what a client is made with.
type ClientOptions struct {
	alibabacloud.Environment
	// Instance is the name of the Tablestore instance.
	Instance string
	// Endpoint is an origin to ask in place of the instance's own in the region.
	Endpoint string
	// Sleep waits between two tries, or returns the context's error if that ends first; nil is
	// [timing.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient makes a client, and no call. The usual proxy variables are not honoured, and no
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
		DialContext:         (&net.Dialer{Timeout: connectLimit}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: connectLimit,
		// By the clock on the wall, so that a function that was frozen for longer doesn't wait on a
		// connection that is long dead.
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConnsPerHost: 64,
	}}, nil
}

// call asks the service, three times if it fails in passing.
func (c *Client) call(ctx context.Context, ask func(*sdk.TableStoreClient) error) error {
	_, err := c.callUnsure(ctx, ask)
	return err
}

// callUnsure also reports whether an earlier try than the last may have done its work unseen.
func (c *Client) callUnsure(
	ctx context.Context, ask func(*sdk.TableStoreClient) error,
) (unsure bool, err error) {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, ask)
		if err == nil || ctx.Err() != nil || try == tries || !passing(err) {
			return unsure, err
		}
		unsure = unsure || !undone(err)
		if err := c.options.Sleep(ctx, wait); err != nil {
			return unsure, err
		}
	}
}

// once asks once, with a client of the library's for this one call, since the library takes no
// context and its transport has to know it. The library's own tries are off.
func (c *Client) once(ctx context.Context, ask func(*sdk.TableStoreClient) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The library follows pointers that a reply without its required parts leaves nil.
	defer func() {
		if recover() != nil {
			err = errors.New(unreadable)
		}
	}()
	client := sdk.NewClientWithCredentialsProvider(
		c.options.Endpoint, c.options.Instance, holder{c.options.Credentials},
		&sdk.TableStoreConfig{
			HTTPTimeout: sdk.HTTPTimeout{ConnectionTimeout: connectLimit, RequestTimeout: tryLimit},
			Transport:   within{ctx, c.transport},
		},
	)
	err = ask(client)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return describe(err)
}

// holder hands the credentials to the library.
type holder struct {
	now func() alibabacloud.Credentials
}

func (h holder) GetCredentials() common.Credentials {
	now := h.now()
	return &common.DefaultCredentials{
		AccessKeyID: now.ID, AccessKeySecret: now.Key.Reveal(), SecurityToken: now.Token.Reveal(),
	}
}

// within ends requests with a context that the library doesn't know of, refuses redirects, and
// reads no reply without end.
type within struct {
	ctx  context.Context // of the one call that it is made for
	next http.RoundTripper
}

func (w within) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	stop := context.AfterFunc(w.ctx, cancel)
	end := func() {
		stop()
		cancel()
	}
	reply, err := w.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	if reply.StatusCode >= 300 && reply.StatusCode < 400 {
		_ = reply.Body.Close()
		end()
		return nil, errRedirect
	}
	reply.Body = ending{http.MaxBytesReader(nil, reply.Body, mostReply), end}
	return reply, nil
}

// ending is a body that lets its call end when it is closed.
type ending struct {
	io.ReadCloser
	end func()
}

func (e ending) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}
