package dispatch

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"bindery/shared/problem"
	"bindery/shared/trigger"
)

// event has the fields of an HTTP trigger's event, version v1, that a function reads.
type event struct {
	Version         string            `json:"version"`
	RawPath         string            `json:"rawPath"`
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  struct {
		DomainName string `json:"domainName"`
		HTTP       struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

// eventOf returns the event of the request, without this function's own request id.
func eventOf(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, trigger.MaxBody))
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	e := event{
		Version: "v1", RawPath: r.URL.EscapedPath(),
		Headers: map[string]string{}, QueryParameters: map[string]string{},
	}
	for name, values := range r.Header {
		if name != problem.RequestIDHeader {
			e.Headers[name] = strings.Join(values, ",")
		}
	}
	for name, values := range r.URL.Query() {
		e.QueryParameters[name] = strings.Join(values, ",")
	}
	if e.Body = string(body); !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	e.RequestContext.DomainName = r.Host
	e.RequestContext.HTTP.Method = r.Method
	if ip, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		e.RequestContext.HTTP.SourceIP = ip
	}
	return json.Marshal(e)
}

// reply is what a function returns to an HTTP trigger.
type reply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`

	text []byte // the body, decoded
}

// read decodes a reply. Its error doesn't quote it.
func read(returned []byte) (*reply, error) {
	out := &reply{}
	err := json.Unmarshal(returned, out)
	out.text = []byte(out.Body)
	if err == nil && out.IsBase64Encoded {
		out.text, err = base64.StdEncoding.DecodeString(out.Body)
	}
	if err != nil || out.StatusCode < http.StatusOK || out.StatusCode > 599 {
		return nil, fmt.Errorf("its result is not a reply")
	}
	return out, nil
}

func (r *reply) write(w http.ResponseWriter) {
	for name, value := range r.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.StatusCode)
	_, _ = w.Write(r.text) // an error means that the client is gone
}
