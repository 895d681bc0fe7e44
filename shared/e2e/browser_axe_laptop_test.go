package e2e_test

import (
	"testing"

	"bindery/shared/sandbox"
)

// TestBrowserShowsNoRepositoryThatAxeFaults opens the views of repositories and subscriptions on a
// laptop, in both languages.
func TestBrowserShowsNoRepositoryThatAxeFaults(t *testing.T) {
	b := openLaptop(t, "en")
	b.bind(sandbox.GitLab, "good")
	a := newAxe(b.tab)
	for _, language := range []string{"en", "zh-CN"} {
		b.fill("#language", language)
		b.waitReady("html[lang="+language+"]", "#row-gitlab")
		a.check("laptop", language)
		b.click("#repositories-gitlab")
		b.waitReady("#repository-search-list li")
		b.click("#subscriptions")
		b.waitReady("#subscription-list")
		a.check("subscriptions-"+map[string]string{"en": "none", "zh-CN": "one"}[language], language)
		b.closeDrawer()

		b.openRepository(sandbox.GitLab, hello(sandbox.GitLab))
		if language == "en" {
			a.check("repository-new", language)
			b.turn(true)
			b.push(sandbox.GitLab, "Look at this")
			b.wantEvent("Look at this")
		}
		b.click("#subscription summary")
		b.waitReady("#event-list li")
		a.check("repository", language)
		b.fill("#branches-search", "main")
		b.choose("branches-search", "main")
		b.waitReady("#file-text")
		a.check("commit", language)
		b.fill("#file-path", "no/Dockerfile")
		b.click("#file-show")
		b.waitReady("#file .note.plain")
		a.check("no-file", language)
		b.closeDrawer()
	}
}
