package binding_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// many requests credentials from many goroutines in each of several processes.
func many(
	services []*harness, each int, id string,
) (given []credential.Credential, failed []error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	start := make(chan struct{})
	for _, s := range services {
		for range each {
			group.Go(func() {
				<-start
				c, err := s.ask(id, credential.MinimumLife)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = append(failed, err)
					return
				}
				given = append(given, c)
			})
		}
	}
	close(start)
	group.Wait()
	return given, failed
}

func TestB1_ManyAskAtTheMomentOfExpiryAndOneRefreshServesThemAll(t *testing.T) {
	for _, left := range []time.Duration{-time.Minute, time.Minute} {
		b := newRefreshable(t, left)
		services := []*harness{b, b.otherProcess(), b.otherProcess(), b.otherProcess()}
		given, failed := many(services, 50, "i-1")
		for _, err := range failed {
			t.Errorf("%v left: a caller failed: %v", left, err)
		}
		testkit.Want(t, "refreshes", b.refreshes(), 1)
		testkit.Want(t, "credentials", len(given), 200)
		for _, c := range given {
			b.wantCurrent("i-1", c)
		}
	}
}

func TestB4_AfterAnyTemporaryFailureTheTokenIsKept(t *testing.T) {
	faults := []sandbox.Fault{
		{Kind: sandbox.Fault500},
		{Kind: sandbox.Fault503},
		{Kind: sandbox.Fault429},
		{Kind: sandbox.FaultRateLimit},
		{Kind: sandbox.FaultHTML},
		{Kind: sandbox.FaultEmpty},
		{Kind: sandbox.FaultCut},
		{Kind: sandbox.FaultHuge},
		{Kind: sandbox.FaultRedirect},
		{Kind: sandbox.FaultDrop},
	}
	for _, f := range faults {
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			f.Times = 1
			valid := newRefreshable(t, credential.MinimumLife-time.Minute)
			old := valid.access("i-1")
			valid.fails(f)
			testkit.Want(t, "a token that is valid is handed out",
				valid.mustAsk("i-1", credential.MinimumLife).Token.Equal(old), true)
			testkit.Want(t, "calls", valid.calls(), 1)
			b := newRefreshable(t, -time.Minute)
			before := b.row("i-1", provider.GitHub)
			b.fails(f)
			_, err := b.ask("i-1", credential.MinimumLife)
			if p := problem.Of(err); err == nil || p.RetryAfter <= 0 ||
				!strings.HasPrefix(string(p.Code), "platform_") {
				t.Errorf("got %v, want a platform_… problem that says when to try again", err)
			}
			after := b.row("i-1", provider.GitHub)
			testkit.Want(t, "secret", after.Token.Secret, before.Token.Secret)
			testkit.Want(t, "status", binding.StatusOf(after, b.clock().Now()), binding.StatusBound)
			testkit.Want(t, "no process has the lease", after.Lease, binding.Lease{})
			if f.Kind == sandbox.FaultCut { // here the platform has issued the token: it is lost
				return
			}
			b.clock().Advance(credential.MaxRefreshBackoff)
			b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
		})
	}
}

// TestB4_ATimeOutLeavesTheToken: the caller can't know whether the platform handled the request
// before the time-out. Here it did not.
func TestB4_ATimeOutLeavesTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRefreshScenario(t, 1, faults{}, newMemory(), newMemoryVault())
		p.mustBind(-time.Minute)
		s := p.service(nil)
		answering := s.Ledger.Platforms
		s.Ledger.Platforms = platformsAt("http://127.0.0.1:8080", p.clock.Now, silent)
		in := credential.Request{
			By: user, Instance: registry("i-1"), Platform: provider.GitHub,
			MinimumLife: credential.MinimumLife,
		}
		_, err := s.Credentials.Credential(t.Context(), in)
		testkit.WantCode(t, "while the platform is silent", err, problem.PlatformUnreachable)
		testkit.Want(t, "why", problem.Of(err).Reason, "timeout")
		rec, _ := p.rows.Binding(t.Context(), refreshKey)
		testkit.Want(t, "unsure", rec.RefreshUnclear, true)
		testkit.Want(t, "health", rec.Health, binding.HealthGood)
		s.Ledger.Platforms = answering
		p.clock.Advance(credential.MaxRefreshBackoff)
		c, err := s.Credentials.Credential(t.Context(), in)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "it lives", c.ExpiresAt.After(p.clock.Now()), true)
	})
}

// TestB2_ARefreshThatCouldNotStoreItsAnswerMakesNoRequest: an invocation's time is nearly over, or
// the operator's app can't be read.
func TestB2_ARefreshThatCouldNotStoreItsAnswerMakesNoRequest(t *testing.T) {
	away := errors.New("the apps are away")
	for _, late := range []bool{true, false} {
		b := newRefreshable(t, -time.Minute)
		app := b.Ledger.App
		if late {
			b.at("Get", func() { b.clock().Advance(ledger.CallDeadline - credential.StoreTimeout) })
		} else {
			b.Ledger.App = func(context.Context, string) (provider.App, error) {
				return provider.App{}, away
			}
		}
		_, err := b.ask("i-1", credential.MinimumLife)
		testkit.WantCode(t, "the first", err, problem.StorageUnavailable)
		testkit.Want(t, "calls", b.calls(), 0)
		for range 5 { // there is no backoff, however long that lasts
			if late {
				break
			}
			b.clock().Advance(credential.MinRefreshBackoff)
			_, err := b.ask("i-1", credential.MinimumLife)
			testkit.Want(t, "to wait", problem.Of(err).RetryAfter, credential.MinRefreshBackoff)
		}
		rec := b.row("i-1", provider.GitHub)
		testkit.Want(t, "unsure", rec.RefreshUnclear, false)
		testkit.Want(t, "no process has the lease", rec.Lease, binding.Lease{})
		b.Ledger.App = app
		b.clock().Advance(credential.MinRefreshBackoff)
		b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
	}
}

// silent is a platform that accepts every call and never answers.
func silent(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }() // until the other end is closed
	return ours, nil
}

func TestB4_RetryAfterOfARefreshIsHonoured(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.Fault429, Times: 1, RetryAfter: 10 * time.Minute})
	_, err := b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "the first", err, problem.PlatformRateLimited)
	testkit.Want(t, "Retry-After", problem.Of(err).RetryAfter, 10*time.Minute)
	testkit.Want(t, "unsure: it was turned away", b.row("i-1", provider.GitHub).RefreshUnclear, false)
	b.clock().Advance(10*time.Minute - time.Second)
	_, err = b.otherProcess().ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "before its time", err, problem.PlatformRateLimited)
	testkit.Want(t, "Retry-After", problem.Of(err).RetryAfter, time.Second)
	testkit.Want(t, "calls", b.calls(), 1)
	b.clock().Advance(time.Second)
	b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
}

func TestB4_TheBackoffGrowsToALimit(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.Fault500})
	last := time.Duration(0)
	for range 12 {
		_, err := b.ask("i-1", credential.MinimumLife)
		wait := problem.Of(err).RetryAfter
		testkit.Want(t, "the wait grows or is the longest",
			wait > last || wait == credential.MaxRefreshBackoff, true)
		last = wait
		b.clock().Advance(wait)
	}
	testkit.Want(t, "the longest wait", last, credential.MaxRefreshBackoff)
	testkit.Want(t, "calls", b.calls(), 12)
}

func TestB5_A403WithRateLimitHeadersIsNoRevocation(t *testing.T) {
	b := newRefreshable(t, time.Minute)
	old := b.access("i-1")
	b.fails(sandbox.Fault{Kind: sandbox.FaultRateLimit})
	testkit.Want(t, "the old token has life",
		b.mustAsk("i-1", credential.MinimumLife).Token.Equal(old), true)
	testkit.Want(t, "status", binding.StatusOf(b.row("i-1", provider.GitHub), b.clock().Now()),
		binding.StatusBound)
}

func TestB5_A401RightAfterARefreshIsTriedAgain(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.sandbox.SetReplicaLag(1)
	v, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
		provider.GitHub)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "status", v.Status, binding.StatusBound)
	testkit.Want(t, "refreshes", b.refreshes(), 1)
}

// TestB9_ClocksThatAreFiveMinutesApart lets processes whose clocks differ ask in turn, over a day.
func TestB9_ClocksThatAreFiveMinutesApart(t *testing.T) {
	b := newRefreshable(t, 30*time.Minute)
	services := []*harness{b}
	for _, skew := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		other := b.otherProcess()
		other.Ledger.Clock = func() time.Time { return b.clock().Now().Add(skew) }
		services = append(services, other)
	}
	for range 24 * 4 {
		for _, s := range services {
			c, err := s.ask("i-1", credential.MinimumLife)
			if err != nil {
				t.Fatalf("a caller failed: %v", err)
			}
			b.wantCurrent("i-1", c)
		}
		b.clock().Advance(15 * time.Minute)
	}
	// Once in each token's lifetime, not once in each process.
	testkit.Want(t, "refreshes are as few as can be", b.refreshes() <= 4, true)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}

// TestB9_ALeaseOfAClockThatIsAheadDelaysNoCallerWithAValidToken: its holder has crashed.
func TestB9_ALeaseOfAClockThatIsAheadDelaysNoCallerWithAValidToken(t *testing.T) {
	b := newRefreshable(t, 9*time.Minute)
	ctx := b.Ledger.StartInvocation(context.Background())
	rec := b.row("i-1", provider.GitHub)
	rec.Lease = binding.Lease{
		Owner: "crashed",
		Until: b.clock().Now().Add(5*time.Minute + credential.RefreshLeaseTTL),
	}
	if _, err := b.services.Ledger.Table.SaveBinding(ctx, rec); err != nil {
		t.Fatal(err)
	}
	old := b.access("i-1")
	b.services.Ledger.Sleep = func(context.Context, time.Duration) error {
		return context.DeadlineExceeded
	}
	testkit.Want(t, "the old token", b.mustAsk("i-1", credential.MinimumLife).Token.Equal(old), true)
	testkit.Want(t, "refreshes", b.refreshes(), 0)
	b.clock().Advance(5*time.Minute + credential.RefreshLeaseTTL)
	b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
}

func TestB10_AskingForMoreLifeThanIsLeftRefreshes(t *testing.T) {
	b := newRefreshable(t, 20*time.Minute)
	old := b.access("i-1")
	testkit.Want(t, "10 minutes: the old token",
		b.mustAsk("i-1", credential.MinimumLife).Token.Equal(old), true)
	testkit.Want(t, "refreshes", b.refreshes(), 0)
	c := b.mustAsk("i-1", 30*time.Minute)
	b.wantCurrent("i-1", c)
	testkit.Want(t, "30 minutes: another", c.Token.Equal(old), false)
	testkit.Want(t, "its end", c.ExpiresAt, b.clock().Now().Add(gitHubLife).Truncate(time.Second))
	testkit.Want(t, "refreshes", b.refreshes(), 1)
}

func TestB10_AYoungTokenIsNotRefreshedForMoreLifeThanThereIs(t *testing.T) {
	b := newHarness(t)
	b.bindGitHub("i-1", gitHubLife)
	for _, age := range []time.Duration{0, credential.MinRefreshAge - time.Second} {
		b.clock().Advance(age)
		c := b.mustAsk("i-1", 24*time.Hour)
		b.wantCurrent("i-1", c)
		testkit.Want(t, "refreshes", b.refreshes(), 0)
	}
	b.clock().Advance(time.Second)
	c := b.mustAsk("i-1", 24*time.Hour)
	testkit.Want(t, "refreshes at five minutes", b.refreshes(), 1)
	testkit.Want(t, "the true end", c.ExpiresAt, b.clock().Now().Add(gitHubLife).Truncate(time.Second))
	b.mustAsk("i-1", 24*time.Hour)
	testkit.Want(t, "refreshes right after", b.refreshes(), 1)
}

// TestB10_AYoungTokenThatHasExpiredIsRefreshed: some tokens are valid for less than five minutes.
func TestB10_AYoungTokenThatHasExpiredIsRefreshed(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.answers(http.StatusOK, map[string]any{
		"access_token": "gho_short", "expires_in": 60, "refresh_token": "ghr_short",
	})
	b.mustAsk("i-1", credential.MinimumLife)
	b.clock().Advance(2 * time.Minute)
	c := b.mustAsk("i-1", credential.MinimumLife)
	testkit.Want(t, "it lives", c.ExpiresAt.After(b.clock().Now()), true)
	testkit.Want(t, "generation", b.row("i-1", provider.GitHub).Token.Generation, 3)
}

func TestB11_TheCheckDoesNotEndTheCredentialOfARunningBuild(t *testing.T) {
	b := newHarness(t)
	b.bindGitHub("i-1", gitHubLife)
	for _, left := range []time.Duration{gitHubLife, 5 * time.Minute, time.Minute} {
		ends := b.row("i-1", provider.GitHub).Token.ExpiresAt
		b.clock().Advance(ends.Add(-left).Sub(b.clock().Now()))
		held := b.access("i-1")
		v, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
			provider.GitHub)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "status", v.Status, binding.StatusBound)
		rec := b.row("i-1", provider.GitHub)
		rec.CheckAt, rec.DueAt = b.clock().Now(), b.clock().Now()
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "checked by the schedule", b.mustRun().Checked, 1)
		testkit.Want(t, "the build's token lives", b.sandbox.Lives(sandbox.GitHub, held), true)
	}
	testkit.Want(t, "refreshes", b.refreshes(), 0)
}

func TestB14_AWrongClientSecretChangesNoBindingAndRaisesAnAlarm(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.sandbox.ResetLog()
	right := b.Ledger.App
	b.Ledger.App = func(ctx context.Context, name string) (provider.App, error) {
		app, err := right(ctx, name)
		app.ClientSecrets = []secret.Text{secret.New("wrong-1"), secret.New("wrong-2")}
		return app, err
	}
	before := b.Ledger.View(b.row("i-1", provider.GitHub))
	_, err := b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "the credential", err, problem.ClientRefused)
	testkit.Want(t, "both secrets were tried", b.calls(), 2)
	if _, err := b.Maintenance.CheckNow(context.Background(), user, registry("i-1"),
		provider.GitHub); err != nil {
		t.Error(err)
	}
	after := b.Ledger.View(b.row("i-1", provider.GitHub))
	testkit.Want(t, "status", after.Status, before.Status)
	testkit.Want(t, "problem", after.Record.Problem, before.Record.Problem)
	testkit.Want(t, "token", binding.SameGeneration(after.Record.Token, before.Record.Token), true)
	testkit.Want(t, "unanswered checks", after.Record.Unanswered, 0)
	testkit.Want(t, "unsure", after.Record.RefreshUnclear, false)
	testkit.Want(t, "an alarm", strings.Contains(b.log.String(), "alarm=client_refused"), true)
	testkit.Want(t, "told apart", b.metrics("Refreshes")["client_refused"] > 0, true)

	b.sandbox.ResetLog()
	b.Ledger.App = func(ctx context.Context, name string) (provider.App, error) {
		app, err := right(ctx, name)
		app.ClientSecrets = append([]secret.Text{secret.New("wrong-1")}, app.ClientSecrets...)
		return app, err
	}
	b.clock().Advance(credential.MaxRefreshBackoff)
	b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
	testkit.Want(t, "the second secret is tried when the first is refused", b.calls(), 2)
}

// TestAPauseWithoutAProblemIsAPause: a row may be damaged, or written by an older version.
func TestAPauseWithoutAProblemIsAPause(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	rec := b.row("i-1", provider.GitHub)
	rec.Backoff = binding.Backoff{Until: b.clock().Now().Add(time.Minute), Tries: 1}
	if _, err := b.store.table.SaveBinding(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	_, err := b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "a build", err, problem.PlatformUnreachable)
	testkit.Want(t, "wait", problem.Of(err).RetryAfter, time.Minute)
	testkit.Want(t, "calls", b.calls(), 0)
	b.clock().Advance(time.Minute)
	b.mustAsk("i-1", credential.MinimumLife)
}
