package binding_test

import (
	"context"
	"encoding/json"
	"slices"
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
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/testkit"
)

// thief is a user of another account, who can write the table. The account has an instance with the
// id of the user's.
var thief = binding.User{Issuer: "https://id.example", Subject: "u-9", Account: "acct-2"}

func thiefKey(platform string) binding.Key {
	return binding.KeyOf(thief.Account, registry("i-1"), platform)
}

// forge writes a record of the thief's account that names what a record of the user names.
func (b *harness) forge(of binding.Record, edit func(*binding.Record)) binding.Record {
	b.Helper()
	of.Key, of.Version = thiefKey(of.Platform), ""
	if edit != nil {
		edit(&of)
	}
	rec, err := b.store.table.SaveBinding(context.Background(), of)
	if err != nil {
		b.Fatal(err)
	}
	return rec
}

// forged returns the row that the thief has forged, as it is now.
func (b *harness) forged(platform string) binding.Record {
	b.Helper()
	rec, err := b.Ledger.Record(b.Ledger.StartInvocation(context.Background()), thiefKey(platform))
	if err != nil {
		b.Fatal(err)
	}
	return rec
}

func (b *harness) steal(platform string) error {
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: thief, Instance: registry("i-1"), Platform: platform,
	})
	return err
}

// mismatches counts the alarms.
func (b *harness) mismatches() int {
	return strings.Count(b.log.String(), "alarm=token_mismatch")
}

// wantUntouched expects that the user's binding still has its token, and that it is valid.
func (b *harness) wantUntouched(when string, rec binding.Record) {
	b.Helper()
	now := b.row(rec.Instance, rec.Platform)
	testkit.Want(b, when+": the secret", now.Token.Secret, rec.Token.Secret)
	testkit.Want(b, when+": the health", now.Health, binding.HealthGood)
	testkit.Want(b, when+": the token is dead", b.dead(rec.Instance, rec.Platform), false)
}

// TestB15_ABindingGetsNoTokenOfAnother: a row that names the secret of another binding is refused,
// also by a process that has just read that secret.
func TestB15_ABindingGetsNoTokenOfAnother(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.shortenWaits()
		rec := b.bound("i-1", name)
		b.getsToken("at first", "i-1", name) // it is in this process's memory now
		b.forge(rec, nil)
		for _, process := range []*harness{b, b.otherProcess()} {
			testkit.Want(t, "the thief", problem.Of(process.steal(name)).Code, problem.TokenMismatch)
			testkit.Want(t, "alarms", process.mismatches(), 1)
			testkit.Want(t, "audit lines", len(process.audits(`"read token"`)), 1)
			testkit.Want(t, "metrics", strings.Count(process.log.String(), "TokenMismatches=1"), 1)
		}
		testkit.Want(t, "health", b.forged(name).Health, binding.HealthGood)
		b.wantUntouched("after the theft", rec)

		// Another instance of the same account is another binding.
		rec.Key, rec.Version = key("i-2", name), ""
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "another instance", b.credentialProblem("i-2", name).Code,
			problem.TokenMismatch)
	})
}

// TestB15_AMisplacedRecordRaisesTheAlarm: a build whose row holds the record of another key gets
// the same problem. Package engine tests that such a row is found.
func TestB15_AMisplacedRecordRaisesTheAlarm(t *testing.T) {
	b := newHarness(t)
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if call == "Binding" {
			return nil, table.ErrMisplaced
		}
		return nil, nil
	})
	testkit.Want(t, "a build", b.credentialProblem("i-1", provider.GitHub).Code,
		problem.TokenMismatch)
	testkit.Want(t, "alarms", b.mismatches(), 1)
}

// TestB15_ARefreshIsSharedOnlyByItsBinding: a caller of a forged row does not get what a refresh of
// the same generation in the same process returns, and does not refresh the token itself.
func TestB15_ARefreshIsSharedOnlyByItsBinding(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	rec := b.row("i-1", provider.GitHub)
	b.forge(rec, nil)
	held := b.holdAnswer()
	asked := b.asking(credential.MinimumLife)
	<-held.reached
	testkit.Want(t, "the thief", problem.Of(b.steal(provider.GitHub)).Code, problem.TokenMismatch)
	held.open()
	got := <-asked
	testkit.Want(t, "the user", got.err, nil)
	testkit.Want(t, "refreshes", b.refreshes(), 1)

	// The thief's row is one generation behind, as after a refresh that was not committed.
	next := b.forged(provider.GitHub)
	next.RefreshUnclear, next.Lease, next.Backoff = true, binding.Lease{}, binding.Backoff{}
	if _, err := b.store.table.SaveBinding(context.Background(), next); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the next one", problem.Of(b.steal(provider.GitHub)).Code, problem.TokenMismatch)
	testkit.Want(t, "generation", b.forged(provider.GitHub).Token.Generation, 1)
	b.wantCurrent("i-1", got.Credential)
}

// TestB15_NoOperationOnAForgedRowEndsTheToken: check, unbind, re-bind and the operator's task
// neither revoke the token of another binding nor mark a binding, and nor does the sweep
// afterwards.
func TestB15_NoOperationOnAForgedRowEndsTheToken(t *testing.T) {
	ctx := context.Background()
	for what, do := range map[string]func(b *harness, name string) error{
		"check": func(b *harness, name string) error {
			_, err := b.Maintenance.CheckNow(ctx, thief, registry("i-1"), name)
			return err
		},
		"unbind": func(b *harness, name string) error {
			out, err := b.Connect.Unbind(ctx, connect.UnbindRequest{
				By: thief, Instance: registry("i-1"), Platform: name, Revoke: true,
			})
			testkit.Want(b, "revoked", out.Revoked, false)
			return err
		},
		"re-bind": func(b *harness, name string) error {
			bundle := ledger.TokenBundle{Platform: name, Method: provider.ByToken}
			in := b.Ledger.StartInvocation(ctx)
			bound, err := b.Connect.Bind(in, b.forged(name), bundle, provider.CheckResult{}, thief)
			testkit.Want(b, "revoked", b.Ledger.RevokeReplaced(in, bound.Old, bundle), false)
			return err
		},
		"the operator's task": func(b *harness, name string) error {
			out := b.mustRevokeAll(maintenance.RevokeAllRequest{
				Platform: name, Account: thief.Account, Act: true,
			})
			testkit.Want(b, "failed", out.Failed, 1)
			return nil
		},
		"the sweep": func(*harness, string) error { return nil },
	} {
		each(t, []string{provider.GitHub, provider.GitLab}, func(t *testing.T, name string) {
			b := newHarness(t)
			rec := b.bound("i-1", name)
			b.forge(rec, nil)
			if err := do(b, name); err != nil {
				testkit.Want(t, what, problem.Of(err).Code, problem.TokenMismatch)
			}
			b.wantUntouched(what, rec)
			for range 3 { // the check, and the sweep of what the operation has retired
				b.later(ledger.CheckInterval)
				b.wantUntouched(what+", later", rec)
			}
			testkit.Want(t, what+": health", b.forged(name).Health, binding.HealthGood)
			if what != "re-bind" { // after which the row has a token of its own
				testkit.Want(t, what+": checks without an answer", b.forged(name).Unanswered, 0)
			}
			testkit.Want(t, what+": list", len(b.forged(name).Secrets), 0)
			if b.mismatches() == 0 {
				t.Errorf("%s: no alarm", what)
			}
		})
	}
}

// TestB15_TheSweepDeletesNoSecretOfAnother: whatever a forged row lists, the secret stays, and the
// row's list loses it.
func TestB15_TheSweepDeletesNoSecretOfAnother(t *testing.T) {
	each(t, []string{provider.GitHub, provider.GitLab}, func(t *testing.T, name string) {
		b := newHarness(t)
		rec := b.bound("i-1", name)
		lists := func(generation int, retired bool) func(*binding.Record) {
			return func(r *binding.Record) {
				r.Token = binding.Token{}
				r.DueAt = b.clock().Now()
				r.Secrets = []binding.OwnedSecret{{
					Name: rec.Token.Secret, Generation: generation, Retired: retired, DueAt: r.DueAt,
				}}
			}
		}
		for _, edit := range []func(*binding.Record){
			lists(1, true), lists(1, false), lists(7, true), lists(7, false),
		} {
			b.forge(rec, edit)
			done := b.later(time.Minute)
			b.wantUntouched("listed", rec)
			testkit.Want(t, "the list", len(b.forged(name).Secrets), 0)
			testkit.Want(t, "failed", done.Failed, 0)
			b.later(ledger.OrphanGracePeriod) // deletes the row
			testkit.Want(t, "the row", b.forged(name).Version, "")
		}
		testkit.Want(t, "alarms", b.mismatches(), 2) // generation 7 does not exist

		// The row of an attempt, the thief's or in the user's name, owns no secret of a binding.
		for _, starter := range []binding.User{thief, user} {
			_, err := b.store.table.SaveAuthorization(context.Background(), binding.Authorization{
				ID: b.Ledger.Random(16), Starter: starter, Platform: name, OwnsSecret: true,
				Region: rec.Region, Instance: rec.Instance, Stage: binding.StageClaimed,
				Token: rec.Token, ExpiresAt: b.clock().Now(), DueAt: b.clock().Now(),
			})
			if err != nil {
				t.Fatal(err)
			}
			b.later(2 * ledger.OrphanGracePeriod)
			b.wantUntouched("owned by an attempt", rec)
		}
		testkit.Want(t, "alarms", b.mismatches(), 4)
	})
}

// TestB15_AConfirmBindsNoTokenOfAnother: an attempt whose row names another secret is not
// confirmed, and when another user tries it, that secret's token is not revoked.
func TestB15_AConfirmBindsNoTokenOfAnother(t *testing.T) {
	ctx := context.Background()
	for what, by := range map[string]binding.User{"its user": user, "another user": other} {
		b := newHarness(t)
		rec := b.bound("i-1", provider.GitHub)
		in := b.waiting("i-2", "bob")
		a, err := b.store.table.Authorization(ctx, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		a.Token = rec.Token
		if _, err = b.store.table.SaveAuthorization(ctx, a); err != nil {
			t.Fatal(err)
		}
		in.By = by
		want := problem.TokenMismatch
		if by == other {
			want = problem.AnotherUser
		}
		_, err = b.Consent.Confirm(ctx, in)
		testkit.Want(t, what, problem.Of(err).Code, want)
		testkit.Want(t, what+": bound", b.row("i-2", provider.GitHub).Bound(), false)
		testkit.Want(t, what+": alarms", b.mismatches(), 1)
		b.wantUntouched(what, rec)
	}
}

// TestB15_ATokenIsNotRevokedWhileARowInDoubtMayHaveIt: a forged row with the same identity does not
// show that it has another token, so the token that is swept is kept.
func TestB15_ATokenIsNotRevokedWhileARowInDoubtMayHaveIt(t *testing.T) {
	b := newHarness(t)
	rec := b.bound("i-1", provider.GitHub)
	granted := b.left("i-2")
	forged := b.forge(rec, nil)
	err := b.store.table.SaveIdentityEntry(context.Background(), binding.IdentityEntry{
		Of:      ledger.IdentityKey(forged.Platform, forged.Address, forged.Identity.ID),
		Binding: forged.Key, At: b.clock().Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.later(ledger.OrphanGracePeriod)
	testkit.Want(t, "the token lives", b.lives(granted), true)
	testkit.Want(t, "its secret is listed", len(b.row("i-2", provider.GitHub).Secrets), 1)
	b.wantUntouched("swept", rec)
}

// unseal replaces a binding's secret by one without an owner, as a version before owners has
// written it.
func (b *harness) unseal(rec binding.Record) {
	b.Helper()
	ctx, t := context.Background(), rec.Token
	value, err := b.store.vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		b.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal([]byte(value.Reveal()), &fields); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"account", "region", "instance", "authorization"} {
		delete(fields, name)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		b.Fatal(err)
	}
	if err := b.store.vault.Delete(ctx, t.Secret); err != nil {
		b.Fatal(err)
	}
	if err := b.store.vault.Put(ctx, t.Secret, t.Generation, secret.New(string(text))); err != nil {
		b.Fatal(err)
	}
	b.serve(b.store.table, b.store.vault)
}

// TestASecretWithoutAnOwnerIsReadUntilTheNextWrite: a binding from before owners works, each read
// is counted, and a refresh names the owner.
func TestASecretWithoutAnOwnerIsReadUntilTheNextWrite(t *testing.T) {
	b := newRefreshable(t, time.Hour)
	old := b.row("i-1", provider.GitHub)
	b.unseal(old)
	b.mustAsk("i-1", credential.MinimumLife)
	unsealed := func() int { return strings.Count(b.log.String(), "msg=metric UnsealedTokens=1") }
	testkit.Want(t, "reads that were counted", unsealed(), 1)
	// What remains until then: another row may name it, if it is of the same platform.
	b.forge(old, nil)
	testkit.Want(t, "another row", b.steal(provider.GitHub), nil)

	b.clock().Advance(time.Hour)
	b.mustAsk("i-1", credential.MinimumLife)
	now := b.row("i-1", provider.GitHub)
	testkit.Want(t, "generation", now.Token.Generation, old.Token.Generation+1)
	forged := b.forged(provider.GitHub)
	forged.Token = now.Token
	if _, err := b.store.table.SaveBinding(context.Background(), forged); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "another row", problem.Of(b.steal(provider.GitHub)).Code, problem.TokenMismatch)
}

// TestB15_ASecretWithoutAnOwnerIsOfItsPlatform: the address and the form of a token are the
// platform's, so a row of another platform is refused even a secret without an owner.
func TestB15_ASecretWithoutAnOwnerIsOfItsPlatform(t *testing.T) {
	b := newHarness(t)
	rec := b.bound("i-1", provider.GitHub)
	b.unseal(rec)
	b.forge(rec, func(r *binding.Record) { r.Platform = provider.Gitee })
	testkit.Want(t, "another platform", problem.Of(b.steal(provider.Gitee)).Code,
		problem.TokenMismatch)
	testkit.Want(t, "secrets", slices.Contains(b.secrets(), rec.Token.Secret), true)
}
