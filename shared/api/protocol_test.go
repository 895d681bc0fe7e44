package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
)

func TestTheLanguageIsTheOneThatRanksFirst(t *testing.T) {
	w := newWorld(t)
	for accepted, want := range map[string]problem.Language{
		"": problem.English, "*": problem.English, "fr": problem.English, "en": problem.English,
		"zh": problem.Chinese, "zh-CN": problem.Chinese, "ZH-tw": problem.Chinese,
		"zh-Hans-CN, en": problem.English, "zh-CN,zh;q=0.9,en;q=0.8": problem.Chinese,
		"en-US,en;q=0.9,zh;q=0.8": problem.English, "fr, zh;q=0.5": problem.Chinese,
		"zh;q=0.5, en;q=0.5": problem.English, "zh;q=0": problem.English,
		"zh; q=0.9, en ;q=0.1": problem.Chinese, "zh;q=much": problem.English,
		"zh;q=NaN": problem.English, ",,;q=": problem.English, "zhx": problem.English,
		strings.Repeat("en;q=0.1,", 500) + "zh": problem.Chinese,
	} {
		r := w.do(request{
			method: "GET", path: at("cn-hangzhou", "no-such"),
			header: map[string]string{"Accept-Language": accepted},
		})
		if got := r.header.Get("Content-Language"); got != string(want) {
			t.Errorf("%.40q: got %s, want %s", accepted, got, want)
		}
		readsWell(t, r.json(), want)
		if vary := r.header.Values("Vary"); !slices.Contains(vary, "Accept-Language") {
			t.Errorf("Vary is %q", vary)
		}
	}
}

func TestOnlyTheConsolesOriginMayCallFromABrowser(t *testing.T) {
	w := newWorld(t)
	for _, origin := range []string{
		"", "null", "https://evil.example", consoleURL + ".evil.example", consoleURL + "/",
		"http://console.example.com", "https://CONSOLE.example.com",
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r := w.do(request{method: method, path: home, unlisted: true, header: map[string]string{
				"Origin": origin, "Access-Control-Request-Method": "GET",
			}})
			for name := range r.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %q: got the header %s", method, origin, name)
				}
			}
			if !slices.Contains(r.header.Values("Vary"), "Origin") {
				t.Error("a cache may give it to another origin")
			}
		}
	}
	for _, path := range []string{home, "/nowhere"} { // the console may also read a problem
		r := w.do(request{method: "GET", path: path, unlisted: true, header: map[string]string{
			"Origin": consoleURL,
		}})
		if got := r.header.Get("Access-Control-Allow-Origin"); got != consoleURL {
			t.Errorf("%s: got the origin %q", path, got)
		}
		if got := r.header.Get("Access-Control-Expose-Headers"); got != "ETag, Retry-After" {
			t.Errorf("%s: got the headers %q", path, got)
		}
		if r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("cookies are let through")
		}
	}
}

// A preflight needs no access token and makes no calls.
func TestAPreflightListsWhatTheConsoleSends(t *testing.T) {
	w := newWorld(t)
	w.table.reset(nil)
	r := w.do(request{
		method: "OPTIONS", path: home + "/gitlab", unlisted: true,
		header: map[string]string{
			"Origin": consoleURL, "Authorization": "", "Access-Control-Request-Method": "PUT",
		},
	})
	if r.status != http.StatusNoContent {
		t.Errorf("got %d", r.status)
	}
	for _, want := range []string{"GET", "POST", "PUT", "DELETE"} {
		if !strings.Contains(r.header.Get("Access-Control-Allow-Methods"), want) {
			t.Errorf("%s is not allowed", want)
		}
	}
	for _, want := range []string{
		"Authorization", "Content-Type", "If-Match", "If-None-Match", "Accept-Language",
		"Bindery-Confirmation-Code",
	} {
		if !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), want) {
			t.Errorf("%s is not allowed", want)
		}
	}
	if calls := w.table.made(); len(calls) != 0 {
		t.Errorf("the table was called: %v", calls)
	}
}

func TestAnUnknownMethodIsRefusedWithAllow(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ method, path, allow string }{
		{"POST", "/v1/platforms", "GET, HEAD"},
		{"DELETE", home, "GET, HEAD"},
		{"OPTIONS", home, "GET, HEAD"},
		{"GET", home + "/gitlab", "DELETE, PUT"},
		{"TRACE", home + "/gitlab", "DELETE, PUT"},
		{"PATCH", home + "/gitlab", "DELETE, PUT"},
		{"POST", "/healthz", "GET, HEAD"},
	} {
		r := w.do(request{method: tt.method, path: tt.path, unlisted: true}).
			refused(problem.MethodNotAllowed, "")
		if got := r.header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: got Allow: %s, want %s", tt.method, tt.path, got, tt.allow)
		}
		if !strings.Contains(r.text("detail"), tt.method) {
			t.Errorf("the method isn't named: %s", r.text("detail"))
		}
	}
	for _, path := range []string{
		"/v1", "/v1/", "/v2/platforms", "/v1/platforms/", home + "/", home + "/gitlab/history/x",
		"/v1/instances/cn-hangzhou", "/%00", "/v1/instances//cri-1/bindings",
	} {
		w.do(request{method: "GET", path: path, unlisted: true}).refused(problem.RouteUnknown, "")
	}
}

func TestAHeadIsTheGetWithoutItsBody(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	for _, path := range []string{"/healthz", "/v1/platforms", home, at("x", "y")} {
		full := w.do(request{method: "GET", path: path, unlisted: true})
		head := w.do(request{method: "HEAD", path: path, unlisted: true})
		if head.status != full.status || len(head.body) != 0 ||
			head.header.Get("Content-Type") != full.header.Get("Content-Type") {
			t.Errorf("%s: got %d %q, want %d %q", path, head.status,
				head.header.Get("Content-Type"), full.status, full.header.Get("Content-Type"))
		}
	}
}

func TestHealthzMakesNoCalls(t *testing.T) {
	w := newWorld(t)
	w.issuer.setDown(true)
	w.table.reset(func(int, string) error { return errStorage })
	w.vault.reset(func(int, string) error { return errStorage })
	r := w.do(request{method: "GET", path: "/healthz", header: map[string]string{"Authorization": ""}})
	if r.status != http.StatusNoContent || len(r.body) != 0 {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if len(w.table.made())+len(w.vault.made()) != 0 {
		t.Error("the storage was called")
	}
}

// No cache stores a reply, no browser sniffs its type, and no address is sent as a referrer.
func TestEveryReplyHasTheSecurityHeaders(t *testing.T) {
	w := newWorld(t)
	for _, r := range []reply{
		w.put(home+"/gitlab", gitlab()), w.get(home), w.get(at("x", "y")),
		w.do(request{method: "GET", path: home, as: "nobody", odd: true}),
		w.do(request{method: "POST", path: "/nowhere", unlisted: true}),
	} {
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%d: %s is %q, want %q", r.status, name, got, want)
			}
		}
		if r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("WWW-Authenticate is %q", r.header.Get("WWW-Authenticate"))
		}
	}
}
