package e2e_test

import (
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// The form completes an address, judges a port, links to the page for a token, offers the
// organizations of one, and keeps what a re-bind needs again.
func TestBrowserHelpsToFillInAForm(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	bob := sample(t, sandbox.Codeup, "another user")
	for language, words := range map[string]struct {
		https, http, permission, group, missing, clone string
	}{
		"en": {
			"only on port 443", "can’t use this port", "Webhooks: read and write", "Code management",
			"Branches: read", "Clone account",
		},
		"zh-CN": {"只支持 443 端口", "不支持此端口", "Webhook：读写", "代码管理", "分支：只读", "克隆账号"},
	} {
		b.setLanguage(language)
		b.click("#bind-gitlab")
		b.waitReady("#dialog[open] #field-address")
		for address, said := range map[string]string{
			"https://gitlab.example.com:8443": words.https, "gitlab.example.com:8443": words.https,
			"http://gitlab.example.com:81": words.http, "http://gitlab.example.com:8080": "",
			"http://gitlab.example.com:443": "", "https://gitlab.example.com:443": "",
		} {
			b.fill("#field-address", "")
			b.text(`(() => {
				const field = document.getElementById("field-address");
				field.value = ` + jsString(address) + `;
				field.dispatchEvent(new Event("input", { bubbles: true }));
			})()`)
			got := b.innerText("#port-note")
			if !strings.Contains(got, said) || (said == "") != (got == "") {
				t.Errorf("%s, %s: the page says %q, want %q", language, address, got, said)
			}
		}
		b.text(`(() => {
			const field = document.getElementById("field-address");
			field.value = "gitlab.com";
			field.dispatchEvent(new Event("input"));
			field.dispatchEvent(new Event("change"));
		})()`)
		testkit.Want(t, "the address", b.value("#field-address"), "https://gitlab.com")
		testkit.Want(t, "the page for a token",
			b.text("document.querySelector('#dialog a.outside').href"),
			"https://gitlab.com/-/user_settings/personal_access_tokens?name=Bindery&scopes=api")
		b.key("\x1b")
		b.key("\x1b")
		b.waitReady("#dialog:not([open])")

		b.click("#bind-codeup")
		b.waitReady("#dialog[open] .permissions")
		b.wantShown("#dialog .permissions", words.permission, words.group)
		submitSample(b, s.platforms, sample(t, sandbox.Codeup, "branches"))
		b.waitReady(problemSelector("permission_missing"), "#dialog [data-state=missing]")
		b.wantShown("#problem", words.missing)
		b.wantShown("#dialog [data-state=missing]", words.missing)
		submitSample(b, s.platforms, sandbox.Sample{Username: bob.Username, Token: bob.Token})
		b.waitReady(problemSelector("organization_unknown"), "select#field-organization")
		b.wantFocus("several organizations", "field-organization")
		testkit.Want(t, "the organization that is chosen", b.value("#field-organization"), "")
		b.fill("#field-organization", bob.Organization)
		b.fill("#field-expiresAt", "2099-01-02")
		b.click("#submit")
		b.waitReady(boundSelector("codeup"), "#dialog:not([open])")
		b.wantShown("#row-codeup .cell-identity", words.clone, bob.Username, bob.Organization)
		b.click("#warnings-codeup summary")
		b.wantShown("#row-codeup [data-state=not_provable]", words.permission)

		b.click("#bind-codeup")
		b.waitReady("#dialog[open] #field-token")
		testkit.Want(t, "the clone account", b.value("#field-username"), bob.Username)
		testkit.Want(t, "the organization", b.value("#field-organization"), bob.Organization)
		testkit.Want(t, "the expiry", b.value("#field-expiresAt"), "2099-01-02")
		b.wantFocus("a re-bind", "field-token")
		b.key("\x1b")
		b.waitReady("#dialog:not([open])")
		unbind(b, "codeup")
	}
}

// The sign-in ends while a form is open. What was typed is there afterwards, without the token.
func TestBrowserSignsInAgainFromAForm(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	good := sample(t, sandbox.GitLab, "good")
	for language, words := range map[string]string{"en": "once more", "zh-CN": "再次填写令牌"} {
		b.setLanguage(language)
		b.click("#bind-gitlab")
		b.fill("#field-address", s.platforms+good.Address)
		b.fill("#field-username", good.Username)
		b.fill("#field-token", good.Token.Reveal())
		s.advance(2 * time.Hour) // the access token has expired; the issuer's session has not
		b.click("#submit")
		b.waitReady(problemSelector("not_signed_in"), "#signin-again.primary", "#submit[hidden]")
		b.click("#signin-again")
		b.waitReady("#dialog[open] #field-token")
		b.wantShown("#dialog", words)
		testkit.Want(t, "the address", b.value("#field-address"), s.platforms+good.Address)
		testkit.Want(t, "the user name", b.value("#field-username"), good.Username)
		testkit.Want(t, "the token", b.value("#field-token"), "")
		wantTokenOnlyInField(b, good)
		b.wantFocus("after the sign-in", "field-token")
		b.fill("#field-token", good.Token.Reveal())
		b.click("#submit")
		b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
		unbind(b, "gitlab")
	}

	s.keepsChoices(b)

	// Another user, at the same tab, doesn't get it.
	b.click("#bind-gitlab")
	b.fill("#field-username", "ann-only")
	b.fill("#field-address", s.platforms+good.Address)
	b.fill("#field-token", good.Token.Reveal())
	s.advance(2 * time.Hour)
	b.click("#submit")
	b.waitReady("#signin-again")
	s.issuerService.signOut()
	b.click("#signin-again")
	b.click("#be-bob")
	b.waitReady(unboundSelector("gitlab"), "#dialog:not([open])")
	testkit.Want(t, "whether the tab keeps it",
		b.text("JSON.stringify(sessionStorage).includes('ann-only')"), "false")
}

// keepsChoices expects what was chosen of a subscription to be there after another sign-in.
func (s *sites) keepsChoices(b *tab) {
	b.t.Helper()
	b.click("#bind-gitlab")
	submitSample(b, s.platforms, sample(b.t, sandbox.GitLab, "good"))
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	b.click("#repositories-gitlab")
	b.choose("repository-search", "alice/hello")
	b.click("#subscribe")
	b.waitReady("#subscribe[aria-checked=true]")
	b.click("#subscription summary")
	b.click("#events-tag")
	b.fill("#branches", "main, release/*")
	s.advance(2 * time.Hour)
	b.click("#subscription-save")
	b.waitReady("#subscription #signin-again")
	b.click("#signin-again")
	b.waitReady("#drawer[open] #subscription details[open]")
	b.wantFocusInPage("after the sign-in")
	testkit.Want(b.t, "the branches", b.value("#branches"), "main, release/*")
	testkit.Want(b.t, "the kinds", b.text(
		`[...document.querySelectorAll("#subscription :checked")].map((one) => one.value)`), "push")
	b.click("#subscription-save")
	b.waitReady("#subscription .said")
	b.key("\x1b")
	b.waitReady("#drawer:not([open])")
	unbind(b, "gitlab")
}
