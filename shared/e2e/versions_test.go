package e2e_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/api"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
)

// The platforms that are bound by OAuth.
var oauthPlatforms = []string{"gitee", "github", "bitbucket"}

// sweepInterval is the schedule's, and quietSweeps is how many runs a quiet period has.
const (
	sweepInterval = 15 * time.Minute
	quietSweeps   = 3
)

// An update and a rollback as docs/operate.md describes them, at a quiet time, leave every binding
// as it was and no secret that no binding points at.
func TestUpdateAndRollbackAtAQuietTime(t *testing.T) {
	t.Parallel()
	v := startTwoVersions(t)
	v.use(v.older)
	v.bindByToken("codeup", v.bearer("alice", api.ScopeWrite))
	v.bindNewToken()
	for _, platform := range oauthPlatforms {
		v.bindByConsentOf(platform, v.older)
	}
	v.quietPeriod(v.older)
	for _, c := range []*codeVersion{v.newer, v.older, v.newer} {
		t.Logf("the %s version", c.name)
		v.use(c)
		v.wantAllBound()
		v.wantRefresh("github", c, c)
		v.wantRefresh("gitee", c, c)
		v.letTimePass(25 * time.Hour)
		v.sweep(c)
		v.wantAllBound()
		v.replaceAll(c)
		v.wantAllBound()
		v.quietPeriod(c)
		if got, want := v.storedSecrets(), v.pointedSecrets(); !slices.Equal(got, want) {
			t.Errorf("the vault holds %d secrets, want the %d that bindings point at",
				len(got), len(want))
		}
	}
	v.wantNoFailedSweep()
}

// While two versions run at once, each reads what the other has written: every binding works in
// both, and no sweep of either deletes the secret of a binding. Only a consent whose callback the
// other version has handled is refused, with a problem that tells its user to start again.
func TestTwoVersionsAtOnce(t *testing.T) {
	t.Parallel()
	v := startTwoVersions(t)
	for _, turn := range []struct {
		instance string
		a, b     *codeVersion
	}{{"1", v.older, v.newer}, {"2", v.newer, v.older}} {
		t.Logf("the %s version first", turn.a.name)
		v.instance = turn.instance
		v.tokensByTurns(turn.a, turn.b)
		v.consentsByTurns(turn.a, turn.b)
		v.refreshesByTurns(turn.a, turn.b)
		v.sweepsByTurns(turn.b, turn.a)
		v.replacementsByTurns(turn.a, turn.b)
		v.sweepsByTurns(turn.a, turn.b)
		v.unbindsByTurns(turn.a, turn.b)
	}
	v.sweepsByTurns(v.newer, v.older)
	// The operator's task in the second turn has ended the first instance's binding to Gitee too.
	for instance, gitee := range map[string]string{"1": "revoked", "2": "bound"} {
		v.instance = instance
		for _, c := range []*codeVersion{v.older, v.newer} {
			v.use(c)
			v.wantStatus(c.name, "unbound", gitee, "unbound", "bound", "bound")
			v.credential("gitlab")
			v.credential("bitbucket")
		}
	}
	v.wantNoFailedSweep()
}

// A field of a record and an attribute of a row that only a newer version knows are kept by
// everything that this version does to the binding.
func TestFieldsOfANewerVersionAreKept(t *testing.T) {
	t.Parallel()
	d := startLambda(t)
	writer := d.bearer("alice", api.ScopeWrite)
	d.bindByConsent("github", writer)
	want := object{"since": "2031-01-01T00:00:00Z", "list": []any{1.5, "two"}}
	r, record := d.bindingRow("github")
	record["fieldOfANewerVersion"] = want
	r["attributeOfANewerVersion"] = &types.AttributeValueMemberS{Value: "kept"}
	d.setRecord(r, record)

	check := func(after string) {
		t.Helper()
		r, record := d.bindingRow("github")
		if got := textOf(r, "attributeOfANewerVersion"); got != "kept" {
			t.Errorf("after %s the attribute is %q", after, got)
		}
		if got := record["fieldOfANewerVersion"]; !reflect.DeepEqual(got, want) {
			t.Errorf("after %s the field is %v, want %v", after, got, want)
		}
	}
	d.call(http.MethodPost, d.bindingsPath()+"/github/check", writer, nil)
	check("a check")
	d.wantRefreshOnDemand()
	check("a refresh")
	d.makeAllDue()
	d.runSchedule("with everything due")
	check("a run of the schedule")
	d.bindByConsent("github", writer)
	check("a re-bind")
	d.revokeAll("github")
	check("the operator's task")
	d.call(http.MethodDelete, d.bindingsPath()+"/github", writer, nil)
	check("an unbind")
}

// replaceAll replaces every token, each in another way, and leaves an attempt that is refused.
func (v *twoVersions) replaceAll(c *codeVersion) {
	v.t.Helper()
	v.bindNewToken()
	v.bindByConsentOf("github", c)
	v.wantConfirm(v.consentBy("github", c, c, c), c, "mallory", http.StatusForbidden, "another_user")
	v.revokeAll("gitee")
	v.bindByConsentOf("gitee", c)
	v.unbind("bitbucket", false)
	v.bindByConsentOf("bitbucket", c)
	v.unbind("codeup", false)
	v.bindByToken("codeup", v.bearer("alice", api.ScopeWrite))
}

// tokensByTurns binds Codeup and GitLab by token, each step by the other version.
func (v *twoVersions) tokensByTurns(a, b *codeVersion) {
	v.t.Helper()
	writer := v.bearer("alice", api.ScopeWrite)
	v.use(a)
	v.bindByToken("codeup", writer)
	first := v.bindNewToken()
	v.use(b)
	v.wantStatus("after a bind", "bound", "unbound", "unbound", "bound", "unbound")
	v.wantToken("gitlab", first)
	second := v.bindNewToken("If-Match", v.etag())
	v.use(a)
	v.wantToken("gitlab", second)
	third := v.bindNewToken("If-Match", v.etag())
	v.use(b)
	v.wantToken("gitlab", third)
	v.bindByToken("codeup", writer)
	v.wantChecked("gitlab")
	v.use(a)
	v.wantChecked("codeup")
}

// consentsByTurns binds the other platforms. An attempt passes from version to version up to the
// redirect, whose cookie only its own version reads. Only the version that has handled the callback
// can confirm it; the other refuses.
func (v *twoVersions) consentsByTurns(a, b *codeVersion) {
	v.t.Helper()
	for _, platform := range oauthPlatforms {
		attempt := v.consentBy(platform, b, a, a)
		v.wantShown(attempt, b)
		v.wantConfirm(attempt, b, "alice", http.StatusConflict, "authorization_done")
		v.wantConfirm(attempt, a, "alice", http.StatusOK, nil)
		v.wantConfirm(attempt, b, "alice", http.StatusOK, nil)
		v.use(b)
		v.credential(platform)
		v.wantChecked(platform)
	}
	for _, c := range []*codeVersion{a, b} {
		v.use(c)
		v.wantAllBound()
	}
}

func (v *twoVersions) refreshesByTurns(a, b *codeVersion) {
	v.t.Helper()
	for _, platform := range oauthPlatforms {
		v.wantRefresh(platform, a, b)
		v.wantRefresh(platform, b, a)
	}
}

// replacementsByTurns replaces tokens that the other version has bound or refreshed.
func (v *twoVersions) replacementsByTurns(a, b *codeVersion) {
	v.t.Helper()
	v.bindByConsentOf("github", b)
	v.use(a)
	v.credential("github")
	v.wantConfirm(v.consentBy("github", b, a, a), b, "mallory", http.StatusForbidden, "another_user")
	v.use(a)
	v.revokeAll("gitee")
	v.use(b)
	v.wantStatus("after the operator's task", "bound", "revoked", "bound", "bound", "bound")
	v.bindByConsentOf("gitee", b)
	v.use(a)
	v.bindNewToken()
	v.wantAllBound()
}

// unbindsByTurns ends bindings that the other version has made, and compares what both tell.
func (v *twoVersions) unbindsByTurns(a, b *codeVersion) {
	v.t.Helper()
	v.use(a)
	v.unbind("github", true)
	v.use(b)
	v.unbind("codeup", false)
	for _, c := range []*codeVersion{a, b} {
		v.use(c)
		v.wantStatus(c.name, "unbound", "bound", "unbound", "bound", "bound")
	}
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		v.use(a)
		byA := v.call(http.MethodGet, v.bindingsPath()+"/"+platform+"/history",
			v.bearer("alice", api.ScopeRead), nil)
		v.use(b)
		byB := v.call(http.MethodGet, v.bindingsPath()+"/"+platform+"/history",
			v.bearer("alice", api.ScopeRead), nil)
		if byA.status != http.StatusOK || byA.text != byB.text {
			v.t.Errorf("%s: the versions tell different histories, %d %d", platform,
				byA.status, byB.status)
		}
	}
}

// sweepsByTurns lets quiet periods and a day pass, first with the schedule of one version only.
func (v *twoVersions) sweepsByTurns(first, second *codeVersion) {
	v.t.Helper()
	v.quietPeriod(first)
	v.quietPeriod(second)
	v.letTimePass(25 * time.Hour)
	v.sweep(second, first)
}

// quietPeriod lets 45 minutes pass in which only the schedule runs, in each of the versions.
func (v *twoVersions) quietPeriod(versions ...*codeVersion) {
	v.t.Helper()
	for range quietSweeps {
		v.letTimePass(sweepInterval)
		v.sweep(versions...)
	}
}

// sweep runs the schedule once in each of the versions.
func (v *twoVersions) sweep(versions ...*codeVersion) {
	v.t.Helper()
	for _, c := range versions {
		v.use(c)
		v.runSchedule("in the " + c.name + " version")
		v.wantPointedSecretsStored(c)
	}
}

// storedSecrets returns the names of all secrets in the vault but the OAuth apps'.
func (v *twoVersions) storedSecrets() []string {
	all := slices.DeleteFunc(v.secretNames(), func(name string) bool { return name == appsName })
	slices.Sort(all)
	return all
}

// wantPointedSecretsStored expects the vault to hold the secret of each binding.
func (v *twoVersions) wantPointedSecretsStored(swept *codeVersion) {
	v.t.Helper()
	stored := v.storedSecrets()
	for _, name := range v.pointedSecrets() {
		if !slices.Contains(stored, name) {
			v.t.Fatalf("the sweep of the %s version deleted the secret of a binding", swept.name)
		}
	}
}

// wantNoFailedSweep expects that no run of either version's schedule failed at anything.
func (v *twoVersions) wantNoFailedSweep() {
	v.t.Helper()
	for _, c := range []*codeVersion{v.older, v.newer} {
		for line := range strings.Lines(c.processes["expirycheck"].Log()) {
			if strings.Contains(line, `"msg":"sweeping failed"`) {
				v.t.Errorf("the %s version: %s", c.name, line)
			}
		}
	}
}

// wantAllBound expects all five platforms to be bound and their tokens to be given to builds.
func (v *twoVersions) wantAllBound() {
	v.t.Helper()
	v.wantStatus(v.active.name, "bound", "bound", "bound", "bound", "bound")
	v.wantCredentials()
}

func (v *twoVersions) wantToken(platform string, want secret.Text) {
	v.t.Helper()
	if got, _ := v.credential(platform); !got.Equal(want) {
		v.t.Errorf("the %s version gives another token of %s than was bound", v.active.name, platform)
	}
}

func (v *twoVersions) wantChecked(platform string) {
	v.t.Helper()
	a := v.call(http.MethodPost, v.bindingsPath()+"/"+platform+"/check",
		v.bearer("alice", api.ScopeWrite), nil)
	if a.status != http.StatusOK || a.body["status"] != "bound" {
		v.t.Errorf("the %s version checks %s: %d %v", v.active.name, platform, a.status, a.body["code"])
	}
}

// wantRefresh expects one version to refresh an expired token, and the other to give the new one.
func (v *twoVersions) wantRefresh(platform string, by, other *codeVersion) {
	v.t.Helper()
	v.use(by)
	before, _ := v.credential(platform)
	v.expireInRow(platform)
	after, _ := v.credential(platform)
	if after.Equal(before) {
		v.t.Errorf("the %s version doesn't refresh %s", by.name, platform)
	}
	v.use(other)
	v.wantToken(platform, after)
}

// bindNewToken binds GitLab with a token of its own. more are names and values of headers.
func (v *twoVersions) bindNewToken(more ...string) secret.Text {
	v.t.Helper()
	token := v.sandbox.GitLab.AddToken(gitlab.Token{Username: "alice", Scopes: []string{"api"}})
	form := v.form("gitlab")
	form["token"] = token.Reveal()
	a := v.call(http.MethodPut, v.bindingsPath()+"/gitlab", v.bearer("alice", api.ScopeWrite), form,
		more...)
	if a.status != http.StatusOK || a.body["status"] != "bound" {
		v.t.Fatalf("the %s version binds gitlab: %d %v", v.active.name, a.status, a.body["code"])
	}
	return token
}

func (v *twoVersions) unbind(platform string, revoked bool) {
	v.t.Helper()
	a := v.call(http.MethodDelete, v.bindingsPath()+"/"+platform,
		v.bearer("alice", api.ScopeWrite), nil)
	if a.status != http.StatusOK || a.body["revoked"] != revoked {
		v.t.Errorf("the %s version unbinds %s: %d %v %v", v.active.name, platform, a.status,
			a.body["code"], a.body["revoked"])
	}
}

// attempt is a consent of alice that waits for its confirm.
type attempt struct{ platform, id, code string }

// consentBy takes an attempt up to the console, each step by one version.
func (v *twoVersions) consentBy(platform string, start, redirect, callback *codeVersion) attempt {
	v.t.Helper()
	v.use(start)
	id, address := v.startAuthorization(platform, v.bearer("alice", api.ScopeWrite))
	v.use(redirect)
	back, cookie := v.consentAt(platform, address)
	v.use(callback)
	arrived := v.call(http.MethodGet, back, secret.Text{}, nil, "Cookie", cookie)
	to, err := url.Parse(arrived.header.Get("Location"))
	if err != nil {
		v.t.Fatal("the callback redirects nowhere")
	}
	carried, _ := url.ParseQuery(to.Fragment)
	code := carried.Get(callback.codeField)
	if code == "" {
		v.t.Fatalf("the callback of %s ends with %d %q", platform, arrived.status,
			carried.Get("problem"))
	}
	return attempt{platform, id, code}
}

// wantShown expects a version to show an attempt's identity.
func (v *twoVersions) wantShown(a attempt, by *codeVersion) {
	v.t.Helper()
	v.use(by)
	shown := v.call(http.MethodGet, "/v1/authorizations/"+a.id, v.bearer("alice", api.ScopeWrite), nil,
		by.codeHeader, a.code)
	if shown.status != http.StatusOK || in(shown.body, "identity", "username") == nil {
		v.t.Errorf("the %s version shows the attempt at %s: %d %v", by.name, a.platform,
			shown.status, shown.body["code"])
	}
}

// wantConfirm expects this reply to a user's confirm; code is nil for none.
func (v *twoVersions) wantConfirm(a attempt, by *codeVersion, user string, status int, code any) {
	v.t.Helper()
	v.use(by)
	got := v.call(http.MethodPost, "/v1/authorizations/"+a.id+"/confirm",
		v.bearer(user, api.ScopeWrite),
		object{"instance": object{"region": "eu", "id": v.instance}, by.codeField: a.code})
	if got.status != status || got.body["code"] != code {
		v.t.Fatalf("the %s version confirms %s: %d %v, want %d %v", by.name, a.platform,
			got.status, got.body["code"], status, code)
	}
}

// bindByConsentOf binds by OAuth with one version.
func (v *twoVersions) bindByConsentOf(platform string, c *codeVersion) {
	v.t.Helper()
	a := v.consentBy(platform, c, c, c)
	v.wantShown(a, c)
	v.wantConfirm(a, c, "alice", http.StatusOK, nil)
}
