package binding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/table"
	"bindery/shared/vault"
)

func TestASweepOfNothingIsOneCall(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.settled()
	calls := b.counted(func() { want(t, "swept", b.mustSweep(), SweepResult{}) })
	want(t, "calls", fmt.Sprint(calls), "map[DueBefore:1]")
}

func TestAnUnboundRowGoesAfter15MinutesAndNotBefore(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustUnbind("i-1", false)
	want(t, "drained", b.mustSweep().Drained, 1)
	b.clock().move(orphanGracePeriod - time.Millisecond)
	want(t, "removed before", b.mustSweep().Removed, 0)
	want(t, "the row is there", b.row("i-1", provider.GitLab).Version != "", true)
	b.clock().move(time.Millisecond)
	want(t, "removed after", b.mustSweep().Removed, 1)
	want(t, "the row's version", b.row("i-1", provider.GitLab).Version, "")
}

func TestASecretInUseIsKeptAndItsNoteGoes(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	want(t, "notes", len(b.notes()), 1)
	b.clock().move(orphanGracePeriod - time.Millisecond)
	want(t, "looked at before its time", b.mustSweep().Kept, 0)
	b.clock().move(time.Millisecond)
	done := b.mustSweep()
	want(t, "kept", done.Kept, 1)
	want(t, "deleted", done.Deleted, 0)
	want(t, "notes", len(b.notes()), 0)
	want(t, "identity", b.opens("i-1"), "alice")
}

func TestASecretThatNothingPointsAtIsDeletedAfter15Minutes(t *testing.T) {
	b := newHarness(t)
	k := tokenBundle{Platform: provider.GitLab, Method: provider.ByToken}
	for _, at := range []table.Key{{}, key("i-1", provider.GitLab)} {
		name, err := b.stageSecret(b.startInvocation(context.Background()), at, k)
		if err != nil {
			t.Fatal(err)
		}
		b.clock().move(orphanGracePeriod - time.Millisecond)
		want(t, "deleted before", b.mustSweep().Deleted, 0)
		b.clock().move(time.Millisecond)
		want(t, "deleted after", b.mustSweep().Deleted, 1)
		_, err = b.store.vault.Get(context.Background(), vault.SecretName(name), 1)
		want(t, "the secret is gone", errors.Is(err, vault.ErrNotFound), true)
		want(t, "notes", len(b.notes()), 0)
	}
	want(t, "audit lines", len(b.log.audits("sweep")), 2)
}

func TestANoteWithoutASecretGoes(t *testing.T) {
	b := newHarness(t)
	b.inside.set(down("Put"))
	_, err := b.BindToken(context.Background(), b.gitLab("i-1", aliceToken))
	wantProblem(t, "a bind without a vault", err, problem.StorageUnavailable)
	b.inside.clear()
	want(t, "notes", len(b.notes()), 1)
	b.settled()
}

// TestAFailingEntryDoesNotStopTheOthers lets the first call of each kind that the sweep makes
// fail, with other entries behind it.
func TestAFailingEntryDoesNotStopTheOthers(t *testing.T) {
	for _, call := range []string{
		"Note", "Binding", "SaveNote", "Get", "Delete", "DeleteNote", "AppendHistory",
		"SaveBinding", "DeleteBinding",
	} {
		b := newHarness(t)
		for _, id := range []string{"i-1", "i-2", "i-3"} {
			b.mustBind(id, aliceToken)
			b.mustUnbind(id, false)
		}
		if call == "DeleteBinding" {
			b.mustSweep()
		}
		b.clock().move(orphanGracePeriod)
		var failed atomic.Bool
		b.inside.set(func(_ context.Context, c string) (func(), error) {
			if c == call && failed.CompareAndSwap(false, true) {
				return nil, errDown
			}
			return nil, nil
		})
		done := b.mustSweep()
		want(t, "failed without "+call, done.Failed, 1)
		want(t, "looked at without "+call, done.Due, 6)
		others := 5
		if call == "SaveBinding" {
			others = 6 // its events are in the history all the same
		}
		want(t, "done without "+call, done.Deleted+done.Drained+done.Removed, others)
		if !strings.Contains(b.log.String(), "sweeping failed") {
			t.Errorf("the log doesn't say that %s failed", call)
		}
		b.inside.clear()
		b.settled()
		want(t, "secrets in the end", len(b.secrets()), 0)
	}
}

func TestASweepThatCannotReadTheIndexFails(t *testing.T) {
	b := newHarness(t)
	b.inside.set(down("DueBefore"))
	_, err := b.Sweep(context.Background())
	wantProblem(t, "a sweep without an index", err, problem.StorageUnavailable)
}

func TestTwoSweepsAtOnceDoTheWorkOnce(t *testing.T) {
	for _, call := range []string{
		"Note", "Binding", "SaveNote", "Get", "Delete", "DeleteNote", "SaveBinding",
		"AppendHistory", "DeleteBinding",
	} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-1", bobToken)
		b.mustBind("i-2", aliceToken)
		b.mustUnbind("i-2", false)
		if call == "DeleteBinding" {
			b.mustSweep()
		}
		b.clock().move(orphanGracePeriod)
		var inner SweepResult
		b.at(call, func() { inner = b.mustSweep() })
		outer := b.mustSweep()
		want(t, "failed, a second one at "+call, inner.Failed+outer.Failed, 0)
		b.settled()
		want(t, "identity", b.opens("i-1"), "bob")
		want(t, "secrets", len(b.secrets()), 1)
		want(t, "events", len(b.history("i-1"))+len(b.history("i-2")), 4)
	}
}

// lagging is a table whose index still lists what is due no more, or not yet.
type lagging struct {
	table.Table
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
	b.mustSweep()
	b.mustBind("i-2", aliceToken)
	b.mustUnbind("i-2", false)
	b.mustSweep()
	entries := []table.DueEntry{
		{Binding: key("i-1", provider.GitLab)},
		{Binding: key("i-2", provider.GitLab)},
		{Binding: key("never-there", provider.GitLab)},
		{Note: strings.Repeat("0", 32)},
	}
	for _, name := range b.notes() {
		entries = append(entries, table.DueEntry{Note: name})
	}
	b.serve(lagging{b.store.table, entries}, b.store.vault)
	want(t, "swept", b.mustSweep(), SweepResult{Due: len(entries)})
	want(t, "secrets", len(b.secrets()), 2)
	want(t, "notes", len(b.notes()), 2)
	want(t, "the unbound row is there", b.row("i-2", provider.GitLab).Version != "", true)
}

// TestASweepLeavesTheRestToTheNextAfter90Seconds has more entries than are worked on side by side,
// and lets the time be up at the first of them.
func TestASweepLeavesTheRestToTheNextAfter90Seconds(t *testing.T) {
	const most = 3 * maxConcurrentEntries
	b := newHarness(t)
	for range most {
		_, err := b.stageSecret(b.startInvocation(context.Background()), table.Key{}, tokenBundle{Method: provider.ByToken})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.clock().move(orphanGracePeriod)
	b.at("DeleteNote", func() { b.clock().move(sweepTimeout + time.Millisecond) })
	done := b.mustSweep()
	want(t, "left", done.Left, true)
	want(t, "failed", done.Failed, 0)
	if done.Deleted == 0 || done.Deleted == most {
		t.Errorf("got %d of %d deleted, want a part", done.Deleted, most)
	}
	rest := b.mustSweep()
	want(t, "left by the next", rest.Left, false)
	want(t, "deleted in all", done.Deleted+rest.Deleted, most)
}

func TestASweepThatIsEndedLeavesTheRest(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	ctx, cancel := context.WithCancel(context.Background())
	b.inside.set(func(context.Context, string) (func(), error) { return cancel, nil })
	done, err := b.Sweep(ctx)
	want(t, "error", err, nil)
	want(t, "left", done.Left, true)
	want(t, "failed", done.Failed, 0)
}

func TestADueListGoesOverPages(t *testing.T) {
	b := newHarness(t)
	const most = pageSize + 5
	ctx := b.startInvocation(context.Background())
	for range most {
		if _, err := b.stageSecret(ctx, table.Key{}, tokenBundle{Method: provider.ByToken}); err != nil {
			t.Fatal(err)
		}
	}
	b.clock().move(orphanGracePeriod)
	want(t, "deleted", b.mustSweep().Deleted, most)
	want(t, "secrets", len(b.secrets()), 0)
}

// TestASecretIsCollectedAlsoAfterADeath ends a sweep right before each call of its work, the way
// a death does: nothing that comes later happens.
func TestASecretIsCollectedAlsoAfterADeath(t *testing.T) {
	for _, call := range []string{"SaveNote", "Get", "Delete", "DeleteNote"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.mustUnbind("i-1", false)
		b.clock().move(orphanGracePeriod)
		ctx, cancel := context.WithCancel(context.Background())
		b.at(call, cancel)
		if _, err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, "notes after a death before "+call, len(b.notes()), 1)
		b.settled()
		want(t, "secrets in the end", len(b.secrets()), 0)
	}
}

func TestASecretThatIsBeingCollectedIsNotNotedAgain(t *testing.T) {
	b := newHarness(t)
	rec := b.mustBind("i-1", aliceToken).Record
	note, err := b.store.table.Note(context.Background(), rec.Token.Secret)
	if err != nil {
		t.Fatal(err)
	}
	note.State = table.Collecting
	if note, err = b.store.table.SaveNote(context.Background(), note); err != nil {
		t.Fatal(err)
	}
	b.mustUnbind("i-1", false)
	after, err := b.store.table.Note(context.Background(), rec.Token.Secret)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "state", after.State, table.Collecting)
	want(t, "version", after.Version, note.Version)
	b.settled()
}

// left is a token of GitHub in the vault that no record points at, and was not revoked.
func (b *harness) left(id string) provider.Token {
	b.Helper()
	granted := b.consent("alice")
	b.keepConsented(id, granted)
	rec := b.row(id, provider.GitHub)
	b.inside.set(down("ListIdentityEntries"))
	_, err := b.Unbind(context.Background(), UnbindRequest{
		By: user, Instance: registry(id), Platform: provider.GitHub,
	})
	b.inside.clear()
	if err != nil || rec.Token.Secret == "" || !b.lives(granted) {
		b.Fatalf("the token was to be left alive: %v", err)
	}
	return granted
}

func TestTheSweepRevokesWhatNobodyRevoked(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.settled()
	want(t, "the token lives", b.lives(granted), false)
	want(t, "secrets", len(b.secrets()), 0)
}

func TestTheSweepRevokesEveryLaterGeneration(t *testing.T) {
	b := newHarness(t)
	first := b.left("i-1")
	second := b.consent("alice")
	k := tokenBundle{Platform: provider.GitHub, Method: provider.ByOAuth, Token: second}
	value, err := k.seal()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.vault.Put(context.Background(), b.secrets()[0], 2, value); err != nil {
		t.Fatal(err)
	}
	b.settled()
	want(t, "the first lives", b.lives(first), false)
	want(t, "the second lives", b.lives(second), false)
}

func TestTheSweepSparesATokenThatABindingHolds(t *testing.T) {
	for _, id := range []string{"i-1", "i-2"} { // the same one again, or another
		b := newHarness(t)
		granted := b.left("i-1")
		b.keepConsented(id, granted)
		b.settled()
		want(t, "the token lives", b.lives(granted), true)
		want(t, "secrets", len(b.secrets()), 1)
	}
}

// TestTheSweepWaitsForABindingThatMayYetBeSaved: the entry of a bind under way is written before
// the binding is.
func TestTheSweepWaitsForABindingThatMayYetBeSaved(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.clock().move(orphanGracePeriod)
	if err := b.addIdentityEntry(b.startInvocation(context.Background()), key("i-2", provider.GitHub),
		table.Binding{Identity: b.gitHubIdentity(granted)}); err != nil {
		t.Fatal(err)
	}
	done := b.mustSweep()
	want(t, "deleted", done.Deleted, 0)
	want(t, "failed", done.Failed, 0)
	want(t, "the token lives", b.lives(granted), true)
	b.clock().move(orphanGracePeriod)
	want(t, "deleted later", b.mustSweep().Deleted, 1)
	want(t, "the token lives later", b.lives(granted), false)
}

func (b *harness) gitHubIdentity(t provider.Token) table.Identity {
	b.Helper()
	platform, _ := b.platforms.Get(provider.GitHub)
	f, err := platform.Check(context.Background(), provider.Credential{Access: t.Access, Scopes: t.Scopes})
	if err != nil {
		b.Fatal(err)
	}
	return table.Identity(f.Identity)
}

func TestTheSweepTriesTenTimesToRevokeAndThenDeletesAllTheSame(t *testing.T) {
	b := newHarness(t)
	b.left("i-1")
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	for i := 1; i < maxRevokeAttempts; i++ {
		b.clock().move(orphanGracePeriod)
		done := b.mustSweep()
		want(t, fmt.Sprintf("failed, try %d", i), done.Failed, 1)
		want(t, fmt.Sprintf("deleted, try %d", i), done.Deleted, 0)
	}
	b.clock().move(orphanGracePeriod)
	want(t, "deleted, the last try", b.mustSweep().Deleted, 1)
	if !strings.Contains(b.log.String(), "a token may still be alive at its platform") {
		t.Error("the log doesn't say that a token may still be alive")
	}
	audits := b.log.audits("sweep")
	if len(audits) != 1 || !strings.Contains(audits[0], "outcome=not_revoked") {
		t.Errorf("got the audit lines %q", audits)
	}
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	b.settled()
	for range 2 { // at once, and when the row has gone again
		told := b.happenedTo("i-1", event.RevocationFailed)
		if len(told) != 1 || told[0].Problem.Code != problem.RevocationFailed {
			t.Errorf("got the events %v, want one that says what to do", told)
		}
		want(t, "status", StatusOf(b.row("i-1", provider.GitHub), b.clock().now()), StatusUnbound)
		b.later(orphanGracePeriod)
	}
}

// TestATokenThatCouldNotBeRevokedIsToldThoughThePlatformIsBoundAgain, and by a token that works.
func TestATokenThatCouldNotBeRevokedIsToldThoughThePlatformIsBoundAgain(t *testing.T) {
	b := newHarness(t)
	b.left("i-1")
	b.keepConsented("i-1", b.consent("bob"))
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "/user"})
	for range maxRevokeAttempts {
		b.clock().move(orphanGracePeriod)
		b.mustSweep()
	}
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	want(t, "told", len(b.happenedTo("i-1", event.RevocationFailed)), 1)
	rec := b.row("i-1", provider.GitHub)
	want(t, "status", StatusOf(rec, b.clock().now()), StatusBound)
	want(t, "whose", rec.Identity.Username, "bob")
}

// TestAVaultThatIsAwayIsNoRevocationThatFailed: what it holds is revoked when it is back. A
// personal token was never to be revoked.
func TestAVaultThatIsAwayIsNoRevocationThatFailed(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.mustBind("i-2", aliceToken)
	b.mustBind("i-2", aliceOther)
	b.inside.set(down("Get"))
	for range 2 * maxRevokeAttempts {
		b.clock().move(orphanGracePeriod)
		b.mustSweep()
	}
	b.inside.clear()
	b.settled()
	want(t, "the consent's token lives", b.lives(granted), false)
	want(t, "told of it", len(b.happenedTo("i-1", event.RevocationFailed)), 0)
	b.wantEvents("i-2", provider.GitLab, event.Bound, event.Rebound)
}

// TestTheSweepSparesATokenWhoseHoldersItCannotTell: a platform that doesn't say whose a token is
// must not make it look like nobody's.
func TestTheSweepSparesATokenWhoseHoldersItCannotTell(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.keepConsented("i-2", granted)
	b.sandbox.SetFault(sandbox.GitHub, sandbox.Fault{Kind: sandbox.Fault500, Path: "/user"})
	b.clock().move(orphanGracePeriod)
	b.mustSweep()
	want(t, "the token lives", b.lives(granted), true)
}
