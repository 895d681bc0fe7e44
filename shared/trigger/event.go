package trigger

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// httpEvent is a request as both clouds put it into an event: API Gateway's payload 2.0, and the
// version v1 of Function Compute's HTTP trigger, which was made after it.
type httpEvent struct {
	RawPath         string            `json:"rawPath"` // URL-encoded
	RawQueryString  *string           `json:"rawQueryString"`
	QueryParameters map[string]string `json:"queryParameters"` // Function Compute has no raw query
	Cookies         []string          `json:"cookies"`         // payload 2.0 takes them out of headers
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  struct {
		DomainName string `json:"domainName"`
		RequestID  string `json:"requestId"`
		Stage      string `json:"stage"`
		HTTP       struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

// readEvent tells a request from any other event.
func readEvent(payload []byte) (e httpEvent, isHTTP bool) {
	if json.Unmarshal(payload, &e) != nil {
		return httpEvent{}, false
	}
	return e, e.RequestContext.HTTP.Method != ""
}

// request makes a request of the event. Header values are taken whole: a comma in one may be a
// part of it.
func (e httpEvent) request(ctx context.Context) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, errors.New("the event's body is not base64")
		}
	}
	r, err := http.NewRequestWithContext(
		ctx, e.RequestContext.HTTP.Method, e.target(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the event's path or method makes no request") // err quotes it
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host = e.RequestContext.DomainName
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr = e.RequestContext.HTTP.SourceIP + ":0"
	return r, nil
}

// target is the encoded path, without an API Gateway's stage before it, and the query.
func (e httpEvent) target() string {
	path := e.RawPath
	if stage := e.RequestContext.Stage; stage != "" && stage != "$default" {
		if rest, found := strings.CutPrefix(path, "/"+stage); found && strings.HasPrefix(rest, "/") {
			path = rest
		}
	}
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

// buffered is a reply that is kept until it is whole, as an event's must be.
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

// answered serves one event. A panic is a reply here too, also one that comes when the reply has
// begun: nothing of it has left yet.
func answered(ctx context.Context, e httpEvent, id string, h http.Handler) (*buffered, error) {
	r, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	r = Identify(r, id)
	out := &buffered{header: http.Header{}}
	defer func() {
		if recover() != nil { // it is in the log
			out.body.Reset()
			out.status = 0
			internal(out, r)
		}
	}()
	h.ServeHTTP(out, r)
	out.WriteHeader(http.StatusOK)
	return out, nil
}

// encoded is a body as an event's reply has it.
func encoded(body []byte) (text string, isBase64 bool) {
	if utf8.Valid(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// scheduled runs a function's schedule for an event that is no request. The error that a runtime
// gets, logs and shows says nothing; the true one is in our log.
func scheduled(
	ctx context.Context, f Function, input json.RawMessage, log *slog.Logger,
) (result json.RawMessage, err error) {
	if f.Schedule == nil {
		return nil, errors.New("this function serves requests alone, and the event is none")
	}
	defer func() {
		if value := recover(); value != nil {
			log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", value))
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
