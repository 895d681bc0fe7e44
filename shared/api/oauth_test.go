package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/vault/vaulttest"
)

// pages are where a user revokes a token that Bindery can't revoke.
var pages = map[sandbox.Platform]string{
	sandbox.Gitee:     "/oauth/applications",
	sandbox.Bitbucket: "/account/settings/app-authorizations/",
}

func TestABindingByConsentFromStartToEnd(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			b := newBrowser(w)
			a := w.start(platform, "returnTo", "/instances?tab=bindings&lang=zh")
			w.stage(a.id, "started")
			address := b.authorizeURL(a)
			w.stage(a.id, "redirected")
			end := b.callback(w.grant(a.platform, "alice", address, nil)).consented()
			if end.id != a.id {
				t.Errorf("redirected with the id %q", end.id)
			}
			w.unbound(home, platform)

			r := w.confirm(a.id, end.confirmationCode).ok()
			if got, want := r.header.Get("ETag"), `"`+r.text("etag")+`"`; got != want {
				t.Errorf("the ETag is %s, want %s", got, want)
			}
			if r.text("status") != "bound" || r.text("method") != "oauth" ||
				r.text("boundBy") != "ann" {
				t.Errorf("confirmed: %s", r.body)
			}
			access := w.accessOf(keyAt("cn-hangzhou", "cri-1", platform))
			if !w.box.Lives(platform, access) {
				t.Error("the vault's token isn't alive")
			}
			w.boundTo(home, platform, "alice")
			w.wantHistory(platform, 1, "binding.bound", "alice", "")
			w.wantEnded(platform)
		})
	}
}

// wantHistory wants the number of events in a binding's history and its newest event; "" is no
// identity.
func (w *world) wantHistory(platform sandbox.Platform, count int, kind, login, before string) {
	w.t.Helper()
	events := w.get(home + "/" + string(platform) + "/history").ok().list("events")
	if len(events) != count {
		w.t.Fatalf("the history has %d events, want %d", len(events), count)
	}
	name := func(field string) string {
		identity, _ := events[0][field].(map[string]any)
		login, _ := identity["username"].(string)
		return login
	}
	got := []string{name("identity"), name("previous")}
	if events[0]["type"] != kind || events[0]["actor"] != "ann" ||
		got[0] != login || got[1] != before {
		w.t.Errorf("the newest event is %v by %v of %v, want %s of %q after %q",
			events[0]["type"], events[0]["actor"], got, kind, login, before)
	}
}

// wantEnded unbinds, and wants the token to be revoked if the platform supports that.
func (w *world) wantEnded(platform sandbox.Platform) {
	w.t.Helper()
	r := w.do(request{method: "DELETE", path: home + "/" + string(platform)}).ok()
	revoked, address := r.json()["revoked"], r.text("revokeUrl")
	live := w.box.LiveTokens(platform, "alice")
	if platform == sandbox.GitHub {
		if revoked != true || address != "" || live != 0 {
			w.t.Errorf("revoked: %v, page %q, %d tokens live; want true, none, 0", revoked, address, live)
		}
	} else if revoked != false || !strings.HasSuffix(address, pages[platform]) || live != 1 {
		w.t.Errorf("revoked: %v, page %q, %d tokens live; want false, the platform's page, 1",
			revoked, address, live)
	}
	w.unbound(home, platform)
	w.wantHistory(platform, 2, "binding.unbound", "", "alice")
	w.clock.Advance(attemptSwept)
	w.sweep()
	if names, err := vaulttest.Names(w.t.Context(), w.secrets); err != nil || len(names) != 0 {
		w.t.Errorf("%d secrets are left over: %v", len(names), err)
	}
}

// audited returns the audit lines of an action.
func (w *world) audited(action string) []map[string]any {
	w.t.Helper()
	var found []map[string]any
	for _, line := range w.log.Records(w.t, "audit") {
		if line["action"] == action {
			found = append(found, line)
		}
	}
	return found
}

// revocations returns the requests to GitHub that revoke tokens, by the last part of their path.
func (w *world) revocations() []string {
	var ends []string
	for _, r := range w.box.Requests() {
		if r.Method == http.MethodDelete {
			ends = append(ends, r.Path[strings.LastIndexByte(r.Path, '/')+1:])
		}
	}
	return ends
}

func TestA16_OAuthAnotherIdentityIsAuditedAndOnlyTheOldTokenRevoked(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice", "instance", atShanghai)
	w.bindBy(sandbox.GitHub, "alice")
	old := w.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))
	other := w.accessOf(keyAt("cn-shanghai", "cri-1", sandbox.GitHub))

	w.bindBy(sandbox.GitHub, "bob")
	w.boundTo(home, sandbox.GitHub, "bob")
	w.wantHistory(sandbox.GitHub, 2, "binding.rebound", "bob", "alice")
	if w.box.Lives(sandbox.GitHub, old) || !w.box.Lives(sandbox.GitHub, other) {
		t.Error("of alice's two tokens the replaced one, and no other, must be dead")
	}
	if ends := w.revocations(); len(ends) != 1 || ends[0] != "token" {
		t.Errorf("revoked by %v, want one /token, which ends a single one", ends)
	}
	lines := w.audited("bind")
	last := lines[len(lines)-1]
	now, _ := last["identity"].(map[string]any)
	before, _ := last["previous"].(map[string]any)
	if now["username"] != "bob" || before["username"] != "alice" || last["revoked"] != true {
		t.Errorf("the audit line is %v", last)
	}
}

func TestA16_OAuthTheSameIdentityAgainRevokesOnlyTheReplacedToken(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			w.bindBy(platform, "alice")
			old := w.accessOf(keyAt("cn-hangzhou", "cri-1", platform))
			w.bindBy(platform, "alice")
			now := w.accessOf(keyAt("cn-hangzhou", "cri-1", platform))
			if !w.box.Lives(platform, now) {
				t.Error("the new token is dead")
			}
			if got, want := w.box.Lives(platform, old), platform != sandbox.GitHub; got != want {
				t.Errorf("the old token lives: %v, want %v", got, want)
			}
			w.wantHistory(platform, 2, "binding.rebound", "alice", "alice")
		})
	}
}

func TestATokenWithoutAnExpiryIsBound(t *testing.T) {
	w := newConsentWorld(t)
	app := w.box.Apps()[sandbox.GitHub]
	app.ExpiringTokens = false
	w.box.AddApp(sandbox.GitHub, app)
	r := w.bindBy(sandbox.GitHub, "alice")
	if end, there := r.json()["tokenExpiresAt"]; !there || end != nil {
		t.Errorf("tokenExpiresAt is %v, want null", end)
	}
	w.clock.Advance(300 * 24 * time.Hour)
	w.boundTo(home, sandbox.GitHub, "alice")
}

func TestARefreshableTokenIsNotShownAsExpiring(t *testing.T) {
	w := newConsentWorld(t)
	for platform, life := range map[sandbox.Platform]time.Duration{
		sandbox.Gitee: 24 * time.Hour, sandbox.GitHub: 8 * time.Hour, sandbox.Bitbucket: 2 * time.Hour,
	} {
		r := w.bindBy(platform, "alice")
		want := w.clock.Now().Add(life).Format(time.RFC3339)
		if got := r.text("tokenExpiresAt"); got != want {
			t.Errorf("%s: tokenExpiresAt is %s, want %s", platform, got, want)
		}
		w.boundTo(home, platform, "alice")
	}
}

func TestBitbucketTakesItsInstanceAfterTheConsent(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.Bitbucket, "instance", nil)
	if at := w.shown(a.id, "").ok().json()["instance"]; at != nil {
		t.Errorf("the instance is %v, want null", at)
	}
	confirmationCode := newBrowser(w).confirmationCode(a, "carol")
	w.confirm(a.id, confirmationCode, "instance", atShanghai).ok()
	w.boundTo(shanghaiPath, sandbox.Bitbucket, "carol")
	w.unbound(home, sandbox.Bitbucket)

	// A consent is for one binding.
	w.confirm(a.id, confirmationCode).refused(problem.AuthorizationDone, "")
	w.unbound(home, sandbox.Bitbucket)
	w.confirm(a.id, confirmationCode, "instance", atShanghai).ok()
}

func TestTheIdentityIsShownOnlyWithTheConfirmationCode(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	for name, shown := range map[string]string{
		"none": "", "wrong": strings.Repeat("0", 64), "longer": confirmationCode + "0",
		"shorter": confirmationCode[1:],
	} {
		r := w.shown(a.id, shown).ok()
		if _, there := r.json()["identity"]; there || strings.Contains(string(r.body), "alice") {
			t.Errorf("the identity is shown with this confirmationCode: %s", name)
		}
	}
	r := w.shown(a.id, confirmationCode).ok()
	identity, _ := r.json()["identity"].(map[string]any)
	if identity["username"] != "alice" || r.text("platform") != "github" ||
		r.text("stage") != "consented" {
		t.Errorf("with the confirmationCode: %s", r.body)
	}
	// To other users there is none, with or without the confirmation code.
	for name, token := range map[string]string{"bea": w.as("bea"), "eve": w.stranger()} {
		r := w.do(request{
			method: "GET", path: "/v1/authorizations/" + a.id, as: token,
			header: map[string]string{"Bindery-Confirmation-Code": confirmationCode},
		})
		if r.refused(problem.AuthorizationUnknown, ""); strings.Contains(string(r.body), "alice") {
			t.Errorf("%s is shown the identity", name)
		}
	}
}

func TestARepeatedConfirmHasTheSameReply(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		a := w.start(platform)
		confirmationCode := newBrowser(w).confirmationCode(a, "alice")
		first := w.confirm(a.id, confirmationCode).ok()
		again := w.confirm(a.id, confirmationCode).ok()
		w.clock.Advance(20 * time.Minute) // also after the attempt has expired
		late := w.confirm(a.id, confirmationCode).ok()
		if string(first.body) != string(again.body) || string(first.body) != string(late.body) {
			t.Errorf("%s: three answers: %s %s %s", platform, first.body, again.body, late.body)
		}
		w.wantHistory(platform, 1, "binding.bound", "alice", "")
	}
}

func TestConfirmsAtOnceMakeOneBinding(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "bob")
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	replies := make([]reply, 8)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() { replies[i] = w.confirm(a.id, confirmationCode) })
	}
	all.Wait()
	for _, r := range replies {
		if r.ok(); string(r.body) != string(replies[0].body) {
			t.Errorf("two answers: %s and %s", r.body, replies[0].body)
		}
	}
	w.boundTo(home, sandbox.GitHub, "alice")
	w.wantHistory(sandbox.GitHub, 2, "binding.rebound", "alice", "bob")
	if w.box.LiveTokens(sandbox.GitHub, "bob") != 0 || w.box.LiveTokens(sandbox.GitHub, "alice") != 1 {
		t.Error("bob's token must be dead, and alice's alive")
	}
}

func TestOneConsentForTwoInstancesAtOnceBindsOne(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.Bitbucket, "instance", nil)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	replies := make([]reply, 2)
	var all sync.WaitGroup
	for i, target := range []map[string]any{instance, atShanghai} {
		all.Go(func() { replies[i] = w.confirm(a.id, confirmationCode, "instance", target) })
	}
	all.Wait()
	bound := 0
	for _, r := range replies {
		if r.status == http.StatusOK {
			bound++
			continue
		}
		r.refused(problem.AuthorizationDone, "")
	}
	if bound != 1 {
		t.Errorf("%d instances were bound, want 1", bound)
	}
}

func TestAConfirmForAnotherInstanceThanTheNamedOneChangesNothing(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	w.confirm(a.id, confirmationCode, "instance", atShanghai).refused(problem.AnotherInstance, "")
	w.unbound(shanghaiPath, sandbox.GitHub)
	w.confirm(a.id, confirmationCode).ok()
}

func TestA15_OAuthAnInstanceOfAnotherAccountIsOneThatDoesNotExist(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.Bitbucket, "instance", nil)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	theirs := map[string]any{"region": "cn-hangzhou", "id": "cri-beta"}
	none := map[string]any{"region": "cn-hangzhou", "id": "cri-none"}
	same := func(what string, one, other reply) {
		one.refused(problem.InstanceUnknown, "")
		other.refused(problem.InstanceUnknown, "")
		if one.withoutID() != other.withoutID() {
			t.Errorf("%s: another account's %s, none %s", what, one.body, other.body)
		}
	}
	same("confirm", w.confirm(a.id, confirmationCode, "instance", theirs),
		w.confirm(a.id, confirmationCode, "instance", none))
	begin := func(at map[string]any) reply {
		return w.do(request{method: "POST", path: "/v1/authorizations", body: map[string]any{
			"platform": "github", "instance": at,
		}})
	}
	same("start", begin(theirs), begin(none))
	narrow := w.issuer.token(t, map[string]any{"instances": []string{"cn-shanghai/cri-1"}})
	same("a narrowed caller", w.do(confirmation(a.id, confirmationCode).by(narrow)),
		w.do(confirmation(a.id, confirmationCode, "instance", none).by(narrow)))
	w.confirm(a.id, confirmationCode).ok() // none of the refused calls changed anything
}

func TestA15_OAuthANarrowedCallerSeesNoAttemptForAnotherInstance(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	look := func(id, instance string) reply {
		return w.do(request{
			method: "GET", path: "/v1/authorizations/" + id,
			as:     w.issuer.token(t, map[string]any{"instances": []string{instance}}),
			header: map[string]string{"Bindery-Confirmation-Code": confirmationCode},
		})
	}
	there := look(a.id, "cn-shanghai/cri-1").refused(problem.AuthorizationUnknown, "")
	none := look(strings.Repeat("0", 32), "cn-shanghai/cri-1").
		refused(problem.AuthorizationUnknown, "")
	if there.withoutID() != none.withoutID() {
		t.Errorf("an attempt for another instance: %s, no attempt: %s", there.body, none.body)
	}
	look(a.id, "cn-hangzhou/cri-1").ok()
	open := w.start(sandbox.Bitbucket, "instance", nil) // the instance is chosen at the confirm
	look(open.id, "cn-shanghai/cri-1").ok()
}

// withoutID returns the body without the request's id, which always differs.
func (r reply) withoutID() string {
	r.t.Helper()
	return strings.Replace(string(r.body), r.text("requestId"), "", 1)
}
