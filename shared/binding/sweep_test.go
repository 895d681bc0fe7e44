package binding_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/workqueue"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/table"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

func TestASweepOfNothingIsOneCall(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.settled()
	calls := b.counted(func() { testkit.Want(t, "swept", b.mustRun(), maintenance.RunResult{}) })
	testkit.Want(t, "calls", fmt.Sprint(calls), "map[DueBefore:1]")
}

func TestAnUnboundRowGoesAfter15MinutesAndNotBefore(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustUnbind("i-1", false)
	testkit.Want(t, "drained", b.mustRun().Drained, 1)
	b.clock().Advance(ledger.OrphanGracePeriod - time.Millisecond)
	testkit.Want(t, "removed before", b.mustRun().Removed, 0)
	testkit.Want(t, "the row is there", b.row("i-1", provider.GitLab).Version != "", true)
	b.clock().Advance(time.Millisecond)
	testkit.Want(t, "removed after", b.mustRun().Removed, 1)
	testkit.Want(t, "the row's version", b.row("i-1", provider.GitLab).Version, "")
}

// TestAGoodBindLeavesNothingToSweep: the save that points the row at a secret takes the secret off
// the list.
func TestAGoodBindLeavesNothingToSweep(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 0)
	b.mustRun() // the events
	b.clock().Advance(2 * ledger.OrphanGracePeriod)
	calls := b.counted(func() { testkit.Want(t, "swept", b.mustRun(), maintenance.RunResult{}) })
	testkit.Want(t, "calls", fmt.Sprint(calls), "map[DueBefore:1]")
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
}

// TestAReplacedSecretIsSweptInFourCalls to the table, of which one lists what is due.
func TestAReplacedSecretIsSweptInFourCalls(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-1", bobToken)
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 1)
	b.mustRun() // the events
	b.clock().Advance(ledger.OrphanGracePeriod - time.Millisecond)
	testkit.Want(t, "looked at before its time", b.mustRun(), maintenance.RunResult{})
	b.clock().Advance(time.Millisecond)
	calls := b.counted(func() { testkit.Want(t, "deleted", b.mustRun().Deleted, 1) })
	testkit.Want(t, "calls", fmt.Sprint(calls),
		"map[Binding:1 Delete:1 DueBefore:1 Get:1 SaveBinding:2]")
	testkit.Want(t, "listed secrets in the end", len(b.ownedSecrets()), 0)
	testkit.Want(t, "identity", b.opens("i-1"), "bob")
}

// staged is a secret that a bind has stored and that no record points at: the process ended before
// the save.
func (b *harness) staged(id string) vault.SecretName {
	b.Helper()
	ctx := b.Ledger.StartInvocation(context.Background())
	rec, err := b.Ledger.Record(ctx, key(id, provider.GitLab))
	if err != nil {
		b.Fatal(err)
	}
	_, name, err := b.Ledger.StageSecret(ctx, rec, ledger.TokenBundle{
		Platform: provider.GitLab, Method: provider.ByToken,
	})
	if err != nil {
		b.Fatal(err)
	}
	return name
}

func TestASecretThatNothingPointsAtIsDeletedAfter15Minutes(t *testing.T) {
	b := newHarness(t)
	for range 2 {
		name := b.staged("i-1")
		b.clock().Advance(ledger.OrphanGracePeriod - time.Millisecond)
		testkit.Want(t, "deleted before", b.mustRun().Deleted, 0)
		b.clock().Advance(time.Millisecond)
		testkit.Want(t, "deleted after", b.mustRun().Deleted, 1)
		_, err := b.store.vault.Get(context.Background(), name, 1)
		testkit.Want(t, "the secret is gone", errors.Is(err, vault.ErrNotFound), true)
		testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 0)
		testkit.Want(t, "the row's version", b.row("i-1", provider.GitLab).Version, "")
	}
	testkit.Want(t, "audit lines", len(b.audits("sweep")), 2)
}

func TestAnEntryWithoutASecretGoes(t *testing.T) {
	b := newHarness(t)
	b.inside.set(down("Put"))
	_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", aliceToken))
	testkit.WantCode(t, "a bind without a vault", err, problem.StorageUnavailable)
	b.inside.clear()
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 1)
	b.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "deleted", b.mustRun().Deleted, 0)
	if audits := b.audits("sweep"); len(audits) != 1 ||
		!strings.Contains(audits[0], "outcome=not_stored") {
		t.Errorf("got the audit lines %q", audits)
	}
	b.settled()
}

// TestAFailingEntryDoesNotStopTheOthers lets the first call of each kind that the sweep makes
// fail, with other entries behind it.
func TestAFailingEntryDoesNotStopTheOthers(t *testing.T) {
	for _, call := range []string{
		"Binding", "AppendHistory", "SaveBinding", "Get", "Delete", "DeleteBinding",
	} {
		b := newHarness(t)
		for _, id := range []string{"i-1", "i-2", "i-3"} {
			b.mustBind(id, aliceToken)
			b.mustUnbind(id, false)
		}
		b.clock().Advance(ledger.OrphanGracePeriod)
		var failed atomic.Bool
		b.inside.set(func(_ context.Context, c string) (func(), error) {
			if c == call && failed.CompareAndSwap(false, true) {
				return nil, errDown
			}
			return nil, nil
		})
		done := b.mustRun()
		testkit.Want(t, "failed without "+call, done.Failed, 1)
		testkit.Want(t, "looked at without "+call, done.Due, 3)
		drained, deleted, removed := 3, 2, 2
		switch call {
		case "Binding", "AppendHistory":
			drained = 2
		case "DeleteBinding":
			deleted = 3
		}
		testkit.Want(t, "drained without "+call, done.Drained, drained)
		testkit.Want(t, "deleted without "+call, done.Deleted, deleted)
		testkit.Want(t, "removed without "+call, done.Removed, removed)
		if !strings.Contains(b.log.String(), "sweeping failed") {
			t.Errorf("the log doesn't say that %s failed", call)
		}
		b.inside.clear()
		b.settled()
		testkit.Want(t, "secrets in the end", len(b.secrets()), 0)
	}
}

func TestASweepThatCannotReadTheIndexFails(t *testing.T) {
	b := newHarness(t)
	b.inside.set(down("DueBefore"))
	_, err := b.Maintenance.Run(context.Background())
	testkit.WantCode(t, "a sweep without an index", err, problem.StorageUnavailable)
}

func TestTwoSweepsAtOnceDoTheWorkOnce(t *testing.T) {
	for _, call := range []string{
		"Binding", "Get", "Delete", "SaveBinding", "AppendHistory", "DeleteBinding",
	} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-1", bobToken)
		b.mustBind("i-2", aliceToken)
		b.mustUnbind("i-2", false)
		b.clock().Advance(ledger.OrphanGracePeriod)
		var inner maintenance.RunResult
		b.at(call, func() { inner = b.mustRun() })
		outer := b.mustRun()
		testkit.Want(t, "failed, a second one at "+call, inner.Failed+outer.Failed, 0)
		b.settled()
		testkit.Want(t, "identity", b.opens("i-1"), "bob")
		testkit.Want(t, "secrets", len(b.secrets()), 1)
		testkit.Want(t, "events", len(b.history("i-1"))+len(b.history("i-2")), 4)
	}
}

// lagging is a table whose index still lists entries that are no longer due, or not yet due.
type lagging struct {
	ledger.Table
	entries []table.DueEntry
}

func (l lagging) DueBefore(
	context.Context, time.Time, string, int,
) (table.Page[table.DueEntry], error) {
	return table.Page[table.DueEntry]{Items: l.entries}, nil
}

func TestTheRowDecidesWhenTheIndexLags(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustRun()
	b.mustBind("i-2", aliceToken)
	b.mustUnbind("i-2", false)
	b.mustRun()
	entries := []table.DueEntry{
		{Binding: key("i-1", provider.GitLab)},
		{Binding: key("i-2", provider.GitLab)},
		{Binding: key("never-there", provider.GitLab)},
		{Authorization: strings.Repeat("0", 32)},
		{Authorization: b.waiting("i-3", "alice").ID},
	}
	b.serve(lagging{b.store.table, entries}, b.store.vault)
	testkit.Want(t, "swept", b.mustRun(), maintenance.RunResult{Due: len(entries)})
	testkit.Want(t, "secrets", len(b.secrets()), 3)
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 2)
	testkit.Want(t, "the unbound row is there", b.row("i-2", provider.GitLab).Version != "", true)
}

// TestASweepLeavesTheRestToTheNextAfter90Seconds has more entries than are worked on side by side,
// and lets the time be up at the first of them.
func TestASweepLeavesTheRestToTheNextAfter90Seconds(t *testing.T) {
	const most = 3 * workqueue.MaxConcurrentEntries
	b := newHarness(t)
	for i := range most {
		b.staged(fmt.Sprint("i-", i))
	}
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.at("DeleteBinding", func() { b.clock().Advance(workqueue.RunTimeout + time.Millisecond) })
	done := b.mustRun()
	testkit.Want(t, "left", done.Left, true)
	testkit.Want(t, "failed", done.Failed, 0)
	if done.Deleted == 0 || done.Deleted == most {
		t.Errorf("got %d of %d deleted, want a part", done.Deleted, most)
	}
	rest := b.mustRun()
	testkit.Want(t, "left by the next", rest.Left, false)
	testkit.Want(t, "deleted in all", done.Deleted+rest.Deleted, most)
}

func TestASweepThatIsEndedLeavesTheRest(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	ctx, cancel := context.WithCancel(context.Background())
	b.inside.set(func(context.Context, string) (func(), error) { return cancel, nil })
	done, err := b.Maintenance.Run(ctx)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "left", done.Left, true)
	testkit.Want(t, "failed", done.Failed, 0)
}

func TestADueListGoesOverPages(t *testing.T) {
	b := newHarness(t)
	const most = ledger.PageSize + 5
	for i := range most {
		b.staged(fmt.Sprint("i-", i))
	}
	b.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "deleted", b.mustRun().Deleted, most)
	testkit.Want(t, "secrets", len(b.secrets()), 0)
}

// TestASecretIsDeletedAlsoAfterACrash ends a sweep right before each call of its work, as a crash
// does: no later call is made.
func TestASecretIsDeletedAlsoAfterACrash(t *testing.T) {
	for _, call := range []string{"SaveBinding", "Get", "Delete", "second SaveBinding"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.mustUnbind("i-1", false)
		b.mustRun() // the events
		b.clock().Advance(ledger.OrphanGracePeriod)
		ctx, cancel := context.WithCancel(context.Background())
		b.atNth(call, cancel)
		if _, err := b.Maintenance.Run(ctx); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "listed secrets after a crash before "+call, len(b.ownedSecrets()), 1)
		b.settled()
		testkit.Want(t, "secrets in the end", len(b.secrets()), 0)
	}
}

// TestASecretIsListedUntilItIsDeleted: later changes of the binding don't clear the list.
func TestASecretIsListedUntilItIsDeleted(t *testing.T) {
	b := newHarness(t)
	first := b.mustBind("i-1", aliceToken).Record.Token
	second := b.mustBind("i-1", bobToken).Record.Token
	b.mustUnbind("i-1", false)
	b.mustRun()
	rec := b.row("i-1", provider.GitLab)
	testkit.Want(t, "listed secrets", len(rec.Secrets), 2)
	for i, token := range []binding.Token{first, second} {
		testkit.Want(t, "entry", rec.Secrets[i], binding.OwnedSecret{
			Name: token.Secret, Generation: 1, Retired: true,
			DueAt: b.clock().Now().Add(ledger.OrphanGracePeriod),
		})
	}
	testkit.Want(t, "when the row is due", rec.DueAt, b.clock().Now().Add(ledger.OrphanGracePeriod))
	b.settled()
}

// left is a token of GitHub in the vault that no record points at, and was not revoked.
func (b *harness) left(id string) provider.Token {
	b.Helper()
	granted := b.consent("alice")
	b.keepConsented(id, granted)
	rec := b.row(id, provider.GitHub)
	b.inside.set(down("ListIdentityEntries"))
	_, err := b.Connect.Unbind(context.Background(), connect.UnbindRequest{
		By: user, Instance: registry(id), Platform: provider.GitHub,
	})
	b.inside.clear()
	if err != nil || rec.Token.Secret == "" || !b.lives(granted) {
		b.Fatalf("the token was to be left alive: %v", err)
	}
	// Its entry is due as if the attempt had expired right after the bind.
	b.clock().Advance(binding.AuthorizationTTL)
	return granted
}

func TestTheSweepRevokesWhatNobodyRevoked(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.settled()
	testkit.Want(t, "the token lives", b.lives(granted), false)
	testkit.Want(t, "secrets", len(b.secrets()), 0)
}

func TestTheSweepRevokesEveryLaterGeneration(t *testing.T) {
	b := newHarness(t)
	first := b.left("i-1")
	second := b.consent("alice")
	bundle := ledger.TokenBundle{Platform: provider.GitHub, Method: provider.ByOAuth, Token: second}
	value, err := bundle.Encode(ledger.TokenOwner{Binding: key("i-1", provider.GitHub)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.vault.Put(context.Background(), b.secrets()[0], 2, value); err != nil {
		t.Fatal(err)
	}
	b.settled()
	testkit.Want(t, "the first lives", b.lives(first), false)
	testkit.Want(t, "the second lives", b.lives(second), false)
}

func TestTheSweepSparesATokenThatABindingHolds(t *testing.T) {
	for _, id := range []string{"i-1", "i-2"} { // the same one again, or another
		b := newHarness(t)
		granted := b.left("i-1")
		b.keepConsented(id, granted)
		b.settled()
		testkit.Want(t, "the token lives", b.lives(granted), true)
		testkit.Want(t, "secrets", len(b.secrets()), 1)
	}
}

// TestTheSweepWaitsForABindingThatMayYetBeSaved: the entry of a bind under way is written before
// the binding is.
func TestTheSweepWaitsForABindingThatMayYetBeSaved(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.clock().Advance(ledger.OrphanGracePeriod)
	if err := b.Ledger.AddIdentityEntry(b.Ledger.StartInvocation(context.Background()),
		key("i-2", provider.GitHub),
		binding.Record{Identity: b.gitHubIdentity(granted)}); err != nil {
		t.Fatal(err)
	}
	done := b.mustRun()
	testkit.Want(t, "deleted", done.Deleted, 0)
	testkit.Want(t, "failed", done.Failed, 0)
	testkit.Want(t, "the token lives", b.lives(granted), true)
	b.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "deleted later", b.mustRun().Deleted, 1)
	testkit.Want(t, "the token lives later", b.lives(granted), false)
}

func (b *harness) gitHubIdentity(t provider.Token) binding.Identity {
	b.Helper()
	platform, _ := b.Ledger.Platforms.Get(provider.GitHub)
	f, err := platform.Check(context.Background(),
		provider.Credential{Access: t.Access, Scopes: t.Scopes})
	if err != nil {
		b.Fatal(err)
	}
	return binding.Identity(f.Identity)
}

func TestTheSweepTriesTenTimesToRevokeAndThenDeletesAllTheSame(t *testing.T) {
	b := newHarness(t)
	b.left("i-1")
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	for i := 1; i < maintenance.MaxRevokeAttempts; i++ {
		b.clock().Advance(ledger.OrphanGracePeriod)
		done := b.mustRun()
		testkit.Want(t, fmt.Sprintf("failed, try %d", i), done.Failed, 1)
		testkit.Want(t, fmt.Sprintf("deleted, try %d", i), done.Deleted, 0)
	}
	b.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "deleted, the last try", b.mustRun().Deleted, 1)
	if !strings.Contains(b.log.String(), "a token may still be alive at its platform") {
		t.Error("the log doesn't say that a token may still be alive")
	}
	audits := b.audits("sweep")
	if len(audits) != 1 || !strings.Contains(audits[0], "outcome=not_revoked") {
		t.Errorf("got the audit lines %q", audits)
	}
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	b.settled()
	for range 2 { // at once, and when the row has gone again
		events := b.happenedTo("i-1", binding.EventRevocationFailed)
		if len(events) != 1 || events[0].Problem.Code != problem.RevocationFailed {
			t.Errorf("got the events %v, want one that says what to do", events)
		}
		testkit.Want(t, "status", binding.StatusOf(b.row("i-1", provider.GitHub), b.clock().Now()),
			binding.StatusUnbound)
		b.later(ledger.OrphanGracePeriod)
	}
}

// TestATokenThatCouldNotBeRevokedIsReportedThoughThePlatformIsBoundAgain with a valid token.
func TestATokenThatCouldNotBeRevokedIsReportedThoughThePlatformIsBoundAgain(t *testing.T) {
	b := newHarness(t)
	b.left("i-1")
	b.keepConsented("i-1", b.consent("bob"))
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "/user"})
	for range maintenance.MaxRevokeAttempts {
		b.clock().Advance(ledger.OrphanGracePeriod)
		b.mustRun()
	}
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	testkit.Want(t, "reports", len(b.happenedTo("i-1", binding.EventRevocationFailed)), 1)
	rec := b.row("i-1", provider.GitHub)
	testkit.Want(t, "status", binding.StatusOf(rec, b.clock().Now()), binding.StatusBound)
	testkit.Want(t, "whose", rec.Identity.Username, "bob")
}

// TestAVaultThatIsAwayIsNoRevocationThatFailed: what it holds is revoked when it is back. A
// personal token was never to be revoked.
func TestAVaultThatIsAwayIsNoRevocationThatFailed(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.mustBind("i-2", aliceToken)
	b.mustBind("i-2", aliceOther)
	b.inside.set(down("Get"))
	for range 2 * maintenance.MaxRevokeAttempts {
		b.clock().Advance(ledger.OrphanGracePeriod)
		b.mustRun()
	}
	b.inside.clear()
	b.settled()
	testkit.Want(t, "the consent's token lives", b.lives(granted), false)
	testkit.Want(t, "reports of it", len(b.happenedTo("i-1", binding.EventRevocationFailed)), 0)
	b.wantEvents("i-2", provider.GitLab, binding.EventBound, binding.EventRebound)
}

// TestTheSweepSparesATokenWhoseHoldersItCannotTell: a token whose identity the platform doesn't
// return must not be treated as a token without bindings.
func TestTheSweepSparesATokenWhoseHoldersItCannotTell(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.keepConsented("i-2", granted)
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "/user"})
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.mustRun()
	testkit.Want(t, "the token lives", b.lives(granted), true)
}
