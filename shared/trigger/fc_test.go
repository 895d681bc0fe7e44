//go:build alibaba || !aws

package trigger

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"bindery/shared/trigger/triggertest"
)

func TestFunctionComputesQueryHasOneValueAName(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0)
	s := look(t, p, event("GET", "/x", `,"version":"v1","queryParameters":`+
		`{"state":"a b&c","code":"1,2"},"headers":{"cookie":"a=1; b=2"}`))
	if s.Query != "code=1%2C2&state=a+b%26c" {
		t.Errorf("it sees %q", s.Query)
	}
	if strings.Join(s.Cookies, ";") != "a=1;b=2" {
		t.Errorf("it sees the cookies %q", s.Cookies)
	}
}

func TestFunctionComputesReplyHasOneCookie(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0)
	reply := call(t, p, event("GET", "/reply", `,"rawQueryString":"cookie=x"`))
	if !strings.HasPrefix(reply.Headers["Set-Cookie"], "x=1; Path=/; Expires=Thu, 19 Nov") {
		t.Errorf("it sets %q", reply.Headers)
	}
	_, err := p.Invoke(t.Context(), []byte(
		event("GET", "/reply", `,"rawQueryString":"cookie=x&cookie=y"`)))
	var failure *triggertest.Failure
	if !errors.As(err, &failure) {
		t.Errorf("two cookies: %v", err)
	}
}

func TestFunctionComputesTimerRunsTheTaskWithItsPayload(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0, "CHILD_SCHEDULE=1")
	for event, want := range map[string]string{
		`{"triggerTime":"2026-11-19T10:00:00Z","triggerName":"check","payload":""}`: "",
		`{"triggerTime":"2026-11-19T10:00:00Z","triggerName":"check",` +
			`"payload":"{\"name\":\"expiry-check\"}"}`: `{"name":"expiry-check"}`,
		`{"name":"revoke","platform":"github"}`: `{"name":"revoke","platform":"github"}`,
	} {
		reply, err := p.Invoke(t.Context(), []byte(event))
		var got struct{ Input, ID string }
		if err != nil || json.Unmarshal(reply, &got) != nil || got.Input != want || got.ID == "" {
			t.Errorf("%s: got %s, %v", event, reply, err)
		}
	}
}

func TestFunctionComputesHooksAreRegistered(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0)
	if err := p.Initialize(t.Context()); err != nil {
		t.Errorf("initializer: %v", err)
	}
	look(t, p, event("GET", "/", ""))
	if err := p.PreStop(t.Context()); err != nil {
		t.Errorf("preStop: %v", err)
	}
	silent(t, p)
}

func TestFunctionComputesRequestsMayOverlap(t *testing.T) {
	p := start(t, triggertest.FunctionCompute(), 0)
	first := make(chan error, 1)
	go func() {
		_, err := p.Invoke(t.Context(), []byte(event("GET", "/first", "")))
		first <- err
	}()
	call(t, p, event("GET", "/second", "")) // only this call ends the first
	if err := <-first; err != nil {
		t.Error(err)
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
