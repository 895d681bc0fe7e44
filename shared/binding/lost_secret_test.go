package binding_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// loseSecret deletes a binding's secret from the vault and starts a process that has not read it.
func (b *harness) loseSecret(id, name string) {
	b.Helper()
	if err := b.store.vault.Delete(b.Context(), b.row(id, name).Token.Secret); err != nil {
		b.Fatal(err)
	}
	b.serve(b.store.table, b.store.vault)
}

// credentialProblem returns the problem of a build's request for a credential.
func (b *harness) credentialProblem(id, name string) *problem.Problem {
	b.Helper()
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry(id), Platform: name,
	})
	return problem.Of(err)
}

func TestALostSecretEndsTheBindingWhenItIsFoundTwice(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.bound("i-2", name)
		b.loseSecret("i-1", name)
		b.loseSecret("i-2", name)
		b.later(ledger.CheckInterval)
		b.wantStatus("found once", "i-1", name, binding.StatusBound)
		testkit.Want(t, "a build", b.credentialProblem("i-1", name).Code, problem.StorageUnavailable)
		testkit.Want(t, "alarm", strings.Count(b.log.String(), "alarm=token_lost"), 0)

		b.later(credential.LostCheckInterval)
		for _, id := range []string{"i-1", "i-2"} {
			b.wantStatus("found twice", id, name, binding.StatusRevoked)
			b.wantEvents(id, name, binding.EventBound, binding.EventRevoked)
			p := b.credentialProblem(id, name)
			testkit.Want(t, "a build", p.Code, problem.TokenRevoked)
			testkit.Want(t, "reason", p.Reason, credential.TokenLost)
			testkit.Want(t, "attempts", b.row(id, name).CheckAttempts, 0)
		}
		testkit.Want(t, "alarms", strings.Count(b.log.String(), "alarm=token_lost"), 1)
		testkit.Want(
			t,
			"its number",
			strings.Contains(b.log.String(), "alarm=token_lost bindings=2"),
			true,
		)
		for range 12 {
			b.later(ledger.CheckInterval)
		}
		testkit.Want(t, "alarms", strings.Count(b.log.String(), "alarm=token_lost"), 1)
		testkit.Want(t, "parked", strings.Contains(b.log.String(), "alarm=parked"), false)
		b.bound("i-1", name)
		b.getsToken("bound again", "i-1", name)
	})
}

func TestABuildThatMissesASecretHasItChecked(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		warm := b.services // has the token in memory
		b.later(0)
		b.loseSecret("i-1", name)
		for range 3 {
			testkit.Want(t, "a build", b.credentialProblem("i-1", name).Code, problem.StorageUnavailable)
		}
		testkit.Want(
			t,
			"due",
			b.row("i-1", name).DueAt,
			b.clock().Now().Add(credential.LostCheckInterval),
		)
		b.clock().Advance(credential.LostCheckInterval)
		if _, err := warm.Maintenance.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.wantStatus("checked", "i-1", name, binding.StatusRevoked)
	})
}

// TestABuildThatKeepsAskingHidesNoLostSecret has a build ask for a credential a second before the
// check that confirms the loss.
func TestABuildThatKeepsAskingHidesNoLostSecret(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.later(0)
		b.loseSecret("i-1", name)
		b.clock().Advance(timeToExpiry(name))
		testkit.Want(t, "a build waits", b.credentialProblem("i-1", name).RetryAfter > 0, true)
		b.clock().Advance(credential.LostCheckInterval - time.Second)
		testkit.Want(t, "a build waits", b.credentialProblem("i-1", name).RetryAfter > 0, true)
		b.clock().Advance(time.Second)
		b.mustRun()
		b.wantStatus("checked", "i-1", name, binding.StatusRevoked)
		testkit.Want(t, "reason", b.credentialProblem("i-1", name).Reason, credential.TokenLost)
	})
}

func TestASecretThatIsBackEndsTheDoubt(t *testing.T) {
	for _, name := range []string{provider.GitLab, provider.GitHub} {
		for _, late := range []bool{false, true} {
			b := newHarness(t)
			rec := b.bound("i-1", name)
			value, err := b.store.vault.Get(t.Context(), rec.Token.Secret, 1)
			if err != nil {
				t.Fatal(err)
			}
			b.loseSecret("i-1", name)
			b.checked("i-1", name)
			b.checked("i-1", name)
			b.wantStatus("two looks at once", "i-1", name, binding.StatusBound)
			told := []string{binding.EventBound}
			if late {
				b.later(credential.LostCheckInterval)
				b.wantStatus("gone", "i-1", name, binding.StatusRevoked)
				told = append(told, binding.EventRevoked, binding.EventRecovered)
			}
			if err := b.store.vault.Put(t.Context(), rec.Token.Secret, 1, value); err != nil {
				t.Fatal(err)
			}
			b.later(15 * time.Minute)
			b.wantStatus("it is back", "i-1", name, binding.StatusBound)
			b.getsToken("it is back", "i-1", name)
			b.wantEvents("i-1", name, told...)
		}
	}
}

// TestAnExpiredConsentRecoversByItself whose check has called it dead: a check refreshes it.
func TestAnExpiredConsentRecoversByItself(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		rec := b.bound("i-1", name)
		b.later(0)
		value, err := b.store.vault.Get(t.Context(), rec.Token.Secret, 1)
		if err != nil {
			t.Fatal(err)
		}
		b.clock().Advance(timeToExpiry(name))
		b.loseSecret("i-1", name)
		b.credentialProblem("i-1", name)
		b.later(credential.LostCheckInterval)
		b.wantStatus("gone", "i-1", name, binding.StatusRevoked)
		b.later(15 * time.Minute)
		b.wantStatus("still gone", "i-1", name, binding.StatusRevoked)
		testkit.Want(t, "the next check is in an hour",
			b.row("i-1", name).DueAt.Sub(b.clock().Now()), 45*time.Minute)
		if err := b.store.vault.Put(t.Context(), rec.Token.Secret, 1, value); err != nil {
			t.Fatal(err)
		}
		b.later(45 * time.Minute)
		b.wantStatus("it is back", "i-1", name, binding.StatusBound)
		b.getsToken("it is back", "i-1", name)

		b.clock().Advance(timeToExpiry(name))
		rec = b.row("i-1", name)
		rec.Health, rec.Problem = binding.HealthExpired, problem.New(problem.TokenExpired)
		if _, err := b.store.table.SaveBinding(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		b.later(ledger.CheckInterval)
		b.wantStatus("expired", "i-1", name, binding.StatusBound)
		b.getsToken("expired", "i-1", name)
		b.wantEvents("i-1", name, binding.EventBound, binding.EventRevoked,
			binding.EventRecovered, binding.EventRecovered)
	})
}

func TestAVaultThatIsAwayLosesNoSecret(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.later(0)
	b.serve(b.store.table, b.store.vault)
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if call == "Get" {
			return nil, errDown
		}
		return nil, nil
	})
	for range 3 {
		b.later(ledger.CheckInterval)
		testkit.Want(t, "doubted", b.row("i-1", provider.GitLab).Doubted(), false)
		testkit.Want(
			t,
			"a build",
			b.credentialProblem("i-1", provider.GitLab).Code,
			problem.StorageUnavailable,
		)
	}
	b.inside.clear()
	b.wantStatus("away", "i-1", provider.GitLab, binding.StatusBound)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound)
}

func TestTheReportOfLostSecretsChangesNothingUnlessToldTo(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitLab)
	b.bound("i-2", provider.GitHub)
	b.later(0)
	b.loseSecret("i-2", provider.GitHub)
	before := b.row("i-2", provider.GitHub)
	for _, act := range []bool{false, true} {
		out, err := b.Maintenance.LostSecrets(t.Context(), maintenance.LostSecretsRequest{Act: act})
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "acted", out.Acted, act)
		testkit.Want(t, "read", out.Read, 2)
		testkit.Want(t, "missing", out.Missing, 1)
		testkit.Want(t, "failed", out.Failed, 0)
		testkit.Want(
			t,
			"name",
			strings.Join(out.Names, " "),
			binding.Describe(key("i-2", provider.GitHub)),
		)
		if !act {
			testkit.Want(t, "version after a look", b.row("i-2", provider.GitHub).Version, before.Version)
		}
	}
	b.later(credential.LostCheckInterval)
	b.wantStatus("told to", "i-2", provider.GitHub, binding.StatusRevoked)
	b.wantStatus("the other", "i-1", provider.GitLab, binding.StatusBound)
}
