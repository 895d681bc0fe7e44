package binding_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/workqueue"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/vaulttest"
)

// datedVault lists secrets with the time of the test's clock, in pages of a test's size.
type datedVault struct {
	vault.Vault
	now  func() time.Time
	size int

	mu      *sync.Mutex
	created map[vault.SecretName]time.Time
}

func (v datedVault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	v.mu.Lock()
	if _, ok := v.created[name]; !ok {
		v.created[name] = v.now()
	}
	v.mu.Unlock()
	return v.Vault.Put(ctx, name, generation, value)
}

// List pages by number, as KMS does: a deletion moves all secrets behind it.
func (v datedVault) List(ctx context.Context, cursor string) (page vault.Page, err error) {
	from := 0
	if cursor != "" {
		if _, err := fmt.Sscan(cursor, &from); err != nil {
			return page, vault.ErrCursor
		}
	}
	names, err := vaulttest.Names(ctx, v.Vault)
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range names[min(from, len(names)):min(from+v.size, len(names))] {
		page.Secrets = append(page.Secrets, vault.Listed{Name: name, CreatedAt: v.created[name]})
	}
	if from+v.size < len(names) {
		page.Cursor = fmt.Sprint(from + v.size)
	}
	return page, err
}

// newOrphanHarness returns a harness whose vault lists the secrets in pages of this size.
func newOrphanHarness(t *testing.T, size int) (*harness, datedVault) {
	t.Helper()
	b := newHarness(t)
	dated := datedVault{
		Vault: b.store.vault, now: b.clock().Now, size: size,
		mu: new(sync.Mutex), created: map[vault.SecretName]time.Time{},
	}
	b.serve(b.store.table, dated)
	return b, dated
}

// lostSecrets runs the task once.
func (b *harness) lostSecrets(act bool, cursor string) maintenance.LostSecretsResult {
	b.Helper()
	out, err := b.Maintenance.LostSecrets(context.Background(), maintenance.LostSecretsRequest{
		Act: act, Cursor: cursor,
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// wantOrphans runs the task once and compares what it says of secrets without a record.
func (b *harness) wantOrphans(what string, act bool, orphans, deleted, failed int) {
	b.Helper()
	out := b.lostSecrets(act, "")
	got := []int{out.Orphans, out.Deleted, out.Failed}
	if want := []int{orphans, deleted, failed}; !slices.Equal(got, want) || out.Cursor != "" {
		b.Errorf("%s: orphans, deleted and failed are %v, want %v; cursor %q",
			what, got, want, out.Cursor)
	}
	testkit.Want(b, what+": names", len(out.OrphanNames), orphans)
}

// loseRow deletes a binding's row, as a restore of the table to an earlier time does.
func (b *harness) loseRow(id, name string) {
	b.Helper()
	if err := b.store.table.DeleteBinding(context.Background(), b.row(id, name)); err != nil {
		b.Fatal(err)
	}
}

// orphan puts a bundle into the vault that no row names.
func (b *harness) orphan(bundle ledger.TokenBundle) vault.SecretName {
	b.Helper()
	name := b.Ledger.NewSecretName()
	ctx := b.Ledger.StartInvocation(context.Background())
	owner := ledger.TokenOwner{Binding: key("i-9", bundle.Platform)}
	if err := b.Ledger.Put(ctx, owner, name, 1, bundle); err != nil {
		b.Fatal(err)
	}
	return name
}

func TestASecretWithoutARecordIsReportedAndDeletedOnlyWhenToldTo(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	b.mustBind("i-1", aliceToken)
	token := b.consent("alice")
	lost := b.keepConsented("i-2", token)
	b.loseRow("i-2", provider.GitHub)
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.wantOrphans("young", true, 0, 0, 0)
	b.clock().Advance(time.Second)

	before := b.secrets()
	out := b.lostSecrets(false, "")
	testkit.Want(t, "listed", out.Listed, 2)
	testkit.Want(t, "its name", fmt.Sprint(out.OrphanNames), fmt.Sprint([]vault.SecretName{
		lost.Token.Secret,
	}))
	testkit.Want(t, "secrets after a look", slices.Equal(b.secrets(), before), true)
	testkit.Want(t, "the token lives after a look", b.lives(token), true)

	b.wantOrphans("told to", true, 1, 1, 0)
	testkit.Want(t, "the token lives", b.lives(token), false)
	testkit.Want(t, "audit lines", len(b.audits("sweep")), 1)
	b.wantOrphans("again", true, 0, 0, 0)
	testkit.Want(t, "the other binding", b.opens("i-1"), "alice")
	reply, err := json.Marshal(out)
	if err != nil || strings.Contains(string(reply)+b.log.String(), token.Access.Reveal()) {
		t.Errorf("the result or the log has a token, or %v", err)
	}
}

func TestTheNewestTokenOfASecretWithoutARecordIsRevoked(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	lost := b.keepConsented("i-1", b.consent("alice"))
	newest := b.consent("alice")
	bundle := ledger.TokenBundle{Platform: provider.GitHub, Method: provider.ByOAuth, Token: newest}
	ctx := b.Ledger.StartInvocation(context.Background())
	owner := ledger.TokenOwner{Binding: lost.Key}
	if err := b.Ledger.Put(ctx, owner, lost.Token.Secret, 2, bundle); err != nil {
		t.Fatal(err)
	}
	if err := b.Ledger.Put(ctx, owner, lost.Token.Secret, 3, bundle); err != nil {
		t.Fatal(err)
	}
	b.loseRow("i-1", provider.GitHub)
	b.clock().Advance(time.Hour)
	b.wantOrphans("told to", true, 1, 1, 0)
	testkit.Want(t, "the newest token lives", b.lives(newest), false)
}

// A row owns what it points at and what it lists, whatever the state.
func TestASecretThatARowNamesIsNoOrphan(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	ctx := t.Context()
	rec := b.keepConsented("i-1", b.consent("alice"))
	bundle := ledger.TokenBundle{
		Platform: provider.GitHub, Method: provider.ByOAuth, Token: b.consent("bob"),
	}
	pending, retired := b.orphan(bundle), b.orphan(bundle)
	claimed, consented := b.orphan(bundle), b.orphan(bundle)
	rec.Secrets = []binding.OwnedSecret{
		{Name: pending, Generation: 1}, {Name: retired, Generation: 1, Retired: true},
	}
	if _, err := b.store.table.SaveBinding(ctx, rec); err != nil {
		t.Fatal(err)
	}
	for id, a := range map[string]binding.Authorization{
		"a-1": {Stage: binding.StageClaimed, OwnsSecret: true, Token: binding.Token{Secret: claimed}},
		"a-2": {Stage: binding.StageConsented, Token: binding.Token{Secret: consented}}, // format 1
		"a-3": {Stage: binding.StageStarted},
	} {
		a.ID = id
		if _, err := b.store.table.SaveAuthorization(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	b.clock().Advance(time.Hour)
	b.wantOrphans("all are owned", true, 0, 0, 0)
	testkit.Want(t, "secrets", len(b.secrets()), 5)
}

// A bind runs between any two calls of the task, in a vault whose list makes every secret old.
func TestASecretThatIsBoundMeanwhileIsNoOrphan(t *testing.T) {
	for moment := range 8 {
		b, dated := newOrphanHarness(t, 100)
		b.mustBind("i-1", aliceToken)
		old := oldVault{dated}
		binder := newService(b.store.table, old, b.Ledger.Platforms, b.sandbox, b.clock().Now, b.log)
		b.serve(b.store.table, old)
		var calls atomic.Int32
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if int(calls.Add(1)) == moment+1 {
				if _, err := binder.Connect.BindToken(t.Context(), b.gitLab("i-2", aliceToken)); err != nil {
					t.Error(err)
				}
				if _, err := binder.Connect.BindToken(t.Context(), b.gitLab("i-1", aliceToken)); err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		})
		b.wantOrphans(fmt.Sprint("before call ", moment), true, 0, 0, 0)
		b.inside.clear()
		if made := int(calls.Load()); made > moment {
			testkit.Want(t, "a new binding", b.opens("i-2"), "alice")
			testkit.Want(t, "a binding again", b.opens("i-1"), "alice")
		} else if moment < 4 {
			t.Errorf("the task made only %d calls", made)
		}
	}
}

// oldVault lists every secret as if it were a day old.
type oldVault struct{ datedVault }

func (v oldVault) List(ctx context.Context, cursor string) (vault.Page, error) {
	page, err := v.datedVault.List(ctx, cursor)
	for i := range page.Secrets {
		page.Secrets[i].CreatedAt = v.now().AddDate(0, 0, -1)
	}
	return page, err
}

func TestASecretOfUnknownAgeIsNoOrphan(t *testing.T) {
	b, dated := newOrphanHarness(t, 100)
	name := b.orphan(ledger.TokenBundle{Platform: provider.Gitee, Method: provider.ByToken})
	dated.created[name] = time.Time{}
	b.clock().Advance(time.Hour)
	b.wantOrphans("without a date", true, 0, 0, 0)
}

func TestASecretWhoseTokenCannotBeRevokedNowStays(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	token := b.consent("alice")
	b.keepConsented("i-1", token)
	b.loseRow("i-1", provider.GitHub)
	b.clock().Advance(time.Hour)
	b.fault(provider.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	b.wantOrphans("GitHub is down", true, 1, 0, 1)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	b.fault(provider.GitHub, sandbox.Fault{Kind: sandbox.FaultNone})
	b.wantOrphans("GitHub is back", true, 1, 1, 0)
	testkit.Want(t, "the token lives", b.lives(token), false)
}

func TestATokenThatABindingHasIsNotRevokedWithItsOrphan(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	token := b.consent("alice")
	b.keepConsented("i-1", token)
	b.orphan(ledger.TokenBundle{Platform: provider.GitHub, Method: provider.ByOAuth, Token: token})
	b.clock().Advance(time.Hour)
	b.wantOrphans("told to", true, 1, 1, 0)
	testkit.Want(t, "the token lives", b.lives(token), true)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
}

func TestAValueThatIsNotATokenStays(t *testing.T) {
	b, dated := newOrphanHarness(t, 100)
	err := dated.Put(t.Context(), b.Ledger.NewSecretName(), 1, secret.New("something else"))
	if err != nil {
		t.Fatal(err)
	}
	b.clock().Advance(time.Hour)
	b.wantOrphans("told to", true, 1, 0, 1)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
}

// A vault in which most secrets have no record is likely another table's.
func TestTheSecretsOfAnotherTableAreNotDeleted(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	b.mustBind("i-1", aliceToken)
	for range 12 {
		b.orphan(ledger.TokenBundle{Platform: provider.GitLab, Method: provider.ByToken})
	}
	b.clock().Advance(time.Hour)
	for _, act := range []bool{false, true} {
		out := b.lostSecrets(act, "")
		testkit.Want(t, "refused", out.Refused, true)
		testkit.Want(t, "orphans", out.Orphans, 12)
		testkit.Want(t, "secrets", len(b.secrets()), 13)
	}
	b.mustBind("i-2", aliceToken)
	b.clock().Advance(time.Hour)
	b.wantOrphans("twelve, and two records", true, 12, 12, 0)
}

// Each call to the vault's list takes as long as a run has.
func TestASlowListIsWorkedOffInParts(t *testing.T) {
	for _, act := range []bool{false, true} {
		b, _ := newOrphanHarness(t, 3)
		for i := range 6 {
			b.mustBind(fmt.Sprint("i-", i), aliceToken)
			b.orphan(ledger.TokenBundle{Platform: provider.GitLab, Method: provider.ByToken})
		}
		b.clock().Advance(time.Hour)
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if call == "List" {
				b.clock().Advance(workqueue.RunTimeout/2 + time.Second)
			}
			return nil, nil
		})
		found := map[vault.SecretName]bool{}
		cursor, runs := "", 0
		for ; runs < 20 && (runs == 0 || cursor != ""); runs++ {
			out := b.lostSecrets(act, cursor)
			for _, name := range out.OrphanNames {
				found[name] = true
			}
			testkit.Want(t, "listed in a run", out.Listed <= 3, true)
			cursor = out.Cursor
		}
		b.inside.clear()
		testkit.Want(t, "cursor at the end", cursor, "")
		testkit.Want(t, "found", len(found), 6)
		if !act {
			testkit.Want(t, "runs", runs, 4)
		}
	}
}

func TestTheTaskSaysWhatKeepsItFromLooking(t *testing.T) {
	b, _ := newOrphanHarness(t, 100)
	for _, failing := range []string{"List", "AllAuthorizations", "AllBindings", "AllSubscriptions"} {
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if call == failing {
				return nil, errDown
			}
			return nil, nil
		})
		_, err := b.Maintenance.LostSecrets(t.Context(), maintenance.LostSecretsRequest{Act: true})
		if problem.Of(err).Code != problem.StorageUnavailable || !errors.Is(err, errDown) {
			t.Errorf("%s fails: %v, want storage_unavailable with its cause", failing, err)
		}
		b.inside.clear()
	}
	for _, cursor := range []string{"vault:x", "vault:%", "subscriptions:x", "x"} {
		_, err := b.Maintenance.LostSecrets(t.Context(), maintenance.LostSecretsRequest{Cursor: cursor})
		testkit.Want(t, cursor, problem.Of(err).Code, problem.InputMalformed)
	}
}
