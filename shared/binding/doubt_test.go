package binding_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// getsToken expects that a build gets the token of a binding.
func (b *harness) getsToken(when, id, name string) {
	b.Helper()
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry(id), Platform: name,
	})
	if err != nil {
		b.Errorf("%s: a build got no credential: %v", when, err)
	}
}

func TestOneRefusalChangesNoBinding(t *testing.T) {
	for _, c := range tokenChanges() {
		if c.restored == nil && c.name != "Revoked" && c.name != "Deleted" {
			continue // a refresh tells, or the change can't be undone
		}
		t.Run(c.platform+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t)
			access := b.accessOf(b.bound("i-1", c.platform))
			c.happens(b, access)
			b.later(ledger.CheckInterval)
			b.wantStatus("after one refusal", "i-1", c.platform, binding.StatusBound)
			b.getsToken("after one refusal", "i-1", c.platform)
			rec := b.row("i-1", c.platform)
			testkit.Want(t, "doubted at", rec.DoubtedAt, b.clock().Now())
			testkit.Want(
				t,
				"checked again at",
				rec.DueAt,
				b.clock().Now().Add(maintenance.DoubtedCheckInterval),
			)
			b.wantEvents("i-1", c.platform, binding.EventBound)

			b.later(maintenance.DoubtedCheckInterval)
			b.wantStatus("after two", "i-1", c.platform, c.status)
			rec = b.row("i-1", c.platform)
			testkit.Want(t, "no doubt is left", rec.DoubtedAt.IsZero() && rec.DoubtedProblem == nil, true)
			if p := rec.Problem; p == nil || p.Code != c.code || p.Reason != c.reason {
				t.Errorf("problem: got %v, want %s (%s)", p, c.code, c.reason)
			}
			b.wantEvents("i-1", c.platform, binding.EventBound, c.event)
			if c.restored == nil {
				return
			}
			c.restored(b, access)
			b.later(15 * time.Minute)
			b.wantStatus("restored", "i-1", c.platform, binding.StatusBound)
			b.wantEvents("i-1", c.platform, binding.EventBound, c.event, binding.EventRecovered)
		})
	}
}

// gate answers every request like a gateway that GitLab's API does not know of, while it is on.
func (b *harness) gate(on bool) {
	if !on {
		b.around.Store(nil)
		return
	}
	gate := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"401 Unauthorized"}`))
	})
	b.around.Store(&gate)
}

func TestAGoodAnswerEndsTheDoubtWithoutAnEvent(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	for range 3 { // a refusal now and then never adds up
		b.gate(true)
		b.later(ledger.CheckInterval)
		b.gate(false)
		b.later(maintenance.DoubtedCheckInterval)
		rec := b.row("i-1", provider.GitLab)
		testkit.Want(t, "health", rec.Health, binding.HealthGood)
		testkit.Want(t, "doubted", !rec.DoubtedAt.IsZero(), false)
		testkit.Want(t, "last good check", rec.LastCheckedAt, b.clock().Now())
	}
	b.wantEvents("i-1", provider.GitLab, binding.EventBound)
}

func TestADoubtOutlastsAnOutage(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.gate(true)
	b.later(ledger.CheckInterval)
	first := b.row("i-1", provider.GitLab).DoubtedAt
	b.gate(false)
	b.fault(provider.GitLab, sandbox.Fault{Kind: sandbox.Fault503})
	b.later(maintenance.DoubtedCheckInterval)
	b.wantStatus("no answer", "i-1", provider.GitLab, binding.StatusBound)
	testkit.Want(t, "doubted at", b.row("i-1", provider.GitLab).DoubtedAt, first)
	b.mend(provider.GitLab)
	b.later(maintenance.RetryCheckInterval)
	testkit.Want(t, "doubted", b.row("i-1", provider.GitLab).DoubtedAt.IsZero(), true)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound)
}

func TestTwoRefusalsWithinAMinuteOfTheScheduleAreOne(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.gate(true)
	b.later(ledger.CheckInterval)
	rec := b.row("i-1", provider.GitLab)
	b.clock().Advance(maintenance.DoubtPeriod - time.Second)
	rec.DueAt, rec.CheckAt = b.clock().Now(), b.clock().Now()
	if _, err := b.store.table.SaveBinding(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	b.mustRun()
	b.wantStatus("59 seconds later", "i-1", provider.GitLab, binding.StatusBound)
	b.later(maintenance.DoubtedCheckInterval)
	b.wantStatus("later", "i-1", provider.GitLab, binding.StatusRevoked)
}

// TestACheckThatAUserAsksForAsksTwice: the user gets the result at once.
func TestACheckThatAUserAsksForAsksTwice(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	good := b.sandbox.Count(sandbox.GitLab)
	b.checked("i-1", provider.GitLab)
	perCheck := b.sandbox.Count(sandbox.GitLab) - good
	var pauses []time.Duration
	b.Ledger.Sleep = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	b.checked("i-1", provider.GitLab)
	testkit.Want(t, "pauses of a good check", len(pauses), 0)
	testkit.Want(t, "requests of a good check", b.sandbox.Count(sandbox.GitLab)-good, 2*perCheck)

	b.Ledger.Sleep = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		b.gate(false) // the gateway lets the second question through
		return nil
	}
	b.gate(true)
	testkit.Want(t, "refused once", b.checked("i-1", provider.GitLab).Status, binding.StatusBound)
	testkit.Want(t, "pauses", len(pauses), 1)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound)

	b.Ledger.Sleep = func(context.Context, time.Duration) error { return nil }
	b.gate(true)
	testkit.Want(t, "refused twice", b.checked("i-1", provider.GitLab).Status, binding.StatusRevoked)
	b.wantEvents("i-1", provider.GitLab, binding.EventBound, binding.EventRevoked)
}

// TestACheckWithoutTimeForASecondQuestionLeavesItToTheSchedule has a platform that takes long.
func TestACheckWithoutTimeForASecondQuestionLeavesItToTheSchedule(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.Ledger.Sleep = func(context.Context, time.Duration) error {
		t.Error("it paused for a second question")
		return nil
	}
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.clock().Advance(10 * time.Second)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"401 Unauthorized"}`))
	})
	b.around.Store(&slow)
	testkit.Want(t, "status", b.checked("i-1", provider.GitLab).Status, binding.StatusBound)
	b.later(maintenance.DoubtedCheckInterval)
	b.wantStatus("the schedule's", "i-1", provider.GitLab, binding.StatusRevoked)
}

func TestADeadBindingIsCheckedAgainAfter15MinutesAnHourAndADay(t *testing.T) {
	waits := []time.Duration{15 * time.Minute, 45 * time.Minute, 23 * time.Hour}
	for back := range waits {
		t.Run(waits[back].String(), func(t *testing.T) {
			t.Parallel()
			b := newHarness(t)
			b.mustBind("i-1", aliceToken)
			b.gate(true)
			b.later(ledger.CheckInterval)
			b.later(maintenance.DoubtedCheckInterval)
			for i, wait := range waits {
				b.wantStatus("before", "i-1", provider.GitLab, binding.StatusRevoked)
				b.checkedDead()
				testkit.Want(t, "next check", b.row("i-1", provider.GitLab).CheckAt, b.clock().Now().Add(wait))
				if i == back {
					b.gate(false)
				}
				b.later(wait)
				if i == back {
					break
				}
			}
			b.wantStatus("taken again", "i-1", provider.GitLab, binding.StatusBound)
			b.getsToken("taken again", "i-1", provider.GitLab)
			b.wantEvents("i-1", provider.GitLab,
				binding.EventBound, binding.EventRevoked, binding.EventRecovered)
		})
	}
}

// checkedDead has a user ask for a check, which uses up none of the early checks.
func (b *harness) checkedDead() {
	b.Helper()
	b.Ledger.Sleep = func(context.Context, time.Duration) error { return nil }
	left := b.row("i-1", provider.GitLab).RechecksLeft
	at := b.row("i-1", provider.GitLab).CheckAt
	b.checked("i-1", provider.GitLab)
	rec := b.row("i-1", provider.GitLab)
	testkit.Want(b, "early checks left", rec.RechecksLeft, left)
	testkit.Want(b, "the next check", rec.CheckAt, at)
}

// TestAnEarlyCheckWithoutAnAnswerIsMadeAgain: an outage does not use up the last early check.
func TestAnEarlyCheckWithoutAnAnswerIsMadeAgain(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.gate(true)
	b.later(ledger.CheckInterval)
	b.later(maintenance.DoubtedCheckInterval)
	b.gate(false)
	b.fault(provider.GitLab, sandbox.Fault{Kind: sandbox.Fault503})
	for range 5 {
		b.later(ledger.Day)
		b.wantStatus("during the outage", "i-1", provider.GitLab, binding.StatusRevoked)
	}
	b.mend(provider.GitLab)
	b.later(ledger.Day)
	b.wantStatus("after it", "i-1", provider.GitLab, binding.StatusBound)
}

func TestARefusalOfATokenWhoseExpiryHasPassedIsDefinite(t *testing.T) {
	b := newHarness(t)
	with := b.issue(20)
	b.mustBind("i-1", with)
	b.clock().Advance(21 * ledger.Day)
	b.sandbox.GitLab.RevokeToken(secret.New(with.value))
	b.later(0)
	rec := b.row("i-1", provider.GitLab)
	testkit.Want(t, "doubted", !rec.DoubtedAt.IsZero(), false)
	testkit.Want(t, "is refused", rec.Health != binding.HealthGood, true)
}

// TestADoubtOfAnEarlierTokenIsNotHeldAgainstTheNext binds again while a refusal is in doubt.
func TestADoubtOfAnEarlierTokenIsNotHeldAgainstTheNext(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.gate(true)
	b.later(ledger.CheckInterval)
	b.gate(false)
	b.mustBind("i-1", aliceOther)
	b.gate(true)
	b.later(ledger.CheckInterval)
	b.wantStatus("one refusal of the next", "i-1", provider.GitLab, binding.StatusBound)
	if log := b.log.String(); strings.Contains(log, aliceOther.value) {
		t.Error("the log has a token")
	}
	testkit.Want(t, "problem", b.row("i-1", provider.GitLab).Problem, (*problem.Problem)(nil))
}
