package e2e_test

import (
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// titles are the titles of a problem in the page's languages.
type titles map[string]string

var (
	cookiesBlockedTitles = titles{
		"en": "The browser sent no cookie back", "zh-CN": "浏览器没有送回 Cookie",
	}
	anotherBrowserTitles = titles{
		"en": "The consent came from another browser", "zh-CN": "授权来自另一个浏览器",
	}
	refusedTitles = titles{"en": "The consent was refused", "zh-CN": "授权被拒绝"}
)

// waitProblem waits for a problem and expects its title in the tab's language.
func (b *tab) waitProblem(code, title string) {
	b.t.Helper()
	b.waitReady(problemSelector(code))
	if got := b.innerText("#problem"); !strings.Contains(got, title) {
		b.t.Errorf("the problem %s doesn't have the title %s: %q", code, title, got)
	}
}

// setLanguage chooses the page's language.
func (b *tab) setLanguage(language string) {
	b.t.Helper()
	b.fill("#language", language)
	b.waitReady("html[lang="+language+"]", "#instance")
}

// The thief starts, and sends the platform's address to the victim, who consents. The thief then
// opens the address that the victim's browser was sent to.
func TestA19_InABrowserTheThiefGetsNoAccount(t *testing.T) {
	for language, title := range cookiesBlockedTitles {
		s := newSites(t, "localhost")
		thief := s.signIn(otherBrowser(t), "bob")
		thief.setLanguage(language)
		s.startConsent(thief, "github", "bob")
		callback, err := s.box.Consent(sandbox.GitHub, "alice", thief.text("location.href"), nil)
		if err != nil {
			t.Fatal(err)
		}
		victim := s.signIn(newBrowser(t), "ann")
		victim.setLanguage(language)
		victim.open(callback)
		victim.waitProblem("cookies_blocked", title)
		thief.open(callback)
		thief.waitProblem("cookies_blocked", title) // why the attempt has ended
		testkit.Want(t, "codes exchanged", s.box.Exchanges(sandbox.GitHub), 0)
		for _, b := range []*tab{victim, thief} {
			b.click("#dialog .cancel")
			b.waitReady(unboundSelector("github"), "#dialog:not([open])")
			s.wantNoTrace(b)
		}
		thief.leave("github") // a new attempt works
		thief.pickUser("bob")
		thief.click("#authorize")
		thief.waitReady(boundSelector("github"))
	}
}

// withPage serves another page on the console's origin.
func (s *sites) withPage(path string, serve http.HandlerFunc) {
	own := *s.page.handler.Load()
	mux := http.NewServeMux()
	mux.Handle("/", own)
	mux.HandleFunc(path, serve)
	s.page.set(mux)
}

// The page that an attempt returns to redirects to another origin.
func TestA20_InABrowserTheCodeDoesNotFollowARedirect(t *testing.T) {
	s := newSites(t, "localhost")
	s.withPage("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.platforms+"/", http.StatusSeeOther)
	})
	b := s.signIn(newBrowser(t), "ann")
	b.open(s.startAs("ann", "github", "/away?to=there"))
	b.click("#login-alice")
	b.click("#authorize")
	b.waitReady("#dialog[open] #submit")
	s.wantOutOfSight(b)
	b.click("#dialog #submit")
	b.until("the page that the attempt returns to",
		"document.readyState === 'complete' && location.href.startsWith("+
			jsString(s.platforms+"/")+")")
	testkit.Want(t, "the fragment there", b.text("location.hash"), "")
	s.wantOutOfSight(b)
	b.open(s.console + "/#/cn-hangzhou/cri-1")
	b.waitReady(boundSelector("github"), "#dialog:not([open])")
	s.wantNoTrace(b)
}

func TestA20_InABrowserAProblemOffersTheWayBack(t *testing.T) {
	for language, title := range refusedTitles {
		s := newSites(t, "localhost")
		s.withPage("/instances", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(`<p id="instances">the operator's own page</p>`))
		})
		b := s.signIn(newBrowser(t), "ann")
		b.setLanguage(language)
		b.open(s.startAs("ann", "gitee", "/instances?tab=1"))
		b.click("#login-alice")
		b.click("#refuse")
		b.waitProblem("consent_refused", title)
		back := map[string]string{"en": "Back to where this was begun", "zh-CN": "返回开始的页面"}
		testkit.Want(t, "the link", b.innerText("#back"), back[language])
		s.wantNoTrace(b)
		b.click("#back")
		b.waitVisible("#instances")
		testkit.Want(t, "the page", b.text("location.pathname + location.search + location.hash"),
			"/instances?tab=1")
	}
}

// Eight starts by an attacker's link, then a bind: the user's browser has slots for six.
func TestA21_InABrowserWithManyStartsTheLatestWork(t *testing.T) {
	for language, title := range anotherBrowserTitles {
		s := newSites(t, "localhost")
		b := s.signIn(newBrowser(t), "ann")
		b.setLanguage(language)
		b.open(s.startAs("ann", "gitee", ""))
		b.click("#login-alice")
		b.waitVisible("#authorize")
		oldest := b.text("location.href")
		for range 8 {
			b.open(s.startAs("ann", "gitee", ""))
		}
		b.open(oldest)
		b.click("#authorize")
		b.waitProblem("another_browser", title)
		b.click("#dialog #submit") // starts again; Gitee doesn't ask twice
		b.waitReady(boundSelector("gitee"), "#dialog:not([open])")
		testkit.Want(t, "the instance shown", b.value("#instance"), "cn-hangzhou/cri-1")
	}
}

func TestA22_InABrowserAFrameUsesNoStartUp(t *testing.T) {
	s := newSites(t, "localhost")
	startURL := s.startAs("ann", "gitee", "")
	s.withPage("/frame", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<iframe src="%s" onload="window.framed = true"></iframe>`,
			html.EscapeString(startURL))
	})
	b := newBrowser(t)
	b.open(s.console + "/frame")
	b.until("the frame", "window.framed")
	testkit.Want(t, "starts that were opened", len(s.attemptIDs()), 1)
	c := otherBrowser(t)
	c.open(startURL) // it is still the first
	c.waitVisible("#login-alice")
}

func TestA24_InABrowserTheFragmentShowsNoStrangersText(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	id, code := strings.Repeat("0", 32), strings.Repeat("0", 64)
	for i, fragment := range []string{
		"problem=Call+0800-attacker", "problem=other", "problem=constructor", "problem=__proto__",
		"problem=%3Cb%3Ex", "authorization=x&problem=attacker", "authorization=" + id,
		"authorization=../../" + id + "&confirmationCode=" + code, "confirmationCode=" + code,
		"authorization=" + id + "&confirmationCode=attacker", "attacker",
		"authorization=" + strings.ToUpper(strings.Repeat("a", 32)) + "&confirmationCode=" + code,
	} {
		// The page of another address, and the page that is shown already.
		b.open(s.console + "/?n=" + fmt.Sprint(i) + "#" + fragment)
		b.waitReady("#overview", "#open-cn-beijing\\/cri-2", "#dialog:not([open])")
		s.wantNoTrace(b)
		b.text("location.hash = " + jsString(fragment))
		b.until("an empty fragment", "location.hash === ''")
		b.waitReady("#overview", "#open-cn-beijing\\/cri-2", "#dialog:not([open])")
		s.wantNoTrace(b)
		if shown := b.text("document.documentElement.innerText"); strings.Contains(shown, "attacker") {
			t.Errorf("%s is shown", fragment)
		}
	}
	b.open(s.console + "/?n=#authorization=attacker&problem=consent_refused")
	b.waitReady(problemSelector("consent_refused"))
	s.wantNoTrace(b)
}
