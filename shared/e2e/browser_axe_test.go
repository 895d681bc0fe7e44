package e2e_test

import (
	"context"
	"fmt"
	"os"
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

// resize makes the window as wide as this, in a colour scheme.
func (a *axe) resize(width int64, scheme string) {
	a.t.Helper()
	a.do("a width", func(ctx context.Context) error {
		err := emulation.SetDeviceMetricsOverride(width, 900, 1, false).Do(ctx)
		if err != nil {
			return err
		}
		return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}).Do(ctx)
	})
}

// check looks at a screen in every width, at each second one in the dark scheme. The other language
// has the other scheme there.
func (a *axe) check(screen, language string) {
	a.t.Helper()
	if a.text("typeof axe") == "undefined" {
		a.text("(() => {" + a.source + "})()")
	}
	schemes := []string{"light", "dark"}
	if language == "en" {
		schemes = []string{"dark", "light"}
	}
	for i, width := range []int64{320, 360, 768, 1100, 1440} {
		scheme := schemes[i%2]
		a.resize(width, scheme)
		if a.text("document.documentElement.scrollWidth <= innerWidth") != "true" {
			a.t.Errorf("%s, %s: wider than %d pixels", screen, language, width)
		}
		if width == 320 {
			continue
		}
		a.text(`delete window.found, axe.run(document, { resultTypes: ["violations"] }).then(
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
	folder := os.Getenv("BINDERY_TEST_PICTURES")
	if folder == "" {
		return
	}
	a.do("a picture", func(ctx context.Context) error {
		image, err := page.CaptureScreenshot().Do(ctx)
		if err != nil {
			return err
		}
		return os.WriteFile(folder+"/"+name+".png", image, 0o600)
	})
}

// TestBrowserShowsNoScreenThatAxeFaults opens each screen and dialog in both languages.
func TestBrowserShowsNoScreenThatAxeFaults(t *testing.T) {
	s := newSites(t, "localhost")
	a := newAxe(newBrowser(t))
	a.open(s.console + "/" + firstInstance)
	a.waitReady("#signin")
	for _, language := range []string{"zh-CN", "en"} {
		a.fill("#language", language)
		a.check("sign-in", language)
	}
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
		a.checkScreens(s, language)
	}
}

func (a *axe) checkScreens(s *sites, language string) {
	a.t.Helper()
	a.open(s.console + "/")
	a.waitReady("#instances .words")
	a.fill("#language", language)
	a.waitReady("html[lang="+language+"]", "#instances .words")
	a.check("overview", language)
	a.open(s.console + "/?to" + firstInstance + "/gitlab")
	a.waitReady("#row-gitlab.here")
	a.click("#check-gitlab")
	a.waitReady("#result .note.good")
	a.check("instance", language)
	for name, screen := range map[string]struct{ button, ready string }{
		"codeup":       {"#bind-codeup", "#dialog[open] #field-token"},
		"gitlab":       {"#bind-gitlab", "#dialog[open] #field-token"},
		"unbind":       {"#unbind-gitlab", "#dialog[open] #revoke"},
		"history":      {"#history-github", "#drawer[open] .events li"},
		"repositories": {"#repositories-gitlab", "#drawer[open] #repository-search-list li"},
	} {
		a.click(screen.button)
		a.waitReady(screen.ready)
		if name == "codeup" {
			a.click("#submit")
			a.waitReady("#field-username[aria-invalid=true]")
		}
		a.check(name, language)
		a.key("\x1b")
		a.waitReady("#dialog:not([open])", "#drawer:not([open])")
	}
	a.click("#bind-bitbucket")
	a.waitReady("#dialog[open] #submit")
	a.check("leave", language)
	a.click("#submit")
	if language == "zh-CN" {
		a.click("#login-alice")
		a.click("#authorize")
	}
	a.waitReady("#dialog[open] #choose-type")
	a.check("choose", language)
	a.click("#dialog .cancel")
	a.waitReady("#dialog:not([open])")
}
