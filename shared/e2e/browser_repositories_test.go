package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// choose presses the entry of a list whose name ends like this, when it is there. It passes over
// those in a nested group.
func (b *tab) choose(list, ending string) {
	b.t.Helper()
	b.until(ending+" in "+list, pageIdle+` && (() => {
		const entries = [...document.querySelectorAll(`+jsString("#"+list+"-list button")+`)];
		const entry = entries.find((one) =>
			one.querySelector(".choice-name").textContent.endsWith(`+jsString(ending)+`) &&
			!one.textContent.includes("/group/"));
		entry?.click();
		return entry;
	})()`)
}

// closeView presses the button that leads back to the view below.
func (b *tab) closeView() { b.click("#drawer section:not([hidden]) > .back") }

// wantFile waits until the view of a commit shows its file with this text, and returns the hash of
// the commit.
func (b *tab) wantFile(text string) (hash string) {
	b.t.Helper()
	b.until("a file with "+text, pageIdle+` &&
		document.getElementById("file-text")?.innerText.includes(`+jsString(text)+`)`)
	return b.innerText("#hash-found")
}

// allowClipboard lets the page and the test use the clipboard, as in the window that has the focus.
func (b *tab) allowClipboard() {
	b.t.Helper()
	b.do("focus", func(ctx context.Context) error {
		return emulation.SetFocusEmulationEnabled(true).Do(ctx)
	})
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		command(b.t, b.browser, "allowing the clipboard", func(ctx context.Context) error {
			return browser.SetPermission(&browser.PermissionDescriptor{Name: name},
				browser.PermissionSettingGranted).WithBrowserContextID(b.profile).Do(ctx)
		})
	}
}

// wantCopied presses a button that copies, and expects the text in the clipboard.
func (b *tab) wantCopied(button, text string) {
	b.t.Helper()
	b.click("#" + button + "-copy")
	b.until("a message after "+button, `document.querySelector("#`+button+`-said").innerText`)
	b.until(text+" in the clipboard", `(navigator.clipboard.readText().
		then((text) => { window.copied = text; }), window.copied === `+jsString(text)+`)`)
}

func TestBrowserFindsARepositoryOnEachPlatform(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.allowClipboard()
	b.fill("#instance", "cn-hangzhou/cri-1")
	for i, name := range []sandbox.Platform{
		sandbox.Codeup, sandbox.GitLab, sandbox.Gitee, sandbox.GitHub, sandbox.Bitbucket,
	} {
		s.box.SetSwitch(name, platform.ManyRepositories, true)
		b.fill("#language", []string{"en", "zh-CN"}[i%2])
		b.waitReady(unboundSelector(string(name)))
		switch name {
		case sandbox.Codeup, sandbox.GitLab:
			b.click("#bind-" + string(name))
			submitSample(b, s.platforms, sample(t, name, "good"))
		default:
			s.bind(b, string(name), "alice")
		}
		if name == sandbox.Bitbucket {
			chooseInstance(b, "enterprise", "cn-hangzhou", "cri-1")
		}
		b.waitReady(boundSelector(string(name)), "#dialog:not([open])")
		findHello(b, string(name), s.functions)
	}
}

// findHello searches for the repository hello, and resolves a branch, an annotated tag and a short
// hash of it.
func findHello(b *tab, platform, functions string) {
	b.t.Helper()
	b.focus("repositories-" + platform)
	b.key("\r")
	b.waitReady("#drawer[open] #repository-search-list li")
	b.fill("#repository-search", "hello")
	b.choose("repository-search", "/hello")
	b.waitReady("#branches-search-list li")
	clone, line := b.innerText("#clone"), b.innerText("#helper")
	if !strings.HasSuffix(clone, "/hello.git") {
		b.t.Errorf("%s: the clone address is %s", platform, clone)
	}
	origin, _, _ := strings.Cut(strings.TrimPrefix(clone, "http://"), "/")
	testkit.Want(b.t, "git's helper", line, "git config --global credential.http://"+origin+
		`.helper '!f() { test "$1" = get && curl -fsS -X POST -H @"$HEADER" "`+functions+
		"/v1/instances/cn-hangzhou/cri-1/bindings/"+platform+`/credential?format=git"; }; f'`)
	b.wantCopied("clone", clone)
	b.wantCopied("helper", line)

	b.fill("#branches-search", "feature")
	b.choose("branches-search", "feature/a")
	hash := b.wantFile(`LABEL ref="heads/feature/a"`)
	b.wantCopied("hash-found", hash)
	if b.text(`document.querySelector("#commit time").dateTime`) != "2025-01-02T03:04:05Z" {
		b.t.Errorf("%s: the commit has no date: %s", platform, b.innerText("#commit"))
	}
	b.fill("#file-path", "docs/read me #1?.md")
	b.click("#file-show")
	b.wantFile("100%")
	b.fill("#file-path", "no/Dockerfile")
	b.click("#file-show")
	b.until("a sentence about the file", pageIdle+` &&
		document.querySelector("#file .note.plain")?.innerText.includes("no/Dockerfile")`)
	b.closeView()

	b.click("#kind-tags")
	b.choose("tags-search", "v2.0.0")
	b.wantFile(`LABEL ref="tags/v2.0.0"`)
	b.closeView()
	b.click("#kind-commit")
	b.fill("#hash", hash[:7])
	b.click("#hash-find")
	testkit.Want(b.t, platform+": the commit of its short hash",
		b.wantFile(`LABEL ref="heads/feature/a"`), hash)
	b.key("\x1b")
	b.waitReady("#drawer:not([open])")
	b.wantFocus("after Escape", "repositories-"+platform)
}
