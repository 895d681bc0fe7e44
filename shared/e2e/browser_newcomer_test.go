package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// manyInstances returns the setting of as many instances of the account acme.
func manyInstances(t *testing.T, number int) string {
	t.Helper()
	var all []object
	for i := range number {
		all = append(all, object{
			"type": "enterprise", "region": []string{"cn-beijing", "cn-hangzhou"}[i%2],
			"id": fmt.Sprintf("cri-%03d", i), "name": fmt.Sprintf("team-%03d", i),
		})
	}
	text, err := json.Marshal(object{"acme": all})
	if err != nil {
		t.Fatal(err)
	}
	return "BINDERY_INSTANCES=" + string(text)
}

// A newcomer has no help but the page: binds GitHub and GitLab, finds the binding that broke among
// 300 instances, reads why, and mends it with a token that the page's link leads to.
func TestBrowserFindsAndMendsTheBrokenBindingAmong300Instances(t *testing.T) {
	bindery, platforms := startLaptop(t, manyInstances(t, 300))
	c := &laptopClient{t: t, own: bindery, sandbox: platforms}
	c.signIn()
	for i := 0; i < 300; i += 10 {
		form := c.form(sample(t, sandbox.GitLab, "never expires"))
		if i == 210 {
			form = c.form(sample(t, sandbox.GitLab, "good"))
		}
		region := []string{"cn-beijing", "cn-hangzhou"}[i%2]
		c.call(http.MethodPut, fmt.Sprintf("/v1/instances/%s/cri-%03d/bindings/gitlab", region, i),
			form, http.StatusOK)
	}
	b := newBrowser(t)
	b.open(bindery + "/")
	b.fill("#language", "en")
	b.waitReady("html[lang=en]", "#instances > li:nth-child(2)")
	b.fill("#filter-search", "team-007")
	b.click("#instances > li:only-child .instance-name")
	b.waitReady("#row-github", "#row-gitlab")
	b.leave("github")
	b.pickUser("alice")
	b.click("#authorize")
	b.waitReady(boundSelector("github"))
	b.click("#bind-gitlab")
	createGitLabToken(b, platforms)
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")

	revokeSample(c, "glpat-sandbox-alice-good")
	b.click("#all")
	b.waitReady("#instances > li:nth-child(2)")
	c.call(http.MethodPost, "/v1/instances/cn-beijing/cri-210/bindings/gitlab/check", nil,
		http.StatusOK)
	b.reload()
	b.waitReady("#instances > li:first-child[data-instance='cn-beijing/cri-210'] .words a")
	b.wantShown("#attention", "1")
	b.wantShown("#instances > li:first-child .words", "GitLab", "Revoked")
	(&axe{tab: b}).picture("newcomer-overview")
	b.click("#instances > li:first-child .words a")
	b.waitReady("#row-gitlab.here", "#problem-gitlab", "#bind-gitlab.primary")
	b.wantShown("#problem-gitlab", "revoked")
	(&axe{tab: b}).picture("newcomer-broken")
	b.click("#bind-gitlab")
	createGitLabToken(b, platforms)
	b.waitReady(boundSelector("gitlab"), "#dialog:not([open])")
	b.click("#all")
	b.waitReady("#instances > li:nth-child(2)")
	testkit.Want(t, "instances that need attention", b.text(
		"document.querySelectorAll('#instances .words').length"), "0")
	b.wantNoComplaints()
}

// revokeSample presses the button of a sample token of GitLab on the sandbox's page.
func revokeSample(c *laptopClient, token string) {
	c.t.Helper()
	form := object{"platform": "gitlab", "token": token, "do": "revoke"}
	r := c.request(http.MethodPost, c.sandbox+"/sandbox/tokens", form)
	r.Header.Set("Content-Type", "application/json")
	testkit.Want(c.t, "revoked", c.send(r).status, http.StatusNoContent)
}

// createGitLabToken follows the open form's link to the page that creates a token, creates one
// there as it is filled in, and binds with it.
func createGitLabToken(b *tab, platforms string) {
	b.t.Helper()
	b.fill("#field-address", platforms+"/gitlab")
	b.waitReady("#dialog .help a[href^='" + platforms + "']")
	other := b.openTab()
	other.open(b.text("document.querySelector('#dialog .help a').href"))
	other.waitVisible("#create")
	testkit.Want(b.t, "the token's name", other.value("#name"), "Bindery")
	other.click("#create")
	other.waitVisible("#token")
	b.fill("#field-username", "alice")
	b.fill("#field-token", other.innerText("#token"))
	b.click("#submit")
}

// Each page of the sandbox is looked at in both colour schemes, and its buttons are pressed by
// keyboard.
func TestBrowserShowsNoPageOfTheSandboxThatAxeFaults(t *testing.T) {
	box := sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader})
	t.Cleanup(box.Close)
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	app := box.Apps()[sandbox.GitHub]
	app.RedirectURI = server.URL + "/events-receiver" // any page of the same origin
	box.AddApp(sandbox.GitHub, app)
	consent := server.URL + "/login/oauth/authorize?" + url.Values{
		"client_id": {app.ClientID}, "scope": {"repo"}, "prompt": {"select_account"},
	}.Encode()
	a := newAxe(newBrowser(t))
	look := func(name, address, ready string) {
		a.open(address)
		a.waitVisible(ready)
		a.check("sandbox-"+name, "en")
	}
	press := func(id, ready string) {
		a.focus(id)
		a.key("\r")
		a.waitVisible(ready)
	}
	look("refused", server.URL+"/login/oauth/authorize?client_id=none", "#refusal")
	a.open(consent)
	press("login-alice", "#authorize")
	a.check("sandbox-consent", "en")
	look("picker", consent, "#continue")
	press("continue", "#authorize")
	press("authorize", "table")
	a.check("sandbox-received", "en")
	look("settings", server.URL+box.Platforms[sandbox.GitHub].SettingsPath, "#expire")
	a.open(server.URL + box.Codeup.TokenPath())
	press("create", "#problem")
	a.fill("#name", "mine")
	press("create", "#token")
	a.check("sandbox-created", "en")
	look("index", server.URL+"/sandbox/", "nav")
	look("webhooks", server.URL+"/sandbox/webhooks?platform=github&repository="+
		url.QueryEscape("alice/hello"), "table")
	if got := a.text("document.body.innerText"); !strings.Contains(got, "alice/hello") {
		t.Errorf("the page of the webhooks shows %q", got)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complaints = nil // the browser reports the statuses of what was refused
}
