package binding_test

import (
	"context"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// TestAFullListRefusesBindsAndNotTheUnbind: the last place is for the token that an unbind retires.
func TestAFullListRefusesBindsAndNotTheUnbind(t *testing.T) {
	b := newHarness(t)
	for range ledger.MaxOwnedSecrets - 1 {
		b.mustBind("i-1", aliceToken)
	}
	refuse := func(what string) {
		t.Helper()
		in := b.gitLab("i-1", bobToken)
		in.Match = binding.Match{ETags: []string{b.row("i-1", provider.GitLab).Revision}}
		if b.opens("i-1") == "" {
			in.Match = binding.Match{}
		}
		_, err := b.Connect.BindToken(context.Background(), in)
		testkit.WantCode(t, what, err, problem.Conflict)
		testkit.Want(t, what+", the reason", problem.Of(err).Reason, ledger.CleanupPending)
		testkit.Want(t, what+", when to try again", problem.Of(err).RetryAfter, ledger.OrphanGracePeriod)
	}
	b.mustBind("i-1", aliceOther)
	refuse("a bind of a binding whose list is full")
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), ledger.MaxOwnedSecrets-1)
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
	b.mustUnbind("i-1", false)
	testkit.Want(t, "listed secrets after the unbind", len(b.ownedSecrets()), ledger.MaxOwnedSecrets)
	refuse("a bind after the unbind")
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.mustRun()
	b.mustBind("i-1", bobToken)
	b.settled()
}

// TestAFullListRefusesAConfirm, and the same confirm works when the sweep has caught up.
func TestAFullListRefusesAConfirm(t *testing.T) {
	b := newHarness(t)
	// so that the list comes due before the attempt expires
	b.clock().Advance(-ledger.OrphanGracePeriod)
	for range ledger.MaxOwnedSecrets {
		b.keepConsented("i-1", b.consent("bob"))
	}
	b.clock().Advance(binding.AuthorizationTTL + time.Minute)
	in := b.waiting("i-1", "alice")
	_, err := b.Consent.Confirm(context.Background(), in)
	testkit.WantCode(t, "a confirm", err, problem.Conflict)
	testkit.Want(t, "the reason", problem.Of(err).Reason, ledger.CleanupPending)
	b.clock().Advance(binding.AuthorizationTTL - time.Minute)
	b.mustRun()
	if _, err := b.Consent.Confirm(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "identity", b.row("i-1", provider.GitHub).Identity.Username, "alice")
	b.settled()
}
