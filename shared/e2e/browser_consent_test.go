package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// boundSelector selects the status of a platform that is bound.
func boundSelector(platform string) string { return "#status-" + platform + "[data-status=bound]" }

// unboundSelector selects the status of a platform that is unbound.
func unboundSelector(platform string) string {
	return "#status-" + platform + "[data-status=unbound]"
}

// problemSelector selects a problem with this code in the dialog.
func problemSelector(code string) string { return "#dialog #problem [data-code=" + code + "]" }

func TestBrowserBindsByConsentAcrossSites(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	for _, platform := range []string{"gitee", "github", "bitbucket"} {
		s.bind(b, platform, "alice")
		if platform == "bitbucket" {
			chooseInstance(b, "personal", "cn-shanghai", "crp-3")
		}
		b.waitReady(boundSelector(platform))
		testkit.Want(t, "the status of "+platform, b.innerText("#status-"+platform), "已绑定")
		s.wantNoTrace(b)
	}
	testkit.Want(t, "the instance shown", b.value("#instance"), "cn-shanghai/crp-3")
	b.waitReady(unboundSelector("gitee"), unboundSelector("github"))
}

func TestBrowserMayReloadAtEachStep(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.reload()
	b.waitReady(unboundSelector("bitbucket"))
	s.startConsent(b, "bitbucket", "alice")
	b.reload()
	b.waitVisible("#authorize")
	b.open(s.functions + "/v1/authorizations/" + s.attemptIDs()[0] + "/start")
	s.issuerService.signOut()
	b.click("#authorize")
	b.waitReady("#signin") // the result of the consent waits for the sign-in
	s.wantOutOfSight(b)
	b.reload()
	b.click("#signin")
	b.click("#be-ann")
	b.waitReady("#dialog[open] #choose-type")
	s.wantOutOfSight(b)
	b.reload()
	chooseInstance(b, "enterprise", "cn-beijing", "cri-2")
	b.waitReady(boundSelector("bitbucket"))
	b.reload()
	b.waitReady(boundSelector("bitbucket"), "#dialog:not([open])")
	s.wantNoTrace(b)
}

func TestBrowserMayGoBackAfterTheConsent(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	s.bind(b, "bitbucket", "alice")
	b.waitReady("#dialog[open] #choose-type")
	b.back(s.platforms)
	b.click("#authorize")
	chooseInstance(b, "enterprise", "cn-beijing", "cri-2")
	b.waitReady(boundSelector("bitbucket"))
	s.wantNoTrace(b)
}

func TestBrowserMayGoBackAfterTheConfirm(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	s.bind(b, "gitee", "alice")
	b.waitReady(boundSelector("gitee"))
	b.back(s.platforms)
	b.click("#authorize")
	b.waitReady(problemSelector("authorization_done"))
	b.click("#dialog .cancel")
	b.waitReady(boundSelector("gitee"), "#dialog:not([open])")
	s.wantNoTrace(b)
	b.back(s.console)
	b.waitReady(boundSelector("gitee"), "#dialog:not([open])")
	s.wantNoTrace(b)
	testkit.Want(t, "codes exchanged", s.box.Exchanges(sandbox.Gitee), 1)
}

// Two attempts at one platform at once, for two instances. The later one ends first.
func TestBrowserTwoTabsDontDisturbEachOther(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(newBrowser(t), "ann")
	two := one.openTab()
	two.open(s.console + "/" + firstInstance)
	two.click("#signin") // the issuer has a session already
	two.waitReady(unboundSelector("gitee"))
	one.fill("#instance", "cn-hangzhou/cri-1")
	two.fill("#instance", "cn-beijing/cri-2")
	one.waitReady(unboundSelector("gitee"))
	two.waitReady(unboundSelector("gitee"))
	s.startConsent(one, "gitee", "alice")
	two.leave("gitee")
	two.click("#authorize")
	two.waitReady(boundSelector("gitee"))
	one.click("#authorize")
	one.waitReady(boundSelector("gitee"))
	if a, b := one.value("#instance"), two.value("#instance"); a != "cn-hangzhou/cri-1" ||
		b != "cn-beijing/cri-2" {
		t.Errorf("the tabs show %s and %s, want each its own", a, b)
	}
	testkit.Want(t, "codes exchanged", s.box.Exchanges(sandbox.Gitee), 2)
}

// A tab that didn't start the attempt asks whose it is before it confirms. The tab that started it
// is too late then.
func TestBrowserAsksBeforeItConfirmsInAnotherTab(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(newBrowser(t), "ann")
	one.fill("#instance", "cn-beijing/cri-2")
	one.waitReady(unboundSelector("github"))
	s.startConsent(one, "github", "carol")
	two := one.openTab()
	two.open(s.functions + "/v1/authorizations/" + s.attemptIDs()[0] + "/start")
	two.pickUser("carol") // GitHub asks for the account every time
	two.click("#authorize")
	two.waitReady("#dialog[open] #submit")
	s.wantOutOfSight(two)
	for _, fact := range []string{"carol", "ann", "acme", "cri-2"} {
		if got := two.innerText("#dialog .who"); !strings.Contains(got, fact) {
			t.Errorf("the question doesn't say %s: %q", fact, got)
		}
	}
	two.click("#dialog #submit")
	two.waitReady(boundSelector("github"), "#dialog:not([open])")
	s.wantNoTrace(two)
	one.click("#authorize")
	one.waitReady(problemSelector("authorization_done"))
	one.click("#dialog .cancel")
	one.waitReady(boundSelector("github"), "#dialog:not([open])")
	s.wantNoTrace(one)
}

// wantNoTrace expects nothing of an attempt in the address, the history or the tab's storage.
func (s *sites) wantNoTrace(b *tab) {
	s.t.Helper()
	s.wantOutOfSight(b)
	if got := b.text("Object.keys(sessionStorage)"); strings.Contains(got, "authorization") ||
		strings.Contains(got, "pending") {
		s.t.Errorf("the tab's storage has %s", got)
	}
}

// placesOfThree are the addresses of the three instances in the console.
var placesOfThree = []string{firstInstance, "#/cn-hangzhou/cri-1", "#/cn-shanghai/crp-3"}

// wantOutOfSight expects nothing of an attempt in the address or the history, also while the
// attempt waits.
func (s *sites) wantOutOfSight(b *tab) {
	s.t.Helper()
	got := b.text("location.search + location.hash")
	if got != "" && !slices.Contains(placesOfThree, got) {
		s.t.Errorf("the console's address has %d characters after its path", len(got))
	}
	for _, address := range b.history() {
		if strings.Contains(address, "confirmationCode") || strings.Contains(address, "authorization=") {
			s.t.Errorf("the history holds the result of an attempt, at %s", withoutQuery(address))
		}
	}
}
