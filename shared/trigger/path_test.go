package trigger

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"bindery/shared/trigger/triggertest"
)

// captured are paths that were sent to a real HTTP API, and the rawPath of the events that it made
// of them in July 2026 (hotsock/voker, vokerhttp/testdata). The API refused a path without one.
var captured = []struct{ sent, raw string }{
	{"/capture/plain", "/capture/plain"},
	{"/capture/space%20value", "/capture/space value"},
	{"/capture/question%3Fvalue", "/capture/question"},
	{"/capture/percent%25done", ""},
	{"/capture/hash%23value", "/capture/hash#value"},
	{"/capture/slash%2Fvalue", "/capture/slash/value"},
	{"/capture/unicode-%CE%BB-%E4%B8%96%E7%95%8C", "/capture/unicode-λ-世界"},
	{"/capture/literal%252Fvalue", "/capture/literal/value"},
	{"/capture/literal%253Fvalue", "/capture/literal?value"},
	{"/capture/literal%2525value", "/capture/literal%value"},
}

// rawEvent returns a request's event with the fields that say how its path is encoded.
func rawEvent(t *testing.T, raw, decoded string, more map[string]any) string {
	t.Helper()
	event := map[string]any{
		"rawPath": raw,
		"requestContext": map[string]any{
			"stage": "$default", "domainName": "b.example",
			"http": map[string]any{"method": "GET", "path": decoded, "sourceIp": "192.0.2.7"},
		},
	}
	for name, value := range more {
		event[name] = value
	}
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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

// Function Compute documents an encoded rawPath, and a decoded http.path beside it.
func TestFunctionComputesPathMayBeEncodedOrNot(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0)
	for _, c := range captured {
		decoded, err := url.PathUnescape(c.sent)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{decoded, c.sent, ""} {
			if s := look(t, p, rawEvent(t, c.sent, path, nil)); s.Path != decoded {
				t.Errorf("%s beside %q: it sees %q", c.sent, path, s.Path)
			}
		}
	}
	for _, raw := range []string{"/a b", "/a?b", "/a#b", "/100%", "/a%zz", "/λ-世界"} {
		if s := look(t, p, rawEvent(t, raw, raw, nil)); s.Path != raw || s.Query != "" {
			t.Errorf("decoded, %s: it sees %q and the query %q", raw, s.Path, s.Query)
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
