package binding_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func TestABindSaysWhoAndWhatAndKeepsTheToken(t *testing.T) {
	b := newHarness(t)
	calls := b.counted(func() {
		v := b.mustBind("i-1", aliceToken)
		rec := v.Record
		testkit.Want(t, "status", v.Status, binding.StatusBound)
		testkit.Want(t, "method", v.Method, provider.ByToken)
		testkit.Want(t, "identity", rec.Identity.Username, "alice")
		testkit.Want(t, "address", rec.Address, b.url+"/gitlab")
		testkit.Want(t, "generation", rec.Token.Generation, 1)
		testkit.Want(t, "renewable", rec.Token.Refreshable, false)
		testkit.Want(t, "bound by", rec.BoundBy, user)
		testkit.Want(t, "bound at", rec.BoundAt, b.clock().Now())
		testkit.Want(t, "checked at", rec.LastCheckedAt, b.clock().Now())
		testkit.Want(t, "an expiry", rec.Token.ExpiresAt.IsZero(), false)
		testkit.Want(t, "scopes", strings.Join(rec.Token.Scopes, " "), "api")
		testkit.Want(t, "stamp", len(rec.Revision), 32)
	})
	if calls["Put"] != 1 || calls["SaveBinding"] != 2 || calls["Delete"] != 0 {
		t.Errorf("got the calls %v", calls)
	}
	testkit.Want(t, "token of", b.opens("i-1"), "alice")
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	b.settled()
	testkit.Want(t, "token of", b.opens("i-1"), "alice")
}

func TestWhatWasPastedAroundATokenIsNotKept(t *testing.T) {
	b := newHarness(t)
	v := b.mustBind("i-1", token{" alice ", "  Bearer " + aliceToken.value + "\r\n"})
	bundle, err := b.fetch(v.Record)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the token as it was verified",
		bundle.Token.Access.Equal(secret.New(aliceToken.value)),
		true)
}

func TestAReBindReplacesTheTokenAndDropsTheOld(t *testing.T) {
	b := newHarness(t)
	first := b.mustBind("i-1", aliceToken).Record
	second := b.mustBind("i-1", bobToken).Record
	testkit.Want(t, "same secret", first.Token.Secret == second.Token.Secret, false)
	testkit.Want(t, "same stamp", first.Revision == second.Revision, false)
	testkit.Want(t, "identity", b.opens("i-1"), "bob")
	testkit.Want(t, "secrets at once", len(b.secrets()), 2)
	b.settled()
	testkit.Want(t, "secrets in the end", len(b.secrets()), 1)
	testkit.Want(t, "identity in the end", b.opens("i-1"), "bob")
}

func TestAReBindForgetsHowTheOldTokenWasDoing(t *testing.T) {
	b := newHarness(t)
	rec := b.mustBind("i-1", aliceToken).Record
	rec.Health, rec.Problem = binding.HealthRevoked, problem.New(problem.TokenRejected)
	rec.Unanswered, rec.RefreshUnclear, rec.CheckAttempts = 4, true, 3
	rec.Lease = binding.Lease{Owner: "somebody", Until: b.clock().Now().Add(ledger.VerifyTimeout)}
	if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	v := b.mustBind("i-1", aliceOther)
	testkit.Want(t, "status", v.Status, binding.StatusBound)
	rec = b.row("i-1", provider.GitLab)
	testkit.Want(t, "lease", rec.Lease, binding.Lease{})
	if rec.RefreshUnclear || rec.Unanswered != 0 || rec.CheckAttempts != 0 || rec.Problem != nil {
		t.Errorf("got %+v, want nothing left of the old token", rec)
	}
	testkit.Want(t, "events", len(rec.Events), 2)
}

// TestARefusedBindChangesNothing tries every mistake of a user, on a binding that is
// there and on one that isn't.
func TestARefusedBindChangesNothing(t *testing.T) {
	b := newHarness(t)
	before := b.mustBind("i-1", aliceToken).Record
	b.settled()
	before = b.row("i-1", before.Platform)
	for _, c := range []struct {
		name   string
		change func(*connect.TokenBindRequest)
		code   problem.Code
	}{
		{"a revoked token", func(in *connect.TokenBindRequest) {
			in.Submission.Token = secret.New(revokedOnes.value)
		}, problem.TokenRejected},
		{"another's user name", func(in *connect.TokenBindRequest) {
			in.Submission.Username = "bob"
		}, problem.UsernameMismatch},
		{"no token", func(in *connect.TokenBindRequest) {
			in.Submission.Token = secret.Text{}
		}, problem.InputMalformed},
		{"a private address", func(in *connect.TokenBindRequest) {
			in.Submission.Address = "http://10.0.0.1:8080"
		}, problem.AddressRefused},
		{"a platform that there isn't", func(in *connect.TokenBindRequest) {
			in.Platform = "svn"
		}, problem.PlatformUnknown},
		{"a platform bound by consent", func(in *connect.TokenBindRequest) {
			in.Platform = provider.GitHub
		}, problem.MethodMismatch},
		{"another tag", func(in *connect.TokenBindRequest) {
			in.Match = binding.Match{ETags: []string{"0123"}}
		}, problem.PreconditionFailed},
	} {
		for _, id := range []string{"i-1", "i-2"} {
			in := b.gitLab(id, aliceOther)
			c.change(&in)
			_, err := b.Connect.BindToken(context.Background(), in)
			testkit.WantCode(t, c.name+" on "+id, err, c.code)
		}
	}
	testkit.Want(t, "version", b.row("i-1", before.Platform).Version, before.Version)
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	testkit.Want(t, "listed secrets", len(b.ownedSecrets()), 0)
	testkit.Want(t, "version of the unbound one", b.row("i-2", before.Platform).Version, "")
}

func TestAPlatformThatFailsLeavesTheOldBinding(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.sandbox.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.Fault500})
	_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
	testkit.WantCode(t, "with a platform that is down", err, problem.PlatformError)
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
	testkit.Want(t, "secrets", len(b.secrets()), 1)
}

// TestAFailingStorageIsSaid lets each call of a re-bind fail without having done anything.
func TestAFailingStorageIsSaid(t *testing.T) {
	for _, call := range []string{
		"Binding", "SaveBinding", "Put", "SaveIdentityEntry", "second SaveBinding",
	} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.inside.set(downFrom(call))
		_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
		b.inside.clear()
		testkit.WantCode(t, "without "+call, err, problem.StorageUnavailable)
		testkit.Want(t, "cause is kept", errors.Is(err, errDown), true)
		testkit.Want(t, "a time to wait", problem.Of(err).RetryAfter > 0, true)
		testkit.Want(t, "identity", b.opens("i-1"), "alice")
		b.settled()
		testkit.Want(t, "identity in the end", b.opens("i-1"), "alice")
	}
}

func TestOnlyTheBindThatReadTheTagWins(t *testing.T) {
	b := newHarness(t)
	first := b.mustBind("i-1", aliceToken)
	in := b.gitLab("i-1", bobToken)
	in.Match = binding.Match{ETags: []string{first.Record.Revision}}
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	_, err := b.Connect.BindToken(context.Background(), in)
	testkit.WantCode(t, "the same tag again", err, problem.PreconditionFailed)
	in = b.gitLab("i-2", bobToken)
	in.Match = binding.Match{ETags: []string{"*"}}
	_, err = b.Connect.BindToken(context.Background(), in)
	testkit.WantCode(t, "any tag, of an unbound one", err, problem.PreconditionFailed)
}

// nth splits the name of a call that is not the first of its name.
func nth(call string) (name string, n int64) {
	if name, ok := strings.CutPrefix(call, "second "); ok {
		return name, 2
	}
	return call, 1
}

// atNth is [harness.at] for a call that may be the second with its name.
func (b *harness) atNth(call string, do func()) {
	name, n := nth(call)
	var seen atomic.Int64
	b.before.set(func(_ context.Context, call string) (func(), error) {
		if call == name && seen.Add(1) == n {
			b.before.clear()
			do()
		}
		return nil, nil
	})
}

// downFrom is [down] for the calls with a name from the first or the second on.
func downFrom(call string) ledger.Hook {
	name, n := nth(call)
	var seen atomic.Int64
	return func(_ context.Context, call string) (func(), error) {
		if call == name && seen.Add(1) >= n {
			return nil, errDown
		}
		return nil, nil
	}
}

// at runs a function once, before the first call with this name that a service makes.
func (b *harness) at(name string, do func()) {
	b.before.set(func(_ context.Context, call string) (func(), error) {
		if call == name {
			b.before.clear()
			do()
		}
		return nil, nil
	})
}

func TestABindThatSomebodyElseOvertakesIsAConflict(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.at("SaveBinding", func() { b.mustBind("i-1", aliceOther) })
	_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
	testkit.WantCode(t, "overtaken by a bind before it lists its secret", err, problem.Conflict)
	b.atNth("second SaveBinding", func() { b.mustBind("i-1", aliceToken) })
	_, err = b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
	testkit.WantCode(t, "overtaken by a bind before it points at its secret", err, problem.Conflict)
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
	b.settled()
	testkit.Want(t, "events", strings.Join(b.history("i-1"), ", "), "3 rebound, 2 rebound, 1 bound")
}

// TestA18_AnUnbindIsNotUndoneByABindUnderWay stops a bind before each of its calls, and unbinds.
// The bind may see the unbind, or fail; it never restores the binding that it read before.
func TestA18_AnUnbindIsNotUndoneByABindUnderWay(t *testing.T) {
	for _, call := range []string{"SaveBinding", "Put", "SaveIdentityEntry", "second SaveBinding"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.atNth(call, func() { b.mustUnbind("i-1", true) })
		_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
		testkit.WantCode(t, "unbound before "+call, err, problem.Conflict)
		testkit.Want(t, "identity", b.opens("i-1"), "")
		b.settled()
		testkit.Want(t, "secrets", len(b.secrets()), 0)
		testkit.Want(t, "events", strings.Join(b.history("i-1"), ", "), "2 unbound, 1 bound")
	}
}

// TestASaveThatIsNoBindIsNoConflict drains the events, as a sweep does, under a bind and under an
// unbind.
func TestASaveThatIsNoBindIsNoConflict(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.at("SaveBinding", func() { b.mustRun() })
	b.mustBind("i-1", bobToken)
	testkit.Want(t, "identity", b.opens("i-1"), "bob")
	b.at("SaveBinding", func() { b.mustRun() })
	b.mustUnbind("i-1", false)
	testkit.Want(t, "identity", b.opens("i-1"), "")
	all := []string{"3 unbound", "2 rebound", "1 bound"}
	if got := b.history("i-1"); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
	b.settled()
}

func TestABindOverARowThatTheSweepTakesAway(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.mustUnbind("i-1", false)
	b.mustRun()
	b.clock().Advance(ledger.OrphanGracePeriod)
	b.at("SaveBinding", func() { testkit.Want(t, "rows taken away", b.mustRun().Removed, 1) })
	b.mustBind("i-1", bobToken)
	testkit.Want(t, "identity", b.opens("i-1"), "bob")
	b.settled()
}

// TestAChangeThatIsAlwaysOvertakenGivesUp lets the row change before every save, in a way that is
// neither a bind nor an unbind.
func TestAChangeThatIsAlwaysOvertakenGivesUp(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.before.set(func(_ context.Context, call string) (func(), error) {
		if call == "SaveBinding" {
			rec := b.row("i-1", provider.GitLab)
			if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
				t.Error(err)
			}
		}
		return nil, nil
	})
	_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-1", bobToken))
	testkit.WantCode(t, "a bind", err, problem.Conflict)
	_, err = b.Connect.Unbind(context.Background(), gitLabEnd("i-1", false))
	testkit.WantCode(t, "an unbind", err, problem.Conflict)
	b.before.clear()
	b.settled()
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
}

func TestA16_AReBindToAnotherIdentityIsAuditedWithBoth(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	in := b.gitLab("i-1", bobToken)
	in.By = other
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	audits := b.audits("bind")
	if len(audits) != 2 {
		t.Fatalf("got %d audit lines, want 2", len(audits))
	}
	for _, part := range []string{
		"outcome=done", "account=acct-1", "instance=i-1", "platform=gitlab",
		"user.subject=u-2", "identity.username=bob", "previous.username=alice",
	} {
		if !strings.Contains(audits[1], part) {
			t.Errorf("the audit line lacks %s: %s", part, audits[1])
		}
	}
	e := b.row("i-1", provider.GitLab).Events[1]
	testkit.Want(t, "actor of the event", e.Actor, other)
	testkit.Want(t, "identity of the event", e.Identity.Username, "bob")
	testkit.Want(t, "whom it replaced", e.Previous.Username, "alice")
}

func TestA16_TheSameTokenBoundAgainIsNotRevoked(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	in := b.gitLab("i-1", aliceToken)
	in.Revoke = true
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	b.settled()
	b.mustBind("i-2", aliceToken) // the platform still takes it
	if line := b.audits("bind")[1]; strings.Contains(line, "revoked") {
		t.Errorf("the audit line says that something was revoked: %s", line)
	}
}

func TestAReplacedTokenIsRevokedOnlyIfAsked(t *testing.T) {
	for _, asked := range []bool{false, true} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		in := b.gitLab("i-1", aliceOther)
		in.Revoke = asked
		if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
			t.Fatal(err)
		}
		b.settled()
		_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-2", aliceToken))
		testkit.Want(t, "the old token is dead", problem.Is(err, problem.TokenRejected), asked)
		line := b.audits("bind")[1]
		testkit.Want(t, "the audit line says so", strings.Contains(line, "revoked=true"), asked)
	}
}
