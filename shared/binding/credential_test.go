package binding_test

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func (b *harness) wantCalls(what string, want map[string]int, do func()) {
	b.Helper()
	if got := b.counted(do); !maps.Equal(got, want) {
		b.Errorf("%s: got the calls %v, want %v", what, got, want)
	}
}

func TestAGoodCredentialCostsOneTableCallAndOneVaultCallOrNone(t *testing.T) {
	b := newHarness(t)
	b.bindGitHub("i-1", gitHubLife)
	ask := func() { b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife)) }
	asking := func() { b.mustAsk("i-1", credential.MinimumLife) }
	cold, warm := map[string]int{"Binding": 1, "Get": 1}, map[string]int{"Binding": 1}
	b.wantCalls("cold", cold, asking)
	b.wantCalls("warm", warm, asking)

	other := b.otherProcess() // which refreshes
	b.clock().Advance(gitHubLife)
	other.wantCurrent("i-1", other.mustAsk("i-1", credential.MinimumLife))
	b.wantCalls("another generation", cold, asking)
	b.wantCalls("warm again", warm, asking)
	other.wantCalls("a process that has refreshed has it cached", warm,
		func() { other.mustAsk("i-1", credential.MinimumLife) })
	ask()

	b.keepConsented("i-1", b.consent("alice"))
	b.wantCalls("another secret", cold, asking)
	testkit.Want(t, "calls to the platform for a token", b.refreshes(), 1)
}

// TestACachedTokenIsNotHandedOutWhenItsBindingIsGone: the record is read first, every time.
func TestACachedTokenIsNotHandedOutWhenItsBindingIsGone(t *testing.T) {
	b := newHarness(t)
	b.bindGitHub("i-1", gitHubLife)
	b.mustAsk("i-1", credential.MinimumLife)
	_, err := b.otherProcess().Connect.Unbind(context.Background(), connect.UnbindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.GitHub,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.ask("i-1", credential.MinimumLife)
	testkit.WantCode(t, "a credential", err, problem.NotBound)
}

// TestAWarmProcessSeesEveryChangeOfARow: a process that has just handed out a token, and would
// not decode an unchanged row, notices what another process has saved, and that time has passed.
func TestAWarmProcessSeesEveryChangeOfARow(t *testing.T) {
	for what, c := range map[string]struct {
		edit func(*binding.Record)
		code problem.Code
	}{
		"revoked": {func(r *binding.Record) {
			r.Health, r.Problem = binding.HealthRevoked, problem.New(problem.TokenRevoked)
		}, problem.TokenRevoked},
		"expired": {func(r *binding.Record) { r.Health = binding.HealthExpired }, problem.TokenExpired},
		"of a newer version": {
			func(r *binding.Record) { r.Health = "frozen" }, problem.NewerVersion,
		},
		"unbound": {func(r *binding.Record) { r.Token = binding.Token{} }, problem.NotBound},
		"of a secret that is not there": {
			func(r *binding.Record) { r.Token.Secret = r.Token.Secret[1:] + "0" },
			problem.StorageUnavailable,
		},
	} {
		b := newHarness(t)
		b.bound("i-1", provider.GitLab)
		b.getsToken("cold", "i-1", provider.GitLab)
		rec := b.row("i-1", provider.GitLab)
		c.edit(&rec)
		if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, what, b.credentialProblem("i-1", provider.GitLab).Code, c.code)
	}
	b := newHarness(t)
	v := b.mustBind("i-1", aliceSoon)
	b.getsToken("cold", "i-1", provider.GitLab)
	b.clock().Advance(v.Record.Token.ExpiresAt.Sub(b.clock().Now()))
	testkit.Want(t, "ended", b.credentialProblem("i-1", provider.GitLab).Code, problem.TokenExpired)
}

// TestAWarmProcessLooksAtTheRequest: what a build asks for counts although the row is unchanged.
func TestAWarmProcessLooksAtTheRequest(t *testing.T) {
	b := newHarness(t)
	b.bindGitHub("i-1", time.Hour)
	first := b.mustAsk("i-1", credential.MinimumLife)
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry("i-1"), Platform: provider.GitHub,
		Repository: "https://elsewhere.example/a/b",
	})
	testkit.WantCode(t, "of another host", err, problem.InputMalformed)
	longer := b.mustAsk("i-1", 2*time.Hour)
	testkit.Want(t, "the same token", longer.Token.Equal(first.Token), false)
	b.wantCurrent("i-1", longer)
	warm := b.mustAsk("i-1", 2*time.Hour)
	testkit.Want(t, "the new token again", warm.Token.Equal(longer.Token), true)
	testkit.Want(t, "its user name", warm.Username, longer.Username)
	testkit.Want(t, "its end", warm.ExpiresAt, longer.ExpiresAt)
	lines := b.audits("credential")
	testkit.Want(t, "audit lines", len(lines), 3)
	for _, line := range lines[1:] {
		testkit.Want(t, "the line has the identity", strings.Contains(line, "identity.username=alice"),
			true)
	}
}

func (b *harness) askGitLab(id string) (credential.Credential, error) {
	return b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry(id), Platform: provider.GitLab, MinimumLife: 24 * time.Hour,
	})
}

func TestAPersonalTokenIsHandedOutWithItsTrueExpiry(t *testing.T) {
	b := newHarness(t)
	for id, with := range map[string]token{"i-1": aliceToken, "i-2": aliceOther, "i-3": aliceSoon} {
		v := b.mustBind(id, with)
		c, err := b.askGitLab(id)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "the token", c.Token.Equal(secret.New(with.value)), true)
		testkit.Want(t, "user name", c.Username, "alice")
		testkit.Want(t, "its end", c.ExpiresAt, v.Record.Token.ExpiresAt)
	}
	forever, _ := b.askGitLab("i-2")
	testkit.Want(t, "one that never ends", forever.ExpiresAt.IsZero(), true)
}

func TestACredentialOfWhatHasNoneSaysWhy(t *testing.T) {
	b := newHarness(t)
	_, err := b.askGitLab("i-1")
	testkit.WantCode(t, "never bound", err, problem.NotBound)

	v := b.mustBind("i-1", aliceSoon)
	b.clock().Advance(v.Record.Token.ExpiresAt.Sub(b.clock().Now()))
	_, err = b.askGitLab("i-1")
	testkit.WantCode(t, "ended", err, problem.TokenExpired)

	rec := b.row("i-1", provider.GitLab)
	rec.Health = binding.HealthRevoked
	rec.Problem = problem.New(problem.TokenRevoked).Because(credential.RevokedAtPlatform)
	if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	_, err = b.askGitLab("i-1")
	testkit.WantCode(t, "revoked", err, problem.TokenRevoked)
	testkit.Want(t, "reason", problem.Of(err).Reason, credential.RevokedAtPlatform)

	b.mustUnbind("i-1", false)
	_, err = b.askGitLab("i-1")
	testkit.WantCode(t, "unbound", err, problem.NotBound)

	_, err = b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry("i-1"), Platform: "sourceforge",
	})
	testkit.WantCode(t, "no platform", err, problem.PlatformUnknown)
}

func TestAnotherAccountsBindingIsNotBound(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	stranger := user
	stranger.Account = "acct-2"
	_, err := b.Credentials.Credential(context.Background(), credential.Request{
		By: stranger, Instance: registry("i-1"), Platform: provider.GitLab,
	})
	testkit.WantCode(t, "a credential", err, problem.NotBound)
}

func TestB13_ACredentialHoldsNoRefreshTokenAndIsAuditedWithoutAToken(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	c := b.mustAsk("i-1", credential.MinimumLife)
	bundle, err := b.fetch(b.row("i-1", provider.GitHub))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the refresh token", c.Token.Equal(bundle.Token.Refresh), false)
	testkit.Want(t, "the access token", c.Token.Equal(bundle.Token.Access), true)
	testkit.Want(t, "user name", c.Username, "x-access-token")
	lines := b.audits("credential")
	testkit.Want(t, "audit lines", len(lines), 1)
	for _, part := range []string{"outcome=done", "instance=i-1", "user.subject=u-1", "alice"} {
		testkit.Want(t, "the line has "+part, strings.Contains(lines[0], part), true)
	}
	for _, hidden := range []secret.Text{bundle.Token.Access, bundle.Token.Refresh} {
		testkit.Want(t, "the log shows it", strings.Contains(b.log.String(), hidden.Reveal()), false)
	}
}

// TestTwoProcessesAndAPlatformThatTakesLongerThanTheLease: a caller whose token is
// valid gets it or the next one, and the valid token is in the record in the end.
func TestTwoProcessesAndAPlatformThatTakesLongerThanTheLease(t *testing.T) {
	b := newRefreshable(t, 5*time.Minute)
	gate := b.holdAnswer()
	slow := b.otherProcess()
	first := slow.asking(credential.MinimumLife)
	<-gate.reached
	// While the holder has its lease, others wait, and then use the token that is still valid.
	old := b.access("i-1")
	b.services.Ledger.Sleep = func(context.Context, time.Duration) error {
		return context.DeadlineExceeded
	}
	testkit.Want(t, "the old token", b.mustAsk("i-1", credential.MinimumLife).Token.Equal(old), true)
	testkit.Want(t, "refreshes asked for", b.refreshes(), 1)
	b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
	// The next caller takes over, is refused, and reads the token that the holder is about to
	// store.
	looks := 0
	b.services.Ledger.Sleep = func(context.Context, time.Duration) error {
		if looks++; looks == 2 {
			gate.open()
			<-first
		}
		return nil
	}
	c := b.mustAsk("i-1", credential.MinimumLife)
	b.wantCurrent("i-1", c)
	testkit.Want(t, "refreshes asked for", b.refreshes(), 2)
	testkit.Want(t, "revocation events", len(b.happenedTo("i-1", "binding.revoked")), 0)
}

func TestManyCallersWhileThePlatformFailsAreAnsweredAndFewReachThePlatform(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.fails(sandbox.Fault{Kind: sandbox.Fault500})
	given, failed := many([]*harness{b, b.otherProcess(), b.otherProcess(), b.otherProcess()}, 50,
		"i-1")
	testkit.Want(t, "credentials", len(given), 0)
	testkit.Want(t, "answers", len(failed), 200)
	for _, err := range failed {
		p := problem.Of(err)
		if p.Code != problem.PlatformError || p.RetryAfter <= 0 {
			t.Errorf("got %v, want %s with a time to wait", err, problem.PlatformError)
		}
	}
	if n := b.calls(); n < 1 || n > 5 {
		t.Errorf("got %d calls at the platform, want at most 5", n)
	}
}

func TestABindingThatHangsDelaysNoOther(t *testing.T) {
	b := newHarness(t)
	b.shortenWaits()
	const bindings, reads = 10, 500
	for i := range bindings {
		b.mustBind("i-"+strconv.Itoa(i), aliceToken)
	}
	b.bindGitHub("i-0", -time.Minute)
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := func(r sandbox.Request) {
		if r.Platform == sandbox.GitHub {
			once.Do(func() { close(arrived) })
			<-release
		}
	}
	b.asked.Store(&hold)
	hanging := make(chan error, 1)
	go func() {
		_, err := b.ask("i-0", credential.MinimumLife)
		hanging <- err
	}()
	<-arrived
	var group sync.WaitGroup
	for worker := range 50 {
		group.Go(func() {
			for range reads / 50 {
				if _, err := b.askGitLab("i-" + strconv.Itoa(worker%bindings)); err != nil {
					t.Errorf("another binding's credential: %v", err)
				}
			}
		})
	}
	group.Wait()
	testkit.Want(t, "answered while the platform hangs", len(hanging), 0)
	close(release)
	testkit.Want(t, "in the end", <-hanging, nil)
}

func TestB6_ARevokedTokenIsOneCallAndItsReasonStays(t *testing.T) {
	b := newRefreshable(t, -time.Minute)
	b.answers(http.StatusOK, map[string]any{"error": "bad_refresh_token"})
	for range 5 {
		_, err := b.ask("i-1", credential.MinimumLife)
		testkit.WantCode(t, "a credential", err, problem.TokenRevoked)
		testkit.Want(t, "reason", problem.Of(err).Reason, credential.RevokedAtPlatform)
		b.clock().Advance(time.Hour)
		b.mustRun()
	}
	b.wantRevoked("i-1", credential.RevokedAtPlatform)
	testkit.Want(t, "refreshes asked for", b.metrics("Refreshes")["token_revoked"], 1)
}
