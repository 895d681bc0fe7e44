package binding_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

func TestB6_ARefusedTokenIsLookedUpAgainAndThenThePlatformIsNotAskedAgain(t *testing.T) {
	b := newRefreshable(t, time.Minute)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	services := []*harness{b, b.otherProcess()}
	for round := range 3 {
		given, failed := many(services, 20, "i-1")
		testkit.Want(t, "credentials", len(given), 0)
		for _, err := range failed {
			testkit.WantCode(t, fmt.Sprint("round ", round), err, problem.TokenRevoked)
			testkit.Want(t, "reason", problem.Of(err).Reason, credential.RevokedAtPlatform)
		}
		if _, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
			provider.GitHub); err != nil {
			t.Error(err)
		}
		b.clock().Advance(ledger.OrphanGracePeriod + time.Minute)
		b.mustRun()
		b.wantRevoked("i-1", credential.RevokedAtPlatform)
	}
	testkit.Want(t, "refreshes", b.refreshes(), 1)
	testkit.Want(t, "calls to the platform of any sort", b.sandbox.Count(sandbox.GitHub), 1)
}

// TestB6_ARefusedTokenThatWasReplacedIsNoRevocation: another process has used the refresh token,
// and this one, which read the record before, asks with it once more.
func TestB6_ARefusedTokenThatWasReplacedIsNoRevocation(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	slow := b.otherProcess()
	slow.at("Get", func() { // it has the lease, and is about to read the token
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
	})
	b.wantCurrent("i-1", slow.mustAsk("i-1", credential.MinimumLife))
	testkit.Want(t, "refreshes asked for", b.refreshes(), 2)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}

// TestB6_ARefusedTokenWhoseNextIsInTheVaultIsNoRevocation: another process has used the refresh
// token and has crashed before it could commit the new token.
func TestB6_ARefusedTokenWhoseNextIsInTheVaultIsNoRevocation(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	slow := b.otherProcess()
	slow.at("Get", func() { // it has the lease, and is about to read the token
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		crashing := b.otherProcess()
		crashing.inside.set(downFrom("second SaveBinding"))
		if _, err := crashing.ask("i-1", credential.MinimumLife); err == nil {
			t.Error("a token was handed out that is not committed")
		}
	})
	c, err := slow.ask("i-1", credential.MinimumLife)
	testkit.Want(t, "error", err, nil)
	b.wantCurrent("i-1", c)
	testkit.Want(t, "refreshes asked for", b.refreshes(), 2)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}

// TestB6_ARefusedTokenThatAnotherProcessIsRefreshingIsNoRevocation: the other process has the lease
// and waits for the platform's answer.
func TestB6_ARefusedTokenThatAnotherProcessIsRefreshingIsNoRevocation(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	answer := b.holdAnswer()
	slow := b.otherProcess()
	var faster <-chan given
	slow.at("Get", func() { // it has the lease, and is about to read the token
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		faster = b.otherProcess().asking(credential.MinimumLife)
		<-answer.reached
	})
	wait := slow.services.Ledger.Sleep
	slow.services.Ledger.Sleep = func(ctx context.Context, d time.Duration) error {
		answer.open()
		return wait(ctx, d)
	}
	c, err := slow.ask("i-1", credential.MinimumLife)
	answer.open()
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "error of the other process", (<-faster).err, nil)
	b.wantCurrent("i-1", c)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}

// TestB6_ARefusedTokenOfABindingThatWasBoundAgainIsNoRevocation: the vault has no next generation,
// only the record says that the refused token is no longer the binding's.
func TestB6_ARefusedTokenOfABindingThatWasBoundAgainIsNoRevocation(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.answers(http.StatusOK, map[string]any{"error": "bad_refresh_token"})
	slow := b.otherProcess()
	var bound binding.Record
	slow.at("Get", func() { // it has the lease, and is about to read the token
		b.around.Store(nil)
		again := b.consent("alice")
		b.answers(http.StatusOK, map[string]any{"error": "bad_refresh_token"})
		bound = b.keepConsented("i-1", again)
	})
	c, err := slow.ask("i-1", credential.MinimumLife)
	testkit.Want(t, "error", err, nil)
	b.wantCurrent("i-1", c)
	rec := b.row("i-1", provider.GitHub)
	testkit.Want(t, "health", rec.Health, binding.HealthGood)
	testkit.Want(t, "the token is the new binding's",
		binding.SameGeneration(rec.Token, bound.Token), true)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}
