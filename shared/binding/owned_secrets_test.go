package binding

import (
	"context"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
)

// TestAFullListRefusesBindsAndNotTheUnbind: the last place is for the token that an unbind retires.
func TestAFullListRefusesBindsAndNotTheUnbind(t *testing.T) {
	b := newHarness(t)
	for range maxOwnedSecrets - 1 {
		b.mustBind("i-1", aliceToken)
	}
	refuse := func(what string) {
		t.Helper()
		in := b.gitLab("i-1", bobToken)
		in.Match = Match{b.row("i-1", provider.GitLab).Revision}
		if b.opens("i-1") == "" {
			in.Match = nil
		}
		_, err := b.BindToken(context.Background(), in)
		wantProblem(t, what, err, problem.Conflict)
		want(t, what+", the reason", problem.Of(err).Reason, cleanupPending)
		want(t, what+", when to try again", problem.Of(err).RetryAfter, orphanGracePeriod)
	}
	b.mustBind("i-1", aliceOther)
	refuse("a bind of a binding whose list is full")
	want(t, "listed secrets", len(b.ownedSecrets()), maxOwnedSecrets-1)
	want(t, "identity", b.opens("i-1"), "alice")
	b.mustUnbind("i-1", false)
	want(t, "listed secrets after the unbind", len(b.ownedSecrets()), maxOwnedSecrets)
	refuse("a bind after the unbind")
	b.clock().move(orphanGracePeriod)
	b.mustSweep()
	b.mustBind("i-1", bobToken)
	b.settled()
}

// TestAFullListRefusesAConfirm, and the same confirm works when the sweep has caught up.
func TestAFullListRefusesAConfirm(t *testing.T) {
	b := newHarness(t)
	b.clock().move(-orphanGracePeriod) // so that the list comes due before the attempt expires
	for range maxOwnedSecrets {
		b.keepConsented("i-1", b.consent("bob"))
	}
	b.clock().move(authorizationTTL + time.Minute)
	in := b.waiting("i-1", "alice")
	_, err := b.Confirm(context.Background(), in)
	wantProblem(t, "a confirm", err, problem.Conflict)
	want(t, "the reason", problem.Of(err).Reason, cleanupPending)
	b.clock().move(authorizationTTL - time.Minute)
	b.mustSweep()
	if _, err := b.Confirm(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	want(t, "identity", b.row("i-1", provider.GitHub).Identity.Username, "alice")
	b.settled()
}
