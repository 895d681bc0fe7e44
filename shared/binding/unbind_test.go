package binding_test

import (
	"context"
	"strings"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func TestAnUnbindDropsTheTokenAndSaysWhereToEndIt(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	page := b.url + "/gitlab/-/user_settings/personal_access_tokens"
	testkit.WantEqual(t, "reply", b.mustUnbind("i-1", false), connect.UnbindResult{RevokeURL: page})
	testkit.Want(t, "identity", b.opens("i-1"), "")
	testkit.Want(t, "secrets at once", len(b.secrets()), 1)
	b.settled()
	testkit.Want(t, "secrets in the end", len(b.secrets()), 0)
	testkit.Want(t, "version of the row", b.row("i-1", provider.GitLab).Version, "")
	b.mustBind("i-2", aliceToken) // the platform still takes it
}

func TestAnUnbindThatAsksForItRevokes(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	testkit.WantEqual(t, "reply", b.mustUnbind("i-1", true), connect.UnbindResult{Revoked: true})
	_, err := b.Connect.BindToken(context.Background(), b.gitLab("i-2", aliceToken))
	testkit.WantCode(t, "binding the token again", err, problem.TokenRejected)
	b.settled()
}

func TestAnUnbindTwiceIsOnce(t *testing.T) {
	b := newHarness(t)
	testkit.WantEqual(t, "of what never was", b.mustUnbind("i-1", true), connect.UnbindResult{})
	b.mustBind("i-1", aliceToken)
	b.mustUnbind("i-1", false)
	before := b.row("i-1", provider.GitLab)
	testkit.WantEqual(t, "of what is unbound", b.mustUnbind("i-1", true), connect.UnbindResult{})
	testkit.Want(t, "version", b.row("i-1", provider.GitLab).Version, before.Version)
	b.mustBind("i-2", aliceToken) // nothing was revoked
	b.settled()
}

func TestAnUnbindIsRefused(t *testing.T) {
	b := newHarness(t)
	stamp := b.mustBind("i-1", aliceToken).Record.Revision
	in := gitLabEnd("i-1", true)
	in.Match = binding.Match{ETags: []string{"0123"}}
	_, err := b.Connect.Unbind(context.Background(), in)
	testkit.WantCode(t, "with another tag", err, problem.PreconditionFailed)
	in.Platform = "svn"
	_, err = b.Connect.Unbind(context.Background(), in)
	testkit.WantCode(t, "of a platform that there isn't", err, problem.PlatformUnknown)
	in = gitLabEnd("i-2", true)
	in.Match = binding.Match{ETags: []string{"*"}}
	_, err = b.Connect.Unbind(context.Background(), in)
	testkit.WantCode(t, "of an unbound one, if there is one", err, problem.PreconditionFailed)
	testkit.Want(t, "identity", b.opens("i-1"), "alice")
	in = gitLabEnd("i-1", true)
	in.Match = binding.Match{ETags: []string{stamp}}
	_, err = b.Connect.Unbind(context.Background(), in)
	testkit.Want(t, "error with the right tag", err, nil)
}

func TestAnUnbindThatFailsLeavesTheBinding(t *testing.T) {
	for _, call := range []string{"Binding", "SaveBinding"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.settled()
		b.inside.set(down(call))
		_, err := b.Connect.Unbind(context.Background(), gitLabEnd("i-1", true))
		b.inside.clear()
		testkit.WantCode(t, "without "+call, err, problem.StorageUnavailable)
		testkit.Want(t, "identity", b.opens("i-1"), "alice")
		b.settled()
		testkit.Want(t, "identity in the end", b.opens("i-1"), "alice")
	}
}

// TestAnUnbindStandsEvenIfNothingCanBeRevoked lets each of the calls that come after the save fail.
func TestAnUnbindStandsEvenIfNothingCanBeRevoked(t *testing.T) {
	for _, call := range []string{"Get", "ListIdentityEntries"} {
		b := newHarness(t)
		b.mustBind("i-1", aliceToken)
		b.inside.set(down(call))
		out := b.mustUnbind("i-1", true)
		b.inside.clear()
		testkit.Want(t, "revoked without "+call, out.Revoked, false)
		testkit.Want(t, "a page to end it on", out.RevokeURL != "", true)
		if !strings.Contains(b.log.String(), "a token was not revoked") {
			t.Errorf("without %s, the log doesn't say that nothing was revoked", call)
		}
		testkit.Want(t, "identity", b.opens("i-1"), "")
		b.settled()
	}
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.sandbox.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.Fault503})
	testkit.Want(t, "revoked by a platform that is down", b.mustUnbind("i-1", true).Revoked, false)
}

func TestAPlatformThatCannotRevokeIsNotAFault(t *testing.T) {
	b := newHarness(t)
	in := connect.TokenBindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.Codeup,
		Submission: provider.Submission{
			Username: "alice", Token: secret.New("pt-sandbox-good"),
		},
	}
	if _, err := b.Connect.BindToken(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	out, err := b.Connect.Unbind(context.Background(), connect.UnbindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.Codeup, Revoke: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "revoked", out.Revoked, false)
	testkit.Want(t, "a page to end it on", out.RevokeURL != "", true)
	if strings.Contains(b.log.String(), "level=WARN") {
		t.Errorf("the log warns of what the platform never can: %s", b.log)
	}
	b.settled()
}

func TestAnOAuthTokenIsRevokedUnasked(t *testing.T) {
	b := newHarness(t)
	granted := b.consent("alice")
	b.keepConsented("i-1", granted)
	out, err := b.Connect.Unbind(context.Background(), connect.UnbindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.GitHub,
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.WantEqual(t, "reply", out, connect.UnbindResult{Revoked: true})
	testkit.Want(t, "the token lives", b.lives(granted), false)
	b.settled()
}

func TestA16_AnUnbindIsAuditedWithWhomItEnded(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	in := gitLabEnd("i-1", true)
	in.By = other
	if _, err := b.Connect.Unbind(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	audits := b.audits("unbind")
	if len(audits) != 1 {
		t.Fatalf("got %d audit lines, want 1", len(audits))
	}
	for _, part := range []string{
		"outcome=done", "instance=i-1", "user.subject=u-2", "previous.username=alice",
		"revoked=true",
	} {
		if !strings.Contains(audits[0], part) {
			t.Errorf("the audit line lacks %s: %s", part, audits[0])
		}
	}
	events := b.row("i-1", provider.GitLab).Events
	e := events[len(events)-1]
	testkit.Want(t, "actor of the event", e.Actor, other)
	testkit.Want(t, "whom it ended", e.Previous.Username, "alice")
}

// TestAnUnbindThatIsOvertakenBeginsAgain ends whatever is there, with its own event.
func TestAnUnbindThatIsOvertakenBeginsAgain(t *testing.T) {
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.at("SaveBinding", func() { b.mustBind("i-1", bobToken) })
	b.mustUnbind("i-1", false)
	testkit.Want(t, "identity", b.opens("i-1"), "")
	testkit.Want(t, "events", strings.Join(b.history("i-1"), ", "), "3 unbound, 2 rebound, 1 bound")
	b.settled()

	stamp := b.mustBind("i-2", aliceToken).Record.Revision
	in := gitLabEnd("i-2", false)
	in.Match = binding.Match{ETags: []string{stamp}}
	b.at("SaveBinding", func() { b.mustBind("i-2", bobToken) })
	_, err := b.Connect.Unbind(context.Background(), in)
	testkit.WantCode(t, "overtaken, with a tag", err, problem.PreconditionFailed)
	testkit.Want(t, "identity", b.opens("i-2"), "bob")
	b.settled()
}
