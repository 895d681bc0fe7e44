package binding_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

func (b *harness) mustRevokeAll(in maintenance.RevokeAllRequest) maintenance.RevokeAllResult {
	b.Helper()
	out, err := b.Maintenance.RevokeAll(context.Background(), in)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// deny asks for a credential and expects that there is none.
func (b *harness) deny(id, name string) {
	b.Helper()
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry(id), Platform: name,
	})
	if p := problem.Of(err); p.Code != problem.TokenRevoked || p.Reason != binding.RevokedByOperator {
		b.Errorf("a credential of %s: got %v, want %s (%s)", name, err,
			problem.TokenRevoked, binding.RevokedByOperator)
	}
}

// dead reports whether the platform refuses a record's token.
func (b *harness) dead(id, name string) bool {
	b.Helper()
	rec := b.row(id, name)
	bundle, err := b.fetch(rec)
	if err != nil {
		b.Fatal(err)
	}
	platform, _ := b.Ledger.Platforms.Get(name)
	cred := bundle.Credential()
	cred.Username, cred.Scopes = rec.Token.Username, rec.Token.Scopes
	cred.ExpiresAt = rec.Token.ExpiresAt
	_, err = platform.Check(context.Background(), cred)
	return maintenance.IsRefused(err)
}

func TestD11_OneTaskRevokesEveryTokenOfAPlatform(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		for _, other := range provider.Names() {
			b.bound("i-1", other)
		}
		b.bound("i-2", name)
		b.later(ledger.OrphanGracePeriod)
		b.sandbox.ResetLog()

		looked := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name})
		testkit.Want(t, "a look", looked, maintenance.RevokeAllResult{Matching: 2})
		testkit.Want(t, "requests for a look", len(b.sandbox.Requests()), 0)
		b.wantStatus("after a look", "i-1", name, binding.StatusBound)

		done := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name, Act: true})
		can := name == provider.GitHub || name == provider.GitLab
		if can {
			testkit.Want(t, "done", done, maintenance.RevokeAllResult{Acted: true, Matching: 2, Revoked: 2})
		} else {
			testkit.Want(t, "done", done,
				maintenance.RevokeAllResult{Acted: true, Matching: 2, Withdrawn: 2})
		}
		for _, id := range []string{"i-1", "i-2"} {
			testkit.Want(t, "dead at the platform", b.dead(id, name), can)
			b.deny(id, name)
			b.wantEvents(id, name, binding.EventBound, binding.EventRevoked)
		}
		for _, other := range provider.Names() {
			if other != name {
				b.wantStatus("of another platform", "i-1", other, binding.StatusBound)
			}
		}
		audits := b.audits(`"revoke all"`)
		testkit.Want(t, "audit lines", len(audits), 2)
		testkit.Want(t, "that say so", strings.Contains(audits[0], "revoked=true"), can)
		again := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name, Act: true})
		testkit.Want(t, "again", again, maintenance.RevokeAllResult{Acted: true})
	})
}

func TestD11_ACheckDoesNotRestoreItAndABindDoes(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name, Act: true})
		b.sandbox.ResetLog()
		testkit.Want(t, "a check by hand", b.checked("i-1", name).Status, binding.StatusRevoked)
		for range 5 {
			b.later(ledger.CheckInterval)
		}
		b.wantStatus("later", "i-1", name, binding.StatusRevoked)
		b.deny("i-1", name)
		testkit.Want(t, "requests", len(b.sandbox.Requests()), 0)
		if name == provider.GitLab { // its token is revoked
			b.mustBind("i-1", aliceOther)
		} else {
			b.bound("i-1", name)
		}
		b.wantStatus("bound again", "i-1", name, binding.StatusBound)
		testkit.Want(t, "status", b.checked("i-1", name).Status, binding.StatusBound)
		b.wantEvents("i-1", name, binding.EventBound, binding.EventRevoked, binding.EventRebound)
	})
}

func TestD11_OnlyTheAccountThatWasNamed(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitLab)
	in := b.gitLab("i-1", bobToken)
	in.By.Account = "acct-2"
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	out := b.mustRevokeAll(maintenance.RevokeAllRequest{
		Platform: provider.GitLab, Account: "acct-2", Act: true,
	})
	testkit.Want(t, "done", out, maintenance.RevokeAllResult{Acted: true, Matching: 1, Revoked: 1})
	b.wantStatus("the other account's", "i-1", provider.GitLab, binding.StatusBound)
	testkit.Want(t, "dead", b.dead("i-1", provider.GitLab), false)
}

func TestD11_WhatFailedIsLeftAsItWasAndDoneByTheNextRun(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.bound("i-2", provider.GitHub)
	b.fault(provider.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	out := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	testkit.Want(t, "while it is down", out,
		maintenance.RevokeAllResult{Acted: true, Matching: 2, Failed: 2})
	b.wantStatus("while it is down", "i-1", provider.GitHub, binding.StatusBound)
	b.mend(provider.GitHub)
	out = b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	testkit.Want(t, "when it is back", out,
		maintenance.RevokeAllResult{Acted: true, Matching: 2, Revoked: 2})
}

// TestD11_ALostSecretIsNoFailure: there is no token to revoke, and none is handed out if the secret
// is back.
func TestD11_ALostSecretIsNoFailure(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		rec := b.bound("i-1", name)
		value, err := b.store.vault.Get(t.Context(), rec.Token.Secret, 1)
		if err != nil {
			t.Fatal(err)
		}
		b.loseSecret("i-1", name)
		out := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name, Act: true})
		testkit.Want(t, "done", out, maintenance.RevokeAllResult{Acted: true, Matching: 1, Lost: 1})
		again := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: name, Act: true})
		testkit.Want(t, "again", again, maintenance.RevokeAllResult{Acted: true})
		if err := b.store.vault.Put(t.Context(), rec.Token.Secret, 1, value); err != nil {
			t.Fatal(err)
		}
		b.later(ledger.CheckInterval)
		b.deny("i-1", name)
		audits := b.audits(`"revoke all"`)
		testkit.Want(t, "audit lines", len(audits), 1)
		testkit.Want(t, "that say so", strings.Contains(audits[0], "revoked=true"), false)
	})
}

// TestD11_ItContinuesAfterACrash crashes at each call in turn. The next run does the rest.
func TestD11_ItContinuesAfterACrash(t *testing.T) {
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
		_, _ = b.Maintenance.RevokeAll(ctx,
			maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
		cancel()
		b.inside.clear()
		if len(calls) < k {
			testkit.Want(t, "calls", k > 6, true)
			return
		}
		out := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
		testkit.Want(t, "failed", out.Failed, 0)
		for i := range 3 {
			id := fmt.Sprint("i-", i)
			testkit.Want(t, "dead", b.dead(id, provider.GitHub), true)
			b.deny(id, provider.GitHub)
			b.wantEvents(id, provider.GitHub, binding.EventBound, binding.EventRevoked)
		}
	}
}

// TestD11_ItStopsInTimeAndContinuesWhereItStopped gives every revocation two seconds.
func TestD11_ItStopsInTimeAndContinuesWhereItStopped(t *testing.T) {
	m := newFleet(t)
	const bindings = 60
	var with []token
	for range bindings {
		with = append(with, m.issue(100))
	}
	m.fill(bindings, "i", m.url+"/gitlab", with, m.clock().Now())
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.clock().Advance(2 * time.Second)
		m.sandbox.ServeHTTP(w, r)
	})
	m.around.Store(&around)
	all, runs := maintenance.RevokeAllResult{}, 0
	for ; runs < 10; runs++ {
		began := m.clock().Now()
		out := m.mustRevokeAll(
			maintenance.RevokeAllRequest{Platform: provider.GitLab, Act: true, Cursor: all.Cursor})
		if took := m.clock().Now().Sub(began); took > ledger.CallDeadline {
			t.Errorf("run %d went on for %v", runs, took)
		}
		all.Revoked += out.Revoked
		all.Failed += out.Failed
		if all.Cursor = out.Cursor; out.Matching == 0 {
			break
		}
	}
	testkit.Want(t, "revoked", all.Revoked, bindings)
	testkit.Want(t, "failed", all.Failed, 0)
	testkit.Want(t, "more runs than one", runs > 1, true)
}

// revokedDuringRefresh has the operator revoke every token of GitHub while the platform answers the
// refresh of a binding. It returns the record before, and the new token, which is in the vault.
func (b *harness) revokedDuringRefresh(id string) (binding.Record, ledger.TokenBundle) {
	b.Helper()
	b.bound(id, provider.GitHub)
	b.clock().Advance(9 * time.Hour)
	rec := b.row(id, provider.GitHub)
	ctx := b.Ledger.StartInvocation(context.Background())
	bundle, err := b.fetch(rec)
	if err != nil {
		b.Fatal(err)
	}
	if bundle.Token, _, err = b.Credentials.RequestRefresh(ctx, bundle); err != nil {
		b.Fatal(err)
	}
	b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	if bundle, err = b.Credentials.StoreNext(ctx, rec, bundle); err != nil {
		b.Fatal(err)
	}
	return rec, bundle
}

// TestD11_ARunningRefreshDoesNotRestoreIt revokes while the platform is answering a refresh.
// The new token is revoked too.
func TestD11_ARunningRefreshDoesNotRestoreIt(t *testing.T) {
	b := newHarness(t)
	rec, bundle := b.revokedDuringRefresh("i-1")
	ctx := b.Ledger.StartInvocation(context.Background())
	_, err := b.Credentials.Commit(ctx, rec, bundle)
	testkit.Want(t, "the refresh's end", problem.Of(err).Reason, binding.RevokedByOperator)
	testkit.Want(t, "it lives", b.lives(bundle.Token), true)
	b.deny("i-1", provider.GitHub)
	b.later(ledger.OrphanGracePeriod)
	testkit.Want(t, "it lives after the last look", b.lives(bundle.Token), false)
	b.deny("i-1", provider.GitHub)
	b.wantEvents("i-1", provider.GitHub, binding.EventBound, binding.EventRevoked)
}

// TestD11_AVaultThatIsDownDelaysTheRevocationOfALateToken: it neither parks the binding nor drops
// the last look, however long it is down.
func TestD11_AVaultThatIsDownDelaysTheRevocationOfALateToken(t *testing.T) {
	b := newHarness(t)
	_, bundle := b.revokedDuringRefresh("i-1")
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if call == "Get" {
			return nil, errDown
		}
		return nil, nil
	})
	for range maintenance.MaxCheckAttempts + 2 {
		b.later(ledger.OrphanGracePeriod)
	}
	b.inside.clear()
	testkit.Want(t, "it lives while the vault is down", b.lives(bundle.Token), true)
	b.later(ledger.OrphanGracePeriod)
	testkit.Want(t, "it lives after the last look", b.lives(bundle.Token), false)
	parked := strings.Contains(b.log.String(), "alarm=parked")
	testkit.Want(t, "the binding is parked", parked, false)
}

// TestD11_ATokenThatARefreshHasJustStoredIsRevokedToo: a page of bindings was read, and a
// build refreshes one of them before it is revoked.
func TestD11_ATokenThatARefreshHasJustStoredIsRevokedToo(t *testing.T) {
	b := newRefreshable(t, 5*time.Minute)
	build := b.otherProcess()
	b.at("Get", func() { build.mustAsk("i-1", credential.MinimumLife) })
	out := b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	testkit.Want(t, "revoked", out.Revoked, 1)
	testkit.Want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
	testkit.Want(t, "tokens alive", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 0)
	b.deny("i-1", provider.GitHub)
	b.wantEvents("i-1", provider.GitHub, binding.EventBound, binding.EventRevoked)
}

func TestD11_AnUnknownPlatformIsRefused(t *testing.T) {
	b := newHarness(t)
	for _, name := range []string{"", "sourceforge", "GitHub"} {
		_, err := b.Maintenance.RevokeAll(context.Background(),
			maintenance.RevokeAllRequest{Platform: name, Act: true})
		testkit.Want(t, name, problem.Of(err).Code, problem.PlatformUnknown)
	}
}
