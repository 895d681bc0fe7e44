package kms

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	"github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/kms-20160120/v3/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"

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
	sdk   *sdk.Client
	sleep func(context.Context, time.Duration) error
}

// ClientOptions are what a client is made with.
type ClientOptions struct {
	alibabacloud.Environment
	// Endpoint is an origin to ask in place of the region's own.
	Endpoint string
	// Sleep waits between two tries, or returns the context's error if that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewClient makes a client, and no call. The usual proxy variables are not honoured, and no
// redirect is followed.
func NewClient(o ClientOptions) (*Client, error) {
	config := &openapi.Config{
		RegionId:   &o.Region,
		Protocol:   dara.String("https"),
		Credential: holder{o.Credentials},
		HttpClient: caller{&http.Client{
			Timeout: tryLimit,
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: connectLimit}).DialContext,
				ForceAttemptHTTP2:   true,
				TLSHandshakeTimeout: connectLimit,
				// By the clock on the wall, so that a function that was frozen for longer doesn't
				// wait on a connection that is long dead.
				IdleConnTimeout:     30 * time.Second,
				MaxIdleConnsPerHost: 16,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		}},
	}
	if o.Endpoint != "" {
		scheme, host, err := alibabacloud.Origin(o.Endpoint)
		if err != nil {
			return nil, err
		}
		config.Protocol, config.Endpoint = &scheme, &host
	}
	client, err := sdk.NewClient(config)
	if err != nil {
		return nil, err
	}
	client.NoProxy = client.Endpoint         // else a proxy's password is sent along as a header
	client.DisableSDKError = dara.Bool(true) // the service's own error, with the request's id
	return &Client{sdk: client, sleep: o.Sleep}, nil
}

// holder hands the credentials to the library.
type holder struct {
	now func() alibabacloud.Credentials
}

func (h holder) GetCredential() (*credentials.CredentialModel, error) {
	now := h.now()
	return &credentials.CredentialModel{
		AccessKeyId:     dara.String(now.ID),
		AccessKeySecret: dara.String(now.Key.Reveal()),
		SecurityToken:   dara.String(now.Token.Reveal()),
		Type:            h.GetType(),
	}, nil
}

// The rest of the library's interface, of which it uses [holder.GetCredential] alone.

func (h holder) GetAccessKeyId() (*string, error)     { return h.parts(0) }
func (h holder) GetAccessKeySecret() (*string, error) { return h.parts(1) }
func (h holder) GetSecurityToken() (*string, error)   { return h.parts(2) }
func (h holder) GetBearerToken() *string              { return dara.String("") }
func (h holder) GetType() *string                     { return dara.String("sts") }

func (h holder) parts(i int) (*string, error) {
	now := h.now()
	return &[]string{now.ID, now.Key.Reveal(), now.Token.Reveal()}[i], nil
}

// caller makes the library's requests in place of its own clients, which follow redirects and
// read replies without end.
type caller struct{ client *http.Client }

func (c caller) Call(request *http.Request, _ *http.Transport) (*http.Response, error) {
	reply, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	reply.Body = http.MaxBytesReader(nil, reply.Body, mostReply)
	return reply, nil
}

// call asks the service, three times if it fails in passing. The parameters travel in the
// request's body: the library's own methods write them into the address, where a value would be
// seen in the logs of everything on the way.
func (c *Client) call(ctx context.Context, action string, form map[string]any, reply any) error {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		err := c.once(ctx, action, form, reply)
		if err == nil || ctx.Err() != nil || try == tries || !passing(err) {
			return err
		}
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, action string, form map[string]any, reply any) error {
	// Without the style RPC, which only makes the library write into the client at each call.
	got, err := c.sdk.CallApiWithCtx(ctx, &utils.Params{
		Action: dara.String(action), Version: dara.String("2016-01-20"),
		Protocol: dara.String("HTTPS"), Method: dara.String(http.MethodPost),
		Pathname: dara.String("/"), AuthType: dara.String("AK"),
		ReqBodyType: dara.String("formData"), BodyType: dara.String("string"),
	}, &utils.OpenApiRequest{Body: form}, &dara.RuntimeOptions{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return describe(err)
	}
	body, _ := got["body"].(string)
	if json.Unmarshal([]byte(body), reply) != nil {
		return errors.New(unreadable) // without the cause, which may quote it
	}
	return nil
}
