package trigger

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"bindery/shared/problem"
)

// MaxBody is the largest body, in bytes, that a function reads. The body of a larger request can't
// be read, and its handler replies from the request's ContentLength.
const MaxBody = 64 << 10

// MaxDelivery is the same for a request to a webhook: what a platform delivers may be long. The
// clouds pass on events of up to 6 MB (Lambda's limit of a synchronous invocation, and that of
// Function Compute 2.0's pages). 4 MB in base64 are 5.6 MB; as text each quote of JSON takes a
// byte more. The gateways refuse what is longer.
const MaxDelivery = 4 << 20

// webhooksPath begins the path of every webhook.
const webhooksPath = "/v1/hooks/"

// httpEvent is a request as both clouds' events describe it: API Gateway's payload 2.0, and version
// v1 of Function Compute's HTTP trigger, which was modelled on it.
type httpEvent struct {
	RawPath         string            `json:"rawPath"` // see escapedPath
	RawQueryString  *string           `json:"rawQueryString"`
	QueryParameters map[string]string `json:"queryParameters"` // Function Compute has no raw query
	Cookies         []string          `json:"cookies"`         // payload 2.0 takes them out of headers
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  struct {
		DomainName string `json:"domainName"`
		Stage      string `json:"stage"`
		HTTP       struct {
			Method   string `json:"method"`
			Path     string `json:"path"` // decoded
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

// readEvent decodes an event and reports whether it is a request. A request in another format, such
// as payload 1.0, is an error: it must not be mistaken for a schedule's event.
func readEvent(payload []byte) (e httpEvent, isHTTP bool, err error) {
	if json.Unmarshal(payload, &e) == nil && e.RequestContext.HTTP.Method != "" {
		return e, true, nil
	}
	var other struct {
		RequestContext json.RawMessage `json:"requestContext"`
	}
	if json.Unmarshal(payload, &other) == nil && other.RequestContext != nil {
		return httpEvent{}, false, errors.New("the event is a request, but neither API Gateway's " +
			"payload 2.0 nor version v1 of Function Compute's HTTP trigger")
	}
	return httpEvent{}, false, nil
}

// request builds the request that the event describes, as a server would read it. Header values are
// taken whole: a comma in one may be part of the value.
func (e httpEvent) request(ctx context.Context) (r *http.Request, wrong error) {
	target := e.target()
	// As in a server's request, a path that begins with two slashes names no host.
	address, err := url.ParseRequestURI(target)
	if err != nil || address.Host != "" {
		target, address, wrong = "/", &url.URL{Path: "/"}, errTarget // err quotes the query
	}
	limit := int64(MaxBody)
	if strings.HasPrefix(address.Path, webhooksPath) {
		limit = MaxDelivery
	}
	body, length, err := e.body(limit)
	if err != nil {
		return nil, err
	}
	r, err = http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", body)
	if err != nil {
		return nil, errors.New("the event's method makes no request")
	}
	r.ContentLength = length
	r.URL = address
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Del("Host") // a server has it only in r.Host
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host = e.RequestContext.DomainName
	r.RequestURI = target
	r.RemoteAddr = net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0")
	return r, wrong
}

// body returns the request's body and its length. A body of more bytes than the limit is not
// decoded, and can't be read.
func (e httpEvent) body(limit int64) (body io.Reader, length int64, err error) {
	length = int64(len(e.Body))
	if e.IsBase64Encoded {
		unpadded := strings.TrimRight(e.Body, "=")
		length = int64(base64.RawStdEncoding.DecodedLen(len(unpadded)))
	}
	if length > limit {
		return tooLong(limit), length, nil
	}
	if !e.IsBase64Encoded {
		return strings.NewReader(e.Body), length, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, 0, errors.New("the event's body is not base64")
	}
	return bytes.NewReader(decoded), int64(len(decoded)), nil
}

// tooLong is the body of a request that is larger than this limit.
type tooLong int64

func (l tooLong) Read([]byte) (int, error) { return 0, &http.MaxBytesError{Limit: int64(l)} }

// errTarget is returned together with a request for "/": any client can send such a path, and it
// must not make the function fail.
var errTarget = errors.New("the event's path makes no request")

// target returns the encoded path and the query.
func (e httpEvent) target() string {
	path := e.escapedPath()
	query := ""
	if e.RawQueryString != nil {
		query = *e.RawQueryString
	} else {
		values := url.Values{}
		for name, value := range e.QueryParameters {
			values.Set(name, value)
		}
		query = values.Encode()
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}

// escapedPath returns the encoded path without an API Gateway's stage in front of it.
//
// An HTTP API's rawPath is decoded, and equals http.path: what was sent as %20, %23 or in UTF-8 is
// encoded again here. It has lost what was sent as %2F, which is a slash; as %3F, which ends the
// path; and as %25, which is refused or decoded a second time (captures of July 2026 in
// hotsock/voker, and honojs/hono#2156). A function URL's rawPath is encoded. Function Compute
// documents an encoded one; a path that can't be encoded is taken as decoded there too.
func (e httpEvent) escapedPath() string {
	path := e.RawPath
	if stage := e.RequestContext.Stage; stage != "" && stage != "$default" {
		rest, found := strings.CutPrefix(path, "/"+stage)
		switch {
		case found && rest == "":
			path = "/"
		case found && strings.HasPrefix(rest, "/"):
			path = rest
		}
	}
	fromAWS := e.RawQueryString != nil
	if fromAWS && e.RawPath == e.RequestContext.HTTP.Path || !isEscaped(path) {
		return (&url.URL{Path: path}).EscapedPath()
	}
	return path
}

// isEscaped reports whether a path consists of what an encoded path may have.
func isEscaped(path string) bool {
	decoded, err := url.PathUnescape(path)
	return err == nil && (&url.URL{Path: decoded, RawPath: path}).EscapedPath() == path
}

// buffered is a reply that is collected until it is complete, as a reply to an event must be.
type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffered) Header() http.Header { return b.header }

func (b *buffered) WriteHeader(status int) {
	if b.status == 0 && status >= http.StatusOK {
		b.status = status
	}
}

func (b *buffered) Write(data []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(data)
}

// answered serves one event. A panic becomes a reply here too, even after the reply has begun: none
// of it has been sent yet.
func answered(
	ctx context.Context, e httpEvent, id string, h http.Handler,
) (out *buffered, err error) {
	r, err := e.request(ctx)
	if r == nil {
		return nil, err
	}
	r = Identify(r, id)
	out = &buffered{header: http.Header{}}
	// Both clouds serve over TLS only.
	defer func() { out.header.Set("Strict-Transport-Security", "max-age=31536000") }()
	if err != nil {
		Instead(out, r, problem.New(problem.RouteUnknown))
		return out, nil
	}
	defer func() {
		if recover() != nil { // it is in the log
			out.body.Reset()
			out.status = 0
			Instead(out, r, problem.New(problem.Internal))
		}
	}()
	h.ServeHTTP(out, r)
	out.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		out.body.Reset()
	}
	return out, nil
}

// encoded returns a body in the form of an event's reply.
func encoded(body []byte) (text string, isBase64 bool) {
	if utf8.Valid(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// scheduled runs a function's schedule for an event that is not a request. The error that is
// returned to the runtime, which logs and shows it, has no details; the real error is in the
// function's own log.
func scheduled(
	ctx context.Context, f Function, input json.RawMessage, log *slog.Logger,
) (result json.RawMessage, err error) {
	if f.Schedule == nil {
		return nil, errors.New("this function serves requests only, and the event is not a request")
	}
	defer func() {
		if value := recover(); value != nil {
			log.ErrorContext(ctx, "panic",
				"type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
			err = errTask
		}
	}()
	out, err := f.Schedule(ctx, input)
	if err != nil {
		log.ErrorContext(ctx, "the task failed", "error", err)
		return nil, errTask
	}
	return json.Marshal(out)
}

var errTask = errors.New("the task failed: see the log")

// until runs a vendor's loop, which never returns, until ctx is done. The loops don't handle
// SIGTERM, which ends ctx.
func until(ctx context.Context, loop func()) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		loop()
	}()
	select {
	case <-ended:
		return errors.New("the runtime's loop has ended")
	case <-ctx.Done():
		return nil
	}
}
