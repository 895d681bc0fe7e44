package e2e_test

import (
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// wantShown expects an element to show each text.
func (b *tab) wantShown(selector string, texts ...string) {
	b.t.Helper()
	got := b.innerText(selector)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			b.t.Errorf("%s doesn't show %q: %q", selector, text, got)
		}
	}
}

func TestBrowserShowsACheckWithoutAnAnswerAsBad(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	for language, words := range map[string][]string{
		"en": {"still not known", "Bound"}, "zh-CN": {"未能确定令牌的状态", "已绑定"},
	} {
		b.setLanguage(language)
		b.click("#bind-gitlab")
		submitSample(b, s.platforms, sample(t, sandbox.GitLab, "good"))
		b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
		s.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.Fault503})
		b.click("#check-gitlab")
		b.waitReady("#result .note.bad [data-code]", "#result:not(:has(.good))")
		b.wantShown("#result .note.bad", words...)
		s.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultNone})
		b.click("#check-gitlab")
		b.waitReady("#result .note.good")
		unbind(b, "gitlab")
	}
}

// A re-bind by OAuth that would replace an account asks first.
func TestBrowserAsksBeforeAConsentReplacesAnotherAccount(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.setLanguage("en")
	s.bind(b, "github", "alice")
	b.waitReady(boundSelector("github"))

	for _, words := range [][2]string{{"en", "stays bound to alice"}, {"zh-CN", "仍绑定着 alice"}} {
		b.setLanguage(words[0])
		if words[0] == "en" {
			s.bind(b, "github", "carol")
		} else {
			b.leave("github")
			b.pickUser("carol") // GitHub doesn't ask twice for the consent
		}
		b.waitReady("#dialog[open] #replaced .person")
		b.wantShown("#dialog .who", "carol", "cri-2")
		b.wantShown("#replaced", "alice")
		b.click("#dialog .cancel")
		b.waitReady(boundSelector("github"), "#dialog:not([open])")
		b.wantShown("#result", words[1])
		b.wantShown("#row-github .cell-identity", "alice")
		s.wantNoTrace(b)
	}

	b.leave("github")
	b.pickUser("carol")
	b.waitReady("#dialog[open] #replaced .person")
	b.click("#submit")
	b.waitReady(boundSelector("github"), "#dialog:not([open])")
	b.wantShown("#row-github .cell-identity", "carol")

	b.leave("github")
	b.pickUser("carol") // the same account: nothing to ask
	b.waitReady(boundSelector("github"), "#dialog:not([open])", "#result .note.good")
	s.wantNoTrace(b)
}

func TestBrowserShowsInBitbucketsDialogWhatIsBoundThere(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.setLanguage("en")
	s.bind(b, "bitbucket", "alice")
	chooseInstance(b, "personal", "cn-shanghai", "crp-3")
	b.waitReady(boundSelector("bitbucket"), "#dialog:not([open])")

	for language, words := range map[string][]string{
		"en": {"already", "stays bound to alice"}, "zh-CN": {"绑定的就是此账号", "仍绑定着 alice"},
	} {
		b.setLanguage(language)
		b.leave("bitbucket") // Bitbucket asks neither for the account nor for consent again
		b.waitReady("#dialog[open] #choose-type", "#replaced .person")
		b.wantShown("#replaced", "alice", words[0])
		b.fill("#choose-type", "enterprise")
		b.waitReady("#dialog[open] #replaced:empty")
		b.fill("#choose-type", "personal")
		b.waitReady("#dialog[open] #replaced .person")
		b.click("#dialog .cancel")
		b.waitReady("#dialog:not([open])")
		b.wantShown("#result", words[1])
	}
}

// Both tabs show GitLab as unbound. The second one must not replace what the first one bound.
func TestBrowserTellsTheSecondOfTwoFirstBinds(t *testing.T) {
	s := newSites(t, "localhost")
	one := s.signIn(newBrowser(t), "ann")
	one.setLanguage("en")
	two := one.openTab()
	two.open(s.console + "/" + firstInstance)
	two.click("#signin")
	two.waitReady(unboundSelector("gitlab"))
	good := sample(t, sandbox.GitLab, "good")
	two.click("#bind-gitlab")
	two.waitReady("#dialog[open] #field-token")
	one.click("#bind-gitlab")
	submitSample(one, s.platforms, good)
	one.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	etag := one.text("document.querySelector('#row-gitlab .cell-status time').dateTime")

	submitSample(two, s.platforms, good)
	two.waitReady(problemSelector("changed"), "#dialog[open] .note .person")
	testkit.Want(t, "what was typed", two.value("#field-token"), good.Token.Reveal())
	one.reload()
	one.waitReady(boundSelector("gitlab"))
	testkit.Want(t, "the first bind's time",
		one.text("document.querySelector('#row-gitlab .cell-status time').dateTime"), etag)
	two.click("#submit") // now it is meant
	two.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
}
