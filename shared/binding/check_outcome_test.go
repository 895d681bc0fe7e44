package binding

import (
	"context"
	"strings"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// trouble is something that happens to a token at its platform, and what a check makes of it.
type trouble struct {
	name, platform string
	happens        func(b *harness, access secret.Text)
	status         Status
	code           problem.Code
	reason         string
	event          string // "" for none
	mended         func(b *harness, access secret.Text)
}

func troubles() []trouble {
	good := secret.New("pt-sandbox-good")
	all := []trouble{
		{
			"Revoked", provider.GitLab,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.RevokeToken(access) },
			StatusRevoked, problem.TokenRevoked, revokedAtPlatform, event.Revoked, nil,
		},
		{
			"Deleted", provider.Codeup,
			func(b *harness, access secret.Text) { b.sandbox.Codeup.RevokeToken(access) },
			StatusRevoked, problem.TokenRevoked, revokedAtPlatform, event.Revoked, nil,
		},
		{
			"Narrowed", provider.GitLab,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.SetScopes(access, "read_api") },
			StatusUnauthorized, problem.PermissionMissing, "", event.Unauthorized,
			func(b *harness, access secret.Text) { b.sandbox.GitLab.SetScopes(access, "api") },
		},
		{
			"Blocked", provider.GitLab,
			func(b *harness, _ secret.Text) { b.sandbox.GitLab.BlockUser("alice") },
			StatusUnauthorized, problem.UserBlocked, "", event.Unauthorized,
			func(b *harness, _ secret.Text) { b.sandbox.GitLab.UnblockUser("alice") },
		},
		{
			"LeftTheOrganization", provider.Codeup,
			func(b *harness, _ secret.Text) { b.sandbox.Codeup.Leave("sandbox-org-main", "alice") },
			StatusUnauthorized, problem.OrganizationUnknown, "not_a_member", event.Unauthorized,
			func(b *harness, _ secret.Text) {
				b.sandbox.Codeup.Join("sandbox-org-main", "alice", true)
			},
		},
		{
			"AllowList", provider.Codeup,
			func(b *harness, _ secret.Text) {
				b.sandbox.SetSwitch(sandbox.Codeup, codeup.AllowList, true)
			},
			StatusUnauthorized, problem.AddressNotListed, "", event.Unauthorized,
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
			StatusUnauthorized, problem.PermissionMissing, "", event.Unauthorized,
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
			StatusUnauthorized, problem.PermissionMissing, "consent", event.Unauthorized, nil,
		},
	}
	for _, name := range consented {
		at := sandbox.Platform(name)
		all = append(all, trouble{
			"ConsentTakenBack", name,
			func(b *harness, _ secret.Text) { b.sandbox.RevokeTokens(at, "alice") },
			StatusRevoked, problem.TokenRevoked, revokedAtPlatform, event.Revoked, nil,
		})
	}
	return all
}

func TestACheckSaysWhatIsWrongOnceAndWhenItIsWellAgain(t *testing.T) {
	for _, c := range troubles() {
		t.Run(c.platform+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t)
			access := b.accessOf(b.bound("i-1", c.platform))
			b.wantStatus("before", "i-1", c.platform, StatusBound)
			c.happens(b, access)
			for range 3 { // the event comes once
				v := b.checked("i-1", c.platform)
				want(t, "status", v.Status, c.status)
				if p := v.Record.Problem; p == nil || p.Code != c.code || p.Reason != c.reason {
					t.Errorf("problem: got %v, want %s (%s)", p, c.code, c.reason)
				}
			}
			b.wantEvents("i-1", c.platform, event.Bound, c.event)
			if c.mended == nil {
				return
			}
			c.mended(b, access)
			b.later(checkInterval)
			b.wantStatus("mended", "i-1", c.platform, StatusBound)
			b.wantEvents("i-1", c.platform, event.Bound, c.event, event.Recovered)
			if p := b.row("i-1", c.platform).Problem; p != nil {
				t.Errorf("got the problem %v when all is well", p)
			}
		})
	}
}

func TestAGoodCheckIsNotedAndSaysNothing(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.later(0) // the bind's event
		done := b.later(checkInterval)
		want(t, "checked", done.Checked, 1)
		rec := b.row("i-1", name)
		want(t, "last good check", rec.LastCheckedAt, b.clock().now())
		want(t, "attempts", rec.Attempts, 0)
		want(t, "next check within a day", rec.DueAt.After(b.clock().now()) &&
			!rec.DueAt.After(b.clock().now().Add(checkInterval)), true)
		b.wantEvents("i-1", name, event.Bound)
	})
}

func TestADeadAccessTokenAloneIsRefreshedAndIsNobodysProblem(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.sandbox.ExpireTokens(sandbox.Platform(name), "alice")
		v := b.checked("i-1", name)
		want(t, "status", v.Status, StatusBound)
		want(t, "generation", v.Record.Token.Generation, 2)
		want(t, "the new token lives", b.sandbox.Lives(sandbox.Platform(name),
			b.accessOf(v.Record)), true)
		b.wantEvents("i-1", name, event.Bound)
	})
}

func TestATokenThatIsToEndSoonIsNotRefreshedByACheck(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.clock().move(8*time.Hour - time.Minute) // a build may hold it
	want(t, "generation", b.checked("i-1", provider.GitHub).Record.Token.Generation, 1)
	b.clock().move(2 * time.Minute)
	want(t, "generation", b.checked("i-1", provider.GitHub).Record.Token.Generation, 2)
}

func TestATokenThatThePlatformHasJustIssuedIsNotGivenUp(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.GitHub)
	b.sandbox.SetReplicaLag(4)
	b.clock().move(9 * time.Hour)
	want(t, "status", b.checked("i-1", provider.GitHub).Status, StatusBound)
	b.sandbox.SetReplicaLag(0)
	b.later(retryCheckInterval)
	rec := b.row("i-1", provider.GitHub)
	want(t, "last good check", rec.LastCheckedAt, b.clock().now())
	b.wantEvents("i-1", provider.GitHub, event.Bound)
}

func TestThreeChecksWithoutAnAnswerAreTold(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		good := b.bound("i-1", name).LastCheckedAt
		b.fault(name, sandbox.Fault{Kind: sandbox.Fault500})
		b.later(checkInterval)
		for range 2 {
			b.wantStatus("before the third", "i-1", name, StatusBound)
			b.later(retryCheckInterval)
		}
		b.wantStatus("after the third", "i-1", name, StatusUnreachable)
		rec := b.row("i-1", name)
		want(t, "the last good check", rec.LastCheckedAt, good)
		if rec.Problem == nil || rec.Problem.Code != problem.PlatformError {
			t.Errorf("problem: got %v, want %s", rec.Problem, problem.PlatformError)
		}
		b.later(retryCheckInterval)
		b.wantEvents("i-1", name, event.Bound, event.Unreachable)
		b.mend(name)
		b.later(retryCheckInterval)
		b.wantStatus("mended", "i-1", name, StatusBound)
		b.wantEvents("i-1", name, event.Bound, event.Unreachable, event.Recovered)
	})
}

func passing() []sandbox.FaultKind {
	return []sandbox.FaultKind{
		sandbox.Fault500, sandbox.Fault503, sandbox.Fault429, sandbox.FaultRateLimit,
		sandbox.FaultHTML, sandbox.FaultEmpty, sandbox.FaultCut, sandbox.FaultRedirect,
		sandbox.FaultDrop,
	}
}

// TestAPassingFailureNeverChangesWhatIsKnown checks by hand, for of itself a revoked binding isn't
// asked about again.
func TestAPassingFailureNeverChangesWhatIsKnown(t *testing.T) {
	for _, kind := range passing() {
		for _, status := range []Status{StatusRevoked, StatusExpired, StatusUnauthorized} {
			t.Run(string(kind)+"/"+string(status), func(t *testing.T) {
				t.Parallel()
				b := newHarness(t)
				with := b.issue(20)
				b.mustBind("i-1", with)
				why := map[Status]string{
					StatusRevoked: event.Revoked, StatusUnauthorized: event.Unauthorized,
				}[status]
				switch status {
				case StatusRevoked:
					b.sandbox.GitLab.RevokeToken(secret.New(with.value))
				case StatusUnauthorized:
					b.sandbox.GitLab.SetScopes(secret.New(with.value), "read_api")
				default:
					why = event.Expired
					b.clock().move(21 * day)
				}
				code := b.checked("i-1", provider.GitLab).Record.Problem.Code
				b.fault(provider.GitLab, sandbox.Fault{Kind: kind})
				for range minUnansweredChecks + 1 {
					v := b.checked("i-1", provider.GitLab)
					want(t, "status", v.Status, status)
					want(t, "code", v.Record.Problem.Code, code)
				}
				b.wantEvents("i-1", provider.GitLab, event.Bound, why)
			})
		}
	}
}

func TestARevokedTokenIsNotAskedAboutAgain(t *testing.T) {
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
		b.later(checkInterval)
		b.wantStatus("after the check", "i-1", name, StatusRevoked)
		b.sandbox.ResetLog()
		for range 10 {
			b.later(checkInterval)
		}
		want(t, "requests", b.sandbox.Count(sandbox.Platform(name)), 0)
		b.wantEvents("i-1", name, event.Bound, event.Revoked)
	})
}

func TestAnAppThatThePlatformRefusesTouchesNoBinding(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := newHarness(t)
		before := b.bound("i-1", name)
		b.later(0)
		refuse := func(refused bool) {
			box := appsOf(b.sandbox)
			b.Service.app = func(ctx context.Context, name string) (provider.App, error) {
				app, err := box(ctx, name)
				if refused {
					app.ClientSecrets = []secret.Text{secret.New("another")}
				}
				return app, err
			}
		}
		refuse(true)
		b.later(checkInterval)
		for range 5 {
			b.later(retryCheckInterval)
		}
		rec := b.row("i-1", name)
		want(t, "health", rec.Health, table.Healthy)
		want(t, "unanswered", rec.Unanswered, 0)
		want(t, "token", rec.Token.Generation, before.Token.Generation)
		b.wantStatus("refused", "i-1", name, StatusBound)
		b.wantEvents("i-1", name, event.Bound)
		want(t, "alarm", strings.Contains(b.log.String(), "alarm=client_refused"), true)
		refuse(false)
		b.later(retryCheckInterval)
		want(t, "generation", b.row("i-1", name).Token.Generation, 2)
		b.wantEvents("i-1", name, event.Bound)
	})
}
