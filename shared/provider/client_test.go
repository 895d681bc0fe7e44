package provider

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// each calls f for the two platforms of this file's tests, with the finding of a check.
func each(t *testing.T, s *tokenSite, f func(t *testing.T, err error)) {
	t.Helper()
	cred := Credential{
		Access: secret.New(canaryToken), Address: s.URL, Username: "alice", Organization: "o1",
	}
	for _, p := range []Platform{s.codeup(), s.gitLab()} {
		t.Run(p.Describe().Name, func(t *testing.T) {
			_, err := p.Check(t.Context(), cred)
			keepsQuiet(t, err)
			f(t, err)
		})
	}
}

func TestB4_AReplyThatIsNotThePlatformsIsTransient(t *testing.T) {
	page := "<!doctype html><title>Maintenance</title>"
	for name, reply := range map[string]canned{
		"500":                {status: 500, body: `{"message":"500 Internal Server Error"}`},
		"502 page":           {status: 502, kind: "text/html", body: page},
		"503":                {status: 503},
		"408":                {status: 408},
		"200 page":           {kind: "text/html; charset=utf-8", body: page},
		"page said to be":    {body: page},
		"401 page":           {status: 401, kind: "text/html", body: page},
		"403 page":           {status: 403, kind: "text/html", body: page},
		"401 page of words":  {status: 401, kind: "text/html", body: "token is invalid"},
		"401 plain words":    {status: 401, kind: "text/plain", body: "Bad credentials"},
		"403 plain words":    {status: 403, kind: "text/plain", body: "insufficient_scope"},
		"empty":              {},
		"white":              {body: " \n"},
		"no JSON":            {body: "OK"},
		"cut off":            {body: `{"id":1,"username":"ali`},
		"other JSON":         {body: `[1,2]`},
		"nothing of a user":  {body: `{}`},
		"a status of no use": {status: 418, body: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTokenSite(t, nil)
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				reply.write(w)
				return true
			}
			each(t, s, func(t *testing.T, err error) {
				if !problem.Is(err, problem.PlatformError) {
					t.Errorf("got %v, want %s", err, problem.PlatformError)
				}
			})
		})
	}
}

func TestB4_RetryAfterIsHonoured(t *testing.T) {
	for _, status := range []int{429, 503} {
		s := newTokenSite(t, nil)
		s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			canned{
				status: status, kind: "text/plain", body: "Retry later\n",
				header: map[string]string{"Retry-After": "90"},
			}.write(w)
			return true
		}
		want := problem.PlatformRateLimited
		if status == 503 {
			want = problem.PlatformError
		}
		each(t, s, func(t *testing.T, err error) {
			if p := problem.Of(err); p.Code != want || p.RetryAfter != 90*time.Second {
				t.Errorf("%d: got %v after %v, want %s after 90s", status, err, p.RetryAfter, want)
			}
		})
	}
}

func TestB4_AnEndlessReplyIsCut(t *testing.T) {
	s := newTokenSite(t, nil)
	const most = 64 << 20 // far more than is read, and the connection holds
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		chunk := strings.Repeat(" ", 64<<10)
		for sent := 0; sent < most; sent += len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return true
			}
		}
		t.Error("the whole reply was taken")
		return true
	}
	each(t, s, func(t *testing.T, err error) {
		testkit.WantProblem(t, "Check", err, problem.PlatformError, "")
	})
}

func TestB4_ATimeoutIsTransient(t *testing.T) {
	s := newTokenSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	_, err := s.gitLab().Check(ctx, Credential{Access: secret.New(canaryToken), Address: s.URL})
	keepsQuiet(t, err)
	if !problem.Is(err, problem.PlatformUnreachable) {
		t.Errorf("got %v, want %s", err, problem.PlatformUnreachable)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := newTokenSite(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newTokenSite(t, nil)
		s.answer = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
			return true
		}
		each(t, s, func(t *testing.T, err error) {
			p := problem.Of(err)
			if p.Code != problem.PlatformError ||
				p.Reason != "intercepted" && p.Reason != "not_the_api" {
				t.Errorf("Check: got %v", err)
			}
		})
	}
	same(t, "calls elsewhere", elsewhere.paths(), nil)
}

func TestEveryCallHasAUserAgent(t *testing.T) {
	s := newTokenSite(t, nil)
	each(t, s, func(*testing.T, error) {})
	if len(s.calls) == 0 {
		t.Fatal("nothing was called")
	}
	for _, call := range s.calls {
		if call.header.Get("User-Agent") != userAgent ||
			call.header.Get("Accept") != "application/json" {
			t.Errorf("%s: the header is %v", call.path, call.header)
		}
	}
}

func TestAMalformedEndpointIsAnError(t *testing.T) {
	s := newTokenSite(t, nil)
	c := s.gitLab().(*gitLab).client
	if _, err := c.ask(t.Context(), call{address: "http://[::1"}, nil); err == nil {
		t.Error("made a call to no address")
	}
	_, err := c.ask(t.Context(), call{address: s.URL, auth: bearer(secret.New("canary\n"))}, nil)
	if err == nil {
		t.Error("sent a header with a line break")
	}
	keepsQuiet(t, err)
}
