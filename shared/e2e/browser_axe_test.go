package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// axePath is the accessibility checker, which npm installs.
const axePath = "../../node_modules/axe-core/axe.min.js"

// axe finds violations of accessibility rules in what a tab shows.
type axe struct {
	*tab
	source string
}

func newAxe(b *tab) *axe {
	b.t.Helper()
	source, err := os.ReadFile(axePath)
	if err != nil {
		testkit.NoPackages(b.t)
	}
	// The policy is for the page. What checks the page is not part of it.
	b.do("no policy", func(ctx context.Context) error { return page.SetBypassCSP(true).Do(ctx) })
	return &axe{tab: b, source: string(source)}
}

// resize makes the window as large as this, in a colour scheme.
func (a *axe) resize(width, height int64, scheme string) {
	a.t.Helper()
	a.do("a size", func(ctx context.Context) error {
		err := emulation.SetDeviceMetricsOverride(width, height, 1, false).Do(ctx)
		if err != nil {
			return err
		}
		return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}).Do(ctx)
	})
}

// wideElements are the elements that make a page scroll sideways.
const wideElements = `document.documentElement.scrollWidth <= innerWidth ? "" :
	[...document.body.querySelectorAll("*")].filter((one) =>
		one.getBoundingClientRect().right > innerWidth).map((one) => one.id || one.className ||
		one.tagName).join(" ")`

// check looks at a screen in every width, at each second one in the dark scheme. The other language
// has the other scheme there. Behind an open dialog nothing can be reached, so axe looks only at
// it, at the two widths in which it differs.
func (a *axe) check(screen, language string) {
	a.t.Helper()
	if a.text("typeof axe") == "undefined" {
		a.text("(() => {" + a.source + "})()")
	}
	schemes := []string{"light", "dark"}
	if language == "en" {
		schemes = []string{"dark", "light"}
	}
	dialog := a.text(`Boolean(document.querySelector("dialog[open]"))`) == "true"
	for i, width := range []int64{320, 360, 768, 1100, 1440} {
		scheme := schemes[i%2]
		a.resize(width, 900, scheme)
		if wide := a.text(wideElements); wide != "" {
			a.t.Errorf("%s, %s: wider than %d pixels: %s", screen, language, width, wide)
		}
		if width == 320 || dialog && width != 360 && width != 1440 {
			continue
		}
		a.text(`delete window.found, axe.run(document.querySelector("dialog[open]") ?? document,
			{ resultTypes: ["violations"] }).then(
			(done) => { window.found = done.violations.map((one) => one.id + " at " +
				one.nodes.map((node) => node.target.join(" ")).join(", ")).join("; "); },
			(error) => { window.found = String(error); })`)
		a.until("what axe finds", `"found" in window`)
		if found := a.text("window.found"); found != "" {
			a.t.Errorf("%s, %s, %s, %d pixels: %s", screen, language, scheme, width, found)
		}
		a.picture(fmt.Sprintf("%s-%s-%s-%d", screen, language, scheme, width))
	}
}

// picture writes what the window shows into the folder BINDERY_TEST_PICTURES, if that is set.
func (a *axe) picture(name string) {
	a.t.Helper()
	if folder := os.Getenv("BINDERY_TEST_PICTURES"); folder != "" {
		a.capture(folder, name)
	}
}

// screenshots writes the pictures of the READMEs into the folder BINDERY_TEST_SCREENSHOTS, if that
// is set: a window in both schemes.
func (a *axe) screenshots(name string) {
	a.t.Helper()
	folder := os.Getenv("BINDERY_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		a.resize(1440, 860, scheme)
		a.capture(folder, name+"-"+scheme)
	}
}

func (a *axe) capture(folder, name string) {
	a.t.Helper()
	a.do("a picture", func(ctx context.Context) error {
		const webp = page.CaptureScreenshotFormatWebp
		image, err := page.CaptureScreenshot().WithFormat(webp).WithQuality(80).Do(ctx)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, name+".webp"), image, 0o600)
	})
}

// TestBrowserShowsNoScreenThatAxeFaults opens each screen and dialog in both languages.
func TestBrowserShowsNoScreenThatAxeFaults(t *testing.T) {
	s := newSites(t, "localhost")
	a := newAxe(newBrowser(t))
	for _, language := range []string{"zh-CN", "en"} {
		a.checkStrangers(s, language)
	}
	a.open(s.console + "/?to" + firstInstance)
	a.click("#signin")
	a.click("#be-ann")
	a.waitReady("#instance", "#row-bitbucket")
	s.bind(a.tab, "github", "alice")
	a.waitReady(boundSelector("github"))
	s.box.RevokeTokens(sandbox.GitHub, "alice")
	a.click("#bind-gitlab")
	submitSample(a.tab, s.platforms, sample(t, sandbox.GitLab, "good"))
	a.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	a.click("#check-github")
	a.waitReady("#status-github[data-status=revoked]", "#result .note.bad")
	for _, language := range []string{"zh-CN", "en"} {
		a.checkAccount(s, language)
		a.checkInstance(s, language)
		a.checkConsents(s, language)
	}
}

// checkStrangers looks at what a person sees who is not signed in.
func (a *axe) checkStrangers(s *sites, language string) {
	a.t.Helper()
	a.open(strings.Replace(s.console, "127.0.0.1", "localhost", 1) + "/")
	a.fill("#language", language)
	a.waitReady("html[lang="+language+"]", "#content .card a")
	a.check("elsewhere", language)
	a.open(s.console + "/")
	a.fill("#language", language)
	a.waitReady("html[lang="+language+"]", "#signin")
	a.check("sign-in", language)
	a.text(`sessionStorage.setItem("bindery.signin", '{"state":"a","verifier":"b"}')`)
	a.open(s.console + "/?state=another&code=c")
	a.waitReady("#signin", "#content .note.bad")
	a.check("sign-in-failed", language)
}

// checkAccount looks at the view of all instances, and at what can be wrong with it.
func (a *axe) checkAccount(s *sites, language string) {
	a.t.Helper()
	again := func(fetch string) {
		a.text("window.fetch = " + fetch)
		a.fill("#language", language)
	}
	a.open(s.console + "/")
	a.waitReady("#instances .words")
	a.fill("#language", language)
	a.waitReady("html[lang="+language+"]", "#instances .words")
	a.check("overview", language)
	a.fill("#filter-status", "expired")
	a.check("overview-none", language)
	again(`((fetch) => (url, o) => url.endsWith("/v1/bindings") ?
		Promise.reject(new TypeError("offline")) : fetch(url, o))(window.fetch)`)
	a.waitReady("#overview .note.bad:not([hidden])")
	a.check("overview-failed", language)
	again(`() => Promise.reject(new TypeError("offline"))`)
	a.waitReady("#retry")
	a.check("failed", language)
	again(`async (url) => new Response(url.endsWith("instances") ?
		'{"instances":[],"cursor":null}' : '{"platforms":[{"platform":"gitlab"}]}')`)
	a.waitReady("#content .card h2")
	a.check("empty", language)
}

// checkInstance looks at an instance and its dialogs.
func (a *axe) checkInstance(s *sites, language string) {
	a.t.Helper()
	a.open(s.console + "/?to" + firstInstance + "/gitlab")
	a.waitReady("#row-gitlab.here")
	a.click("#check-gitlab")
	a.waitReady("#result .note.good")
	a.press("repositories-github") // leads to why there are none
	a.wantFocus("the repositories of what is revoked", "problem-github")
	a.check("instance", language)
	a.screenshots("instance-" + language)
	a.text(`window.fetch = ((fetch) => async (url, o) => {
		const reply = await fetch(url, o);
		if (!url.endsWith("/v1/platforms")) return reply;
		return new Response(JSON.stringify({ ...await reply.json(), scopes: ["bindery.read"] }));
	})(window.fetch)`)
	a.fill("#language", language)
	a.waitReady("#readonly", "#row-gitlab")
	a.check("read-only", language)
	a.open(s.console + "/?again" + firstInstance)
	a.waitReady("#row-gitlab")
	for name, screen := range map[string]struct{ button, ready string }{
		"codeup":       {"#bind-codeup", "#dialog[open] #field-token"},
		"gitlab":       {"#bind-gitlab", "#dialog[open] #field-token"},
		"unbind":       {"#unbind-gitlab", "#dialog[open] #revoke"},
		"history":      {"#history-github", "#drawer[open] .events li"},
		"repositories": {"#repositories-gitlab", "#drawer[open] #repository-search-list li"},
	} {
		a.click(screen.button)
		a.waitReady(screen.ready)
		switch name {
		case "codeup":
			a.click("#submit")
			a.waitReady("#field-username[aria-invalid=true]")
		case "gitlab":
			submitSample(a.tab, s.platforms, sample(a.t, sandbox.GitLab, "revoked"))
			a.waitReady("#problem [data-code]")
			a.check("gitlab-refused", language)
			a.key("\x1b")
			a.waitReady("#problem.mild")
		}
		a.check(name, language)
		a.key("\x1b")
		a.waitReady("#dialog:not([open])", "#drawer:not([open])")
	}
}

// checkConsents looks at the questions and failures after a consent.
func (a *axe) checkConsents(s *sites, language string) {
	a.t.Helper()
	first := language == "zh-CN" // a platform asks for the consent once
	consent := func(login string) {
		if login != "" {
			a.pickUser(login)
		}
		if first {
			a.click("#authorize")
		}
	}
	a.click("#bind-gitee")
	a.waitReady("#dialog[open] #submit")
	a.check("leave", language)
	a.click("#submit")
	if first {
		a.click("#login-alice")
	}
	a.click("#refuse")
	a.waitReady("#problem [data-code]")
	a.check("refused", language)
	a.click("#dialog .cancel")
	a.click("#bind-github")
	a.click("#dialog[open] #submit")
	consent("carol")
	a.waitReady("#dialog[open] #replaced .person")
	a.check("replaces", language)
	a.click("#dialog .cancel")
	a.waitReady("#dialog:not([open])", "#result .note.plain")
	a.open(s.startAs("ann", "bitbucket", ""))
	consent(map[bool]string{true: "alice"}[first])
	a.waitReady("#dialog[open] #submit")
	a.check("confirm", language)
	a.click("#dialog .cancel")
	a.waitReady("#dialog:not([open])", "#result .note.plain")
	a.open(s.console + "/?to" + firstInstance)
	a.click("#bind-bitbucket")
	a.click("#dialog[open] #submit")
	a.waitReady("#dialog[open] #choose-type")
	a.check("choose", language)
	a.click("#dialog .cancel")
	a.waitReady("#dialog:not([open])")
}
