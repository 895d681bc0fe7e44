package triggertest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxBody is the largest body of a request: Lambda's limit is 6 MB for the whole event.
const maxBody = 6 << 20

// ServeHTTP turns the request into an event, as the cloud's gateway does, and what the process
// returns into a reply. An event that fails is status 500 with the gateway's own text.
func (p *Process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, `{"message":"Request Too Long"}`, http.StatusRequestEntityTooLarge)
		return
	}
	described := p.options.On.event(r, body)
	if described == nil {
		http.Error(w, `{"message":"Bad Request"}`, http.StatusBadRequest)
		return
	}
	event, err := json.Marshal(described)
	if err != nil {
		panic(err) // it consists of text only
	}
	posted, err := p.Invoke(r.Context(), event)
	var reply gatewayReply
	if err == nil {
		err = json.Unmarshal(posted, &reply)
	}
	text := []byte(reply.Body)
	if err == nil && reply.IsBase64Encoded {
		text, err = base64.StdEncoding.DecodeString(reply.Body)
	}
	if err != nil || reply.StatusCode < http.StatusOK {
		http.Error(w, `{"message":"Internal Server Error"}`, http.StatusInternalServerError)
		return
	}
	for name, value := range reply.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range reply.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(reply.StatusCode)
	_, _ = w.Write(text) // an error means that the client is gone
}

// gatewayReply is the reply format of both clouds. Function Compute has no cookies in it.
type gatewayReply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

type object = map[string]any

// payload2 returns the event in API Gateway's payload 2.0, of an HTTP API with the stage $default,
// or nil for a path that the API refuses. It decodes the path twice and cuts it at a question mark
// in between, as captures of a real HTTP API show (July 2026, hotsock/voker).
func payload2(r *http.Request, body []byte) object {
	once, _, _ := strings.Cut(r.URL.Path, "?")
	path, err := url.PathUnescape(once)
	if err != nil {
		return nil
	}
	headers := joined(r.Header, ",", strings.ToLower)
	delete(headers, "cookie")
	headers["host"] = r.Host
	event := object{
		"version": "2.0", "routeKey": "$default",
		"rawPath": path, "rawQueryString": r.URL.RawQuery,
		"headers": headers,
		"requestContext": object{
			"accountId": "123456789012", "apiId": "api", "domainName": r.Host, "stage": "$default",
			"http": about(r, path), "requestId": "gateway=", "routeKey": "$default",
			"time": "19/Nov/2026:10:00:00 +0000", "timeEpoch": 1795082400000,
		},
	}
	var cookies []string
	for _, line := range r.Header["Cookie"] {
		cookies = append(cookies, strings.Split(line, "; ")...)
	}
	if len(cookies) > 0 {
		event["cookies"] = cookies
	}
	if query := commas(r.URL.Query()); len(query) > 0 {
		event["queryStringParameters"] = query
	}
	event["body"], event["isBase64Encoded"] = written(r, body)
	return event
}

// triggerV1 returns the event in version v1 of Function Compute's HTTP trigger: no raw query, and
// cookies among the headers.
func triggerV1(r *http.Request, body []byte) object {
	event := object{
		"version": "v1", "rawPath": r.URL.EscapedPath(),
		"headers":         joined(r.Header, ",", func(name string) string { return name }),
		"queryParameters": commas(r.URL.Query()),
		"requestContext": object{
			"accountId": "1234567890123456", "domainName": r.Host, "domainPrefix": "bindery",
			"http": about(r, r.URL.Path), "requestId": "1-gateway",
			"time": "2026-11-19T10:00:00Z", "timeEpoch": "1795082400000",
		},
	}
	event["body"], event["isBase64Encoded"] = written(r, body)
	return event
}

func about(r *http.Request, path string) object {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	return object{
		"method": r.Method, "path": path, "protocol": r.Proto, "sourceIp": ip,
		"userAgent": r.UserAgent(),
	}
}

func joined(h http.Header, with string, name func(string) string) map[string]string {
	all := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(h)) {
		all[name(key)] = strings.Join(h[key], with)
	}
	return all
}

func commas(query url.Values) map[string]string {
	all := map[string]string{}
	for name, values := range query {
		all[name] = strings.Join(values, ",")
	}
	return all
}

// written returns the body in the form of an event: text for a textual content type, base64 for any
// other.
func written(r *http.Request, body []byte) (text string, isBase64 bool) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isText := kind == "" || kind == "application/json" || strings.HasPrefix(kind, "text/")
	if isText && utf8.Valid(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}
