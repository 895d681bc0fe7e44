package api_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// build returns a build's access token, which may only ask for credentials.
func (w *world) build(changes ...any) string {
	w.t.Helper()
	claims := map[string]any{"sub": "build-1", "scope": "bindery.credential"}
	return w.issuer.token(w.t, changed(claims, changes))
}

// credentialAt asks for a credential; a nil body sends none.
func (w *world) credentialAt(path string, body any, as string) reply {
	w.t.Helper()
	return w.do(request{method: "POST", path: path + "/credential", body: body, as: as})
}

const gitHub = home + "/github"

// newBuildWorld returns a world with an instance that is bound to GitHub.
func newBuildWorld(t *testing.T) *world {
	t.Helper()
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice")
	return w
}

func TestB13_ACredentialHoldsWhatGitWantsAndNothingElse(t *testing.T) {
	w := newBuildWorld(t)
	for range 2 { // after the bind, and after a refresh
		r := w.credentialAt(gitHub, nil, w.build()).ok()
		fields := slices.Sorted(maps.Keys(r.json()))
		if want := []string{"expiresAt", "token", "username"}; !slices.Equal(fields, want) {
			t.Errorf("the reply has the fields %q, want %q", fields, want)
		}
		access := w.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))
		if !secret.New(r.text("token")).Equal(access) || !w.box.Lives(sandbox.GitHub, access) {
			t.Error("the token is not the binding's living access token")
		}
		if r.text("username") != "x-access-token" {
			t.Errorf("got the user name %q", r.text("username"))
		}
		if got := r.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("got Cache-Control %q, want no-store", got)
		}
		// The refresh token, and every other secret that the sandbox and Bindery have issued.
		hex := r.text("token")[strings.LastIndex(r.text("token"), "_")+1:]
		w.wantNoSecret("the reply", r.body, hex)
		w.clock.Advance(8 * time.Hour)
	}
	if n := w.box.Refreshes(sandbox.GitHub); n != 1 {
		t.Errorf("got %d refreshes, want 1", n)
	}
}

func TestB10_ABuildGetsTheLifeThatItAsksForIfThePlatformHasIt(t *testing.T) {
	w := newBuildWorld(t)
	w.clock.Advance(8*time.Hour - 20*time.Minute)
	for _, c := range []struct {
		body      any
		refreshes int
	}{
		{nil, 0}, // ten minutes
		{map[string]any{}, 0},
		{map[string]any{"minimumLifeSeconds": 0}, 0},
		{map[string]any{"minimumLifeSeconds": 1200}, 0},
		{map[string]any{"minimumLifeSeconds": 1800}, 1},
		{map[string]any{"minimumLifeSeconds": 86400}, 1}, // issued a moment ago
	} {
		w.credentialAt(gitHub, c.body, w.build()).ok()
		if got := w.box.Refreshes(sandbox.GitHub); got != c.refreshes {
			t.Errorf("after %v: got %d refreshes, want %d", c.body, got, c.refreshes)
		}
	}
}

func TestACredentialsBodyIsCheckedBeforeAnyCall(t *testing.T) {
	w := newBuildWorld(t)
	w.box.ResetLog()
	for _, c := range []struct {
		body, reason string
	}{
		{`{"minimumLifeSeconds": -1}`, ""},
		{`{"minimumLifeSeconds": 86401}`, ""},
		{`{"minimumLifeSeconds": 1e30}`, "type"},
		{`{"minimumLifeSeconds": 1.5}`, "type"},
		{`{"minimumLifeSeconds": "600"}`, "type"},
		{`{"minimumLifeSeconds": 1, "minimumLifeSeconds": 2}`, "doubled"},
		{`{"minimumLife": 600}`, "unknown"},
		{`{`, "json"},
		{`[]`, "json"},
	} {
		r := w.do(request{
			method: "POST", path: gitHub + "/credential", as: w.build(), odd: true, body: c.body,
		}).refused(problem.InputMalformed, c.reason)
		readsWell(t, r.json(), problem.English)
	}
	if n := w.box.Count(sandbox.GitHub); n != 0 {
		t.Errorf("the platform was asked %d times", n)
	}
}

func TestACredentialNeedsItsOwnScope(t *testing.T) {
	w := newBuildWorld(t)
	all := w.build("scope", "bindery.read bindery.write")
	w.credentialAt(gitHub, nil, all).refused(problem.ScopeMissing, "")
	w.credentialAt(gitHub, nil, "x.y.z").refused(problem.NotSignedIn, "")
	w.do(request{method: "GET", path: home, as: w.build()}).refused(problem.ScopeMissing, "")
}

// A caller doesn't learn which instances another account has, nor what is bound there.
func TestA15_ACredentialOfAnotherAccountIsOfAnUnknownInstance(t *testing.T) {
	w := newBuildWorld(t)
	stranger := w.build("account", "beta")
	theirs := w.credentialAt(gitHub, nil, stranger).refused(problem.InstanceUnknown, "")
	none := w.credentialAt(at("cn-hangzhou", "no-such")+"/github", nil, stranger).
		refused(problem.InstanceUnknown, "")
	if !bytes.Equal(withoutID(theirs), withoutID(none)) {
		t.Errorf("the replies differ:\n%s\n%s", theirs.body, none.body)
	}
}

func TestB12_ABuildGetsNoCredentialOfAnInstanceThatItsTokenDoesNotList(t *testing.T) {
	w := newBuildWorld(t)
	narrow := w.build("instances", []string{"cn-shanghai/cri-1"})
	refused := w.credentialAt(gitHub, nil, narrow).refused(problem.InstanceUnknown, "")
	none := w.credentialAt(at("cn-hangzhou", "no-such")+"/github", nil, narrow).
		refused(problem.InstanceUnknown, "")
	if !bytes.Equal(withoutID(refused), withoutID(none)) {
		t.Errorf("the replies differ:\n%s\n%s", refused.body, none.body)
	}
	if got := w.denials(); !slices.Contains(got, "instance_unknown cn-hangzhou cri-1 github build-1") {
		t.Errorf("the denial has no audit line: %q", got)
	}
	w.credentialAt(gitHub, nil, w.build("instances", []string{"cn-hangzhou/cri-1"})).ok()
	w.credentialAt(gitHub, nil, w.build("instances", []string{})).
		refused(problem.InstanceUnknown, "")
}

// denials returns the audit lines of refused credentials.
func (w *world) denials() []string {
	const route = "POST /v1/instances/{region}/{instance}/bindings/{platform}/credential"
	var found []string
	for _, line := range w.log.Records(w.t, "audit") {
		if line["action"] != route {
			continue
		}
		user, _ := line["user"].(map[string]any)
		found = append(found, fmt.Sprint(line["outcome"], " ", line["region"], " ",
			line["instance"], " ", line["platform"], " ", user["subject"]))
	}
	return found
}

func TestGivenAndDeniedCredentialsAreAudited(t *testing.T) {
	w := newBuildWorld(t)
	w.credentialAt(gitHub, nil, w.build()).ok()
	w.credentialAt(home+"/gitee", nil, w.build()).refused(problem.NotBound, "")
	w.credentialAt(gitHub, nil, w.build("scope", "bindery.read")).refused(problem.ScopeMissing, "")
	w.box.RevokeTokens(sandbox.GitHub, "alice")
	w.clock.Advance(8 * time.Hour)
	w.credentialAt(gitHub, nil, w.build()).refused(problem.TokenRevoked, "revoked_at_platform")
	want := []string{
		"not_bound cn-hangzhou cri-1 gitee build-1",
		"scope_missing cn-hangzhou cri-1 github build-1",
		"token_revoked cn-hangzhou cri-1 github build-1",
	}
	if got := w.denials(); !slices.Equal(got, want) {
		t.Errorf("denied: got %q\nwant %q", got, want)
	}
	given := 0
	for _, line := range w.log.Records(t, "audit") {
		if line["action"] == "credential" && line["outcome"] == "done" {
			given++
			if identity, _ := line["identity"].(map[string]any); identity["username"] != "alice" {
				t.Errorf("the line doesn't say whose it is: %v", line["identity"])
			}
		}
	}
	if given != 1 {
		t.Errorf("given: got %d audit lines, want 1", given)
	}
}

func TestD12_TheSixHundredAndFirstCredentialOfAMinuteIsRefused(t *testing.T) {
	w := newBuildWorld(t)
	as, another := w.build(), w.build("sub", "build-2")
	for range 600 {
		w.credentialAt(gitHub, nil, as).ok()
	}
	refused := w.credentialAt(gitHub, nil, as).refused(problem.TooManyCalls, "")
	if wait, err := strconv.Atoi(refused.header.Get("Retry-After")); err != nil || wait < 1 {
		t.Errorf("Retry-After is %q", refused.header.Get("Retry-After"))
	}
	w.credentialAt(gitHub, nil, another).ok()
	w.clock.Advance(time.Minute)
	w.credentialAt(gitHub, nil, w.build()).ok()
}

// A failure of the operator's OAuth app changes no binding that a user can see.
func TestB14_ThroughHTTPARefusedAppChangesNoBinding(t *testing.T) {
	w := newBuildWorld(t)
	before := w.binding(home, "github")
	for name, app := range w.box.Apps() {
		app.ClientSecrets = []secret.Text{secret.New("another-" + string(name))}
		w.box.AddApp(name, app)
	}
	w.clock.Advance(8 * time.Hour)
	r := w.credentialAt(gitHub, nil, w.build()).refused(problem.ClientRefused, "")
	readsWell(t, r.json(), problem.English)
	if r.header.Get("Retry-After") == "" {
		t.Error("the reply doesn't say when to try again")
	}
	after := w.binding(home, "github")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the binding was %v and is %v", before, after)
	}
	if !strings.Contains(w.log.String(), `"alarm":"client_refused"`) {
		t.Error("the log has no alarm")
	}
}

func TestB4_ThroughHTTPAFailingPlatformIsABadGatewayWithRetryAfter(t *testing.T) {
	w := newBuildWorld(t)
	w.clock.Advance(8 * time.Hour)
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{
		Kind: sandbox.Fault429, RetryAfter: 90 * time.Second, Path: "access_token",
	})
	r := w.credentialAt(gitHub, nil, w.build()).refused(problem.PlatformRateLimited, "")
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "90" {
		t.Errorf("got %d with Retry-After %q, want 503 with 90", r.status, r.header.Get("Retry-After"))
	}
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "access_token"})
	w.clock.Advance(90 * time.Second)
	r = w.credentialAt(gitHub, nil, w.build()).refused(problem.PlatformError, "")
	if r.status != http.StatusBadGateway || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d with Retry-After %q, want 502", r.status, r.header.Get("Retry-After"))
	}
}

// The reason distinguishes a lost token from a revoked one for a program.
func TestB2_ThroughHTTPALossHasAnotherReasonThanARevocation(t *testing.T) {
	w := newBuildWorld(t)
	w.clock.Advance(8 * time.Hour)
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{
		Kind: sandbox.FaultDrop, After: true, Times: 1, Path: "access_token",
	})
	w.credentialAt(gitHub, nil, w.build()).refused(problem.PlatformUnreachable, "")
	w.clock.Advance(5 * time.Minute)
	w.credentialAt(gitHub, nil, w.build()).refused(problem.TokenRevoked, "token_may_be_lost")
	b := w.binding(home, "github")
	why, _ := b["problem"].(map[string]any)
	if b["status"] != "revoked" || why["reason"] != "token_may_be_lost" {
		t.Errorf("the status is %v because of %v", b["status"], why["reason"])
	}
}
