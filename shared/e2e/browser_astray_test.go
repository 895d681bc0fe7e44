package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// Each way in which a consent can fail ends on the console with a problem, and the user can start
// again there.
func TestBrowserShowsWhyAConsentFailed(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	s.startConsent(b, "gitee", "alice")
	b.click("#refuse")
	b.waitReady(problemSelector("consent_refused"))

	b.click("#dialog #submit") // starts again
	b.waitVisible("#authorize")
	s.advance(20 * time.Minute)
	b.click("#authorize")
	b.waitReady(problemSelector("authorization_expired"))

	s.box.RevokeTokens(sandbox.Gitee, "alice") // so that Gitee asks for consent again
	b.click("#dialog #submit")
	b.click("input[name=scope][value=hook]")
	b.click("#authorize")
	b.waitReady(problemSelector("permission_missing"))
	if got := b.innerText("#problem"); !strings.Contains(got, "hook") {
		t.Errorf("the permission that is missing isn't named in %q", got)
	}

	b.click("#dialog #submit")
	b.click("#authorize")
	b.waitReady(boundSelector("gitee"), "#dialog:not([open])")
	s.wantNoTrace(b)
}

func TestB14_ABrowserShowsThatTheClientSecretIsWrong(t *testing.T) {
	s := newSites(t, "localhost")
	app := s.box.Apps()[sandbox.GitHub]
	app.ClientSecrets = []secret.Text{secret.New("another-fake-client-secret")}
	s.box.AddApp(sandbox.GitHub, app)
	b := s.signIn(newBrowser(t), "ann")
	s.bind(b, "github", "alice")
	b.waitReady(problemSelector("client_refused"))
	b.click("#dialog .cancel")
	b.waitReady(unboundSelector("github"), "#dialog:not([open])")
	s.wantNoTrace(b)
}

func TestBrowserWithoutCookiesShowsThatTheyAreBlocked(t *testing.T) {
	s := newSites(t, cookiesOff)
	b := s.signIn(newBrowser(t), "ann")
	s.bind(b, "gitee", "alice")
	b.waitReady(problemSelector("cookies_blocked"))
	b.click("#dialog .cancel")
	b.waitReady(unboundSelector("gitee"), "#dialog:not([open])")
	testkit.Want(t, "codes exchanged", s.box.Exchanges(sandbox.Gitee), 0)
}

// The first browser that opens startUrl uses it up and can go on.
func TestA3_AStartOpenedInAnotherBrowser(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	s.startConsent(b, "gitee", "alice")
	c := otherBrowser(t)
	c.open(s.functions + "/v1/authorizations/" + s.attemptIDs()[0] + "/start")
	c.click("#signin")
	c.click("#be-bob")
	c.waitReady(problemSelector("another_browser"))
	s.wantNoTrace(c)
	b.click("#authorize")
	b.waitReady(boundSelector("gitee"))
}

// startAs starts an attempt without opening it, as an attacker does who sends the link to a
// victim. An empty returnTo names no page.
func (s *sites) startAs(user, platform, returnTo string) (startURL string) {
	s.t.Helper()
	access, err := s.issuerService.access(user, "bindery.write")
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.functions+"/v1/authorizations", strings.NewReader(`{"platform": "`+platform+`",
			"instance": {"region": "cn-hangzhou", "id": "cri-1"}, "returnTo": "`+returnTo+`"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	r.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	var begun struct{ StartURL string }
	if err := json.NewDecoder(reply.Body).Decode(&begun); err != nil || begun.StartURL == "" {
		s.t.Fatalf("starting: status %d, %v", reply.StatusCode, err)
	}
	return begun.StartURL
}

// The victim follows the attacker's link and consents.
func TestA2_InABrowserAVictimsConsentBindsNothing(t *testing.T) {
	s := newSites(t, "localhost")
	victim := s.signIn(newBrowser(t), "ann")
	victim.open(s.startAs("bob", "github", ""))
	victim.click("#login-alice")
	victim.click("#authorize")
	victim.waitReady("#dialog[open] #problem [data-code]")
	code := victim.text(`document.querySelector("#problem [data-code]").dataset.code`)
	testkit.Want(t, "the problem that the victim sees", code, "authorization_unknown")
	victim.click("#dialog .cancel")
	victim.fill("#instance", "cn-hangzhou/cri-1")
	victim.waitReady(unboundSelector("github"), "#dialog:not([open])")
	s.wantNoTrace(victim)

	attacker := s.signIn(otherBrowser(t), "bob")
	attacker.fill("#instance", "cn-hangzhou/cri-1")
	attacker.waitReady(unboundSelector("github"))
	s.advance(20 * time.Minute)
	s.sweep()
	s.advance(20 * time.Minute)
	s.sweep()
	testkit.Want(t, "the victim's live tokens after the sweep",
		s.box.LiveTokens(sandbox.GitHub, "alice"), 0)
}

// The victim's browser opens a callback with the attacker's code.
func TestA1_InABrowserAnAttackersCodeBindsNothing(t *testing.T) {
	s := newSites(t, "localhost")
	attacker := s.signIn(otherBrowser(t), "bob")
	s.startConsent(attacker, "github", "bob")
	callback, err := s.box.Consent(sandbox.GitHub, "bob", attacker.text("location.href"), nil)
	if err != nil {
		t.Fatal(err)
	}
	victim := s.signIn(newBrowser(t), "ann")
	victim.open(callback)
	victim.waitReady(problemSelector("cookies_blocked"))
	victim.click("#dialog .cancel")
	victim.waitReady(unboundSelector("github"), "#dialog:not([open])")
	testkit.Want(t, "codes exchanged", s.box.Exchanges(sandbox.GitHub), 0)
}
