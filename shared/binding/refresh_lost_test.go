package binding_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/table"
	"bindery/shared/testkit"
)

// resolved asks again after a refresh that ended unclearly, and sweeps until the recheck is done.
func (b *harness) resolved(id string) error {
	b.Helper()
	b.clock().Advance(credential.MaxRefreshBackoff)
	_, err := b.ask(id, credential.MinimumLife)
	b.clock().Advance(ledger.OrphanGracePeriod + time.Minute)
	b.mustRun()
	b.mustRun()
	return err
}

func TestB2_ALostReplyIsReportedAsALossAndNotAsARevocation(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{
		sandbox.FaultDrop, sandbox.FaultCut, sandbox.Fault500, sandbox.FaultHTML,
		sandbox.FaultEmpty,
	} {
		b := newRefreshable(t, -time.Minute)
		b.fails(sandbox.Fault{Kind: kind, After: true, Times: 1})
		_, err := b.ask("i-1", credential.MinimumLife)
		testkit.Want(t, string(kind)+": the first gets a temporary problem",
			strings.HasPrefix(string(problem.Of(err).Code), "platform_"), true)
		testkit.WantCode(t, string(kind), b.resolved("i-1"), problem.TokenRevoked)
		b.wantRevoked("i-1", credential.TokenMayBeLost)
		testkit.Want(t, "kind of the metric", b.metrics("Credentials")[credential.TokenMayBeLost], 1)
		testkit.Want(t, "kind of the metric", b.metrics("Credentials")[credential.RevokedAtPlatform], 0)
	}
}

func TestB2_ARevocationByTheUserIsReportedAsOne(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	_, err := b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "the first", err, problem.TokenRevoked)
	b.wantRevoked("i-1", credential.RevokedAtPlatform)
	testkit.Want(t, "alarms", strings.Count(b.log.String(), "alarm="), 0)
	testkit.Want(t, "kind of the metric", b.metrics("Credentials")[credential.RevokedAtPlatform], 1)
	testkit.Want(t, "kind of the metric", b.metrics("Credentials")[credential.TokenMayBeLost], 0)
}

// TestB2_ADefiniteFailureKeepsTheRefreshUnclear: a time-out, then 429, then the refusal.
func TestB2_ADefiniteFailureKeepsTheRefreshUnclear(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.FaultDrop, After: true, Times: 1})
	_, _ = b.ask("i-1", credential.MinimumLife)
	b.clock().Advance(credential.MaxRefreshBackoff)
	b.fails(sandbox.Fault{Kind: sandbox.Fault429, Times: 1})
	_, _ = b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "in the end", b.resolved("i-1"), problem.TokenRevoked)
	b.wantRevoked("i-1", credential.TokenMayBeLost)
}

// TestB2_ALossIsFoundByTheCheckWithoutACaller: the old token is valid by the clock, and GitHub
// has ended it.
func TestB2_ALossIsFoundByTheCheckWithoutACaller(t *testing.T) {
	b := newRefreshable(t, time.Hour)
	b.fails(sandbox.Fault{Kind: sandbox.FaultDrop, After: true, Times: 1})
	old := b.access("i-1")
	c := b.mustAsk("i-1", 2*time.Hour)
	testkit.Want(t, "the old token is handed out", c.Token.Equal(old), true)
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.mustRun()
	b.wantRevoked("i-1", credential.TokenMayBeLost)
}

// TestB2_AVaultThatFailsForAMomentLosesNothing: the put is repeated for as long as there is time.
func TestB2_AVaultThatFailsForAMomentLosesNothing(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	failures := 10
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if call == "Put" && failures > 0 {
			failures--
			return nil, errDown
		}
		return nil, nil
	})
	b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
	testkit.Want(t, "failures left", failures, 0)
	testkit.Want(t, "refreshes", b.refreshes(), 1)
}

// TestB2_ARevocationOfALaterTokenIsNotALossOfAnEarlier: a new generation clears RefreshUnclear.
func TestB2_ARevocationOfALaterTokenIsNotALossOfAnEarlier(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.Fault500, Times: 1}) // nothing was done
	_, _ = b.ask("i-1", credential.MinimumLife)
	testkit.Want(t, "unsure", b.row("i-1", provider.GitHub).RefreshUnclear, true)
	b.clock().Advance(credential.MaxRefreshBackoff)
	b.mustAsk("i-1", credential.MinimumLife)
	testkit.Want(t, "unsure", b.row("i-1", provider.GitHub).RefreshUnclear, false)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	b.clock().Advance(gitHubLife)
	_, err := b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "in the end", err, problem.TokenRevoked)
	b.wantRevoked("i-1", credential.RevokedAtPlatform)
}

// given is the result of a call in the background.
type given struct {
	credential.Credential
	err error
}

// asking makes a service ask in the background.
func (b *harness) asking(minimum time.Duration) <-chan given {
	done := make(chan given, 1)
	go func() {
		c, err := b.ask("i-1", minimum)
		done <- given{c, err}
	}()
	return done
}

func TestB3_AHolderSlowerThanItsLeaseKeepsItsToken(t *testing.T) {
	for _, left := range []time.Duration{-time.Minute, 5 * time.Minute} {
		b := newRefreshable(t, left)
		gate := b.holdAnswer()
		slow := b.otherProcess().asking(credential.MinimumLife)
		<-gate.reached // the platform has used up the refresh token
		b.clock().Advance(credential.RefreshLeaseTTL + 5*time.Second)
		// Another call takes over and is refused. While it reads the vault again, the answer
		// arrives.
		looks := 0
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if looks++; call == "Get" && looks == 8 {
				gate.open()
			}
			return nil, nil
		})
		c, err := b.ask("i-1", credential.MinimumLife)
		b.inside.clear()
		if err != nil {
			t.Fatalf("%v left: who took over failed: %v", left, err)
		}
		first := <-slow
		if first.err != nil {
			t.Fatalf("%v left: the slow holder failed: %v", left, first.err)
		}
		b.wantCurrent("i-1", c)
		b.wantCurrent("i-1", first.Credential)
		testkit.Want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
		testkit.Want(t, "revocation events", len(b.happenedTo("i-1", binding.EventRevoked)), 0)
	}
}

// TestB3_ATokenThatIsStoredLateIsFoundAndTheRecoveryReported: the call that took over has given up
// already.
func TestB3_ATokenThatIsStoredLateIsFoundAndTheRecoveryReported(t *testing.T) {
	for _, crashes := range []bool{false, true} { // before it commits: then the recheck finds it
		b := newRefreshable(t, -time.Minute)
		gate := b.holdAnswer()
		holder := b.otherProcess()
		slow := holder.asking(credential.MinimumLife)
		<-gate.reached
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		_, err := b.ask("i-1", credential.MinimumLife)
		testkit.WantCode(t, "the caller that took over", err, problem.TokenRevoked)
		b.wantRevoked("i-1", credential.TokenMayBeLost)
		if _, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
			provider.GitHub); err != nil {
			t.Error(err) // it finds nothing, and must leave the recheck to be done
		}
		if crashes {
			holder.inside.set(down("SaveBinding"))
		}
		gate.open()
		<-slow
		testkit.Want(t, "recovered at once", len(b.happenedTo("i-1", binding.EventRecovered)) == 1,
			!crashes)
		b.clock().Advance(ledger.OrphanGracePeriod)
		b.mustRun()
		testkit.Want(t, "recovery events", len(b.happenedTo("i-1", binding.EventRecovered)), 1)
		rec := b.row("i-1", provider.GitHub)
		testkit.Want(t, "status", binding.StatusOf(rec, b.clock().Now()), binding.StatusBound)
		testkit.Want(t, "generation", rec.Token.Generation, 2)
		b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
	}
}

// TestB3_ALatePutDoesNotOverwrite: where a refresh token can be used again, two holders both get a
// token. One counts, and both hand that one out.
func TestB3_ALatePutDoesNotOverwrite(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	holder := b.otherProcess()
	var second credential.Credential
	holder.at("Put", func() { // it has received its token and is about to store it
		rec := b.row("i-1", provider.GitHub)
		bundle := ledger.TokenBundle{
			Platform: provider.GitHub, Method: provider.ByOAuth, Username: rec.Token.Username,
			Token: b.consent("alice"), IssuedAt: b.clock().Now(),
		}
		ctx := b.Ledger.StartInvocation(context.Background())
		owner, next := ledger.TokenOwner{Binding: rec.Key}, rec.Token.Generation+1
		if err := b.Ledger.Put(ctx, owner, rec.Token.Secret, next, bundle); err != nil {
			t.Error(err)
		}
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		second = b.mustAsk("i-1", credential.MinimumLife) // without a call to the platform
	})
	first := holder.mustAsk("i-1", credential.MinimumLife)
	testkit.Want(t, "refreshes", b.refreshes(), 1)
	testkit.Want(t, "both have the same", first.Token.Equal(second.Token), true)
	b.wantCurrent("i-1", first)
	testkit.Want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
}

// TestB3_ATokenFoundInTheVaultMayHaveExpired: its holder crashed a day ago, before it committed.
func TestB3_ATokenFoundInTheVaultMayHaveExpired(t *testing.T) {
	for _, check := range []bool{false, true} {
		b := newRefreshable(t, -time.Minute)
		holder := b.otherProcess()
		holder.at("Put", func() { holder.inside.set(down("SaveBinding")) })
		_, err := holder.ask("i-1", credential.MinimumLife)
		testkit.Want(t, "it failed", err != nil, true)
		b.clock().Advance(24 * time.Hour)
		if check {
			v, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
				provider.GitHub)
			testkit.Want(t, "error", err, nil)
			testkit.Want(t, "status", v.Status, binding.StatusBound)
		}
		b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
		testkit.Want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 3)
		testkit.Want(t, "refreshes", b.refreshes(), 2)
	}
}

func TestA18_AnUnbindDuringARefreshIsNotUndone(t *testing.T) {
	b := newRefreshable(t, 5*time.Minute)
	gate := b.holdAnswer()
	slow := b.otherProcess().asking(credential.MinimumLife)
	<-gate.reached
	_, err := b.Connect.Unbind(context.Background(), connect.UnbindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.GitHub,
	})
	if err != nil {
		t.Fatal(err)
	}
	gate.open()
	testkit.WantCode(t, "the caller that refreshed", (<-slow).err, problem.NotBound)
	testkit.Want(t, "bound", b.row("i-1", provider.GitHub).Bound(), false)
	testkit.Want(t, "the new generation lives yet", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 1)
	b.settled()
	testkit.Want(t, "and is revoked by the sweep", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 0)
	testkit.Want(t, "refresh tokens", b.sandbox.LiveRefreshTokens(sandbox.GitHub, "alice"), 0)
	testkit.Want(t, "secrets", len(b.secrets()), 0)
}

func TestA18_AReBindDuringARefreshIsNotUndone(t *testing.T) {
	b := newRefreshable(t, 5*time.Minute)
	gate := b.holdAnswer()
	slow := b.otherProcess().asking(credential.MinimumLife)
	<-gate.reached
	bound := b.keepConsented("i-1", b.consent("alice"))
	gate.open()
	given := <-slow
	testkit.Want(t, "error", given.err, nil)
	b.wantCurrent("i-1", given.Credential)
	rec := b.row("i-1", provider.GitHub)
	testkit.Want(t, "the record is the new binding's", binding.SameGeneration(rec.Token, bound.Token),
		true)
	b.settled()
	testkit.Want(t, "tokens alive", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 1)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	b.wantCurrent("i-1", b.mustAsk("i-1", 0))
}

// TestD11_ARevokedBindingIsNotRestoredByARunningRefresh: the operator has revoked every token.
func TestD11_ARevokedBindingIsNotRestoredByARunningRefresh(t *testing.T) {
	b := newRefreshable(t, 5*time.Minute)
	holder := b.otherProcess()
	holder.at("Put", func() {
		rec := b.row("i-1", provider.GitHub)
		rec.Health, rec.Problem = binding.HealthRevoked,
			problem.New(problem.TokenRevoked).Because(binding.RevokedByOperator)
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Error(err)
		}
	})
	_, err := holder.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "the caller that refreshed", err, problem.TokenRevoked)
	_, err = b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "afterwards", err, problem.TokenRevoked)
	testkit.Want(t, "reason", problem.Of(err).Reason, binding.RevokedByOperator)
}

// TestD11_ARefreshOfATokenThatTheOperatorRevokedRaisesNoAlarmOfALoss: the platform refuses it, and
// there is no token to look for.
func TestD11_ARefreshOfATokenThatTheOperatorRevokedRaisesNoAlarmOfALoss(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	holder := b.otherProcess()
	holder.at("Get", func() {
		b.mustRevokeAll(maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	})
	_, err := holder.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "the caller that refreshed", err, problem.TokenRevoked)
	testkit.Want(t, "reason", problem.Of(err).Reason, binding.RevokedByOperator)
	testkit.Want(t, "an alarm",
		strings.Contains(holder.log.String(), "alarm="+credential.TokenMayBeLost), false)
	testkit.Want(t, "counted as", holder.metrics("Credentials")[credential.TokenMayBeLost], 0)
}

// TestALostReplyOfTheLeaseDelaysNoCaller: the row names the holder.
func TestALostReplyOfTheLeaseDelaysNoCaller(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		b := newRefreshable(t, -time.Minute)
		first := true
		lost := losing(func(bool) error {
			switch {
			case !first:
				return nil
			case conflict:
				first = false
				return table.ErrConflict
			}
			first = false
			return errLost
		})
		b.serve(losingTable{b.store.table, lost}, b.store.vault)
		b.services.Ledger.Sleep = func(context.Context, time.Duration) error {
			return errors.New("no caller needs to wait")
		}
		b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
		testkit.Want(t, "refreshes", b.refreshes(), 1)
	}
}
