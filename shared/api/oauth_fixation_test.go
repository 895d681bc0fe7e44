package api_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/vault/vaulttest"
)

// In these tests ann is the attacker and bea the victim. Both are users of the same account, which
// is the strongest position for an attacker.

func TestA1_TheAttackersCallbackInTheVictimsBrowser(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			attacker, victim := newBrowser(w), newBrowser(w)
			a := w.start(platform)
			link := w.grant(a.platform, "bob", attacker.authorizeURL(a), nil)

			victim.callback(link).refused(problem.CookiesBlocked, a.id)
			own := w.start(platform) // also if the victim has an attempt of its own
			ownAddress := victim.authorizeURL(own)
			a = w.start(platform)
			link = w.grant(a.platform, "bob", attacker.authorizeURL(a), nil)
			victim.callback(link).refused(problem.AnotherBrowser, a.id)
			if w.box.Exchanges(platform) != 0 {
				t.Error("the code was redeemed")
			}
			w.unbound(home, platform)
			// The victim's own attempt still works.
			victim.callback(w.grant(own.platform, "alice", ownAddress, nil)).consented()
		})
	}
}

// victimConsents is the beginning of A2: the attacker starts, the victim follows the link and
// consents. Only the victim's browser has the confirmation code.
func (w *world) victimConsents(platform sandbox.Platform) (attempt, string) {
	w.t.Helper()
	a := w.start(platform)
	return a, newBrowser(w).confirmationCode(a, "alice")
}

func TestA2_AnotherUserConfirms_TheVictimConfirms(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			a, confirmationCode := w.victimConsents(platform)
			w.do(confirmation(a.id, confirmationCode).by(w.as("bea"))).refused(problem.AnotherUser, "")
			w.unbound(home, platform)
			if live := w.box.LiveTokens(platform, "alice"); platform == sandbox.GitHub && live != 0 {
				t.Error("the token of the refused attempt lives on where it can be revoked")
			}
			lines := w.audited("confirm")
			if len(lines) != 1 || lines[0]["outcome"] != "another_user" {
				t.Fatalf("the audit lines are %v", lines)
			}
			user, _ := lines[0]["user"].(map[string]any)
			if lines[0]["instance"] != "cri-1" || user["subject"] != "bea" {
				t.Errorf("the audit line is %v", lines[0])
			}
			// The attempt has ended, also for an attacker who has got the confirmation code.
			w.confirm(a.id, confirmationCode).refused(problem.AuthorizationDone, "")
			w.do(confirmation(a.id, confirmationCode).by(w.as("bea"))).refused(problem.AnotherUser, "")
			w.unbound(home, platform)
			w.clock.Advance(attemptSwept)
			w.sweep()
			if names, _ := vaulttest.Names(t.Context(), w.secrets); len(names) != 0 {
				t.Errorf("%d secrets are left", len(names))
			}
		})
	}
}

// stolen reports whether the attacker's confirm, before the victim's next request, binds the
// victim's account.
func (w *world) stolen(platform sandbox.Platform) bool {
	w.t.Helper()
	a, _ := w.victimConsents(platform)
	for range 3 { // polls
		w.shown(a.id, "")
	}
	for _, confirmationCode := range []any{"", nil, known, a.id} {
		r := confirmation(a.id, "", "confirmationCode", confirmationCode)
		r.odd = confirmationCode == nil
		w.do(r)
	}
	return w.binding(home, string(platform))["status"] == "bound"
}

// forced reports whether the victim's confirm, in the console to which the link has led, binds the
// victim's account to the instance that the attacker chose.
func (w *world) forced(platform sandbox.Platform) bool {
	w.t.Helper()
	a, confirmationCode := w.victimConsents(platform)
	w.do(confirmation(a.id, confirmationCode).by(w.as("bea")))
	return w.binding(home, string(platform))["status"] == "bound"
}

func TestA2_AnotherUserConfirms_TheAttackerPollsAndConfirmsFirst(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		if w.stolen(platform) {
			t.Errorf("%s: the victim's account was bound by the attacker", platform)
		}
		if w.box.LiveTokens(platform, "alice") != 1 {
			t.Errorf("%s: an id alone has destroyed the attempt", platform)
		}
	}
}

// The id is known to the attacker; whose account the victim has is for the victim's browser only.
func TestA2_AnAttemptShowsItsIdentityOnlyWithTheConfirmationCode(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		a, confirmationCode := w.victimConsents(platform)
		for _, wrong := range []string{"", known, a.id, confirmationCode[:63]} {
			r := w.shown(a.id, wrong).ok()
			if r.json()["identity"] != nil || strings.Contains(string(r.body), "alice") {
				t.Errorf("%s: an attempt shows the identity without its code: %s", platform, r.body)
			}
		}
		identity, _ := w.shown(a.id, confirmationCode).ok().json()["identity"].(map[string]any)
		if identity["username"] != "alice" {
			t.Errorf("%s: with the code the identity is %v, want alice", platform, identity)
		}
		for _, token := range []string{w.as("bea"), w.stranger()} {
			for _, code := range []string{"", confirmationCode} {
				w.do(request{
					method: "GET", path: "/v1/authorizations/" + a.id, as: token,
					header: map[string]string{"Bindery-Confirmation-Code": code},
				}).refused(problem.AuthorizationUnknown, "")
			}
		}
	}
}

func TestA2_TheAttackersConfirmationCodeAndTheVictimsAttemptDontMix(t *testing.T) {
	w := newConsentWorld(t)
	a, _ := w.victimConsents(sandbox.GitHub)
	own := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(own, "bob")
	w.confirm(a.id, confirmationCode).refused(problem.AuthorizationUnknown, "")
	w.unbound(home, sandbox.GitHub)
	w.confirm(own.id, confirmationCode).ok()
	w.boundTo(home, sandbox.GitHub, "bob")
}

func TestA2_AWrongConfirmationCodeEndsNoAttempt(t *testing.T) {
	w := newConsentWorld(t)
	a, confirmationCode := w.victimConsents(sandbox.GitHub)
	for who, token := range map[string]string{"ann": "", "bea": w.as("bea"), "eve": w.stranger()} {
		for _, wrong := range []string{
			"", strings.Repeat("f", 64), confirmationCode[:63], confirmationCode + " ",
		} {
			r := confirmation(a.id, wrong).by(token)
			if who == "eve" {
				r = confirmation(a.id, wrong, "instance",
					map[string]any{"region": "cn-hangzhou", "id": "cri-beta"}).by(token)
			}
			w.do(r).refused(problem.AuthorizationUnknown, "")
		}
	}
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 1 || len(w.revocations()) != 0 {
		t.Error("a token was revoked")
	}
	w.confirm(a.id, confirmationCode).ok()
}

func TestA2_ARefusalRevokesOnlyThisAttemptsToken(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice", "instance", atShanghai)
	theirs := w.accessOf(keyAt("cn-shanghai", "cri-1", sandbox.GitHub))
	a, confirmationCode := w.victimConsents(sandbox.GitHub)
	w.do(confirmation(a.id, confirmationCode).by(w.as("bea"))).refused(problem.AnotherUser, "")
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 1 || !w.box.Lives(sandbox.GitHub, theirs) {
		t.Error("alice's other binding must have the one token that lives")
	}
	if ends := w.revocations(); len(ends) != 1 || ends[0] != "token" {
		t.Errorf("revoked by %v, want one /token", ends)
	}
	// A refusal leaves a binding that was confirmed before untouched.
	b := w.start(sandbox.GitHub)
	done := newBrowser(w).confirmationCode(b, "alice")
	w.confirm(b.id, done).ok()
	w.do(confirmation(b.id, done).by(w.as("bea"))).refused(problem.AnotherUser, "")
	w.boundTo(home, sandbox.GitHub, "alice")
	if !w.box.Lives(sandbox.GitHub, w.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))) {
		t.Error("a confirmed binding's token was revoked")
	}
}

func TestA2_TheSameSubjectOfAnotherAccountIsAnotherUser(t *testing.T) {
	w := newConsentWorld(t)
	a, confirmationCode := w.victimConsents(sandbox.Bitbucket)
	ann := w.issuer.token(t, map[string]any{"account": "beta"})
	w.do(confirmation(a.id, confirmationCode, "instance",
		map[string]any{"region": "cn-hangzhou", "id": "cri-beta"}).by(ann)).
		refused(problem.AnotherUser, "")
}

// known is a confirmation code that an attacker can guess.
var known = strings.Repeat("0", 64)

// withoutDefence is a table that returns every attempt as if a defence were missing.
type withoutDefence struct {
	ledger.Table
	// starter and confirmationCode select the missing defence.
	starter, confirmationCode atomic.Bool
	as                        binding.User
	// of is the hash of [known].
	of string
}

func (b *withoutDefence) Authorization(
	ctx context.Context, id string,
) (binding.Authorization, error) {
	a, err := b.Table.Authorization(ctx, id)
	if b.starter.Load() && a.ConfirmationHash != "" {
		a.Starter = b.as
	}
	if b.confirmationCode.Load() && a.ConfirmationHash != "" {
		a.ConfirmationHash = b.of
	}
	return a, err
}

// The two tests of A2 must be able to fail: without either defence its attack succeeds.
func TestA2_WithoutEitherDefenceAnAttackSucceeds(t *testing.T) {
	for _, platform := range byConsent {
		for _, lacks := range []string{"the user's check", "the confirmationCode's check"} {
			w := newConsentWorld(t)
			cover := &withoutDefence{
				Table: w.lost.Table,
				as:    binding.User{Issuer: w.issuer.url, Subject: "bea", Account: "acme"},
				of:    fmt.Sprintf("%x", sha256.Sum256([]byte(known))),
			}
			w.lost.Table = cover
			var done bool
			if lacks == "the user's check" {
				cover.starter.Store(true)
				done = w.forced(platform)
			} else {
				cover.confirmationCode.Store(true)
				done = w.stolen(platform)
			}
			if !done {
				t.Errorf("%s, without %s: the attack fails, so its test proves nothing",
					platform, lacks)
			}
		}
	}
}

func TestA3_AStateOfOneUsersAttemptInAnothersBrowser(t *testing.T) {
	w := newConsentWorld(t)
	one, other := newBrowser(w), newBrowser(w)
	a := w.start(sandbox.GitHub)
	address := one.authorizeURL(a)
	b := w.start(sandbox.GitHub)
	foreign := other.authorizeURL(b)
	// The code of one attempt with the state of the other. In the browser that holds the state the
	// verifier doesn't match the code.
	code := queryOf(w.grant("github", "alice", address, nil)).Get("code")
	mixed := callbackOf("github", "state", queryOf(foreign).Get("state"), "code", code)
	other.callback(mixed).refused(problem.TokenRejected, b.id)
	w.stage(a.id, "redirected")
	// In the browser that got the code the state isn't known.
	exchanges := w.box.Exchanges(sandbox.GitHub)
	b = w.start(sandbox.GitHub)
	code = queryOf(w.grant("github", "alice", address, nil)).Get("code")
	mixed = callbackOf("github", "state", queryOf(other.authorizeURL(b)).Get("state"), "code", code)
	one.callback(mixed).refused(problem.AnotherBrowser, b.id)
	if w.box.Exchanges(sandbox.GitHub) != exchanges {
		t.Error("a code was redeemed")
	}
	w.stage(a.id, "redirected")
}

func TestA3_AnotherBrowserCannotContinueAnAttempt(t *testing.T) {
	w := newConsentWorld(t)
	one, other := newBrowser(w), newBrowser(w)
	a := w.start(sandbox.GitHub)
	address := one.authorizeURL(a)
	other.openRefused(a).refused(problem.AnotherBrowser, a.id)
	if len(other.given) != 0 {
		t.Error("another browser was given a cookie")
	}
	one.callback(w.grant("github", "alice", address, nil)).consented()
	one.openRefused(a).refused(problem.AuthorizationDone, a.id)
}

func TestA14_OAuthAHostHeaderChangesNoAddress(t *testing.T) {
	w := newConsentWorld(t)
	forged := map[string]string{
		"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
		"X-Forwarded-Port": "1", "X-Original-Host": "evil.example",
		"Forwarded": "host=evil.example;proto=http", "X-Forwarded-Prefix": "/evil",
	}
	for _, platform := range byConsent {
		r := w.do(request{
			method: "POST", path: "/v1/authorizations", header: forged,
			body: map[string]any{"platform": string(platform)},
		})
		if r.status != http.StatusCreated || !strings.HasPrefix(r.text("startUrl"), publicURL+"/v1/") {
			t.Fatalf("start: %d %s", r.status, r.body)
		}
		a := attempt{string(platform), r.text("id"), r.text("startUrl")}
		b := newBrowser(w)
		spoof := func(r *request) {
			for name, value := range forged {
				r.header[name] = value
			}
		}
		address := b.open(a, spoof).header.Get("Location")
		want := publicURL + "/v1/callback/" + string(platform)
		if got := queryOf(address).Get("redirect_uri"); got != want {
			t.Errorf("%s: the redirect_uri is %s, want %s", platform, got, want)
		}
		b.callback(w.grant(a.platform, "alice", address, nil), spoof).consented()
	}
}
