package api_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/table"
)

// In these tests ann attacks and bea is the victim; both are users of the same account, for
// nothing weaker would be a defence.

func TestA1_TheAttackersCallbackInTheVictimsBrowser(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			attacker, victim := newBrowser(w), newBrowser(w)
			a := w.start(platform)
			link := w.says(a.platform, "bob", attacker.depart(a), nil)

			victim.arrive(link).refused(problem.CookiesBlocked, a.id)
			own := w.start(platform) // a victim in the middle of an attempt is no other
			ownAddress := victim.depart(own)
			victim.arrive(link).refused(problem.CookiesBlocked, a.id)
			if w.box.Exchanges(platform) != 0 {
				t.Error("the code was redeemed")
			}
			// The state's cookie of the one attempt under the name of the other's.
			forged := func(r *request) {
				name := attacker.cookies()[0]
				r.header["Cookie"] = name + "=" + victim.value()
			}
			victim.arrive(link, forged).refused(problem.AnotherBrowser, a.id)
			w.unbound(home, platform)
			// It has destroyed neither attempt.
			victim.arrive(w.says(own.platform, "alice", ownAddress, nil)).consented()
			attacker.arrive(link).consented()
		})
	}
}

// aVictimConsents is the beginning of A2: the attacker starts, the victim follows the link, and
// consents. What the victim's browser has got is the finish.
func (w *world) aVictimConsents(platform sandbox.Platform) (attempt, string) {
	w.t.Helper()
	a := w.start(platform)
	return a, newBrowser(w).finish(a, "alice")
}

func TestA2_AnotherUserFinishes_TheVictimConfirms(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			a, finish := w.aVictimConsents(platform)
			w.do(confirmation(a.id, finish).by(w.as("bea"))).refused(problem.AnotherUser, "")
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
			// The attempt is dead, also for the attacker who has somehow got the finish.
			w.confirm(a.id, finish).refused(problem.AuthorizationDone, "")
			w.do(confirmation(a.id, finish).by(w.as("bea"))).refused(problem.AnotherUser, "")
			w.unbound(home, platform)
			w.clock.forward(attemptSwept)
			w.sweep()
			if names, _ := w.secrets.Names(t.Context()); len(names) != 0 {
				t.Errorf("%d secrets are left", len(names))
			}
		})
	}
}

// stolen reports whether the attacker's own confirm, in the time before the victim does anything
// more, binds the victim's account.
func (w *world) stolen(platform sandbox.Platform) bool {
	w.t.Helper()
	a, _ := w.aVictimConsents(platform)
	for range 3 { // polls
		w.shown(a.id, "")
	}
	for _, finish := range []any{"", nil, known, a.id} {
		r := confirmation(a.id, "", "confirmationCode", finish)
		r.odd = finish == nil
		w.do(r)
	}
	return w.binding(home, string(platform))["status"] == "bound"
}

// forced reports whether the victim's own confirm, in the console that the link has led to, binds
// the victim's account to what the attacker started.
func (w *world) forced(platform sandbox.Platform) bool {
	w.t.Helper()
	a, finish := w.aVictimConsents(platform)
	w.do(confirmation(a.id, finish).by(w.as("bea")))
	return w.binding(home, string(platform))["status"] == "bound"
}

func TestA2_AnotherUserFinishes_TheAttackerPollsAndConfirmsFirst(t *testing.T) {
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

func TestA2_TheAttackersFinishAndTheVictimsAttemptDontMix(t *testing.T) {
	w := newConsentWorld(t)
	a, _ := w.aVictimConsents(sandbox.GitHub)
	own := w.start(sandbox.GitHub)
	finish := newBrowser(w).finish(own, "bob")
	w.confirm(a.id, finish).refused(problem.AuthorizationUnknown, "")
	w.unbound(home, sandbox.GitHub)
	w.confirm(own.id, finish).ok()
	w.boundTo(home, sandbox.GitHub, "bob")
}

func TestA2_AWrongFinishDestroysNobodysAttempt(t *testing.T) {
	w := newConsentWorld(t)
	a, finish := w.aVictimConsents(sandbox.GitHub)
	for who, token := range map[string]string{"ann": "", "bea": w.as("bea"), "eve": w.stranger()} {
		for _, wrong := range []string{"", strings.Repeat("f", 64), finish[:63], finish + " "} {
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
	w.confirm(a.id, finish).ok()
}

func TestA2_ARefusalRevokesThisAttemptsTokenAlone(t *testing.T) {
	w := newConsentWorld(t)
	w.bindBy(sandbox.GitHub, "alice", "instance", atShanghai)
	theirs := w.accessOf(keyAt("cn-shanghai", "cri-1", sandbox.GitHub))
	a, finish := w.aVictimConsents(sandbox.GitHub)
	w.do(confirmation(a.id, finish).by(w.as("bea"))).refused(problem.AnotherUser, "")
	if w.box.LiveTokens(sandbox.GitHub, "alice") != 1 || !w.box.Lives(sandbox.GitHub, theirs) {
		t.Error("alice's other binding must have the one token that lives")
	}
	if ends := w.revocations(); len(ends) != 1 || ends[0] != "token" {
		t.Errorf("revoked by %v, want one /token", ends)
	}
	// Nor does a refusal touch what was confirmed before.
	b := w.start(sandbox.GitHub)
	done := newBrowser(w).finish(b, "alice")
	w.confirm(b.id, done).ok()
	w.do(confirmation(b.id, done).by(w.as("bea"))).refused(problem.AnotherUser, "")
	w.boundTo(home, sandbox.GitHub, "alice")
	if !w.box.Lives(sandbox.GitHub, w.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))) {
		t.Error("a confirmed binding's token was revoked")
	}
}

func TestA2_TheSameSubjectOfAnotherAccountIsAnotherUser(t *testing.T) {
	w := newConsentWorld(t)
	a, finish := w.aVictimConsents(sandbox.Bitbucket)
	ann := w.issuer.token(t, map[string]any{"account": "beta"})
	w.do(confirmation(a.id, finish, "instance",
		map[string]any{"region": "cn-hangzhou", "id": "cri-beta"}).by(ann)).
		refused(problem.AnotherUser, "")
}

// known is a finish that everybody can guess.
var known = strings.Repeat("0", 64)

// blind is a table that shows every attempt as if a defence were not there.
type blind struct {
	table.Table
	// starter and finish say which.
	starter, finish atomic.Bool
	as              table.User
	// of is the hash of [known].
	of string
}

func (b *blind) Authorization(ctx context.Context, id string) (table.Authorization, error) {
	a, err := b.Table.Authorization(ctx, id)
	if b.starter.Load() && a.ConfirmationHash != "" {
		a.Starter = b.as
	}
	if b.finish.Load() && a.ConfirmationHash != "" {
		a.ConfirmationHash = b.of
	}
	return a, err
}

// The two tests of A2 must be able to fail: with either defence taken away its attack succeeds.
func TestA2_WithoutEitherDefenceAnAttackSucceeds(t *testing.T) {
	for _, platform := range byConsent {
		for _, lacks := range []string{"the user's check", "the finish's check"} {
			w := newConsentWorld(t)
			cover := &blind{
				Table: w.lost.Table,
				as:    table.User{Issuer: w.issuer.url, Subject: "bea", Account: "acme"},
				of:    fmt.Sprintf("%x", sha256.Sum256([]byte(known))),
			}
			w.lost.Table = cover
			var done bool
			if lacks == "the user's check" {
				cover.starter.Store(true)
				done = w.forced(platform)
			} else {
				cover.finish.Store(true)
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
	address := one.depart(a)
	b := w.start(sandbox.GitHub)
	foreign := other.depart(b)
	// The code of the one, with the state of the other, in either browser.
	code := queryOf(w.says("github", "alice", address, nil)).Get("code")
	mixed := callbackOf("github", "state", queryOf(foreign).Get("state"), "code", code)
	one.arrive(mixed).refused(problem.CookiesBlocked, b.id)
	if w.box.Exchanges(sandbox.GitHub) != 0 {
		t.Error("a code was redeemed")
	}
	// Where the state is at home the verifier doesn't go with the code.
	other.arrive(mixed).refused(problem.TokenRejected, b.id)
	w.stage(a.id, "redirected")
}

func TestA3_AnotherBrowserCannotGoOnWithAnAttempt(t *testing.T) {
	w := newConsentWorld(t)
	one, other := newBrowser(w), newBrowser(w)
	a := w.start(sandbox.GitHub)
	address := one.depart(a)
	other.turnedAway(a).refused(problem.AnotherBrowser, a.id)
	if len(other.given) != 0 {
		t.Error("another browser was given a cookie")
	}
	one.arrive(w.says("github", "alice", address, nil)).consented()
	one.turnedAway(a).refused(problem.AuthorizationDone, a.id)
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
		b.arrive(w.says(a.platform, "alice", address, nil), spoof).consented()
	}
}
