package e2e_test

import (
	"strings"
	"testing"

	"bindery/shared/sandbox"
)

// bound is the table's row of a platform that is bound.
func bound(platform string) string { return "#status-" + platform + "[data-status=bound]" }

// unbound is the row of one that isn't.
func unbound(platform string) string { return "#status-" + platform + "[data-status=unbound]" }

// failure is a problem in the dialog.
func failure(code string) string { return "#dialog #problem [data-code=" + code + "]" }

func TestBrowserBindsByConsentAcrossSites(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(person(t), "ann")
	for _, platform := range []string{"gitee", "github", "bitbucket"} {
		s.bind(b, platform, "alice")
		if platform == "bitbucket" {
			chooseInstance(b, "personal", "cn-shanghai", "crp-3")
		}
		b.ready(bound(platform))
		if got := b.shows("#status-" + platform); got != "已绑定" {
			t.Errorf("%s shows %q, want 已绑定", platform, got)
		}
		s.wantNoTrace(b)
	}
	if got := b.value("#instance"); got != "cn-shanghai/crp-3" {
		t.Errorf("the instance shown is %q, want the one that was chosen", got)
	}
	b.ready(unbound("gitee"), unbound("github"))
}

// A reload is what people do when they wait.
func TestBrowserMayReloadAtEachStep(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(person(t), "ann")
	b.reload()
	b.ready(unbound("bitbucket"))
	s.begin(b, "bitbucket", "alice")
	b.reload()
	b.sees("#authorize")
	b.open(s.functions + "/v1/authorizations/" + s.ids()[0] + "/start")
	s.people.signOut()
	b.press("#authorize")
	b.ready("#signin") // the end of the consent waits for whoever is to sign in first
	s.wantOutOfSight(b)
	b.reload()
	b.press("#signin")
	b.press("#be-ann")
	b.ready("#dialog[open] #choose-type")
	s.wantOutOfSight(b)
	b.reload()
	chooseInstance(b, "enterprise", "cn-beijing", "cri-2")
	b.ready(bound("bitbucket"))
	b.reload()
	b.ready(bound("bitbucket"), "#dialog:not([open])")
	s.wantNoTrace(b)
}

func TestBrowserMayGoBackAfterTheConsent(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(person(t), "ann")
	s.bind(b, "bitbucket", "alice")
	b.ready("#dialog[open] #choose-type")
	b.back(s.platforms)
	b.press("#authorize")
	chooseInstance(b, "enterprise", "cn-beijing", "cri-2")
	b.ready(bound("bitbucket"))
	s.wantNoTrace(b)
}

func TestBrowserMayGoBackAfterTheConfirm(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(person(t), "ann")
	s.bind(b, "gitee", "alice")
	b.ready(bound("gitee"))
	b.back(s.platforms)
	b.press("#authorize")
	b.ready(failure("authorization_done"))
	b.press("#dialog .cancel")
	b.ready(bound("gitee"), "#dialog:not([open])")
	s.wantNoTrace(b)
	b.back(s.console)
	b.ready(bound("gitee"), "#dialog:not([open])")
	s.wantNoTrace(b)
	if got := s.box.Exchanges(sandbox.Gitee); got != 1 {
		t.Errorf("%d codes were redeemed, want 1", got)
	}
}

// Two attempts at one platform at once, for two instances; the later one ends first.
func TestBrowserTwoTabsDontDisturbEachOther(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(person(t), "ann")
	two := one.beside()
	two.open(s.console + "/")
	two.press("#signin") // who is known to the issuer by now
	two.ready(unbound("gitee"))
	one.fill("#instance", "cn-hangzhou/cri-1")
	two.fill("#instance", "cn-beijing/cri-2")
	one.ready(unbound("gitee"))
	two.ready(unbound("gitee"))
	s.begin(one, "gitee", "alice")
	two.press("#bind-gitee")
	two.press("#authorize")
	two.ready(bound("gitee"))
	one.press("#authorize")
	one.ready(bound("gitee"))
	if a, b := one.value("#instance"), two.value("#instance"); a != "cn-hangzhou/cri-1" ||
		b != "cn-beijing/cri-2" {
		t.Errorf("the tabs show %s and %s, want each its own", a, b)
	}
	if got := s.box.Exchanges(sandbox.Gitee); got != 2 {
		t.Errorf("%d codes were redeemed, want 2", got)
	}
}

// A tab that hasn't started an attempt says whose it is before it ends it. The tab that has comes
// too late then.
func TestBrowserAsksInATabThatHasNotStarted(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(person(t), "ann")
	one.fill("#instance", "cn-beijing/cri-2")
	one.ready(unbound("github"))
	s.begin(one, "github", "carol")
	two := one.beside()
	two.open(s.functions + "/v1/authorizations/" + s.ids()[0] + "/start")
	two.press("#login-carol") // GitHub always asks
	two.press("#authorize")
	two.ready("#dialog[open] #submit")
	s.wantOutOfSight(two)
	for _, fact := range []string{"carol", "ann", "acme", "cri-2"} {
		if got := two.shows("#dialog .who"); !strings.Contains(got, fact) {
			t.Errorf("the question doesn't say %s: %q", fact, got)
		}
	}
	two.press("#dialog #submit")
	two.ready(bound("github"), "#dialog:not([open])")
	s.wantNoTrace(two)
	one.press("#authorize")
	one.ready(failure("authorization_done"))
	one.press("#dialog .cancel")
	one.ready(bound("github"), "#dialog:not([open])")
	s.wantNoTrace(one)
}

// wantNoTrace wants that nothing of an attempt is left in the address, the history or the tab's
// storage.
func (s *sites) wantNoTrace(b *tab) {
	s.t.Helper()
	s.wantOutOfSight(b)
	if got := b.text("Object.keys(sessionStorage)"); strings.Contains(got, "authorization") ||
		strings.Contains(got, "pending") {
		s.t.Errorf("the tab has kept %s", got)
	}
}

// wantOutOfSight wants that nothing of an attempt is in the address or the history, also while it
// waits.
func (s *sites) wantOutOfSight(b *tab) {
	s.t.Helper()
	if got := b.text("location.hash + location.search"); got != "" {
		s.t.Errorf("the console's address has %d characters after its path", len(got))
	}
	for _, address := range b.history() {
		if strings.Contains(address, "confirmationCode") || strings.Contains(address, "authorization=") {
			s.t.Errorf("the history has kept an attempt's end, at %s", bare(address))
		}
	}
}
