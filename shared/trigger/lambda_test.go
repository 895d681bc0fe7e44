//go:build !alibaba

package trigger

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"bindery/shared/trigger/triggertest"
)

func TestAPIGatewaysCookiesAreInTheirOwnList(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0)
	for _, headers := range []string{`{}`, `{"cookie":"a=1; b=2"}`} { // a function URL sends both
		s := look(t, p, event("GET", "/", `,"cookies":["a=1","b=2"],"headers":`+headers))
		if !slices.Equal(s.Cookies, []string{"a=1", "b=2"}) {
			t.Errorf("it sees the cookies %q", s.Cookies)
		}
	}
	reply := call(t, p, event("GET", "/reply", `,"rawQueryString":"cookie=x&cookie=y"`))
	if len(reply.Cookies) != 2 || reply.Cookies[0][:4] != "x=1;" || reply.Cookies[1][:4] != "y=1;" ||
		reply.Headers["Set-Cookie"] != "" {
		t.Errorf("it sets %q, %q", reply.Cookies, reply.Headers)
	}
}

func TestAPIGatewaysRawQueryIsUsedUnchanged(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0)
	const query = "a=1&a=2,3&b=%2F%26&c"
	s := look(t, p, event("GET", "/x", fmt.Sprintf(
		`,"rawQueryString":%q,"queryStringParameters":{"a":"1,2,3"}`, query)))
	if s.Query != query || s.URI != "/x?"+query {
		t.Errorf("it sees %q, %q", s.Query, s.URI)
	}
	if s := look(t, p, event("GET", "/x", `,"rawQueryString":""`)); s.URI != "/x" {
		t.Errorf("without a query it sees %q", s.URI)
	}
}

func TestAPIGatewaysStageIsNotPartOfThePath(t *testing.T) {
	for path, want := range map[string]string{
		"/prod/v1/platforms": "/v1/platforms", "/prod": "/", "/prod/": "/", "/produce": "/produce",
	} {
		e := httpEvent{RawPath: path}
		e.RequestContext.Stage = "prod"
		if got := e.target(); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
		e.RequestContext.Stage = "$default"
		if got := e.target(); got != path {
			t.Errorf("%s is %s in the default stage", path, got)
		}
	}
}

func TestEveryScheduleOfAWSRunsTheTask(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0, "CHILD_SCHEDULE=1")
	const rule = `{"version":"0","id":"1","detail-type":"Scheduled Event","source":"%s",` +
		`"account":"123456789012","time":"2026-11-19T10:00:00Z","region":"eu-test-1",` +
		`"resources":["arn:aws:events:eu-test-1:123456789012:rule/check"],"detail":%s}`
	for _, input := range []string{
		fmt.Sprintf(rule, "aws.events", `{}`),
		fmt.Sprintf(rule, "aws.scheduler", `"{}"`),
		`{"source":"app.schedule","name":"expiry-check"}`,
		`{"name":"revoke","platform":"github"}`,
	} {
		reply, err := p.Invoke(t.Context(), []byte(input))
		var got struct{ Input, ID string }
		if err != nil || json.Unmarshal(reply, &got) != nil || got.Input != input || got.ID == "" {
			t.Errorf("%s: got %s, %v", input, reply, err)
		}
	}
}

const query = "value=a%3Fb%25c%23d&repeat=one&repeat=two"

func TestAnHTTPAPIsPathIsEncodedAgain(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0)
	for _, c := range captured {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.sent+"?"+query, http.NoBody))
		if c.raw == "" {
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s: the gateway answers %d, want 400", c.sent, w.Code)
			}
			continue
		}
		event := rawEvent(t, c.raw, c.raw, map[string]any{"rawQueryString": query})
		var sent seen
		if err := json.Unmarshal(w.Body.Bytes(), &sent); err != nil {
			t.Fatalf("%s: %s", c.sent, w.Body)
		}
		for by, s := range map[string]seen{"gateway": sent, "event": look(t, p, event)} {
			again, err := url.ParseRequestURI(s.URI)
			if err != nil || again.Path != c.raw || s.Path != c.raw || s.Query != query {
				t.Errorf("%s by the %s: it sees %q, %q and the query %q; want %q",
					c.sent, by, s.URI, s.Path, s.Query, c.raw)
			}
		}
	}
}

func TestAFunctionURLsPathIsNotEncodedTwice(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0)
	for _, c := range captured {
		decoded, err := url.PathUnescape(c.sent)
		if err != nil {
			t.Fatal(err)
		}
		s := look(t, p, rawEvent(t, c.sent, decoded, map[string]any{"rawQueryString": query}))
		if s.Path != decoded || s.URI != c.sent+"?"+query {
			t.Errorf("%s: it sees %q and %q", c.sent, s.Path, s.URI)
		}
	}
}

func TestAStageIsCutFromAPathInEitherForm(t *testing.T) {
	p := start(t, triggertest.Lambda(), 0)
	for raw, decoded := range map[string]string{
		"/live/a%20b": "/live/a b", "/live/a b": "/live/a b",
	} {
		event := rawEvent(t, raw, decoded, map[string]any{"rawQueryString": ""})
		var fields map[string]any
		_ = json.Unmarshal([]byte(event), &fields)
		fields["requestContext"].(map[string]any)["stage"] = "live"
		text, _ := json.Marshal(fields)
		if s := look(t, p, string(text)); s.Path != "/a b" {
			t.Errorf("%s: it sees %q", raw, s.Path)
		}
	}
}
