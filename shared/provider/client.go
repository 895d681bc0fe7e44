package provider

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// userAgent is sent with every call: Gitee and GitHub refuse a call without one.
const userAgent = "Bindery/1 (+source code binding)"

// maxReplyLength is larger than any reply of a call that has no limit of its own.
const maxReplyLength = 1 << 20

// client makes the calls to one platform and interprets its replies. It holds no token. It may be
// used at once from many goroutines.
type client struct {
	dialect
	guard *netguard.Guard
	http  *http.Client
	now   func() time.Time
}

// session returns a copy of a guarded client for the calls of one operation, which make one
// connection as long as each follows the reply to the one before. end closes it.
func (c *client) session() (own *client, end func()) {
	copied := *c
	copied.http, end = c.guard.Session()
	return &copied, end
}

// call is one request.
type call struct {
	method string // "" is GET
	// address is the whole URL, query included. No secrets: addresses get into errors and logs.
	address string
	// header holds what is no secret. Accept is application/json unless it is given here.
	header map[string]string
	// auth holds the credential. The zero value is none.
	auth authHeader
	// body is a secret because a token request is one. withForm and withJSON set both.
	body        secret.Text
	contentType string
	// limit is the length of the longest reply that is read; 0 is maxReplyLength.
	limit int64
}

// authHeader is a header whose value is a secret.
type authHeader struct {
	name  string
	value secret.Text
}

// bearer returns the header of RFC 6750.
func bearer(token secret.Text) authHeader {
	return authHeader{"Authorization", secret.New("Bearer " + token.Reveal())}
}

// basic returns the header of RFC 7617. A user name must not contain a colon (section 2); the
// caller ensures it.
func basic(user string, password secret.Text) authHeader {
	pair := user + ":" + password.Reveal()
	return authHeader{
		"Authorization", secret.New("Basic " + base64.StdEncoding.EncodeToString([]byte(pair))),
	}
}

// withForm puts the values into the body, as a form.
func (k call) withForm(values url.Values) call {
	k.body, k.contentType = secret.New(values.Encode()), "application/x-www-form-urlencoded"
	return k
}

// withJSON puts already encoded JSON into the body.
func (k call) withJSON(body secret.Text) call {
	k.body, k.contentType = body, "application/json"
	return k
}

// reply is a complete reply, of any status but 3xx.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) ok() bool { return r.status >= 200 && r.status < 300 }

// do makes one call, once. Its errors are platform_… problems of the transport, which include a
// redirect; a reply of any other status is returned as it is.
func (c *client) do(ctx context.Context, k call) (reply, error) {
	req, err := c.request(ctx, k)
	if err != nil {
		return reply{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		if c.userAddress && movedNearby(req.URL, resp) {
			return reply{}, c.failed(resp.StatusCode).Because("redirect")
		}
		return reply{}, c.notTheAPI(reply{status: resp.StatusCode})
	}
	body, err := netguard.ReadBody(resp, cmp.Or(k.limit, maxReplyLength))
	if errors.Is(err, netguard.ErrTooLong) {
		return reply{}, c.failed(resp.StatusCode).From(err)
	}
	if err != nil {
		return reply{}, c.unreachable(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// unreachable returns the problem of a failed call. Where a user typed the address, the problem
// names it, and the remedy is to check it.
func (c *client) unreachable(err error) *problem.Problem {
	p := netguard.Problem(err, c.title)
	if c.userAddress {
		return p.With(problem.TypedAddress, "true")
	}
	return p
}

func (c *client) request(ctx context.Context, k call) (*http.Request, error) {
	if k.method == "" {
		k.method = http.MethodGet
	}
	body := strings.NewReader(k.body.Reveal())
	req, err := http.NewRequestWithContext(ctx, k.method, k.address, body)
	if err != nil {
		return nil, fmt.Errorf("provider: make a call to %s: %w", c.title, err)
	}
	req.Header.Set("Accept", "application/json")
	// Without it any coding is acceptable (RFC 9110, 12.5.3), and a reply that can't be read may
	// hold a token that is issued only once.
	req.Header.Set("Accept-Encoding", "identity")
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", userAgent)
	if k.contentType != "" {
		req.Header.Set("Content-Type", k.contentType)
	}
	if k.auth.name != "" {
		req.Header.Set(k.auth.name, k.auth.value.Reveal())
	}
	return req, nil
}

// ask makes one call and decodes the JSON of a successful reply into into, unless that is nil.
// Any other reply is a problem, by [client.judge]; the reply is then returned too, if there is one.
func (c *client) ask(ctx context.Context, k call, into any) (reply, error) {
	r, err := c.do(ctx, k)
	if err != nil {
		return r, err
	}
	if p := c.judge(r); p != nil {
		return r, p
	}
	if into == nil {
		return r, nil
	}
	// A server that a user typed may return what it was sent, and replies go into records and logs.
	if c.userAddress && bytes.Contains(r.body, []byte(k.auth.value.Reveal())) {
		return r, c.unexpected(r)
	}
	return r, c.decode(r, into)
}

// decode decodes a reply's JSON. HTML, an empty body and anything else that isn't the expected
// JSON is [problem.PlatformError]: a proxy or a maintenance page says nothing about a token.
func (c *client) decode(r reply, into any) error {
	if r.html() || len(bytes.TrimSpace(r.body)) == 0 {
		return c.unexpected(r)
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		return c.unexpected(r)
	}
	return nil
}

// html reports whether the reply is an HTML page, which none of the APIs sends.
func (r reply) html() bool {
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		return true
	}
	return bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("<"))
}

// loose is a JSON string, or a number or boolean as its text; anything else is "". Platforms change
// such types between versions, and ids are kept as text in any case.
type loose string

// UnmarshalJSON never fails.
func (l *loose) UnmarshalJSON(data []byte) error {
	*l = ""
	var s string
	switch {
	case len(data) == 0, data[0] == '{', data[0] == '[', string(data) == "null":
	case json.Unmarshal(data, &s) == nil:
		*l = loose(s)
	default:
		*l = loose(data)
	}
	return nil
}

// failed returns a PlatformError that names the platform and, for the log, the status.
func (c *client) failed(status int) *problem.Problem {
	return c.problem(problem.PlatformError).From(fmt.Errorf("%s answered %d", c.title, status))
}

// unexpected returns the problem of a reply, successful or "not found", that isn't the platform's
// API: most likely the address is another server's, or lacks its sub-path.
func (c *client) unexpected(r reply) *problem.Problem {
	if c.userAddress {
		return c.failed(r.status).Because("not_the_platform")
	}
	return c.failed(r.status)
}

// problem returns a problem that names the platform.
func (c *client) problem(code problem.Code) *problem.Problem {
	return problem.New(code).With("platform", c.title)
}
