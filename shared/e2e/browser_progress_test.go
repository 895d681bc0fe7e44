package e2e_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/console"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// Work shows at its row, and the results of several platforms stand together. Escape and a button
// end a slow call.
func TestBrowserShowsWorkAndResultsSideBySide(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.setLanguage("en")
	b.click("#bind-gitlab")
	submitSample(b, s.platforms, sample(t, sandbox.GitLab, "good"))
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	s.bind(b, "github", "alice")
	b.waitReady(boundSelector("github"))
	b.click("#row-github .moment")
	b.until("the date with its zone", `/\d{4}.*(GMT|UTC|[A-Z]{3})/.test(
		document.querySelector("#row-github .moment").innerText)`)

	slow := sandbox.Fault{Kind: sandbox.FaultLatency, Latency: 25 * time.Second}
	s.box.SetFault(sandbox.GitLab, slow)
	for language, words := range map[string]struct{ running, stopped string }{
		"en": {"Checking GitLab", "GitLab was stopped"}, "zh-CN": {"正在检查 GitLab", "已停止检查 GitLab"},
	} {
		b.setLanguage(language)
		for _, how := range []string{"Escape", "the button"} {
			b.focus("check-gitlab")
			b.key("\r")
			b.until("the work at its row", `document.querySelector("#stop-gitlab")`)
			b.wantShown("#row-gitlab .cell-status", words.running)
			b.wantFocus("during a check", "check-gitlab")
			if how == "Escape" {
				b.key("\x1b")
			} else {
				b.text(`document.getElementById("stop-gitlab").click()`)
			}
			b.waitReady("#result .note.plain[data-of=gitlab]", "#row-gitlab:not(:has(#stop-gitlab))")
			b.wantShown("#result", words.stopped)
			b.wantFocus("after "+how, "check-gitlab")
		}
		b.click("#check-github")
		b.waitReady("#result .note.good[data-of=github]", "#result [data-of=gitlab]")
	}

	// The sign-in ends: the table stays, and the way to sign in again is there.
	s.advance(2 * time.Hour)
	b.text(`window.dispatchEvent(new Event("focus"))`)
	b.click("#check-github")
	b.waitReady("#result [data-code=not_signed_in]", "#signin", "#row-github")
	b.click("#signin")
	b.waitReady(boundSelector("github"), "#result:empty")
}

// A person may end the call that binds a consented account, and then sees what is bound.
func TestBrowserEndsTheConfirmOfAConsent(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	for i, language := range []string{"en", "zh-CN"} {
		b.setLanguage(language)
		b.leave("bitbucket")
		if i == 0 {
			b.click("#login-alice")
		}
		b.click("#authorize")
		b.waitReady("#dialog[open] #choose-type")
		b.text(`(() => {
			const usual = window.fetch;
			window.fetch = (address, o) => (!address.endsWith("/confirm") ? usual(address, o)
				: new Promise((_, fail) => o.signal.addEventListener("abort", () => fail(o.signal.reason))));
		})()`)
		b.focus("submit")
		b.key("\r")
		b.until("the call", `document.querySelector("#dialog form[data-busy]")`)
		b.key("\x1b")
		b.waitReady("#dialog:not([open])", "#result .note.plain", unboundSelector("bitbucket"))
		b.wantShown("#result", []string{"stopped waiting", "已停止等待"}[i])
		s.wantNoTrace(b)
		s.box.RevokeTokens(sandbox.Bitbucket, "alice")
	}
}

func TestBrowserShowsAReaderWhatItsSignInMayDo(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.click("#bind-gitlab")
	submitSample(b, s.platforms, sample(t, sandbox.GitLab, "good"))
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	b.click("#switch")
	b.click("#be-reader")
	b.waitReady(boundSelector("gitlab"), "#readonly", "#history-gitlab")
	for language, words := range map[string]string{"en": "may only look", "zh-CN": "只能查看"} {
		b.setLanguage(language)
		b.waitReady(boundSelector("gitlab"))
		b.wantShown("#readonly", words)
		testkit.Want(t, "buttons that change something", b.text(`document.querySelectorAll(
			"[id^=bind-], [id^=check-], [id^=unbind-], [id^=repositories-]").length`), "0")
	}
}

// What the buttons do is loaded after the first view. If it is lost, the page says so and reloads.
func TestBrowserShowsThatAButtonsModuleIsLost(t *testing.T) {
	s := newShelf(t)
	var lost atomic.Bool
	lost.Store(true)
	files := console.Handler(console.Options{PublicURL: s.url, ConsoleURL: s.url, Dev: true})
	s.mux.HandleFunc("/{version}/unbind.js", func(w http.ResponseWriter, r *http.Request) {
		if lost.Load() {
			replyJSON(w, http.StatusServiceUnavailable, object{})
			return
		}
		files.ServeHTTP(w, r)
	})
	b := newBrowser(t)
	b.open(s.url + "/")
	b.setLanguage("en")
	b.click("#unbind-gitlab")
	b.waitReady("#result .note.bad [data-code=no_connection]", "#reload")
	lost.Store(false)
	b.click("#reload")
	b.waitReady("#row-gitlab", "#result:empty")
	b.click("#unbind-gitlab")
	b.waitReady("#dialog[open] #submit.danger")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = nil // the browser's, of the lost module
}
