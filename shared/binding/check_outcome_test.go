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
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// tokenChange is a change of a token at its platform, and what a check finds then.
type tokenChange struct {
	name, platform string
	happens        func(b *harness, access secret.Text)
	status         binding.Status
	code           problem.Code
	reason         string
	event          string // "" for none
	restored       func(b *harness, access secret.Text)
}

func tokenChanges() []tokenChange {
	good := secret.New("pt-sandbox-good")
	all := []tokenChange{
		{
			"Revoked", provider.GitLab,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.RevokeToken(access) },
			binding.StatusRevoked, problem.TokenRevoked, credential.RevokedAtPlatform, binding.EventRevoked,
			nil,
		},
		{
			"Deleted", provider.Codeup,
			func(b *harness, access secret.Text) { b.sandbox.Codeup.RevokeToken(access) },
			binding.StatusRevoked, problem.TokenRevoked, credential.RevokedAtPlatform, binding.EventRevoked,
			nil,
		},
		{
			"Narrowed", provider.GitLab,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.SetScopes(access, "read_api") },
			binding.StatusUnauthorized, problem.PermissionMissing, "", binding.EventUnauthorized,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.SetScopes(access, "api") },
		},
		{
			"Blocked", provider.GitLab,
			func(b *harness, _ secret.Text) { b.sandbox.GitLab.BlockUser("alice") },
			binding.StatusUnauthorized, problem.UserBlocked, "blocked", binding.EventUnauthorized,
			func(b *harness, _ secret.Text) { b.sandbox.GitLab.UnblockUser("alice") },
		},
		{
			"LeftTheOrganization", provider.Codeup,
			func(b *harness, _ secret.Text) { b.sandbox.Codeup.Leave("sandbox-org-main", "alice") },
			binding.StatusUnauthorized, problem.OrganizationUnknown, "not_a_member",
			binding.EventUnauthorized,
			func(b *harness, _ secret.Text) {
				b.sandbox.Codeup.Join("sandbox-org-main", "alice", true)
			},
		},
		{
			"AllowList", provider.Codeup,
			func(b *harness, _ secret.Text) {
				b.sandbox.SetSwitch(sandbox.Codeup, codeup.AllowList, true)
			},
			binding.StatusUnauthorized, problem.AddressNotListed, "", binding.EventUnauthorized,
			func(b *harness, _ secret.Text) {
				b.sandbox.SetSwitch(sandbox.Codeup, codeup.AllowList, false)
			},
		},
		{
			"Narrowed", provider.Codeup,
			func(b *harness, _ secret.Text) {
				b.sandbox.Codeup.AddToken(codeup.Token{
					Value: good, CloneAccount: "alice",
					Permissions: []codeup.Permission{
						codeup.UserInfo, codeup.Organizations,
					},
				})
			},
			binding.StatusUnauthorized, problem.PermissionMissing, "", binding.EventUnauthorized,
			func(b *harness, _ secret.Text) {
				b.sandbox.Codeup.AddToken(codeup.Token{
					Value: good, CloneAccount: "alice", Permissions: append(
						codeup.Minimal(), codeup.UserInfo, codeup.Organizations),
				})
			},
		},
		{
			"Narrowed", provider.GitHub,
			func(b *harness, _ secret.Text) { b.sandbox.NarrowScopes(sandbox.GitHub, "alice", nil) },
			binding.StatusUnauthorized, problem.PermissionMissing, "whole_consent",
			binding.EventUnauthorized, nil,
		},
	}
	for _, name := range consented {
		at := sandbox.Platform(name)
		all = append(all, tokenChange{
			"ConsentTakenBack", name,
			func(b *harness, _ secret.Text) { b.sandbox.RevokeTokens(at, "alice") },
			binding.StatusRevoked, problem.TokenRevoked, credential.RevokedAtPlatform, binding.EventRevoked,
			nil,
		})
	}
	return all
}

func TestACheckReportsAFailureOnceAndTheRecovery(t *testing.T) {
	for _, c := range tokenChanges() {
		t.Run(c.platform+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t)
			access := b.accessOf(b.bound("i-1", c.platform))
			b.wantStatus("before", "i-1", c.platform, binding.StatusBound)
			c.happens(b, access)
			for range 3 { // the event comes once
				v := b.checked("i-1", c.platform)
				testkit.Want(t, "status", v.Status, c.status)
				if p := v.Record.Problem; p == nil || p.Code != c.code || p.Reason != c.reason {
					t.Errorf("problem: got %v, want %s (%s)", p, c.code, c.reason)
				}
			}
			b.wantEvents("i-1", c.platform, binding.EventBound, c.event)
			if c.restored == nil {
				return
			}
			c.restored(b, access)
			b.later(ledger.CheckInterval)
			b.wantStatus("restored", "i-1", c.platform, binding.StatusBound)
			b.wantEvents("i-1", c.platform, binding.EventBound, c.event, binding.EventRecovered)
			if p := b.row("i-1", c.platform).Problem; p != nil {
				t.Errorf("got the problem %v when all is well", p)
			}
		})
	}
}

// A check by the schedule has no actor, one by request its user, also where a refresh tells.
func TestTheActorOfACheckIsWhoAskedForIt(t *testing.T) {
	each(t, []string{provider.GitLab, provider.GitHub}, func(t *testing.T, name string) {
		for _, byUser := range []bool{true, false} {
			b := newHarness(t)
			access := b.accessOf(b.bound("i-1", name))
			b.later(0) // the bind's event
			if name == provider.GitLab {
				b.sandbox.GitLab.RevokeToken(access)
			} else {
				b.sandbox.RevokeTokens(sandbox.GitHub, "alice")
			}
			want := binding.User{}
			if byUser {
				want = user
				b.checked("i-1", name)
			} else {
				b.later(ledger.CheckInterval)
				b.later(ledger.CheckInterval)
			}
			b.wantEvents("i-1", name, binding.EventBound, binding.EventRevoked)
			page, err := b.Connect.History(
				context.Background(), user.Account, registry("i-1"), name, "")
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "the actor", page.Items[0].Actor, want)
		}
	})
}

func TestAGoodCheckIsRecordedWithoutAnEvent(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.later(0) // the bind's event
		done := b.later(ledger.CheckInterval)
		testkit.Want(t, "checked", done.Checked, 1)
		rec := b.row("i-1", name)
		testkit.Want(t, "last good check", rec.LastCheckedAt, b.clock().Now())
		testkit.Want(t, "attempts", rec.CheckAttempts, 0)
		testkit.Want(t, "next check within a day", rec.DueAt.After(b.clock().Now()) &&
			!rec.DueAt.After(b.clock().Now().Add(ledger.CheckInterval)), true)
		b.wantEvents("i-1", name, binding.EventBound)
	})
}

func TestARefusedAccessTokenIsRefreshedWithoutAProblem(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.sandbox.ExpireTokens(sandbox.Platform(name), "alice")
		v := b.checked("i-1", name)
		testkit.Want(t, "status", v.Status, binding.StatusBound)
		testkit.Want(t, "generation", v.Record.Token.Generation, 2)
		testkit.Want(t, "the new token lives", b.sandbox.Lives(sandbox.Platform(name),
			b.accessOf(v.Record)), true)
		b.wantEvents("i-1", name, binding.EventBound)
	})
}

func TestATokenThatExpiresSoonIsNotRefreshedByACheck(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.clock().Advance(8*time.Hour - time.Minute) // a build may hold it
	testkit.Want(t, "generation", b.checked("i-1", provider.GitHub).Record.Token.Generation, 1)
	b.clock().Advance(2 * time.Minute)
	testkit.Want(t, "generation", b.checked("i-1", provider.GitHub).Record.Token.Generation, 2)
}

func TestARefusalOfATokenThatWasJustIssuedDoesNotRevoke(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.sandbox.SetReplicaLag(4)
	b.clock().Advance(9 * time.Hour)
	testkit.Want(t, "status", b.checked("i-1", provider.GitHub).Status, binding.StatusBound)
	b.sandbox.SetReplicaLag(0)
	b.later(maintenance.RetryCheckInterval)
	rec := b.row("i-1", provider.GitHub)
	testkit.Want(t, "last good check", rec.LastCheckedAt, b.clock().Now())
	b.wantEvents("i-1", provider.GitHub, binding.EventBound)
}

// TestACheckWhoseResultIsNotSavedFailsOnce, and has done nothing else that the run counts.
func TestACheckWhoseResultIsNotSavedFailsOnce(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.later(0)
	b.clock().Advance(ledger.CheckInterval)
	b.fault(provider.GitLab, sandbox.Fault{Kind: sandbox.Fault500})
	b.inside.set(downFrom("second SaveBinding"))
	done := b.mustRun()
	testkit.Want(t, "checked", done.Checked, 1)
	testkit.Want(t, "failed", done.Failed, 1)
}

func TestThreeChecksWithoutAnAnswerAreReported(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		good := b.bound("i-1", name).LastCheckedAt
		b.fault(name, sandbox.Fault{Kind: sandbox.Fault500})
		b.later(ledger.CheckInterval)
		for range 2 {
			b.wantStatus("before the third", "i-1", name, binding.StatusBound)
			b.later(maintenance.RetryCheckInterval)
		}
		b.wantStatus("after the third", "i-1", name, binding.StatusUnreachable)
		rec := b.row("i-1", name)
		testkit.Want(t, "the last good check", rec.LastCheckedAt, good)
		if rec.Problem == nil || rec.Problem.Code != problem.PlatformError {
			t.Errorf("problem: got %v, want %s", rec.Problem, problem.PlatformError)
		}
		b.fault(name, sandbox.Fault{Kind: sandbox.Fault429})
		b.later(maintenance.RetryCheckInterval)
		rec = b.row("i-1", name)
		if rec.Problem == nil || rec.Problem.Code != problem.PlatformRateLimited {
			t.Errorf("problem: got %v, want the latest one, %s", rec.Problem,
				problem.PlatformRateLimited)
		}
		b.wantEvents("i-1", name, binding.EventBound, binding.EventUnreachable)
		b.mend(name)
		b.later(maintenance.RetryCheckInterval)
		b.wantStatus("restored", "i-1", name, binding.StatusBound)
		b.wantEvents("i-1", name, binding.EventBound, binding.EventUnreachable, binding.EventRecovered)
	})
}

func passing() []sandbox.FaultKind {
	return []sandbox.FaultKind{
		sandbox.Fault500, sandbox.Fault503, sandbox.Fault429, sandbox.FaultRateLimit,
		sandbox.FaultHTML, sandbox.FaultEmpty, sandbox.FaultCut, sandbox.FaultRedirect,
		sandbox.FaultDrop,
	}
}

// TestATemporaryFailureNeverChangesADefiniteResult checks at a user's
// request, because the schedule does not check a revoked binding again.
func TestATemporaryFailureNeverChangesADefiniteResult(t *testing.T) {
	for _, kind := range passing() {
		for _, status := range []binding.Status{
			binding.StatusRevoked, binding.StatusExpired,
			binding.StatusUnauthorized,
		} {
			t.Run(string(kind)+"/"+string(status), func(t *testing.T) {
				t.Parallel()
				b := newHarness(t)
				with := b.issue(20)
				b.mustBind("i-1", with)
				why := map[binding.Status]string{
					binding.StatusRevoked:      binding.EventRevoked,
					binding.StatusUnauthorized: binding.EventUnauthorized,
				}[status]
				switch status {
				case binding.StatusRevoked:
					b.sandbox.GitLab.RevokeToken(secret.New(with.value))
				case binding.StatusUnauthorized:
					b.sandbox.GitLab.SetScopes(secret.New(with.value), "read_api")
				default:
					why = binding.EventExpired
					b.clock().Advance(21 * ledger.Day)
				}
				code := b.checked("i-1", provider.GitLab).Record.Problem.Code
				b.fault(provider.GitLab, sandbox.Fault{Kind: kind})
				for range binding.MinUnansweredChecks + 1 {
					v := b.checked("i-1", provider.GitLab)
					testkit.Want(t, "status", v.Status, status)
					testkit.Want(t, "code", v.Record.Problem.Code, code)
				}
				b.wantEvents("i-1", provider.GitLab, binding.EventBound, why)
			})
		}
	}
}

func TestARevokedTokenIsNotCheckedAgain(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		access := b.accessOf(b.bound("i-1", name))
		switch name {
		case provider.GitLab:
			b.sandbox.GitLab.RevokeToken(access)
		case provider.Codeup:
			b.sandbox.Codeup.RevokeToken(access)
		default:
			b.sandbox.RevokeTokens(sandbox.Platform(name), "alice")
		}
		b.later(ledger.CheckInterval)
		b.later(maintenance.DoubtedCheckInterval)
		b.wantStatus("after the check", "i-1", name, binding.StatusRevoked)
		for _, wait := range []time.Duration{15 * time.Minute, time.Hour, ledger.Day} {
			b.later(wait) // the early checks
		}
		b.sandbox.ResetLog()
		for range 10 {
			b.later(ledger.CheckInterval)
		}
		testkit.Want(t, "requests", b.sandbox.Count(sandbox.Platform(name)), 0)
		b.wantEvents("i-1", name, binding.EventBound, binding.EventRevoked)
	})
}

func TestAnAppThatThePlatformRefusesChangesNoBinding(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		before := b.bound("i-1", name)
		b.later(0)
		refuse := func(refused bool) {
			box := appsOf(b.sandbox)
			b.services.Ledger.App = func(ctx context.Context, name string) (provider.App, error) {
				app, err := box(ctx, name)
				if refused {
					app.ClientSecrets = []secret.Text{secret.New("another")}
				}
				return app, err
			}
		}
		refuse(true)
		b.later(ledger.CheckInterval)
		for range 5 {
			b.later(maintenance.RetryCheckInterval)
		}
		rec := b.row("i-1", name)
		testkit.Want(t, "health", rec.Health, binding.HealthGood)
		testkit.Want(t, "unanswered", rec.Unanswered, 0)
		testkit.Want(t, "token", rec.Token.Generation, before.Token.Generation)
		b.wantStatus("refused", "i-1", name, binding.StatusBound)
		b.wantEvents("i-1", name, binding.EventBound)
		testkit.Want(t, "alarm", strings.Contains(b.log.String(), "alarm=client_refused"), true)
		refuse(false)
		b.later(maintenance.RetryCheckInterval)
		testkit.Want(t, "generation", b.row("i-1", name).Token.Generation, 2)
		b.wantEvents("i-1", name, binding.EventBound)
	})
}
