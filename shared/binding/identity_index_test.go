package binding_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// entries are the holders of the identity that a record is bound to.
func (b *harness) entries(rec binding.Record) []binding.IdentityEntry {
	b.Helper()
	page, err := b.store.table.ListIdentityEntries(context.Background(),
		ledger.IdentityKey(rec.Platform, rec.Address, rec.Identity.ID), "", ledger.PageSize)
	if err != nil {
		b.Fatal(err)
	}
	return page.Items
}

// taken reports whether the sandbox's GitLab still takes a token.
func (b *harness) taken(with token) bool {
	b.Helper()
	gitLab, _ := b.Ledger.Platforms.Get(provider.GitLab)
	_, err := gitLab.Check(context.Background(), b.held(with))
	if err != nil && !problem.Is(err, problem.TokenRejected) {
		b.Fatal(err)
	}
	return err == nil
}

func (b *harness) held(with token) provider.Credential {
	in := b.gitLab("", with).Submission
	return provider.Credential{Access: in.Token, Address: in.Address, Username: in.Username}
}

func TestA16_ATokenThatAnotherBindingHasIsNotRevoked(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustBind("i-2", aliceToken)
	b.mustBind("i-3", aliceOther)
	out := b.mustUnbind("i-1", true)
	testkit.Want(t, "revoked", out.Revoked, false)
	testkit.Want(t, "a page to end it on", out.RevokeURL != "", true)
	in := b.gitLab("i-2", bobToken)
	in.Revoke = true
	b.clock().Advance(ledger.OrphanGracePeriod) // or the first one's entry counts
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the last one to hold it was asked to revoke it", b.taken(aliceToken), false)
	testkit.Want(t, "the same user's other token", b.taken(aliceOther), true)
	b.settled()
}

func TestA16_TheSameTokenBoundAgainInTheMeantimeIsNotRevoked(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.at("Get", func() { b.mustBind("i-1", aliceToken) })
	testkit.Want(t, "revoked", b.mustUnbind("i-1", true).Revoked, false)
	testkit.Want(t, "the platform takes it", b.taken(aliceToken), true)
	b.settled()
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
}

// TestAYoungEntryCounts is about a binding that is yet to be saved: its entry is written before.
func TestAYoungEntryCounts(t *testing.T) {
	for _, c := range []struct {
		age     time.Duration
		revoked bool
	}{{ledger.OrphanGracePeriod - time.Millisecond, false}, {ledger.OrphanGracePeriod, true}} {
		b := newHarness(t)
		rec := b.mustBind("i-1", aliceToken).Record
		of := ledger.IdentityKey(rec.Platform, rec.Address, rec.Identity.ID)
		err := b.store.table.SaveIdentityEntry(context.Background(), binding.IdentityEntry{
			Of: of, Binding: key("i-2", provider.GitLab), At: b.clock().Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		b.clock().Advance(c.age)
		out := b.mustUnbind("i-1", true)
		testkit.Want(t, fmt.Sprint("revoked beside an entry of ", c.age), out.Revoked, c.revoked)
		if strings.Contains(b.log.String(), "level=WARN") {
			t.Errorf("the log warns of what is as it should be: %s", b.log)
		}
	}
}

func TestAnEntryThatStandsForNothingIsDropped(t *testing.T) {
	b := newHarness(t)
	rec := b.mustBind("i-1", aliceToken).Record
	b.mustBind("i-2", aliceOther)
	b.mustBind("i-2", bobToken) // alice's entry of i-2 stands for nothing now
	b.mustBind("i-3", aliceOther)
	testkit.Want(t, "entries", len(b.entries(rec)), 3)
	b.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "revoked", b.mustUnbind("i-1", true).Revoked, true)
	left := b.entries(rec)
	if len(left) != 1 || left[0].Binding.Instance != "i-3" {
		t.Errorf("got the entries %v, want i-3's", left)
	}
}

func TestAFailingCallWhileLookingForHoldersSparesTheToken(t *testing.T) {
	for _, call := range []string{"ListIdentityEntries", "Binding", "Get", "DeleteIdentityEntry"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.mustBind("i-2", aliceOther)
		b.mustBind("i-3", aliceOther)
		b.mustUnbind("i-3", false)
		b.clock().Advance(ledger.OrphanGracePeriod)
		b.at("ListIdentityEntries", func() { b.inside.set(down(call)) })
		testkit.Want(t, "revoked without "+call, b.mustUnbind("i-1", true).Revoked, false)
		b.inside.clear()
		testkit.Want(t, "the platform takes it, without "+call, b.taken(aliceToken), true)
	}
}

func TestManyHoldersGoOverPages(t *testing.T) {
	b := newHarness(t)
	rec := b.mustBind("i-1", aliceToken).Record
	of := ledger.IdentityKey(rec.Platform, rec.Address, rec.Identity.ID)
	for i := range ledger.PageSize {
		err := b.store.table.SaveIdentityEntry(context.Background(), binding.IdentityEntry{
			Of: of, Binding: key(fmt.Sprintf("h-%03d", i), provider.GitLab), At: b.clock().Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.mustBind("z-1", aliceToken) // the last of the last page
	testkit.Want(t, "revoked", b.mustUnbind("i-1", true).Revoked, false)
	testkit.Want(t, "the platform takes it", b.taken(aliceToken), true)
}

// TestALostSecretOfAnotherBindingOnlyDelaysARevocation: the other binding may have the same token
// until it is known that it has none. Meanwhile no attempt to revoke counts.
func TestALostSecretOfAnotherBindingOnlyDelaysARevocation(t *testing.T) {
	b := newHarness(t)
	granted := b.left("i-1")
	b.bound("i-2", provider.GitHub)
	b.later(0)
	b.loseSecret("i-2", provider.GitHub)
	for range maintenance.MaxRevokeAttempts + 2 {
		b.later(ledger.OrphanGracePeriod)
		testkit.Want(t, "the token lives", b.lives(granted), true)
	}
	list := b.row("i-1", provider.GitHub).Secrets
	testkit.Want(t, "listed secrets", len(list), 1)
	testkit.Want(t, "attempts", list[0].SweepAttempts, 0)
	b.later(ledger.CheckInterval)
	b.later(ledger.OrphanGracePeriod)
	b.wantStatus("its secret is gone", "i-2", provider.GitHub, binding.StatusRevoked)
	b.later(ledger.OrphanGracePeriod)
	testkit.Want(t, "the token lives", b.lives(granted), false)
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 0)
	b.wantEvents("i-1", provider.GitHub, binding.EventBound, binding.EventUnbound)
}
