package api_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

const (
	goodName  = `"address":"https://gitlab.example","username":"alice"`
	goodToken = `"token":"glpat-sandbox-alice-good"`
)

// badBody is a body that is refused with the code, or with input_malformed if it has none.
type badBody struct {
	name, body, reason string
	code               problem.Code
}

func badBodies() []badBody {
	good := "{" + goodName + "," + goodToken + "}"
	with := func(more string) string { return "{" + goodName + "," + goodToken + "," + more + "}" }
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	large := strings.Repeat("a", 10<<20)
	return []badBody{
		{name: "10 MB", body: `{"token":"` + large + `"}`, code: problem.BodyTooLarge},
		{name: "10 MB of spaces", body: strings.Repeat(" ", 10<<20), code: problem.BodyTooLarge},
		{name: "depth of arrays", body: `{"address":` + deep + `}`, reason: "json"},
		{name: "depth of objects", body: strings.Repeat(`{"a":`, 3000), reason: "json"},
		{name: "nine levels", body: `{"a":[[[[[[[[1]]]]]]]]}`, reason: "json"},
		{name: "no UTF-8", body: "{" + goodName + ",\"token\":\"glpat\xff\xfe\"}", reason: "json"},
		{name: "a half character", body: good + "\xe4", reason: "json"},
		{name: "doubled", body: with(goodToken), reason: "doubled"},
		{name: "doubled in capitals", body: with(`"TOKEN":"x"`), reason: "doubled"},
		// encoding/json takes U+212A for a k, and U+017F for an s.
		{name: "doubled with a Kelvin sign", body: with("\"to\u212aen\":\"x\""), reason: "doubled"},
		{name: "doubled with a long s", body: with("\"u\u017fername\":\"x\""), reason: "doubled"},
		{name: "doubled by an escape", body: with(`"\u0074oken":"x"`), reason: "doubled"},
		{name: "doubled deep inside", body: `{"a":{"b":1,"B":2}}`, reason: "doubled"},
		{name: "unknown", body: with(`"admin":true`), reason: "unknown"},
		{name: "wrong type", body: "{" + goodName + `,"token":["x"]}`, reason: "type"},
		{name: "a number", body: `{"username":1}`, reason: "type"},
		{name: "an array", body: "[" + good + "]", reason: "json"},
		{name: "a string", body: `"x"`, reason: "json"},
		{name: "null", body: `null`, reason: "json"},
		{name: "empty", body: ``, reason: "json"},
		{name: "one space", body: ` `, reason: "json"},
		{name: "cut", body: good[:len(good)-1], reason: "json"},
		{name: "cut in a name", body: `{"tok`, reason: "json"},
		{name: "cut in an array", body: `{"a":[1,`, reason: "json"},
		{name: "a comma too many", body: good[:len(good)-1] + ",}", reason: "json"},
		{name: "trailing garbage", body: good + "x", reason: "json"},
		{name: "a second object", body: good + "{}", reason: "json"},
		{name: "a time that is none", body: with(`"expiresAt":"tomorrow"`), reason: "type"},
	}
}

func TestD14_ABadBodyIsRefusedWithoutACallToAPlatform(t *testing.T) {
	w := newWorld(t)
	for _, tt := range badBodies() {
		t.Run(tt.name, func(t *testing.T) {
			w.clock.Advance(10 * time.Second)
			w.table.reset(nil)
			r := w.do(request{method: "PUT", path: home + "/gitlab", body: tt.body, odd: true})
			r.refused(cmp.Or(tt.code, problem.InputMalformed), tt.reason)
			if n := w.box.Count(sandbox.GitLab); n != 0 || len(w.table.made()) != 0 {
				t.Errorf("the platform was asked %d times, the table %v", n, w.table.made())
			}
		})
	}
}

// Nothing is read of it, so that no caller needs to be known.
func TestD15_ABodyThatIsTooLargeIsRefusedBeforeTheCallerIsKnown(t *testing.T) {
	w := newWorld(t)
	for _, route := range []struct{ method, path string }{
		{"PUT", home + "/gitlab"},
		{"DELETE", home + "/gitlab"},
		{"GET", home},
		{"POST", home + "/gitlab/credential"},
		{"POST", home + "/gitlab/check"},
		{"POST", "/v1/authorizations"},
		{"POST", "/v1/authorizations/x/confirm"},
		{"GET", "/v1/callback/github"},
		{"POST", "/nowhere"},
	} {
		r := w.do(request{
			method: route.method, path: route.path, body: strings.Repeat(" ", 32<<10+1), unlisted: true,
			header: map[string]string{"Authorization": "", "Origin": consoleURL},
		}).refused(problem.BodyTooLarge, "")
		if got := r.header.Get("Access-Control-Allow-Origin"); got != consoleURL {
			t.Errorf("%s %s: the console may not read it", route.method, route.path)
		}
	}
	for _, line := range w.log.Records(t, "refused") {
		if line["level"] != "INFO" {
			t.Errorf("it raises an alarm: %v", line)
		}
	}
}

// The reply names the malformed field and doesn't show its value.
func TestD14_TheFieldIsNamedAndItsValueIsNot(t *testing.T) {
	w := newWorld(t)
	for field, body := range map[string]any{
		"color":     gitlab("color", "canary"),
		"username":  gitlab("username", []string{"canary"}),
		"token":     gitlab("token", map[string]string{"canary": "canary"}),
		"expiresAt": gitlab("expiresAt", "canary"),
		"address":   gitlab("address", strings.Repeat("canary", 500)),
	} {
		r := w.do(request{method: "PUT", path: home + "/gitlab", body: body, odd: true})
		if named := r.text("field"); named != field || strings.Contains(string(r.body), "canary") {
			t.Errorf("%s: got %q: %q", field, named, r.text("detail"))
		}
	}
}

func TestD14_OnlyJSONIsRead(t *testing.T) {
	w := newWorld(t)
	body := "{" + goodName + "," + goodToken + "}\n"
	send := func(kind string, odd bool) reply {
		return w.do(request{
			method: "PUT", path: home + "/gitlab", body: body, odd: odd,
			header: map[string]string{"Content-Type": kind},
		})
	}
	for _, kind := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "application/json; =",
		"application/jsonp", "application/json, text/plain",
	} {
		send(kind, true).refused(problem.MediaTypeUnknown, "")
	}
	if n := w.box.Count(sandbox.GitLab); n != 0 {
		t.Errorf("the platform was asked %d times", n)
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8"} {
		if r := send(kind, false); r.status != http.StatusOK {
			t.Errorf("%s: got %d", kind, r.status)
		}
	}
}

func TestD14_ADoubledQueryParameterIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, r := range []request{
		{method: "GET", path: "/v1/bindings?cursor=a&cursor=b"},
		{method: "GET", path: "/v1/bindings?status=bound&status=bound"},
		{method: "GET", path: "/v1/bindings?platform=gitlab&platform=gitlab"},
		{method: "GET", path: home + "/gitlab/history?cursor=a&cursor=b"},
		{method: "PUT", path: home + "/gitlab?revoke=true&revoke=false", body: gitlab()},
		{method: "DELETE", path: home + "/gitlab?revoke=true&revoke=true"},
	} {
		r.unlisted = true // the validator checks only the first one
		w.do(r).refused(problem.InputMalformed, "doubled")
	}
}
