package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// focus moves the focus to an element, as pressing Tab until it is reached does.
func (b *tab) focus(id string) {
	b.t.Helper()
	b.until(id+" to have the focus", pageIdle+` && (() => {
		document.getElementById(`+jsString(id)+`)?.focus();
		return document.activeElement.id === `+jsString(id)+`;
	})()`)
}

// key presses a key: "\r" is Enter, "\t" is Tab.
func (b *tab) key(key string) {
	b.t.Helper()
	b.do("a key", func(ctx context.Context) error { return chromedp.KeyEvent(key).Do(ctx) })
}

// wantFocus expects the element with this id to have the focus.
func (b *tab) wantFocus(when, id string) {
	b.t.Helper()
	testkit.Want(b.t, when+": the focus",
		b.text("document.activeElement.id || document.activeElement.tagName"), id)
}

func TestBrowserKeepsTheFocusOfKeyboardUsers(t *testing.T) {
	bindery, platforms := startLaptop(t)
	b := newBrowser(t)
	b.open(bindery + laptopInstance)
	b.waitReady("#row-gitlab")
	b.focus("bind-gitlab")
	b.keyboard = true
	b.key("\r")
	b.waitReady("#dialog[open] #field-token")
	b.focus("submit")
	b.key("\r")
	b.waitReady("#field-address[aria-invalid=true]")
	b.wantFocus("nothing is filled in", "field-address")
	said := b.text(`document.getElementById(
		document.activeElement.getAttribute("aria-errormessage"))?.checkVisibility()`)
	if said != "true" {
		t.Error("the error of the empty field isn't shown with it")
	}

	b.key("\x1b") // Escape
	b.wantFocus("after Escape", "bind-gitlab")
	b.focus("bind-codeup")
	b.key("\r")
	b.fill("#field-username", "alice")
	b.fill("#field-token", sample(t, sandbox.Codeup, "good").Token.Reveal())
	b.focus("field-expiresAt")
	b.key("1") // a month without a day
	b.key("\r")
	b.waitReady("#field-expiresAt[aria-invalid=true]")
	b.wantFocus("half a date is filled in", "field-expiresAt")
	b.key("\x1b")
	b.key("\x1b")
	b.waitReady("#dialog:not([open])")

	good := sample(t, sandbox.GitLab, "good")
	b.focus("bind-gitlab")
	b.key("\r")
	b.fill("#field-address", platforms+good.Address)
	b.fill("#field-username", good.Username)
	b.fill("#field-token", sample(t, sandbox.GitLab, "revoked").Token.Reveal())
	b.focus("field-username")
	b.key("\r")
	b.waitReady(problemSelector("token_rejected"))
	b.wantFocus("a token is refused", "field-token")
	b.fill("#field-token", good.Token.Reveal())
	b.key("\r")
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	b.wantFocus("after a bind", "bind-gitlab")

	b.focus("unbind-gitlab")
	b.key("\r")
	b.waitReady("#dialog[open] #submit")
	b.focus("submit")
	b.key("\r")
	b.waitReady(unboundSelector("gitlab"), "#dialog:not([open])")
	b.wantFocus("after an unbind", "bind-gitlab")
}

func TestBrowserShowsTheResultOfACheckOnAPhone(t *testing.T) {
	bindery, platforms := startLaptop(t)
	b := newBrowser(t)
	b.do("a phone", func(ctx context.Context) error {
		return emulation.SetDeviceMetricsOverride(360, 700, 1, true).Do(ctx)
	})
	b.open(bindery + laptopInstance)
	b.waitReady("#row-gitlab")
	b.click("#bind-gitlab")
	submitSample(b, platforms, sample(t, sandbox.GitLab, "good"))
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	b.focus("check-gitlab")
	b.key("\r")
	b.waitReady("#result .note.good")
	seen := b.text(`(() => {
		const note = document.querySelector("#result .note").getBoundingClientRect();
		return note.top >= 0 && note.bottom <= innerHeight / 3;
	})()`)
	if seen != "true" {
		t.Error("the result of the check isn't visible, or hides the rows")
	}
	b.waitVisible("#row-gitlab .cell-status .moment") // when it was checked
	testkit.Want(t, "unbind stands beside another button", b.text(`
		document.getElementById("unbind-gitlab").offsetTop ===
			document.getElementById("history-gitlab").offsetTop`), "true")
	if b.text("document.documentElement.scrollWidth <= innerWidth") != "true" {
		t.Error("the page is wider than the phone")
	}
}

// A platform answers late. Escape ends the wait, and a filled form is not lost by one key.
func TestBrowserEndsASlowCallAndAsksBeforeInputIsLost(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.setLanguage("en")
	good := sample(t, sandbox.GitLab, "good")
	b.focus("bind-gitlab")
	b.key("\r")
	b.fill("#field-address", s.platforms+good.Address)
	b.fill("#field-username", good.Username)
	b.fill("#field-token", good.Token.Reveal())
	b.key("\x1b")
	b.waitReady("#dialog[open] #problem.mild")
	b.wantShown("#problem", "Discard it?")
	b.click("#keep")
	b.waitReady("#dialog[open] #problem[hidden]", "#submit:not([hidden])")
	testkit.Want(t, "the token", b.value("#field-token"), good.Token.Reveal())

	s.box.SetFault(sandbox.GitLab, sandbox.Fault{
		Kind: sandbox.FaultLatency, Latency: 25 * time.Second,
	})
	b.focus("field-token")
	b.key("\r")
	b.until("the call", `document.querySelector("#dialog form[data-busy]")`)
	b.key("\x1b")
	b.waitReady("#dialog:not([open])", "#result .note.plain")
	b.wantShown("#result", "stopped waiting")
	b.wantFocus("after a stop", "bind-gitlab")

	b.key("\r")
	b.fill("#field-username", "alice")
	b.click("#dialog .cancel")
	b.waitReady("#dialog[open] #problem.mild")
	b.click("#dialog .cancel")
	b.waitReady("#dialog:not([open])")
	b.wantFocus("after the input is discarded", "bind-gitlab")
}

func TestBrowserKeepsTheTableAndLooksAgainWhenTheTabIsShown(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(newBrowser(t), "ann")
	one.setLanguage("en")
	two := one.openTab()
	two.open(s.console + "/" + firstInstance)
	two.click("#signin")
	two.waitReady(unboundSelector("gitlab"))
	two.click("#bind-gitlab")
	submitSample(two, s.platforms, sample(t, sandbox.GitLab, "good"))
	two.waitReady(boundSelector("gitlab"))

	const later = `(() => {
		const now = Date.now.bind(Date);
		Date.now = () => now() + 61000;
		window.dispatchEvent(new Event("focus"));
	})()`
	one.waitReady(unboundSelector("gitlab"))
	one.text(later)
	one.waitReady(boundSelector("gitlab"))
	unbind(one, "gitlab")
	one.click("#result button")
	two.text(later)
	two.waitReady(unboundSelector("gitlab"), "#result:empty") // that it was bound is no longer true
	one.text(`window.fetch = () => Promise.reject(new TypeError("offline"))`)
	one.text(later)
	one.waitReady("#result .note.bad [data-code=no_connection]", unboundSelector("gitlab"))
	one.click("#result button")
	one.waitReady("#result:empty")
	one.wantFocus("after a message is dismissed", "main")
}
