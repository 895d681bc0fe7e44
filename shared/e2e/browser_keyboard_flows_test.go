package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// press moves the focus to an element and presses Enter.
func (b *tab) press(id string) {
	b.t.Helper()
	b.focus(id)
	b.key("\r")
}

// focusNowhere is true when the whole page has the focus, nothing in it.
const focusNowhere = "document.activeElement === document.body"

// wantFocusInPage expects the focus to be on something, not on the whole page.
func (b *tab) wantFocusInPage(when string) {
	b.t.Helper()
	if b.text(focusNowhere) == "true" {
		b.t.Errorf("%s: nothing has the focus", when)
	}
}

// A person without a mouse signs in, finds an instance, binds it by a consent, and reads on.
func TestBrowserLeadsThroughAConsentByKeyboard(t *testing.T) {
	s := newSites(t, "localhost")
	b := newBrowser(t)
	b.open(s.console + "/")
	b.press("signin")
	b.press("be-ann")
	b.waitReady(unnamed)
	b.focus("filter-search")
	b.key("crp")
	b.waitReady("#instances > li:only-child[data-instance='cn-shanghai/crp-3']")
	b.wantFocus("while typing", "filter-search")
	b.press("open-cn-shanghai/crp-3")
	b.waitReady(unboundSelector("bitbucket"))
	b.wantFocusInPage("an instance is opened")

	b.press("bind-bitbucket")
	b.waitReady("#dialog[open] #submit")
	b.press("submit")
	b.press("login-alice")
	b.press("authorize")
	b.waitReady("#dialog[open] #choose-type")
	b.wantFocusInPage("the choice of an instance")
	b.key("\x1b")
	b.waitReady("#dialog:not([open])", "#result .note.plain")
	b.wantFocusInPage("the consent is dropped")
	b.press("bind-bitbucket")
	b.waitReady("#dialog[open] #submit")
	b.press("submit")
	b.waitReady("#dialog[open] #choose-type")
	b.focus("choose-type")
	b.key(kb.ArrowUp)
	b.until("another type", `document.getElementById("choose-region").value === "cn-beijing"`)
	b.wantFocus("a type is chosen", "choose-type")
	b.press("submit")
	b.waitReady(boundSelector("bitbucket"), "#dialog:not([open])")
	b.wantFocusInPage("after the bind")

	b.press("history-bitbucket")
	b.waitReady("#drawer[open] .events li")
	b.key("\x1b")
	b.waitReady("#drawer:not([open])")
	b.wantFocus("the history is closed", "history-bitbucket")
	b.focus("language")
	b.key(kb.ArrowDown)
	b.waitReady("html[lang=en]", boundSelector("bitbucket"))
	b.wantFocus("another language is chosen", "language")
	b.focus("instance")
	b.key(kb.ArrowDown)
	b.waitReady(unboundSelector("bitbucket"))
	b.wantFocus("another instance is chosen", "instance")
	b.press("all")
	b.waitReady(unnamed)
	b.wantFocusInPage("back at all instances")
}

// drawn lists what has no border of its own, for colours that the user has chosen: then neither a
// ground nor a shadow is drawn.
const drawn = `(() => {
	const missing = [];
	const add = (tag, name, more = {}) => {
		const node = Object.assign(document.createElement(tag), { className: name });
		for (const [key, value] of Object.entries(more)) node.setAttribute(key, value);
		document.getElementById("content").append(node);
		return node;
	};
	const look = (node, what, pseudo) => {
		const style = getComputedStyle(node, pseudo);
		if (style.borderTopStyle === "none" || parseFloat(style.borderTopWidth) === 0) {
			missing.push(what);
		}
		return style.backgroundColor;
	};
	for (const name of ["badge", "mark", "note bad", "note good", "mini", "monogram", "avatar"]) {
		look(add("span", name), name);
	}
	for (const name of ["primary", "quiet", "primary danger"]) look(add("button", name), name);
	look(add("input", "", { "aria-invalid": "true" }), "a wrong field");
	look(add("span", "badge"), "the dot of a badge", "::before");
	const on = look(add("button", "switch", { "aria-checked": "true" }), "on", "::before");
	const off = look(add("button", "switch", { "aria-checked": "false" }), "off", "::before");
	if (on === off) missing.push("the state of a switch");
	const ring = getComputedStyle(document.activeElement);
	if (ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2) missing.push("the focus");
	return missing.join(", ");
})()`

func TestBrowserRespectsForcedColoursAndLessMotion(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.click("#bind-gitlab")
	submitSample(b, s.platforms, sample(t, sandbox.GitLab, "good"))
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	media := func(name, value string) {
		b.do("a medium", func(ctx context.Context) error {
			return emulation.SetEmulatedMedia().WithFeatures(
				[]*emulation.MediaFeature{{Name: name, Value: value}}).Do(ctx)
		})
	}
	s.box.SetFault(sandbox.GitLab, sandbox.Fault{
		Kind: sandbox.FaultLatency, Latency: 25 * time.Second,
	})
	b.press("check-gitlab")
	const moving = `document.getAnimations().length > 0`
	b.until("a sign that moves", moving)
	media("prefers-reduced-motion", "reduce")
	b.until("the sign in the row", `document.querySelector(".working")?.checkVisibility()`)
	testkit.Want(t, "with reduced motion, something moves", b.text(moving), "false")

	media("forced-colors", "active")
	b.text(`document.getElementById("bind-codeup").focus()`)
	if missing := b.text(drawn); missing != "" {
		t.Errorf("in forced colours these can't be seen: %s", missing)
	}
}
