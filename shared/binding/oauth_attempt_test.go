package binding_test

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/consent"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// begun returns an attempt at GitHub, and the callback that the browser sends after the consent.
func (b *harness) begun(id, login string) (binding.Authorization, consent.CallbackRequest) {
	b.Helper()
	ctx := context.Background()
	a, err := b.Consent.StartAuthorization(ctx, consent.StartRequest{
		By: user, Platform: provider.GitHub, Instance: registry(id),
	})
	if err != nil {
		b.Fatal(err)
	}
	to, err := b.Consent.BeginRedirect(ctx, a.ID, nil)
	if err != nil {
		b.Fatal(err)
	}
	back, err := b.sandbox.Consent(sandbox.GitHub, login, to.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		b.Fatal("the callback is no address")
	}
	return a, consent.CallbackRequest{
		Platform: provider.GitHub, Shown: []consent.Handshake{to.Handshake},
		State: secret.New(u.Query().Get("state")), Code: secret.New(u.Query().Get("code")),
	}
}

// waiting returns the confirm of an attempt whose callback has been handled.
func (b *harness) waiting(id, login string) consent.ConfirmRequest {
	b.Helper()
	a, in := b.begun(id, login)
	to, err := b.Consent.HandleCallback(context.Background(), in)
	if err != nil {
		b.Fatal(err)
	}
	return consent.ConfirmRequest{
		By: user, ID: a.ID, Instance: registry(id), ConfirmationCode: to.ConfirmationCode,
	}
}

// changedRow changes the row of an attempt, as if what is changed were another's.
func (b *harness) changedRow(id string, change func(*binding.Authorization)) {
	b.Helper()
	a, err := b.store.table.Authorization(context.Background(), id)
	if err != nil {
		b.Fatal(err)
	}
	change(&a)
	if _, err := b.store.table.SaveAuthorization(context.Background(), a); err != nil {
		b.Fatal(err)
	}
}

// strangers are users who differ from user in one part.
func strangers() map[string]binding.User {
	issuer, subject, account := user, user, user
	issuer.Issuer, subject.Subject, account.Account = "https://other.example", "u-9", "acct-9"
	return map[string]binding.User{"issuer": issuer, "subject": subject, "account": account}
}

func TestA2_TheStarterIsIssuerSubjectAndAccount(t *testing.T) {
	ctx := context.Background()
	for part, stranger := range strangers() {
		b := newHarness(t)
		in := b.waiting("i-1", "alice")
		_, err := b.Consent.Authorization(ctx, stranger, in.ID, in.ConfirmationCode)
		testkit.WantCode(t, "shown to another "+part, err, problem.AuthorizationUnknown)
		in.By = stranger
		_, err = b.Consent.Confirm(ctx, in)
		testkit.WantCode(t, "confirmed by another "+part, err, problem.AnotherUser)
	}
}

func TestA2_WithoutTheCodeAnAttemptHasNoIdentityNoTokenAndNoWarnings(t *testing.T) {
	ctx := context.Background()
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	b.changedRow(in.ID, func(a *binding.Authorization) {
		a.Warnings = []problem.Problem{*problem.New(problem.ManyTokens)}
	})
	for _, code := range []secret.Text{{}, secret.New(strings.Repeat("0", 64))} {
		a, err := b.Consent.Authorization(ctx, user, in.ID, code)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "identity", a.Identity, binding.Identity{})
		testkit.Want(t, "the token's secret", a.Token.Secret, "")
		testkit.Want(t, "warnings", len(a.Warnings), 0)
	}
	a, err := b.Consent.Authorization(ctx, user, in.ID, in.ConfirmationCode)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "identity", a.Identity.Username, "alice")
	testkit.Want(t, "warnings", len(a.Warnings), 1)
}

// A code counts only while the consent that it belongs to is there.
func TestA2_ACodeOfAnAttemptWithoutAConsentIsUnknown(t *testing.T) {
	for _, stage := range []binding.Stage{
		binding.StageStarted, binding.StageRedirected, binding.StageClaimed, binding.StageFailed,
	} {
		b := newHarness(t)
		in := b.waiting("i-1", "alice")
		b.changedRow(in.ID, func(a *binding.Authorization) { a.Stage = stage })
		_, err := b.Consent.Confirm(context.Background(), in)
		testkit.WantCode(t, string(stage), err, problem.AuthorizationUnknown)
	}
}

func TestA4_NoCodeIsTheCodeWhoseHashIsThatOfNothing(t *testing.T) {
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	in.ConfirmationCode = secret.Text{}
	for _, hash := range []string{"", consent.Handshake{}.Hash()} {
		b.changedRow(in.ID, func(a *binding.Authorization) { a.ConfirmationHash = hash })
		_, err := b.Consent.Confirm(context.Background(), in)
		testkit.WantCode(t, "no code", err, problem.AuthorizationUnknown)
	}
}

func TestA4_AHandshakeFitsOnlyItsOwnRecord(t *testing.T) {
	handshake := consent.Handshake{State: secret.New("a-state"), Verifier: secret.New("a-verifier")}
	other := consent.Handshake{State: secret.New("b-state"), Verifier: secret.New("b-verifier")}
	rec := binding.Authorization{StateHash: handshake.Hash(), Challenge: handshake.Challenge()}
	for _, c := range []struct {
		name      string
		handshake consent.Handshake
		rec       binding.Authorization
		want      bool
	}{
		{"its own", handshake, rec, true},
		{"another's", other, rec, false},
		{
			"another verifier",
			consent.Handshake{State: handshake.State, Verifier: other.Verifier},
			rec,
			false,
		},
		{
			"another state",
			consent.Handshake{State: other.State, Verifier: handshake.Verifier},
			rec,
			false,
		},
		{"no verifier", consent.Handshake{State: handshake.State}, rec, false},
		{"nothing", consent.Handshake{}, rec, false},
		{"nothing, and a record without hashes", consent.Handshake{}, binding.Authorization{}, false},
		{"a record without hashes", handshake, binding.Authorization{}, false},
		{"the hash of nothing", consent.Handshake{}, binding.Authorization{
			StateHash: consent.Handshake{}.Hash(), Challenge: consent.Handshake{}.Challenge(),
		}, false},
	} {
		testkit.Want(t, c.name, c.handshake.Fits(c.rec), c.want)
	}
}

func TestAChallengeIsThatOfRFC7636(t *testing.T) {
	verifier := secret.New("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") // its appendix B
	testkit.Want(t, "challenge", consent.Handshake{Verifier: verifier}.Challenge(),
		"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
}

func TestOnlyAStateOfOursNamesAnAttempt(t *testing.T) {
	id, random := strings.Repeat("a", 32), strings.Repeat("0", 64)
	for state, id := range map[string]string{
		id + "." + random: id, id + "." + random + "0": "", id + "." + random[1:]: "",
		id[1:] + "." + random: "", strings.ToUpper(id) + "." + random: "", id: "", "": "", ".": "",
		strings.Repeat("\xff", 32) + "." + random: "", strings.Repeat("../", 11)[:32] + "." + random: "",
	} {
		testkit.Want(t, "the id in a state", consent.AuthorizationOf(secret.New(state)), id)
	}
}

func TestAnIssuerIsComparedByItsOrigin(t *testing.T) {
	const authorize = "https://github.com/login/oauth/authorize?x=y"
	for issuer, fits := range map[string]bool{
		"": true, "https://github.com": true, "https://github.com/login/oauth": true,
		"https://github.com:444": false, "http://github.com": false, "https://github.com.evil": false,
		"https://evil/github.com": false, "github.com": false, "//github.com": false, "%": false,
		"https://github.com@evil": false,
	} {
		testkit.Want(t, "issuer "+issuer, consent.SameOrigin(issuer, authorize), fits)
	}
}

// The browser may send the same callback again a moment later.
func TestACallbackThatCannotReadTheAppsClaimsNothing(t *testing.T) {
	b := newHarness(t)
	_, in := b.begun("i-1", "alice")
	app := b.Ledger.App
	b.Ledger.App = func(context.Context, string) (provider.App, error) {
		return provider.App{}, problem.New(problem.StorageUnavailable)
	}
	to, err := b.Consent.HandleCallback(context.Background(), in)
	testkit.WantCode(b, "while the vault is away", err, problem.StorageUnavailable)
	testkit.Want(t, "the cookie is cleared", !to.Used.State.Empty(), false)
	b.Ledger.App = app
	to, err = b.Consent.HandleCallback(context.Background(), in)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "there is no confirmation code", to.ConfirmationCode.Empty(), false)
}

// A process that is frozen and continues too late may make no more calls: it must not bind after
// the sweep has run.
func TestAnAttemptThatIsFrozenEndsWithoutABinding(t *testing.T) {
	for _, call := range []string{
		"SaveAuthorization", "Put", "SaveIdentityEntry", "ListIdentityEntries",
	} {
		b := newHarness(t)
		_, in := b.begun("i-1", "alice")
		b.inside.set(func(_ context.Context, name string) (func(), error) {
			if name == call { // right after this call the process is frozen
				return func() { b.clock().Advance(ledger.CallDeadline + time.Second) }, nil
			}
			return nil, nil
		})
		_, err := b.Consent.HandleCallback(context.Background(), in)
		b.inside.clear()
		testkit.WantCode(b, "frozen in "+call, err, problem.StorageUnavailable)
		b.settled()
		testkit.Want(t, "secrets after "+call, len(b.secrets()), 0)
	}
}

func TestAConfirmWhoseAttemptIsSavedMeanwhileIsTriedAgain(t *testing.T) {
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	var met atomic.Int32
	b.inside.set(func(ctx context.Context, name string) (func(), error) {
		if name == "SaveAuthorization" && met.Add(1) == 1 {
			b.touch(in.ID)
		}
		return nil, nil
	})
	_, err := b.Consent.Confirm(context.Background(), in)
	b.inside.clear()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "bound", b.row("i-1", provider.GitHub).Bound(), true)
}

// touch saves an attempt as it is, so that it has another version.
func (b *harness) touch(id string) {
	ctx := context.Background()
	a, err := b.store.table.Authorization(ctx, id)
	if err == nil {
		_, err = b.store.table.SaveAuthorization(ctx, a)
	}
	if err != nil {
		b.Error(err)
	}
}

func TestAConfirmWhoseAttemptIsAlwaysSavedMeanwhileIsAConflict(t *testing.T) {
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	b.inside.set(func(_ context.Context, name string) (func(), error) {
		if name == "SaveAuthorization" {
			b.touch(in.ID)
		}
		return nil, nil
	})
	_, err := b.Consent.Confirm(context.Background(), in)
	b.inside.clear()
	testkit.WantCode(b, "a confirm", err, problem.Conflict)
	testkit.Want(t, "bound", b.row("i-1", provider.GitHub).Bound(), false)
}

// The call that marks the attempt as discarded revokes its token, and no second call does.
func TestOfTwoRefusalsAtOnceOneRevokes(t *testing.T) {
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	in.By = other
	var met atomic.Int32
	b.inside.set(func(ctx context.Context, name string) (func(), error) {
		if name == "SaveAuthorization" && met.Add(1) == 1 {
			_, err := b.Consent.Confirm(ctx, in)
			testkit.WantCode(b, "the quicker one", err, problem.AnotherUser)
		}
		return nil, nil
	})
	_, err := b.Consent.Confirm(context.Background(), in)
	b.inside.clear()
	testkit.WantCode(b, "the slower one", err, problem.AnotherUser)
	testkit.Want(t, "audit lines", len(b.audits("confirm")), 1)
	testkit.Want(t, "live tokens", b.sandbox.LiveTokens(sandbox.GitHub, "alice"), 0)
}

// When the sweep has deleted the secret, neither a confirm nor a refusal restores it.
func TestASweptAttemptStaysSwept(t *testing.T) {
	b := newHarness(t)
	in := b.waiting("i-1", "alice")
	a, err := b.store.table.Authorization(context.Background(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.clock().Advance(binding.AuthorizationTTL + ledger.OrphanGracePeriod)
	b.inside.set(down("DeleteAuthorization"))
	b.mustRun()
	b.inside.clear()
	testkit.Want(t, "secrets after the sweep", len(b.secrets()), 0)
	if a, err = b.store.table.Authorization(context.Background(), in.ID); err != nil {
		t.Fatal(err)
	}
	a.ExpiresAt = b.clock().Now().Add(time.Hour) // as if a machine's clock were wrong
	if _, err := b.store.table.SaveAuthorization(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	_, err = b.Consent.Confirm(context.Background(), in)
	testkit.WantCode(b, "a confirm", err, problem.AuthorizationDone)
	in.By = other
	_, err = b.Consent.Confirm(context.Background(), in)
	testkit.WantCode(b, "a refusal", err, problem.AnotherUser)
	testkit.Want(t, "bound", b.row("i-1", provider.GitHub).Bound(), false)
	testkit.Want(t, "secrets", len(b.secrets()), 0)
}

// More holders than a page has, most of them of bindings that are long gone.
func TestTokensAreCountedOverAllPages(t *testing.T) {
	b := newHarness(t)
	ctx := context.Background()
	of := ledger.IdentityKey(provider.GitHub, "", "1001") // alice's
	for i := range ledger.PageSize + 20 {
		id := "gone-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		err := b.store.table.SaveIdentityEntry(ctx, binding.IdentityEntry{
			Of: of, Binding: key(id, provider.GitHub), At: b.clock().Now().Add(-ledger.OrphanGracePeriod),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	in := b.waiting("i-1", "alice")
	a, err := b.store.table.Authorization(ctx, in.ID)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the identity", a.Identity.ID, of.ID)
	testkit.Want(t, "warnings", len(a.Warnings), 0)
	page, err := b.store.table.ListIdentityEntries(ctx, of, "", ledger.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "entries that are left", len(page.Items), 1) // the attempt's own
}
