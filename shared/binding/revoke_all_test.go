package binding

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
)

func (b *harness) mustRevokeAll(in RevokeAllRequest) RevokeAllResult {
	b.Helper()
	out, err := b.RevokeAll(context.Background(), in)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// deny asks for a credential, which there must be none of.
func (b *harness) deny(id, name string) {
	b.Helper()
	_, err := b.Credential(context.Background(), CredentialRequest{
		By: user, Instance: registry(id), Platform: name,
	})
	if p := problem.Of(err); p.Code != problem.TokenRevoked || p.Reason != revokedByOperator {
		b.Errorf("a credential of %s: got %v, want %s (%s)", name, err,
			problem.TokenRevoked, revokedByOperator)
	}
}

// dead reports whether the platform refuses a record's token.
func (b *harness) dead(id, name string) bool {
	b.Helper()
	rec := b.row(id, name)
	k, err := b.fetch(b.startInvocation(context.Background()), rec.Token)
	if err != nil {
		b.Fatal(err)
	}
	platform, _ := b.platforms.Get(name)
	_, err = platform.Check(context.Background(), credentialOf(rec, k))
	return isRefused(err)
}

func TestD11_OneTaskEndsEveryTokenOfAPlatform(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		for _, other := range provider.Names() {
			b.bound("i-1", other)
		}
		b.bound("i-2", name)
		b.later(orphanGracePeriod)
		b.sandbox.ResetLog()

		looked := b.mustRevokeAll(RevokeAllRequest{Platform: name})
		want(t, "a look", looked, RevokeAllResult{Matching: 2})
		want(t, "requests for a look", len(b.sandbox.Requests()), 0)
		b.wantStatus("after a look", "i-1", name, StatusBound)

		done := b.mustRevokeAll(RevokeAllRequest{Platform: name, Act: true})
		can := name == provider.GitHub || name == provider.GitLab
		if can {
			want(t, "done", done, RevokeAllResult{Acted: true, Matching: 2, Revoked: 2})
		} else {
			want(t, "done", done, RevokeAllResult{Acted: true, Matching: 2, Withdrawn: 2})
		}
		for _, id := range []string{"i-1", "i-2"} {
			want(t, "dead at the platform", b.dead(id, name), can)
			b.deny(id, name)
			b.wantEvents(id, name, event.Bound, event.Revoked)
		}
		for _, other := range provider.Names() {
			if other != name {
				b.wantStatus("of another platform", "i-1", other, StatusBound)
			}
		}
		audits := b.log.audits(`"revoke all"`)
		want(t, "audit lines", len(audits), 2)
		want(t, "that say so", strings.Contains(audits[0], "revoked=true"), can)
		again := b.mustRevokeAll(RevokeAllRequest{Platform: name, Act: true})
		want(t, "again", again, RevokeAllResult{Acted: true})
	})
}

func TestD11_ACheckDoesNotBringItBackAndABindDoes(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.mustRevokeAll(RevokeAllRequest{Platform: name, Act: true})
		b.sandbox.ResetLog()
		want(t, "a check by hand", b.checked("i-1", name).Status, StatusRevoked)
		for range 5 {
			b.later(checkInterval)
		}
		b.wantStatus("later", "i-1", name, StatusRevoked)
		b.deny("i-1", name)
		want(t, "requests", len(b.sandbox.Requests()), 0)
		if name == provider.GitLab { // whose token is dead
			b.mustBind("i-1", aliceOther)
		} else {
			b.bound("i-1", name)
		}
		b.wantStatus("bound again", "i-1", name, StatusBound)
		want(t, "status", b.checked("i-1", name).Status, StatusBound)
		b.wantEvents("i-1", name, event.Bound, event.Revoked, event.Rebound)
	})
}

func TestD11_OnlyTheAccountThatWasNamed(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitLab)
	in := b.gitLab("i-1", bobToken)
	in.By.Account = "acct-2"
	if _, err := b.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	out := b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitLab, Account: "acct-2", Act: true})
	want(t, "done", out, RevokeAllResult{Acted: true, Matching: 1, Revoked: 1})
	b.wantStatus("the other account's", "i-1", provider.GitLab, StatusBound)
	want(t, "dead", b.dead("i-1", provider.GitLab), false)
}

func TestD11_WhatFailedIsLeftAsItWasAndDoneByTheNextRun(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.bound("i-2", provider.GitHub)
	b.fault(provider.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	out := b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true})
	want(t, "while it is down", out, RevokeAllResult{Acted: true, Matching: 2, Failed: 2})
	b.wantStatus("while it is down", "i-1", provider.GitHub, StatusBound)
	b.mend(provider.GitHub)
	out = b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true})
	want(t, "when it is back", out, RevokeAllResult{Acted: true, Matching: 2, Revoked: 2})
}

// TestD11_ItGoesOnAfterADeath dies at each call in turn; the next run does the rest.
func TestD11_ItGoesOnAfterADeath(t *testing.T) {
	for k := 1; ; k++ {
		b := newHarness(t)
		for i := range 3 {
			b.bound(fmt.Sprint("i-", i), provider.GitHub)
		}
		ctx, cancel := context.WithCancel(context.Background())
		calls := make(chan struct{}, 1000)
		b.inside.set(func(ctx context.Context, _ string) (func(), error) {
			calls <- struct{}{}
			if len(calls) >= k {
				cancel()
			}
			return nil, ctx.Err()
		})
		_, _ = b.RevokeAll(ctx, RevokeAllRequest{Platform: provider.GitHub, Act: true})
		cancel()
		b.inside.clear()
		if len(calls) < k {
			want(t, "calls", k > 6, true)
			return
		}
		out := b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true})
		want(t, "failed", out.Failed, 0)
		for i := range 3 {
			id := fmt.Sprint("i-", i)
			want(t, "dead", b.dead(id, provider.GitHub), true)
			b.deny(id, provider.GitHub)
			b.wantEvents(id, provider.GitHub, event.Bound, event.Revoked)
		}
	}
}

// TestD11_ItStopsInTimeAndGoesOnWhereItStopped gives every revocation two seconds.
func TestD11_ItStopsInTimeAndGoesOnWhereItStopped(t *testing.T) {
	m := newFleet(t)
	const bindings = 60
	var with []token
	for range bindings {
		with = append(with, m.issue(100))
	}
	m.fill(bindings, "i", m.url+"/gitlab", with, m.clock().now())
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.clock().move(2 * time.Second)
		m.sandbox.ServeHTTP(w, r)
	})
	m.around.Store(&around)
	all, runs := RevokeAllResult{}, 0
	for ; runs < 10; runs++ {
		began := m.clock().now()
		out := m.mustRevokeAll(
			RevokeAllRequest{Platform: provider.GitLab, Act: true, Cursor: all.Cursor})
		if took := m.clock().now().Sub(began); took > callDeadline {
			t.Errorf("run %d went on for %v", runs, took)
		}
		all.Revoked += out.Revoked
		all.Failed += out.Failed
		if all.Cursor = out.Cursor; out.Matching == 0 {
			break
		}
	}
	want(t, "revoked", all.Revoked, bindings)
	want(t, "failed", all.Failed, 0)
	want(t, "more runs than one", runs > 1, true)
}

// TestD11_ARefreshUnderWayDoesNotBringItBack ends the token while the platform is answering a
// refresh. What the refresh brings is revoked too.
func TestD11_ARefreshUnderWayDoesNotBringItBack(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.clock().move(9 * time.Hour)
	rec := b.row("i-1", provider.GitHub)
	ctx := b.startInvocation(context.Background())
	k, err := b.fetch(ctx, rec.Token)
	if err != nil {
		t.Fatal(err)
	}
	if k.Token, _, err = b.requestRefresh(ctx, k); err != nil {
		t.Fatal(err)
	}
	b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true})
	if k, err = b.storeNext(ctx, rec, k); err != nil {
		t.Fatal(err)
	}
	_, err = b.commit(ctx, rec, k)
	want(t, "the refresh's end", problem.Of(err).Reason, revokedByOperator)
	want(t, "it lives", b.lives(k.Token), true)
	b.deny("i-1", provider.GitHub)
	b.later(orphanGracePeriod)
	want(t, "it lives after the last look", b.lives(k.Token), false)
	b.deny("i-1", provider.GitHub)
	b.wantEvents("i-1", provider.GitHub, event.Bound, event.Revoked)
}

// TestD11_ATokenThatARefreshHasJustBroughtIsEndedToo: a page of bindings was read, and a build
// refreshes one of them before it is its turn.
func TestD11_ATokenThatARefreshHasJustBroughtIsEndedToo(t *testing.T) {
	b := newRenewing(t, 5*time.Minute)
	build := b.companion()
	b.at("Get", func() { build.mustAsk("i-1", MinimumLife) })
	out := b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true})
	want(t, "revoked", out.Revoked, 1)
	want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
	want(t, "tokens alive", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 0)
	b.deny("i-1", provider.GitHub)
	b.wantEvents("i-1", provider.GitHub, event.Bound, event.Revoked)
}

func TestD11_AnUnknownPlatformIsRefused(t *testing.T) {
	b := newHarness(t)
	for _, name := range []string{"", "sourceforge", "GitHub"} {
		_, err := b.RevokeAll(context.Background(), RevokeAllRequest{Platform: name, Act: true})
		want(t, name, problem.Of(err).Code, problem.PlatformUnknown)
	}
}
