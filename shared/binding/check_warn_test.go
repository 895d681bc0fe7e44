package binding

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
	"bindery/shared/table"
)

func TestWarningsAt14And7And1DaysOnceEachAndThenTheEnd(t *testing.T) {
	b := newHarness(t)
	with := b.issue(30)
	b.mustBind("i-1", with)
	ends := b.row("i-1", provider.GitLab).Token.ExpiresAt
	told := map[string]time.Duration{} // how long before the end each event was first there
	for b.clock().now().Before(ends.Add(3 * day)) {
		for i, what := range b.eventsOf("i-1", provider.GitLab) {
			name := what + strings.Repeat("+", i)
			if _, known := told[name]; !known {
				told[name] = ends.Sub(b.clock().now())
			}
		}
		b.later(15 * time.Minute)
	}
	b.wantEvents("i-1", provider.GitLab, event.Bound,
		event.Expiring, event.Expiring, event.Expiring, event.Expired)
	for name, at := range map[string]time.Duration{
		event.Expiring + "+": 14 * day, event.Expiring + "++": 7 * day,
		event.Expiring + "+++": day, event.Expired + "++++": 0,
	} {
		if late := at - told[name]; late < 0 || late > 30*time.Minute {
			t.Errorf("%s was told %v before the end, want %v", name, told[name], at)
		}
	}
	b.wantStatus("in the end", "i-1", provider.GitLab, StatusExpired)
}

func TestATokenThatIsBoundLateIsWarnedOfWhatIsLeft(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", b.issue(5))
	b.later(time.Hour)
	b.checked("i-1", provider.GitLab)
	b.checked("i-1", provider.GitLab)
	b.wantStatus("five days before", "i-1", provider.GitLab, StatusExpiring)
	b.wantEvents("i-1", provider.GitLab, event.Bound, event.Expiring)
	for range 6 {
		b.later(checkInterval)
	}
	b.wantEvents("i-1", provider.GitLab,
		event.Bound, event.Expiring, event.Expiring, event.Expired)
}

func TestATokenThatWasProlongedIsWellAgain(t *testing.T) {
	b := newHarness(t)
	with := b.issue(5)
	b.mustBind("i-1", with)
	b.checked("i-1", provider.GitLab)
	prolong := func(days int) {
		b.sandbox.GitLab.AddToken(gitlab.Token{
			Value: secret.New(with.value), Username: "alice", Scopes: []string{"api"},
			ExpiresAt: b.clock().now().AddDate(0, 0, days),
		})
	}
	prolong(100)
	b.later(checkInterval)
	b.wantStatus("prolonged", "i-1", provider.GitLab, StatusBound)
	b.wantEvents("i-1", provider.GitLab, event.Bound, event.Expiring)
	b.clock().move(100 * day)
	b.later(0)
	b.wantStatus("ended", "i-1", provider.GitLab, StatusExpired)
	prolong(10)
	b.later(checkInterval)
	b.wantStatus("prolonged again", "i-1", provider.GitLab, StatusExpiring)
	b.wantEvents("i-1", provider.GitLab, event.Bound, event.Expiring, event.Expired,
		event.Recovered, event.Expiring)
}

// TestAnOwnersDateThatIsOverEndsItOnce is Codeup, which can't be asked when a token ends: the date
// that its owner typed counts, though the token works.
func TestAnOwnersDateThatIsOverEndsItOnce(t *testing.T) {
	b := newHarness(t)
	_, err := b.BindToken(context.Background(), TokenBindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.Codeup,
		Submission: provider.Submission{
			Username: "alice", Token: secret.New("pt-sandbox-good"),
			ExpiresAt: b.clock().now().Add(3 * day),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.later(checkInterval)
	}
	b.wantStatus("in the end", "i-1", provider.Codeup, StatusExpired)
	b.wantEvents("i-1", provider.Codeup,
		event.Bound, event.Expiring, event.Expiring, event.Expired)
}

func TestAnEndIsToldThoughTheServerDoesNotAnswer(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", b.issue(20))
	b.later(0)
	b.fault(provider.GitLab, sandbox.Fault{Kind: sandbox.Fault500})
	for range 21 * 24 {
		b.later(retryCheckInterval)
	}
	b.wantStatus("in the end", "i-1", provider.GitLab, StatusExpired)
	b.wantEvents("i-1", provider.GitLab, event.Bound, event.Unreachable,
		event.Expiring, event.Expiring, event.Expiring, event.Expired)
}

// dyingSweep is a sweep by a process that dies at the first call that fatal says yes to: from then
// on it makes no other. Whether it died is returned; another process is there afterwards.
func (b *harness) dyingSweep(fatal func(call string) bool) bool {
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
		_, _ = b.Sweep(ctx)
	}()
	<-ended
	b.inside.clear()
	webhook, instances := b.webhook, b.instances
	b.serve(b.store.table, b.store.vault)
	b.Service.webhook, b.Service.instances = webhook, instances
	return dead.Load()
}

func TestD7_ACheckThatDiesAtAnyCallIsMadeGoodByALaterOne(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		for k := int64(1); ; k++ {
			b := newHarness(t)
			b.bound("i-1", name)
			for range 4 {
				b.later(checkLeaseTTL)
			}
			b.clock().move(checkInterval)
			var calls atomic.Int64
			if !b.dyingSweep(func(string) bool { return calls.Add(1) == k }) {
				want(t, "calls at which it died", k > 4, true)
				return
			}
			if rec := b.row("i-1", name); rec.Attempts > 0 {
				want(t, fmt.Sprintf("call %d: others come first", k),
					rec.DueAt.After(b.clock().now()), true)
			}
			for range 4 { // a lease that was left behind holds the next one up
				b.later(checkLeaseTTL)
			}
			rec := b.row("i-1", name)
			want(t, "attempts", rec.Attempts, 0)
			switch {
			case rec.Health == table.Healthy:
				want(t, "checked since", b.clock().now().Sub(rec.LastCheckedAt) <= time.Hour, true)
				b.wantEvents("i-1", name, event.Bound)
			case rec.Problem.Reason != tokenMayBeLost:
				t.Errorf("call %d: got %v", k, rec.Problem)
			}
			want(t, "secrets", len(b.secrets()), 1)
			want(t, "listed secrets", len(b.ownedSecrets()), 0)
		}
	})
}

func TestD7_ARecordWhoseChecksDieIsParkedWithAnAlarmAfterTen(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitLab)
	b.settled()
	b.clock().move(checkInterval)
	for died := 1; died <= maxCheckAttempts; died++ {
		want(t, "died", b.dyingSweep(func(call string) bool { return call == "Get" }), true)
		want(t, "attempts", b.row("i-1", provider.GitLab).Attempts, died)
		b.clock().move(checkLeaseTTL)
	}
	want(t, "an alarm", strings.Contains(b.log.String(), "alarm=parked"), false)
	want(t, "parked", b.mustSweep().Parked, 1)
	want(t, "an alarm", strings.Contains(b.log.String(), "alarm=parked"), true)
	b.clock().move(10 * checkInterval)
	done := b.mustSweep()
	want(t, "due when parked", done.Due, 0)

	want(t, "status, asked by hand", b.checked("i-1", provider.GitLab).Status, StatusBound)
	b.clock().move(checkInterval)
	want(t, "checked again from then on", b.mustSweep().Checked, 1)
}

// TestAVaultThatIsDownParksNothing sweeps for a day while no token can be read. One that ends
// meanwhile is to be refreshed, which writes to the record too.
func TestAVaultThatIsDownParksNothing(t *testing.T) {
	each(t, append([]string{provider.GitLab}, consented...), func(t *testing.T, name string) {
		b := newHarness(t)
		b.hurry()
		b.bound("i-1", name)
		b.settled()
		b.clock().move(checkInterval)
		b.inside.set(func(_ context.Context, call string) (func(), error) {
			if call == "Get" {
				return nil, errDown
			}
			return nil, nil
		})
		b.cache = tokenCache{}
		for range 96 {
			b.mustSweep()
			b.clock().move(checkLeaseTTL)
		}
		b.inside.clear()
		b.wantStatus("meanwhile", "i-1", name, StatusBound)
		want(t, "attempts", b.row("i-1", name).Attempts, 0)
		want(t, "checked when it is back", b.mustSweep().Checked, 1)
		want(t, "health", b.row("i-1", name).LastCheckedAt, b.clock().now())
		b.wantEvents("i-1", name, event.Bound)
	})
}

func TestALastLookBringsBackWhatCameTooLate(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.clock().move(9 * time.Hour)
	rec := b.row("i-1", provider.GitHub)
	k, err := b.fetch(b.startInvocation(context.Background()), rec.Token)
	if err != nil {
		t.Fatal(err)
	}
	ctx := b.startInvocation(context.Background())
	if k.Token, _, err = b.requestRefresh(ctx, k); err != nil { // by a process that is slow to store it
		t.Fatal(err)
	}
	want(t, "status", b.checked("i-1", provider.GitHub).Status, StatusRevoked)
	if err := b.put(ctx, rec.Token.Secret, 2, k); err != nil {
		t.Fatal(err)
	}
	b.later(orphanGracePeriod)
	b.wantStatus("after the last look", "i-1", provider.GitHub, StatusBound)
	b.wantEvents("i-1", provider.GitHub, event.Bound, event.Revoked, event.Recovered)
	want(t, "a problem", b.row("i-1", provider.GitHub).Problem == nil, true)
}

func TestAnInstanceThatIsGoneForAWeekIsUnbound(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		catalogue := &gone{}
		b.Service.instances = catalogue
		b.bound("i-1", name)
		b.later(checkInterval)
		catalogue.is = true
		for range 6 {
			b.later(checkInterval)
			b.wantStatus("within the week", "i-1", name, StatusBound)
		}
		catalogue.unreadable = true // says nothing
		for range 5 {
			b.later(checkInterval)
		}
		b.wantStatus("while the catalogue can't be read", "i-1", name, StatusBound)
		catalogue.unreadable = false
		b.later(checkInterval)
		b.wantStatus("after a week", "i-1", name, StatusUnbound)
		b.wantEvents("i-1", name, event.Bound, event.Unbound)
		b.settled()
		want(t, "secrets that are left", len(b.secrets()), 0)
	})
}

func TestAnInstanceThatComesBackKeepsItsBindings(t *testing.T) {
	b := newHarness(t)
	catalogue := &gone{}
	b.Service.instances = catalogue
	b.bound("i-1", provider.GitHub)
	for range 4 { // never for a week on end
		catalogue.is = true
		for range 5 {
			b.later(checkInterval)
		}
		catalogue.is = false
		b.later(checkInterval)
	}
	b.wantStatus("in the end", "i-1", provider.GitHub, StatusBound)
	b.wantEvents("i-1", provider.GitHub, event.Bound)
}

func TestARevokedBindingOfAnInstanceThatIsGoneGoesToo(t *testing.T) {
	b := newHarness(t)
	catalogue := &gone{}
	b.Service.instances = catalogue
	b.bound("i-1", provider.GitHub)
	b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
	b.later(checkInterval)
	b.wantStatus("taken back", "i-1", provider.GitHub, StatusRevoked)
	catalogue.is = true
	for range 10 {
		b.later(checkInterval)
	}
	b.wantEvents("i-1", provider.GitHub, event.Bound, event.Revoked, event.Unbound)
	b.settled()
	want(t, "secrets that are left", len(b.secrets()), 0)
}

func TestACheckOfWhatIsNotBoundIsRefused(t *testing.T) {
	b := newHarness(t)
	ctx := context.Background()
	_, err := b.CheckNow(ctx, user.Account, registry("i-1"), provider.GitLab)
	want(t, "code", problem.Of(err).Code, problem.NotBound)
	_, err = b.CheckNow(ctx, user.Account, registry("i-1"), "sourceforge")
	want(t, "code", problem.Of(err).Code, problem.PlatformUnknown)
}
