package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault/vaulttest"
)

// manyInstances sets a catalogue with more instances than GitHub allows tokens.
func manyInstances(env map[string]string, _ *world) {
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprintf(
			`{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-%d", "name": "n"}`, i))
	}
	env["BINDERY_INSTANCES"] = `{"acme": [` + strings.Join(all, ",") + `]}`
}

func nthInstance(i int) map[string]any {
	return map[string]any{"region": "cn-hangzhou", "id": fmt.Sprintf("cri-%d", i)}
}

// bindMany binds the first n instances to alice's GitHub.
func (w *world) bindMany(n int) {
	w.t.Helper()
	for i := range n {
		w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(i))
		w.clock.Advance(10 * time.Second) // otherwise too_many_calls
	}
}

// wantTokensValid wants the tokens of the first n instances to be valid.
func (w *world) wantTokensValid(n int) {
	w.t.Helper()
	for i := range n {
		key := keyAt("cn-hangzhou", fmt.Sprintf("cri-%d", i), sandbox.GitHub)
		if !w.box.Lives(sandbox.GitHub, w.accessOf(key)) {
			w.t.Errorf("the token of instance %d is dead", i)
		}
	}
}

// attempt consents to an attempt of alice for an instance in a new browser.
func (w *world) attempt(at map[string]any) (attempt, consoleRedirect) {
	w.t.Helper()
	a := w.start(sandbox.GitHub, "instance", at)
	b := newBrowser(w)
	return a, b.callback(w.grant(a.platform, "alice", b.authorizeURL(a), nil))
}

func TestGitHubsTenTokens(t *testing.T) {
	w := newConsentWorld(t, manyInstances)
	w.bindMany(7)
	for i := 7; i < 9; i++ { // the eighth and the ninth work, with a warning
		r := w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(i))
		warnings := r.list("warnings")
		if len(warnings) != 1 || warnings[0]["code"] != "many_tokens" ||
			!strings.Contains(warnings[0]["detail"].(string), fmt.Sprint(i+1)) {
			t.Errorf("binding %d: the warnings are %v", i+1, warnings)
		}
		w.clock.Advance(time.Minute)
	}
	for range 3 { // a retry is refused too
		a, end := w.attempt(nthInstance(9))
		end.refused(problem.TooManyTokens, a.id)
		if r := w.shown(a.id, "").ok(); !strings.Contains(string(r.body), " 9") {
			t.Errorf("the detail lacks the number of tokens: %s", r.body)
		}
		if live := w.box.LiveTokens(sandbox.GitHub, "alice"); live != 9 {
			t.Errorf("%d tokens live, want the nine that are bound", live)
		}
		w.wantTokensValid(9)
	}
	// A re-bind replaces a token, so it is never one too many.
	w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(3))
	w.wantTokensValid(9)
	// The limit of another identity is its own.
	w.bindBy(sandbox.GitHub, "bob", "instance", nthInstance(9))
	// A refused attempt doesn't count, so the remedy of the problem works at once.
	w.clock.Advance(16 * time.Minute)
	w.do(request{method: "DELETE", path: at("cn-hangzhou", "cri-8") + "/github"}).ok()
	w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(10))
	w.wantTokensValid(8)
}

func TestARefusedAndRevokedTokenDoesntCount(t *testing.T) {
	w := newConsentWorld(t, manyInstances)
	w.bindMany(9)
	w.clock.Advance(16 * time.Minute)
	w.sweep()
	a, end := w.attempt(nthInstance(9))
	end.refused(problem.TooManyTokens, a.id)
	w.do(request{method: "DELETE", path: at("cn-hangzhou", "cri-0") + "/github"}).ok()
	w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(9))
}

// An attempt expires after 15 minutes, its secret is due 15 minutes later, and the schedule runs
// every 15 minutes: its token may be valid for three times as long as its attempt.
func TestAttemptsCountUntilTheSweepHasEndedThem(t *testing.T) {
	w := newConsentWorld(t, manyInstances)
	w.bindMany(6)
	for i := 6; i < 9; i++ {
		_, end := w.attempt(nthInstance(i))
		end.consented() // and is not confirmed
	}
	for _, later := range []time.Duration{0, 30*time.Minute + time.Second, 14 * time.Minute} {
		w.clock.Advance(later)
		a, end := w.attempt(nthInstance(9))
		end.refused(problem.TooManyTokens, a.id)
		w.wantTokensValid(6)
	}
	w.sweep()
	w.clock.Advance(3 * time.Minute)
	if live := w.box.LiveTokens(sandbox.GitHub, "alice"); live != 6 {
		t.Errorf("%d tokens live after the sweep, want the six that are bound", live)
	}
	w.bindBy(sandbox.GitHub, "alice", "instance", nthInstance(9))
	w.wantTokensValid(6)
}

// However an attempt ends, nothing of it is left a quarter of an hour after its start, or after its
// expiry if a callback has claimed it.
func TestAnAbandonedAttemptLeavesNothing(t *testing.T) {
	redirected := func(w *world, a attempt) (*browser, string) {
		b := newBrowser(w)
		return b, b.authorizeURL(a)
	}
	for name, abandon := range map[string]func(w *world, a attempt){
		"started":    func(*world, attempt) {},
		"redirected": func(w *world, a attempt) { redirected(w, a) },
		"consented at the platform": func(w *world, a attempt) {
			_, address := redirected(w, a)
			w.grant(a.platform, "alice", address, nil)
		},
		"come back, and not confirmed": func(w *world, a attempt) {
			b, address := redirected(w, a)
			b.callback(w.grant(a.platform, "alice", address, nil)).consented()
		},
		"refused": func(w *world, a attempt) {
			b, address := redirected(w, a)
			back, _ := w.box.Refuse(sandbox.Platform(a.platform), "alice", address)
			b.callback(back).refused(problem.ConsentRefused, a.id)
		},
		"the vault is down": func(w *world, a attempt) {
			b, address := redirected(w, a)
			w.vault.reset(func(int, string) error { return errStorage })
			b.callback(w.grant(a.platform, "alice", address, nil)).
				refused(problem.StorageUnavailable, a.id)
			w.vault.reset(nil)
		},
		"the table is down after the vault has the token": func(w *world, a attempt) {
			b, address := redirected(w, a)
			back := w.grant(a.platform, "alice", address, nil)
			w.table.reset(func(n int, _ string) error { // reading and claiming succeed
				if n > 2 {
					return errStorage
				}
				return nil
			})
			b.callback(back).refused(problem.StorageUnavailable, a.id)
			w.table.reset(nil)
		},
	} {
		for _, platform := range byConsent {
			t.Run(name+" "+string(platform), func(t *testing.T) {
				w := newConsentWorld(t)
				a := w.start(platform)
				abandon(w, a)
				w.clock.Advance(16 * time.Minute)
				if stage := w.shown(a.id, "").ok().text("stage"); stage != "started" && stage != "redirected" {
					w.clock.Advance(15 * time.Minute)
				}
				w.sweep()
				w.wantNothingLeft()
				live := w.box.LiveTokens(platform, "alice")
				if platform == sandbox.GitHub && live != 0 {
					t.Errorf("%d tokens are valid at GitHub that Bindery doesn't have", live)
				}
			})
		}
	}
}

// wantNothingLeft wants no secrets and no attempts.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	names, err := vaulttest.Names(context.Background(), w.secrets)
	if err != nil || len(names) != 0 {
		w.t.Errorf("%d secrets are left: %v", len(names), err)
	}
	due, err := w.lost.DueBefore(context.Background(), w.clock.Now().Add(24*time.Hour), "", 100)
	if err != nil || len(due.Items) != 0 {
		w.t.Errorf("%d rows are left: %v", len(due.Items), err)
	}
}

// A sweep revokes only the abandoned token, never one that a binding holds.
func TestASweepOfAnAttemptKeepsTheBindings(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice")
	bound := w.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))
	_, end := w.attempt(atShanghai)
	end.consented()
	w.clock.Advance(attemptSwept)
	w.sweep()
	if !w.box.Lives(sandbox.GitHub, bound) || w.box.LiveTokens(sandbox.GitHub, "alice") != 1 {
		t.Error("of alice's two tokens the bound one must live, and no other")
	}
	for _, end := range w.revocations() {
		if end != "token" {
			t.Errorf("revoked by /%s", end)
		}
	}
}

// GitHub is down when the sweep revokes the abandoned token: the next sweeps retry.
func TestASweepTriesAgainWhileThePlatformIsDown(t *testing.T) {
	w := newConsentWorld(t)
	_, end := w.attempt(instance)
	end.consented()
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault503})
	w.clock.Advance(attemptSwept)
	w.sweep()
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 1 {
		t.Fatal("a fault has revoked a token")
	}
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	w.clock.Advance(16 * time.Minute)
	w.sweep()
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 0 {
		t.Error("the token lives on")
	}
	w.wantNothingLeft()
}

// GitHub stays down: after ten attempts the history asks the user to revoke the token there.
func TestATokenThatCouldNotBeRevokedIsInTheHistory(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice")
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault503})
	w.do(request{method: "DELETE", path: home + "/github"}).ok()
	w.clock.Advance(15 * time.Minute) // its attempt expires
	for range 10 {
		w.clock.Advance(16 * time.Minute)
		w.sweep()
	}
	for _, language := range []problem.Language{problem.Chinese, problem.English} {
		events := asking("GET", home+"/github/history", false)(w, string(language)).
			ok().list("events")
		if len(events) != 3 || events[0]["type"] != "binding.revocation_failed" {
			t.Fatalf("got %d events, the newest %v", len(events), events[0]["type"])
		}
		why, _ := events[0]["problem"].(map[string]any)
		if why["code"] != string(problem.RevocationFailed) {
			t.Errorf("got the code %v", why["code"])
		}
		readsWell(t, why, language)
	}
}

// A refused token that GitHub didn't revoke at once still counts, and the sweep revokes it.
func TestARefusedTokenThatLivesOnIsSwept(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	back := w.grant("github", "alice", b.authorizeURL(a), []string{"gist"})
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "/applications/"})
	b.callback(back).refused(problem.PermissionMissing, a.id)
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 1 {
		t.Fatal("it was revoked in spite of the fault")
	}
	w.box.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	w.clock.Advance(attemptSwept)
	w.sweep()
	w.wantNothingLeft()
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 0 {
		t.Error("the token lives on")
	}
}

// D1 for OAuth: the rows hold none of the secrets of a bind.
func TestD1_OAuthNoRecordHoldsASecret(t *testing.T) {
	w := newConsentWorld(t)
	for _, platform := range byConsent {
		w.bindBy(platform, "alice")
		w.bindBy(platform, "bob")
		_ = w.start(platform)
		// A refused callback and a refresh are logged too.
		a := w.start(platform)
		newBrowser(w).callback(w.grant(a.platform, "alice", newBrowser(w).authorizeURL(a), nil))
	}
	w.clock.Advance(8 * time.Hour)
	for _, platform := range byConsent {
		w.do(request{
			method: "POST", path: home + "/" + string(platform) + "/credential",
			as:   w.issuer.token(t, map[string]any{"scope": "bindery.credential"}),
			body: map[string]any{"minimumLifeSeconds": 24 * 60 * 60},
		}).ok()
	}
	for _, platform := range byConsent {
		access := w.accessOf(keyAt("cn-hangzhou", "cri-1", platform))
		rec, err := w.lost.Binding(t.Context(), keyAt("cn-hangzhou", "cri-1", platform))
		if err != nil {
			t.Fatal(err)
		}
		w.wantNoSecret("a record", fmt.Appendf(nil, "%+v", rec))
		if strings.Contains(fmt.Sprintf("%+v", rec), access.Reveal()) {
			t.Error("a record shows its token")
		}
		w.minted.add(access.Reveal())
	}
	if got := len(w.minted.all()); got < 30 {
		t.Errorf("only %d secrets are looked for", got)
	}
	// The log and the files are scanned at the end; the scan must be able to find a secret.
	quiet := &world{t: &testing.T{}, minted: w.minted}
	quiet.wantNoSecret("a text", []byte("x"+secret.New(w.minted.all()[0]).Reveal()))
	if !quiet.t.Failed() {
		t.Error("the scan finds nothing")
	}
}
