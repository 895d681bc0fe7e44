package binding_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// year is a binding's year, day by day. The sweep runs twice each morning, and every third day a
// build asks for a credential.
type year struct {
	*harness
	platform string
	begins   time.Time
	held     secret.Text // a pasted token
	given    int         // credentials that a build got
	denied   int         // and didn't
}

func newYear(t *testing.T, platform string) *year {
	b := newHarness(t)
	return &year{harness: b, platform: platform, begins: b.clock().Now()}
}

// until lets the days pass up to the morning of a day.
func (y *year) until(morning int) {
	y.Helper()
	for today := y.today(); today < morning; today = y.today() {
		y.clock().Advance(ledger.Day - maintenance.DoubtedCheckInterval)
		y.mustRun()
		y.clock().Advance(maintenance.DoubtedCheckInterval)
		y.mustRun()
		if y.today()%3 == 0 {
			y.build()
		}
	}
}

func (y *year) today() int { return int(y.clock().Now().Sub(y.begins) / ledger.Day) }

// build clones with a credential, which the platform must accept.
func (y *year) build() {
	y.Helper()
	ctx := context.Background()
	c, err := y.Credentials.Credential(ctx, credential.Request{
		By: user, Instance: registry("i-1"), Platform: y.platform, MinimumLife: credential.MinimumLife,
	})
	if err != nil {
		y.denied++
		return
	}
	y.given++
	rec := y.row("i-1", y.platform)
	platform, _ := y.Ledger.Platforms.Get(y.platform)
	if status := binding.StatusOf(rec, y.clock().Now()); status != binding.StatusBound &&
		status != binding.StatusExpiring {
		return // the status says that something is wrong
	}
	_, err = platform.Check(ctx, provider.Credential{
		Access: c.Token, Address: rec.Address, Username: c.Username,
		Organization: rec.Organization, Scopes: rec.Token.Scopes,
	})
	if err != nil && y.sandbox.Fault(sandbox.Platform(y.platform)).Kind == sandbox.FaultNone {
		y.Errorf("day %d: the platform refuses what a build was given: %v", y.today(), err)
	}
}

// binds binds as the user, who pastes a token that is valid for this many days, or consents.
func (y *year) binds(days int) {
	y.Helper()
	in := connect.TokenBindRequest{By: user, Instance: registry("i-1"), Platform: y.platform}
	switch y.platform {
	case provider.GitLab:
		t := y.issue(days)
		y.held = secret.New(t.value)
		in.Submission = provider.Submission{
			Address: y.url + "/gitlab", Username: t.username, Token: y.held,
		}
	case provider.Codeup: // it doesn't say when a token expires: the user does
		y.held = y.sandbox.Codeup.AddToken(fullCodeup(secret.Text{}))
		in.Submission = provider.Submission{
			Username: "alice", Token: y.held,
			ExpiresAt: y.clock().Now().Add(time.Duration(days) * ledger.Day),
		}
	default:
		y.bound("i-1", y.platform)
		return
	}
	if _, err := y.Connect.BindToken(context.Background(), in); err != nil {
		y.Fatal(err)
	}
}

// fullCodeup returns a token of alice with every permission.
func fullCodeup(value secret.Text) codeup.Token {
	return codeup.Token{
		Value: value, CloneAccount: "alice", Permissions: append(
			codeup.Minimal(), codeup.UserInfo, codeup.Organizations),
	}
}

// revokes revokes the token at the platform, as the user.
func (y *year) revokes() {
	switch y.platform {
	case provider.GitLab:
		y.sandbox.GitLab.RevokeToken(y.held)
	case provider.Codeup:
		y.sandbox.Codeup.RevokeToken(y.held)
	default:
		y.sandbox.RevokeTokens(sandbox.Platform(y.platform), "alice")
	}
}

// firstHalf is the same on every platform: an outage of four days, and later the user revokes the
// token and binds again three days after.
func (y *year) firstHalf() {
	y.Helper()
	y.binds(300)
	y.until(30)
	y.wantStatus("after a month", "i-1", y.platform, binding.StatusBound)
	y.fault(y.platform, sandbox.Fault{Kind: sandbox.Fault503})
	y.until(32)
	y.wantStatus("two days into the outage", "i-1", y.platform, binding.StatusBound)
	y.until(34)
	y.wantStatus("four days into the outage", "i-1", y.platform, binding.StatusUnreachable)
	y.mend(y.platform)
	y.until(36)
	y.wantStatus("after the outage", "i-1", y.platform, binding.StatusBound)
	y.until(180)
	y.revokes()
	y.until(182)
	y.wantStatus("revoked", "i-1", y.platform, binding.StatusRevoked)
	y.until(184)
	y.binds(100)
	y.wantStatus("bound again", "i-1", y.platform, binding.StatusBound)
}

// wantHistory expects this history at the end, and that every secret but the last is deleted.
func (y *year) wantHistory(more ...string) {
	y.Helper()
	got := y.eventsOf("i-1", y.platform)
	if want := append([]string{
		binding.EventBound, binding.EventUnreachable, binding.EventRecovered, binding.EventRevoked,
		binding.EventRebound,
	}, more...); !slices.Equal(got, want) {
		y.Errorf("the year: got %q, want %q", got, want)
	}
	testkit.Want(y, "secrets", len(y.secrets()), 1)
	testkit.Want(y, "listed secrets", len(y.ownedSecrets()), 0)
	y.Logf("%s: %d credentials given, %d denied, %d refreshes", y.platform, y.given, y.denied,
		y.row("i-1", y.platform).Token.Generation-1)
}

// TestAYearByConsent needs its user only once, to consent again after revoking.
func TestAYearByConsent(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		y := newYear(t, name)
		y.firstHalf()
		y.until(365)
		y.wantStatus("at the year's end", "i-1", name, binding.StatusBound)
		y.wantHistory()
		rec := y.row("i-1", name)
		testkit.Want(t, "refreshed each day", rec.Token.Generation > 150, true)
		testkit.Want(t, "credentials", y.given >= 118, true)
	})
}

// TestAYearOnGitLab ends with a token that expires after its warnings and is prolonged.
func TestAYearOnGitLab(t *testing.T) {
	y := newYear(t, provider.GitLab)
	y.firstHalf()
	y.until(100 + 184 - 20)
	y.wantStatus("three weeks before", "i-1", y.platform, binding.StatusBound)
	y.until(100 + 184 - 10)
	y.wantStatus("ten days before", "i-1", y.platform, binding.StatusExpiring)
	y.until(100 + 184)
	y.wantStatus("on the day", "i-1", y.platform, binding.StatusExpired)
	y.until(300)
	y.sandbox.GitLab.AddToken(gitlab.Token{
		Value: y.held, Username: "alice", Scopes: []string{"api"},
		ExpiresAt: y.clock().Now().AddDate(0, 0, 200),
	})
	y.until(320)
	y.wantStatus("prolonged", "i-1", y.platform, binding.StatusBound)
	y.sandbox.GitLab.BlockUser("alice")
	y.until(330)
	y.wantStatus("blocked", "i-1", y.platform, binding.StatusUnauthorized)
	y.sandbox.GitLab.UnblockUser("alice")
	y.until(365)
	y.wantStatus("at the year's end", "i-1", y.platform, binding.StatusBound)
	y.wantHistory(binding.EventExpiring, binding.EventExpiring, binding.EventExpiring,
		binding.EventExpired,
		binding.EventRecovered,
		binding.EventUnauthorized, binding.EventRecovered)
}

// TestAYearOnCodeup ends with an expiry that its owner gave, and a permission that was removed.
func TestAYearOnCodeup(t *testing.T) {
	y := newYear(t, provider.Codeup)
	y.firstHalf()
	y.until(230)
	narrow := fullCodeup(y.held)
	narrow.Permissions = []codeup.Permission{
		codeup.UserInfo, codeup.Organizations,
	}
	y.sandbox.Codeup.AddToken(narrow)
	y.until(240)
	y.wantStatus("narrowed", "i-1", y.platform, binding.StatusUnauthorized)
	y.sandbox.Codeup.AddToken(fullCodeup(y.held))
	y.until(250)
	y.wantStatus("widened again", "i-1", y.platform, binding.StatusBound)
	y.until(300)
	y.wantStatus("its date is over", "i-1", y.platform, binding.StatusExpired)
	y.binds(200)
	y.until(365)
	y.wantStatus("at the year's end", "i-1", y.platform, binding.StatusBound)
	y.wantHistory(binding.EventUnauthorized, binding.EventRecovered,
		binding.EventExpiring, binding.EventExpiring, binding.EventExpiring, binding.EventExpired,
		binding.EventRebound)
}
