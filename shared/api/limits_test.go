package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

func TestD19_TheThirtyFirstCallInAMinuteIsRefusedAndOthersAreNot(t *testing.T) {
	for _, call := range []request{
		{method: "DELETE", path: home + "/gitlab"},
		{method: "POST", path: home + "/gitlab/check"},
		{method: "GET", path: "/v1/authorizations/" + strings.Repeat("a", 22)},
		confirmation(strings.Repeat("a", 22), "no-code"),
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			w := newConsentWorld(t)
			call.unlisted = true // the id is made up
			code := func(as string) string {
				call := call
				call.as = as
				r := w.do(call)
				if r.status == 200 {
					return ""
				}
				if r.status == 429 && r.header.Get("Retry-After") == "" {
					t.Error("Retry-After is missing")
				}
				return r.text("code")
			}
			for n := range 30 {
				if got := code(""); got == string(problem.TooManyCalls) {
					t.Fatalf("call %d is refused", n+1)
				}
			}
			w.table.reset(nil)
			if got := code(""); got != string(problem.TooManyCalls) {
				t.Errorf("call 31: got %q, want %s", got, problem.TooManyCalls)
			}
			if calls := w.table.made(); len(calls) != 0 {
				t.Errorf("call 31 asks the table: %v", calls)
			}
			for _, claims := range []map[string]any{{"sub": "ben"}, {"account": "beta"}} {
				if code(w.issuer.token(t, claims)) == string(problem.TooManyCalls) {
					t.Errorf("%v is held to ann's limit", claims)
				}
			}
			w.clock.Advance(time.Minute)
			if code("") == string(problem.TooManyCalls) {
				t.Error("a minute later it is still refused")
			}
		})
	}
}

// A token in the wrong field or in the path is in no line of the log, whatever is wrong with it.
func TestD16_ATokenInTheWrongPlaceIsInNoLogLine(t *testing.T) {
	w := newConsentWorld(t)
	tokens := []string{
		"glpat-Xb3_kQ9wZr2LmN7cVt5y", "pt-0fh3Q7d0fbG_35af9b1c_0484", strings.Repeat("0a1b2c3d", 4),
		"ghp_" + strings.Repeat("aZ9", 12),
	}
	for _, token := range tokens {
		for _, path := range []string{
			at(token, "cri-1") + "/gitlab", at("cn-hangzhou", token) + "/gitlab", home + "/" + token,
		} {
			w.do(request{method: "PUT", path: path, body: gitlab(), unlisted: true})
			w.do(request{method: "DELETE", path: path, unlisted: true})
			w.do(request{method: "POST", path: path + "/check", unlisted: true})
		}
		w.do(request{method: "POST", path: home + "/gitlab/" + token, unlisted: true})
		w.do(request{method: "GET", path: "/v1/callback/" + token + "?state=" + token, unlisted: true})
		w.do(request{method: "GET", path: "/v1/bindings?platform=" + token, unlisted: true})
		w.clock.Advance(time.Minute)
		for _, field := range []string{"address", "username", "organization", "expiresAt", token} {
			w.do(request{
				method: "PUT", path: home + "/gitlab", body: gitlab(field, token), unlisted: true,
			})
			w.do(request{
				method: "PUT", path: home + "/codeup", body: codeup(field, token), unlisted: true,
			})
		}
		w.clock.Advance(time.Minute)
		for _, address := range []string{
			"https://" + token, "http://gitlab.example/" + token, "https://" + token + ".example",
			"https://gitlab.example:" + token, "https://oauth2:" + token + "@gitlab.example",
			"https://gone.example/" + token, "https://self.example/" + token,
		} {
			w.do(request{
				method: "PUT", path: home + "/gitlab", body: gitlab("address", address), unlisted: true,
			})
		}
		w.do(request{method: "POST", path: "/v1/authorizations", unlisted: true, body: map[string]any{
			"platform": token, "instance": map[string]any{"region": token, "id": token},
		}})
		w.do(request{method: "POST", path: "/v1/authorizations", unlisted: true, body: map[string]any{
			"platform": token,
		}})
		w.clock.Advance(time.Minute)
	}
	w.sweep()
	log := strings.ToLower(w.log.String()) // a host is in lower case
	for _, token := range tokens {
		if at := strings.Index(log, strings.ToLower(token)); at >= 0 {
			t.Errorf("the log shows %s: %s", token, log[max(0, at-200):min(len(log), at+60)])
		}
	}
	if n := len(w.log.Records(t, "audit")); n < 10 {
		t.Errorf("there are %d audit lines, so this test proves little", n)
	}
	if got := fmt.Sprint(w.box.Count(sandbox.GitLab)); got == "0" {
		t.Error("no bind reached the platform")
	}
}
