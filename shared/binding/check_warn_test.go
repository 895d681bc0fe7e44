package binding_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func TestWarningsAt14And7And1DaysOnceEachAndThenExpiry(t *testing.T) {
	b := newHarness(t)
	with := b.issue(30)
	b.mustBind("i-1", with)
	ends := b.row("i-1", provider.GitLab).Token.ExpiresAt
	first := map[string]time.Duration{} // how long before the end each event first appeared
	for b.clock().Now().Before(ends.Add(3 * ledger.Day)) {
		for i, what := range b.eventsOf("i-1", provider.GitLab) {
			name := what + strings.Repeat("+", i)
			if _, known := first[name]; !known {
				first[name] = ends.Sub(b.clock().Now())
			}
		}
		b.later(15 * time.Minute)
	}
	b.wantEvents("i-1", provider.GitLab, binding.EventBound,
		binding.EventExpiring, binding.EventExpiring, binding.EventExpiring, binding.EventExpired)
	for name, at := range map[string]time.Duration{
		binding.EventExpiring + "+": 14 * ledger.Day, binding.EventExpiring + "++": 7 * ledger.Day,
		binding.EventExpiring + "+++": ledger.Day, binding.EventExpired + "++++": 0,
	} {
		if late := at - first[name]; late < 0 || late > 30*time.Minute {
			t.Errorf("%s appeared %v before the end, want %v", name, first[name], at)
		}
	}
	b.wantStatus("in the end", "i-1", provider.GitLab, binding.StatusExpired)
}

func TestATokenThatIsBoundLateGetsTheRemainingWarnings(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", b.issue(5))
	b.later(time.Hour)
	b.checked("i-1", provider.GitLab)
	b.checked("i-1", provider.GitLab)
	b.wantStatus("five days before", "i-1", provider.GitLab, binding.StatusExpiring)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventExpiring)
	for range 6 {
		b.later(ledger.CheckInterval)
	}
	b.wantEvents("i-1", provider.GitLab,
		binding.EventBound, binding.EventExpiring, binding.EventExpiring, binding.EventExpired)
}

func TestATokenThatWasProlongedIsHealthyAgain(t *testing.T) {
	b := newHarness(t)
	with := b.issue(5)
	b.mustBind("i-1", with)
	b.checked("i-1", provider.GitLab)
	prolong := func(days int) {
		b.sandbox.GitLab.AddToken(gitlab.Token{
			Value: secret.New(with.value), Username: "alice", Scopes: []string{"api"},
			ExpiresAt: b.clock().Now().AddDate(0, 0, days),
		})
	}
	prolong(100)
	b.later(ledger.CheckInterval)
	b.wantStatus("prolonged", "i-1", provider.GitLab, binding.StatusBound)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventExpiring)
	b.clock().Advance(100 * ledger.Day)
	b.later(0)
	b.wantStatus("ended", "i-1", provider.GitLab, binding.StatusExpired)
	prolong(10)
	b.later(ledger.CheckInterval)
	b.wantStatus("prolonged again", "i-1", provider.GitLab, binding.StatusExpiring)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventExpiring,
		binding.EventExpired,
		binding.EventRecovered, binding.EventExpiring)
}

// TestAnExpiryThatItsOwnerGaveEndsATokenOnce is for Codeup, which does not tell when a
// token expires: the date that its owner gave counts, though the token works.
func TestAnExpiryThatItsOwnerGaveEndsATokenOnce(t *testing.T) {
	b := newHarness(t)
	_, err := b.Connect.BindToken(context.Background(), connect.TokenBindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.Codeup,
		Submission: provider.Submission{
			Username: "alice", Token: secret.New("pt-sandbox-good"),
			ExpiresAt: b.clock().Now().Add(3 * ledger.Day),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.later(ledger.CheckInterval)
	}
	b.wantStatus("in the end", "i-1", provider.Codeup, binding.StatusExpired)
	b.wantEvents("i-1", provider.Codeup,
		binding.EventBound, binding.EventExpiring, binding.EventExpiring, binding.EventExpired)
}

func TestAnExpiryIsReportedThoughTheServerDoesNotAnswer(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", b.issue(20))
	b.later(0)
	b.fault(provider.GitLab, sandbox.Fault{Kind: sandbox.Fault500})
	for range 21 * 24 {
		b.later(maintenance.RetryCheckInterval)
	}
	b.wantStatus("in the end", "i-1", provider.GitLab, binding.StatusExpired)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventUnreachable,
		binding.EventExpiring, binding.EventExpiring, binding.EventExpiring, binding.EventExpired)
}

// crashingRun runs the schedule in a process that crashes at the first call for which fatal returns
// true. It reports whether the process has crashed, and replaces it by another one.
func (b *harness) crashingRun(fatal func(call string) bool) bool {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var dead atomic.Bool
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if dead.Load() || fatal(call) {
			dead.Store(true)
			cancel()
			runtime.Goexit()
		}
		return nil, nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = b.Maintenance.Run(ctx)
	}()
	<-ended
	b.inside.clear()
	webhook, instances := b.Ledger.Webhook, b.instances
	b.serve(b.store.table, b.store.vault)
	b.services.Ledger.Webhook = webhook
	b.withInstances(instances)
	return dead.Load()
}

func TestD7_ACheckThatCrashesAtAnyCallIsCompletedByALaterOne(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		for k := int64(1); ; k++ {
			b := newHarness(t)
			b.bound("i-1", name)
			for range 4 {
				b.later(maintenance.CheckLeaseTTL)
			}
			b.clock().Advance(ledger.CheckInterval)
			var calls atomic.Int64
			if !b.crashingRun(func(string) bool { return calls.Add(1) == k }) {
				testkit.Want(t, "calls at which it crashed", k > 4, true)
				return
			}
			if rec := b.row("i-1", name); rec.CheckAttempts > 0 {
				testkit.Want(t, fmt.Sprintf("call %d: others come first", k),
					rec.DueAt.After(b.clock().Now()), true)
			}
			for range 4 { // an abandoned lease delays the next refresh
				b.later(maintenance.CheckLeaseTTL)
			}
			rec := b.row("i-1", name)
			testkit.Want(t, "attempts", rec.CheckAttempts, 0)
			switch {
			case rec.Health == binding.HealthGood:
				testkit.Want(t, "checked since", b.clock().Now().Sub(rec.LastCheckedAt) <= time.Hour, true)
				b.wantEvents("i-1", name, binding.EventBound)
			case rec.Problem.Reason != credential.TokenMayBeLost:
				t.Errorf("call %d: got %v", k, rec.Problem)
			}
			testkit.Want(t, "secrets", len(b.secrets()), 1)
			testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 0)
		}
	})
}

func TestD7_ARecordWhoseChecksCrashIsParkedWithAnAlarmAfterTen(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitLab)
	b.settled()
	b.clock().Advance(ledger.CheckInterval)
	for crashes := 1; crashes <= maintenance.MaxCheckAttempts; crashes++ {
		testkit.Want(t, "crashed", b.crashingRun(func(call string) bool { return call == "Get" }), true)
		testkit.Want(t, "attempts", b.row("i-1", provider.GitLab).CheckAttempts, crashes)
		b.clock().Advance(maintenance.CheckLeaseTTL)
	}
	testkit.Want(t, "an alarm", strings.Contains(b.log.String(), "alarm=parked"), false)
	testkit.Want(t, "parked", b.mustRun().Parked, 1)
	testkit.Want(t, "an alarm", strings.Contains(b.log.String(), "alarm=parked"), true)
	b.clock().Advance(10 * ledger.CheckInterval)
	done := b.mustRun()
	testkit.Want(t, "due when parked", done.Due, 0)

	testkit.Want(t, "status, asked by hand", b.checked("i-1", provider.GitLab).Status,
		binding.StatusBound)
	b.clock().Advance(ledger.CheckInterval)
	testkit.Want(t, "checked again from then on", b.mustRun().Checked, 1)
}

// parked returns a harness with a binding whose checks have crashed until it was parked.
func parked(t *testing.T, name string) *harness {
	b := newHarness(t)
	b.bound("i-1", name)
	b.later(0)
	b.clock().Advance(ledger.CheckInterval)
	for range maintenance.MaxCheckAttempts {
		b.crashingRun(func(call string) bool { return call == "Get" })
		b.clock().Advance(maintenance.CheckLeaseTTL)
	}
	testkit.Want(t, "parked", b.mustRun().Parked, 1)
	return b
}

func TestD7_ALostSecretOfAParkedBindingStillEndsIt(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := parked(t, name)
		b.loseSecret("i-1", name)
		b.credentialProblem("i-1", name)
		b.clock().Advance(credential.LostCheckInterval)
		b.mustRun()
		b.wantStatus("checked", "i-1", name, binding.StatusRevoked)
		testkit.Want(t, "reason", b.credentialProblem("i-1", name).Reason, credential.TokenLost)
		testkit.Want(t, "alarms", len(b.alarms("parked")), 1)
	})
}

// TestD7_AParkedBindingIsParkedOnce lets what makes a record due happen to a parked one: a loss
// whose check crashes too, and a refresh without a definite answer.
func TestD7_AParkedBindingIsParkedOnce(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := parked(t, name)
		b.shortenWaits()
		b.clock().Advance(timeToExpiry(name))
		b.fault(name, sandbox.Fault{Kind: sandbox.Fault500})
		for range 3 {
			b.credentialProblem("i-1", name)
			b.clock().Advance(credential.MaxRefreshBackoff)
			testkit.Want(t, "parked again", b.mustRun().Parked, 0)
		}
		b.loseSecret("i-1", name)
		b.shortenWaits()
		b.credentialProblem("i-1", name)
		b.clock().Advance(credential.LostCheckInterval)
		read := func(call string) bool { return call == "Get" }
		testkit.Want(t, "crashed", b.crashingRun(read), true)
		for range 3 {
			b.credentialProblem("i-1", name)
			b.clock().Advance(maintenance.CheckLeaseTTL)
			testkit.Want(t, "crashed", b.crashingRun(read), false)
		}
		testkit.Want(t, "alarms", len(b.alarms("parked")), 1)
	})
}

// TestAVaultThatIsDownParksNothing sweeps for a day while no token can be read. One token
// expires in that time, and its refresh writes to the record too.
func TestAVaultThatIsDownParksNothing(t *testing.T) {
	each(t, append([]string{provider.GitLab}, consented...), func(t *testing.T, name string) {
		b := newHarness(t)
		b.shortenWaits()
		b.bound("i-1", name)
		b.settled()
		b.clock().Advance(ledger.CheckInterval)
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if call == "Get" {
				return nil, errDown
			}
			return nil, nil
		})
		b.Credentials = credential.New(b.Ledger)
		b.withInstances(b.instances)
		for range 96 {
			b.mustRun()
			b.clock().Advance(maintenance.CheckLeaseTTL)
		}
		b.inside.clear()
		b.wantStatus("meanwhile", "i-1", name, binding.StatusBound)
		testkit.Want(t, "attempts", b.row("i-1", name).CheckAttempts, 0)
		testkit.Want(t, "checked when it is back", b.mustRun().Checked, 1)
		testkit.Want(t, "health", b.row("i-1", name).LastCheckedAt, b.clock().Now())
		b.wantEvents("i-1", name, binding.EventBound)
	})
}

func TestARecheckCommitsATokenThatWasStoredLate(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.clock().Advance(9 * time.Hour)
	rec := b.row("i-1", provider.GitHub)
	bundle, err := b.fetch(rec)
	if err != nil {
		t.Fatal(err)
	}
	ctx := b.Ledger.StartInvocation(context.Background())
	// by a process that is slow to store it
	if bundle.Token, _, err = b.Credentials.RequestRefresh(ctx, bundle); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "status", b.checked("i-1", provider.GitHub).Status, binding.StatusRevoked)
	owner := ledger.TokenOwner{Binding: rec.Key}
	if err := b.Ledger.Put(ctx, owner, rec.Token.Secret, 2, bundle); err != nil {
		t.Fatal(err)
	}
	b.later(ledger.OrphanGracePeriod)
	b.wantStatus("after the last look", "i-1", provider.GitHub, binding.StatusBound)
	b.wantEvents("i-1", provider.GitHub, binding.EventBound, binding.EventRevoked,
		binding.EventRecovered)
	testkit.Want(t, "a problem", b.row("i-1", provider.GitHub).Problem == nil, true)
}

func TestAnInstanceThatIsMissingForAWeekIsUnbound(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		catalogue := &gone{}
		b.withInstances(catalogue)
		b.bound("i-1", name)
		b.later(ledger.CheckInterval)
		catalogue.is = true
		for range 6 {
			b.later(ledger.CheckInterval)
			b.wantStatus("within the week", "i-1", name, binding.StatusBound)
		}
		catalogue.unreadable = true // then no instance is known to be gone
		for range 5 {
			b.later(ledger.CheckInterval)
		}
		b.wantStatus("while the catalogue can't be read", "i-1", name, binding.StatusBound)
		catalogue.unreadable = false
		b.later(ledger.CheckInterval)
		b.wantStatus("after a week", "i-1", name, binding.StatusUnbound)
		b.wantEvents("i-1", name, binding.EventBound, binding.EventUnbound)
		b.settled()
		testkit.Want(t, "secrets that are left", len(b.secrets()), 0)
	})
}

func TestAnInstanceThatComesBackKeepsItsBindings(t *testing.T) {
	b := newHarness(t)
	catalogue := &gone{}
	b.withInstances(catalogue)
	b.bound("i-1", provider.GitHub)
	for range 4 { // never for a week on end
		catalogue.is = true
		for range 5 {
			b.later(ledger.CheckInterval)
		}
		catalogue.is = false
		b.later(ledger.CheckInterval)
	}
	b.wantStatus("in the end", "i-1", provider.GitHub, binding.StatusBound)
	b.wantEvents("i-1", provider.GitHub, binding.EventBound)
}

func TestARevokedBindingOfAMissingInstanceIsUnboundToo(t *testing.T) {
	b := newHarness(t)
	catalogue := &gone{}
	b.withInstances(catalogue)
	b.bound("i-1", provider.GitHub)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	b.later(ledger.CheckInterval)
	b.wantStatus("revoked", "i-1", provider.GitHub, binding.StatusRevoked)
	catalogue.is = true
	for range 10 {
		b.later(ledger.CheckInterval)
	}
	b.wantEvents("i-1", provider.GitHub, binding.EventBound, binding.EventRevoked,
		binding.EventUnbound)
	b.settled()
	testkit.Want(t, "secrets that are left", len(b.secrets()), 0)
}

func TestACheckOfAnUnboundPlatformIsRefused(t *testing.T) {
	b := newHarness(t)
	ctx := context.Background()
	_, err := b.Maintenance.CheckNow(ctx, user, registry("i-1"), provider.GitLab)
	testkit.Want(t, "code", problem.Of(err).Code, problem.NotBound)
	_, err = b.Maintenance.CheckNow(ctx, user, registry("i-1"), "sourceforge")
	testkit.Want(t, "code", problem.Of(err).Code, problem.PlatformUnknown)
}
