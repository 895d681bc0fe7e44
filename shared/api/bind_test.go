package api_test

import (
	"net/http"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

func TestAGitLabIsBoundShownAndUnbound(t *testing.T) {
	w := newWorld(t)
	bound := w.put(home+"/gitlab", gitlab()).ok().json()
	for field, want := range map[string]any{
		"platform": "gitlab", "status": "bound", "method": "token", "boundBy": "ann",
		"address": "https://gitlab.example", "organization": nil, "problem": nil,
		"boundAt": "2026-05-01T12:00:00Z", "lastCheckedAt": "2026-05-01T12:00:00Z",
		"tokenExpiresAt": "2027-02-25T00:00:00Z",
	} {
		if bound[field] != want {
			t.Errorf("%s: got %v, want %v", field, bound[field], want)
		}
	}
	identity := bound["identity"].(map[string]any)
	if identity["username"] != "alice" || identity["name"] != "Alice 爱丽丝" {
		t.Errorf("got the identity %v, want alice", identity)
	}
	listed := w.binding(home, "gitlab")
	if listed["etag"] != bound["etag"] || listed["status"] != "bound" {
		t.Errorf("it is listed as %v with etag %v", listed["status"], listed["etag"])
	}
	gone := w.do(request{method: "DELETE", path: home + "/gitlab"}).ok().json()
	page := "https://gitlab.example/-/user_settings/personal_access_tokens"
	if gone["revoked"] != false || gone["revokeUrl"] != page {
		t.Errorf("unbinding answers %v", gone)
	}
	if got := w.binding(home, "gitlab")["status"]; got != "unbound" {
		t.Errorf("after unbinding it is %v", got)
	}
	w.put(home+"/gitlab", gitlab()).ok() // the token was not revoked
}

func TestACodeupIsBoundWithWarningsOfUnprovenPermissions(t *testing.T) {
	w := newWorld(t)
	bound := w.put(home+"/codeup", codeup()).ok()
	if org := bound.text("organization"); org != "sandbox-org-main" {
		t.Errorf("got the organization %q", org)
	}
	if address := bound.json()["address"]; address != nil {
		t.Errorf("got the address %v", address)
	}
	var codes []any
	for _, warning := range bound.list("warnings") {
		codes = append(codes, warning["code"])
	}
	if len(codes) != 2 || codes[0] != "permission_not_provable" || codes[1] != "expiry_unknown" {
		t.Errorf("got the warnings %v", codes)
	}
	gone := w.do(request{method: "DELETE", path: home + "/codeup?revoke=true"}).ok().json()
	if gone["revoked"] != false || gone["revokeUrl"] == nil {
		t.Errorf("Codeup can't revoke, and the user isn't sent to where it can be done: %v", gone)
	}
}

func TestAnExpiryThatTheUserGivesIsStoredAndWarnedOf(t *testing.T) {
	w := newWorld(t)
	bound := w.put(home+"/codeup", codeup("expiresAt", "2026-05-10T08:00:00+08:00")).ok()
	if got := bound.text("tokenExpiresAt"); got != "2026-05-10T00:00:00Z" {
		t.Errorf("got the expiry %s", got)
	}
	if got := bound.text("status"); got != "expiring" {
		t.Errorf("nine days before its end it is %s", got)
	}
	w.clock.Advance(9 * 24 * time.Hour)
	after := w.binding(home, "codeup")
	if after["status"] != "expired" {
		t.Errorf("after its end it is %v", after["status"])
	}
	if p, _ := after["problem"].(map[string]any); p["code"] != string(problem.TokenExpired) {
		t.Errorf("the problem of an expired token is %v", after["problem"])
	}
}

func TestTheETagIsTheFieldAndChangesAtBindOnly(t *testing.T) {
	w := newWorld(t)
	first := w.put(home+"/gitlab", gitlab()).ok()
	if got, want := first.header.Get("ETag"), `"`+first.text("etag")+`"`; got != want {
		t.Errorf("got the header %s, want %s", got, want)
	}
	w.clock.Advance(time.Hour)
	w.sweep()
	if got := w.binding(home, "gitlab")["etag"]; got != first.text("etag") {
		t.Error("the sweep has changed the ETag")
	}
	again := w.put(home+"/gitlab", gitlab()).ok()
	if again.text("etag") == first.text("etag") {
		t.Error("binding again has not changed the ETag")
	}
}

func TestAReBindThatFailsLeavesTheOldBindingUntouched(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(home+"/codeup", codeup()).ok()
	before := string(w.get(home).ok().body)
	for _, body := range []map[string]any{
		gitlab("token", "glpat-sandbox-alice-expired"),
		gitlab("username", "bob"),
		gitlab("address", "https://closed.example"),
		gitlab("token", nil),
		gitlab("address", "http://127.0.0.1"),
	} {
		for _, path := range []string{home + "/gitlab", home + "/gitlab?revoke=true"} {
			r := w.do(request{method: "PUT", path: path, body: body, odd: body["token"] == nil})
			if r.status < 400 {
				t.Fatalf("got %d", r.status)
			}
		}
	}
	w.put(home+"/codeup", codeup("token", "pt-sandbox-revoked")).refused(problem.TokenRejected, "")
	if after := string(w.get(home).ok().body); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if r := w.put(home+"/gitlab", gitlab()); r.status != http.StatusOK {
		t.Error("a re-bind that failed has revoked the old token")
	}
}

func TestUnbindingWithRevokeEndsTheTokenAtThePlatform(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	gone := w.do(request{method: "DELETE", path: home + "/gitlab?revoke=true"}).ok().json()
	if gone["revoked"] != true || gone["revokeUrl"] != nil {
		t.Errorf("unbinding answers %v", gone)
	}
	w.put(home+"/gitlab", gitlab()).refused(problem.TokenRejected, "revoked")
}

func TestA16_ThroughHTTPATokenThatAnotherBindingHasIsNotRevoked(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(at("cn-shanghai", "cri-1")+"/gitlab", gitlab()).ok()
	gone := w.do(request{method: "DELETE", path: home + "/gitlab?revoke=true"}).ok().json()
	if gone["revoked"] != false || gone["revokeUrl"] == nil {
		t.Errorf("unbinding answers %v, want that it was not revoked", gone)
	}
	w.put(home+"/gitlab", gitlab()).ok()
}

func TestUnbindIsIdempotent(t *testing.T) {
	w := newWorld(t)
	unbind := func(platform string) string {
		r := w.do(request{method: "DELETE", path: home + "/" + platform + "?revoke=true"}).ok()
		return string(r.body)
	}
	w.put(home+"/gitlab", gitlab()).ok()
	unbind("gitlab")
	want := `{"revoked":false,"revokeUrl":null,"webhooksLeft":[]}` + "\n"
	for _, platform := range []string{"gitlab", "codeup", "github"} {
		if got := unbind(platform); got != want {
			t.Errorf("%s: got %s, want %s", platform, got, want)
		}
	}
	if events := w.get(home + "/gitlab/history").ok().list("events"); len(events) != 2 {
		t.Errorf("there are %d events, want the bind and one unbind", len(events))
	}
}

func TestIfNoneMatchBindsOnlyWhereNothingIsBound(t *testing.T) {
	w := newWorld(t)
	first := func(value string) reply {
		return w.do(request{
			method: "PUT", path: home + "/gitlab", body: gitlab(),
			header: map[string]string{"If-None-Match": value},
		})
	}
	first(`"etag"`).refused(problem.InputMalformed, "")
	etag := first("*").ok().header.Get("ETag")
	w.box.ResetLog()
	first("*").refused(problem.PreconditionFailed, "")
	if n := w.box.Count(sandbox.GitLab); n != 0 {
		t.Errorf("the platform was asked %d times for what was not to be done", n)
	}
	w.do(request{
		method: "DELETE", path: home + "/gitlab", header: map[string]string{"If-Match": etag},
	}).ok()
	first("*").ok()
}

func TestIfMatchRefusesAChangeOfAnotherBinding(t *testing.T) {
	w := newWorld(t)
	put := func(condition string) reply {
		return w.do(request{
			method: "PUT", path: home + "/gitlab", body: gitlab(),
			header: map[string]string{"If-Match": condition},
		})
	}
	drop := func(condition string) reply {
		return w.do(request{
			method: "DELETE", path: home + "/gitlab",
			header: map[string]string{"If-Match": condition},
		})
	}
	for _, condition := range []string{"*", `"x"`, "x"} { // nothing is bound
		put(condition).refused(problem.PreconditionFailed, "")
		drop(condition).refused(problem.PreconditionFailed, "")
	}
	etag := w.put(home+"/gitlab", gitlab()).ok().header.Get("ETag")
	w.box.ResetLog()
	for _, condition := range []string{`"other"`, "W/" + etag, `"a", "b"`, `""`} {
		put(condition).refused(problem.PreconditionFailed, "")
		drop(condition).refused(problem.PreconditionFailed, "")
	}
	if n := w.box.Count(sandbox.GitLab); n != 0 {
		t.Errorf("the platform was asked %d times for what was not to be done", n)
	}
	old := etag
	etag = put(etag).ok().header.Get("ETag")
	put(old).refused(problem.PreconditionFailed, "")
	etag = put(`"other", ` + etag).ok().header.Get("ETag")
	etag = put(etag[1 : len(etag)-1]).ok().header.Get("ETag") // as the JSON has it
	put("*").ok()
	drop(etag).refused(problem.PreconditionFailed, "")
	drop("*").ok()
	drop("*").refused(problem.PreconditionFailed, "")
}

func TestA16_AnotherIdentityReplacesTheOldOneAndBothAreAudited(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	again := w.put(home+"/gitlab?revoke=true", bobs()).ok()
	if name := again.json()["identity"].(map[string]any)["username"]; name != "bob" {
		t.Errorf("%v is bound, want bob", name)
	}
	lines := w.log.Records(t, "audit")
	last := lines[len(lines)-1]
	identity, _ := last["identity"].(map[string]any)
	previous, _ := last["previous"].(map[string]any)
	if last["action"] != "bind" || last["outcome"] != "done" || last["revoked"] != true ||
		identity["username"] != "bob" || previous["username"] != "alice" {
		t.Errorf("got the audit line %v", last)
	}
	event := w.get(home + "/gitlab/history").ok().list("events")[0]
	if event["type"] != "binding.rebound" || event["actor"] != "ann" ||
		event["identity"].(map[string]any)["username"] != "bob" ||
		event["previous"].(map[string]any)["username"] != "alice" {
		t.Errorf("got the event %v", event)
	}
	w.put(home+"/gitlab", gitlab()).refused(problem.TokenRejected, "revoked")
}

func TestA16_WithoutRevokeAPersonalTokenIsOnlyDeleted(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(home+"/gitlab", bobs()).ok()
	w.clock.Advance(time.Hour)
	w.sweep()
	w.put(home+"/gitlab", gitlab()).ok()
	w.do(request{method: "DELETE", path: home + "/gitlab"}).ok()
	w.clock.Advance(time.Hour)
	w.sweep()
	w.put(home+"/gitlab", gitlab()).ok()
}

func TestA16_TheVerySameTokenAgainRevokesNothing(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(home+"/gitlab?revoke=true", gitlab()).ok()
	w.put(home+"/gitlab?revoke=true", gitlab("token", " Bearer glpat-sandbox-alice-good\n")).ok()
	w.clock.Advance(time.Hour)
	w.sweep()
	w.put(home+"/gitlab", gitlab()).ok()
}

// Of two concurrent binds one succeeds and the other is a conflict.
func TestOfTwoConcurrentBindsOneSucceedsAndOneConflicts(t *testing.T) {
	w := newWorld(t)
	w.table.reset(func(_ int, call string) error {
		if call == "SaveBinding" {
			w.table.reset(nil)
			w.put(home+"/gitlab", bobs()).ok()
		}
		return nil
	})
	w.put(home+"/gitlab", gitlab()).refused(problem.Conflict, "")
	name := w.binding(home, "gitlab")["identity"].(map[string]any)["username"]
	if name != "bob" {
		t.Errorf("%v is bound, want bob", name)
	}
}

func TestARemovedScopeIsFoundAtTheNextBind(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.box.GitLab.SetScopes(secret.New("glpat-sandbox-alice-good"), "read_api")
	w.put(home+"/gitlab", gitlab()).refused(problem.PermissionMissing, "")
}
