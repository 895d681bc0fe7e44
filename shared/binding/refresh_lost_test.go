package binding

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/table"
)

// resolved asks again after a refresh that ended unclearly, and lets the sweep have its last look.
func (b *harness) resolved(id string) error {
	b.Helper()
	b.clock().move(maxRefreshBackoff)
	_, err := b.ask(id, MinimumLife)
	b.clock().move(orphanGracePeriod + time.Minute)
	b.mustSweep()
	b.mustSweep()
	return err
}

func TestB2_AReplyThatIsLostIsToldAsALossAndNotAsARevocation(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{
		sandbox.FaultDrop, sandbox.FaultCut, sandbox.Fault500, sandbox.FaultHTML,
		sandbox.FaultEmpty,
	} {
		b := newRenewing(t, -time.Minute)
		b.fails(sandbox.Fault{Kind: kind, After: true, Times: 1})
		_, err := b.ask("i-1", MinimumLife)
		want(t, string(kind)+": the first is told that it passes",
			strings.HasPrefix(string(problem.Of(err).Code), "platform_"), true)
		wantProblem(t, string(kind), b.resolved("i-1"), problem.TokenRevoked)
		b.wantRevoked("i-1", tokenMayBeLost)
		want(t, "kind of the metric", b.metrics("Credentials")[tokenMayBeLost], 1)
		want(t, "kind of the metric", b.metrics("Credentials")[revokedAtPlatform], 0)
	}
}

func TestB2_ARevocationByTheUserIsToldAsOne(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	_, err := b.ask("i-1", MinimumLife)
	wantProblem(t, "the first", err, problem.TokenRevoked)
	b.wantRevoked("i-1", revokedAtPlatform)
	want(t, "alarms", strings.Count(b.log.String(), "alarm="), 0)
	want(t, "kind of the metric", b.metrics("Credentials")[revokedAtPlatform], 1)
	want(t, "kind of the metric", b.metrics("Credentials")[tokenMayBeLost], 0)
}

// TestB2_ADefiniteFailureKeepsThatNobodyKnows: a time-out, then 429, then the refusal.
func TestB2_ADefiniteFailureKeepsThatNobodyKnows(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.FaultDrop, After: true, Times: 1})
	_, _ = b.ask("i-1", MinimumLife)
	b.clock().move(maxRefreshBackoff)
	b.fails(sandbox.Fault{Kind: sandbox.Fault429, Times: 1})
	_, _ = b.ask("i-1", MinimumLife)
	wantProblem(t, "in the end", b.resolved("i-1"), problem.TokenRevoked)
	b.wantRevoked("i-1", tokenMayBeLost)
}

// TestB2_ALossIsFoundByTheCheckAlsoIfNobodyAsks: the old token has life by the clock, and GitHub
// has killed it.
func TestB2_ALossIsFoundByTheCheckAlsoIfNobodyAsks(t *testing.T) {
	b := newRenewing(t, time.Hour)
	b.fails(sandbox.Fault{Kind: sandbox.FaultDrop, After: true, Times: 1})
	old := b.access("i-1")
	c := b.mustAsk("i-1", 2*time.Hour)
	want(t, "the old token is handed out", c.Token.Equal(old), true)
	b.clock().move(orphanGracePeriod)
	b.mustSweep()
	b.wantRevoked("i-1", tokenMayBeLost)
}

// TestB2_AVaultThatIsAwayForAMomentLosesNothing: the put is tried for as long as there is time.
func TestB2_AVaultThatIsAwayForAMomentLosesNothing(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	failures := 10
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if call == "Put" && failures > 0 {
			failures--
			return nil, errDown
		}
		return nil, nil
	})
	b.wantCurrent("i-1", b.mustAsk("i-1", MinimumLife))
	want(t, "failures left", failures, 0)
	want(t, "refreshes", b.refreshes(), 1)
}

// TestB2_ARevocationOfALaterTokenIsNotALossOfAnEarlier: a new generation makes sure again.
func TestB2_ARevocationOfALaterTokenIsNotALossOfAnEarlier(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.Fault500, Times: 1}) // nothing was done
	_, _ = b.ask("i-1", MinimumLife)
	want(t, "unsure", b.row("i-1", provider.GitHub).RefreshUnclear, true)
	b.clock().move(maxRefreshBackoff)
	b.mustAsk("i-1", MinimumLife)
	want(t, "unsure", b.row("i-1", provider.GitHub).RefreshUnclear, false)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	b.clock().move(gitHubLife)
	_, err := b.ask("i-1", MinimumLife)
	wantProblem(t, "in the end", err, problem.TokenRevoked)
	b.wantRevoked("i-1", revokedAtPlatform)
}

// given is what came of a call in the background.
type given struct {
	Credential
	err error
}

// asking lets a service ask in the background.
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
		b := newRenewing(t, left)
		gate := b.holdAnswer()
		slow := b.companion().asking(MinimumLife)
		<-gate.reached // the platform has used the refresh token up
		b.clock().move(refreshLeaseTTL + 5*time.Second)
		// Another takes over and is refused; then, while it looks once more, the answer comes.
		looks := 0
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if looks++; call == "Get" && looks == 8 {
				gate.open()
			}
			return nil, nil
		})
		c, err := b.ask("i-1", MinimumLife)
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
		want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
		want(t, "revocations told", len(b.happenedTo("i-1", event.Revoked)), 0)
	}
}

// TestB3_ATokenThatComesTooLateIsFoundAndTheRecoveryTold: who took over has given up already.
func TestB3_ATokenThatComesTooLateIsFoundAndTheRecoveryTold(t *testing.T) {
	for _, dies := range []bool{false, true} { // before it commits: then the last look finds it
		b := newRenewing(t, -time.Minute)
		gate := b.holdAnswer()
		holder := b.companion()
		slow := holder.asking(MinimumLife)
		<-gate.reached
		b.clock().move(refreshLeaseTTL + time.Second)
		_, err := b.ask("i-1", MinimumLife)
		wantProblem(t, "who took over", err, problem.TokenRevoked)
		b.wantRevoked("i-1", tokenMayBeLost)
		if _, err := b.CheckNow(context.Background(), user.Account, registry("i-1"),
			provider.GitHub); err != nil {
			t.Error(err) // it finds nothing, and must leave the last look to be done
		}
		if dies {
			holder.inside.set(down("SaveBinding"))
		}
		gate.open()
		<-slow
		want(t, "recovered at once", len(b.happenedTo("i-1", event.Recovered)) == 1, !dies)
		b.clock().move(orphanGracePeriod)
		b.mustSweep()
		want(t, "recoveries told", len(b.happenedTo("i-1", event.Recovered)), 1)
		rec := b.row("i-1", provider.GitHub)
		want(t, "status", StatusOf(rec, b.clock().now()), StatusBound)
		want(t, "generation", rec.Token.Generation, 2)
		b.wantCurrent("i-1", b.mustAsk("i-1", MinimumLife))
	}
}

// TestB3_ALatePutDoesNotOverwrite: where a refresh token is good for ever, two holders both get a
// token. One counts, and both hand that one out.
func TestB3_ALatePutDoesNotOverwrite(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	holder := b.companion()
	var second Credential
	holder.at("Put", func() { // it has its token, and is about to store it
		rec := b.row("i-1", provider.GitHub)
		k := tokenBundle{
			Platform: provider.GitHub, Method: provider.ByOAuth, Username: rec.Token.Username,
			Token: b.consent("alice"), IssuedAt: b.clock().now(),
		}
		ctx := b.startInvocation(context.Background())
		if err := b.put(ctx, rec.Token.Secret, rec.Token.Generation+1, k); err != nil {
			t.Error(err)
		}
		b.clock().move(refreshLeaseTTL + time.Second)
		second = b.mustAsk("i-1", MinimumLife) // finds it, without asking the platform
	})
	first := holder.mustAsk("i-1", MinimumLife)
	want(t, "refreshes", b.refreshes(), 1)
	want(t, "both have the same", first.Token.Equal(second.Token), true)
	b.wantCurrent("i-1", first)
	want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 2)
}

// TestB3_ATokenFoundInTheVaultMayHaveEnded: its holder died a day ago, before it committed.
func TestB3_ATokenFoundInTheVaultMayHaveEnded(t *testing.T) {
	for _, check := range []bool{false, true} {
		b := newRenewing(t, -time.Minute)
		holder := b.companion()
		holder.at("Put", func() { holder.inside.set(down("SaveBinding")) })
		_, err := holder.ask("i-1", MinimumLife)
		want(t, "it failed", err != nil, true)
		b.clock().move(24 * time.Hour)
		if check {
			v, err := b.CheckNow(context.Background(), user.Account, registry("i-1"), provider.GitHub)
			want(t, "error", err, nil)
			want(t, "status", v.Status, StatusBound)
		}
		b.wantCurrent("i-1", b.mustAsk("i-1", MinimumLife))
		want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 3)
		want(t, "refreshes", b.refreshes(), 2)
	}
}

func TestA18_AnUnbindDuringARefreshIsNotUndone(t *testing.T) {
	b := newRenewing(t, 5*time.Minute)
	gate := b.holdAnswer()
	slow := b.companion().asking(MinimumLife)
	<-gate.reached
	_, err := b.Unbind(context.Background(), UnbindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.GitHub,
	})
	if err != nil {
		t.Fatal(err)
	}
	gate.open()
	wantProblem(t, "who refreshed", (<-slow).err, problem.NotBound)
	want(t, "bound", b.row("i-1", provider.GitHub).Bound(), false)
	want(t, "the new generation lives yet", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 1)
	b.settled()
	want(t, "and is revoked by the sweep", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 0)
	want(t, "refresh tokens", b.sandbox.LiveRefreshTokens(sandbox.GitHub, "alice"), 0)
	want(t, "secrets", len(b.secrets()), 0)
}

func TestA18_AReBindDuringARefreshIsNotUndone(t *testing.T) {
	b := newRenewing(t, 5*time.Minute)
	gate := b.holdAnswer()
	slow := b.companion().asking(MinimumLife)
	<-gate.reached
	bound := b.keepConsented("i-1", b.consent("alice"))
	gate.open()
	given := <-slow
	want(t, "error", given.err, nil)
	b.wantCurrent("i-1", given.Credential)
	rec := b.row("i-1", provider.GitHub)
	want(t, "the record is the new binding's", sameGeneration(rec.Token, bound.Token), true)
	b.settled()
	want(t, "tokens alive", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 1)
	want(t, "secrets", len(b.secrets()), 1)
	b.wantCurrent("i-1", b.mustAsk("i-1", 0))
}

// TestD11_AWithdrawnBindingIsNotBroughtBackByARefreshUnderWay: the operator has ended every token.
func TestD11_AWithdrawnBindingIsNotBroughtBackByARefreshUnderWay(t *testing.T) {
	b := newRenewing(t, 5*time.Minute)
	holder := b.companion()
	holder.at("Put", func() {
		rec := b.row("i-1", provider.GitHub)
		rec.Health, rec.Problem = table.Revoked,
			problem.New(problem.TokenRevoked).Because(revokedByOperator)
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Error(err)
		}
	})
	_, err := holder.ask("i-1", MinimumLife)
	wantProblem(t, "who refreshed", err, problem.TokenRevoked)
	_, err = b.ask("i-1", MinimumLife)
	wantProblem(t, "afterwards", err, problem.TokenRevoked)
	want(t, "reason", problem.Of(err).Reason, revokedByOperator)
}

// TestD11_ARefreshOfATokenThatTheOperatorEndedRaisesNoAlarmOfALoss: the platform refuses it, and
// nobody is to look for it.
func TestD11_ARefreshOfATokenThatTheOperatorEndedRaisesNoAlarmOfALoss(t *testing.T) {
	b := newRenewing(t, -time.Minute)
	holder := b.companion()
	holder.at("Get", func() { b.mustRevokeAll(RevokeAllRequest{Platform: provider.GitHub, Act: true}) })
	_, err := holder.ask("i-1", MinimumLife)
	wantProblem(t, "who refreshed", err, problem.TokenRevoked)
	want(t, "reason", problem.Of(err).Reason, revokedByOperator)
	want(t, "an alarm", strings.Contains(holder.log.String(), "alarm="+tokenMayBeLost), false)
	want(t, "counted as", holder.metrics("Credentials")[tokenMayBeLost], 0)
}

// TestALostReplyOfTheLeaseHoldsNobodyUp: the row says who has it.
func TestALostReplyOfTheLeaseHoldsNobodyUp(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		b := newRenewing(t, -time.Minute)
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
		b.Service.sleep = func(context.Context, time.Duration) error {
			return errors.New("nobody needs to wait")
		}
		b.wantCurrent("i-1", b.mustAsk("i-1", MinimumLife))
		want(t, "refreshes", b.refreshes(), 1)
	}
}
