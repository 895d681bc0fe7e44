package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"bindery/shared/sandbox"
)

// TestAPersonChangesATokenOnThePage presses the page's buttons one after the other, and uses
// the token after each.
func TestAPersonChangesATokenOnThePage(t *testing.T) {
	for _, c := range []struct {
		platform, token, path, header string
		after                         map[string]int
	}{
		{
			"gitlab", "glpat-sandbox-alice-good", "/api/v4/projects", "Private-Token",
			map[string]int{"revoke": 401, "expire": 401, "soon": 200, "narrow": 200},
		},
		{
			"codeup", "pt-sandbox-good",
			"/oapi/v1/codeup/organizations/sandbox-org-main/repositories", "X-Yunxiao-Token",
			map[string]int{"revoke": 401, "expire": 401, "narrow": 403},
		},
	} {
		_, origin := open(t, sandbox.Options{})
		form := contentType("application/x-www-form-urlencoded")
		press := func(do string) int {
			body := url.Values{"platform": {c.platform}, "token": {c.token}, "do": {do}}.Encode()
			return call(t, &request{"POST", origin + "/sandbox/tokens", body}, form).status
		}
		use := func() int {
			return call(t, noBody("GET", origin+c.path), header{c.header, c.token}).status
		}
		for do, want := range c.after {
			if got := press(do); got != 303 {
				t.Errorf("%s, %s: got %d, want 303", c.platform, do, got)
			}
			if got := use(); got != want {
				t.Errorf("%s after %s: got %d, want %d", c.platform, do, got, want)
			}
			if got := press("restore"); got != 303 {
				t.Errorf("%s, restore after %s: got %d, want 303", c.platform, do, got)
			}
			if got := use(); got != 200 {
				t.Errorf("%s restored after %s: got %d, want 200", c.platform, do, got)
			}
		}
		if got := press("polish"); got != 400 {
			t.Errorf("%s, an unknown change: got %d, want 400", c.platform, got)
		}
	}
}

func TestThePageHasCloneAddressesAndSettingsPages(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	page := call(t, noBody("GET", origin+"/sandbox/")).body
	for _, want := range []string{
		origin + "/sandbox-org-main/hello.git", origin + "/gitlab/alice/hello.git",
		origin + "/sandbox-github/demo.git", origin + "/sandbox-gitee/demo.git",
		origin + "/sandbox-bitbucket/demo.git",
		`href="/settings/applications"`, `href="/oauth/applications"`,
		`href="/account/settings/app-authorizations/"`, `value="expire"`, `value="narrow"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestPushesAndClonesWithoutATokenAreRefused(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	for _, path := range []string{
		"/sandbox-org-main/hello.git", "/gitlab/alice/hello.git", "/sandbox-github/demo.git",
		"/sandbox-gitee/demo.git", "/sandbox-bitbucket/demo.git",
	} {
		got := call(t, noBody("GET", origin+path+"/info/refs?service=git-upload-pack"))
		if got.status != 401 {
			t.Errorf("%s without a token: got %d, want 401", path, got.status)
		}
	}
	basic := header{"Authorization", "Basic YWxpY2U6Z2xwYXQtc2FuZGJveC1hbGljZS1nb29k"}
	push := origin + "/gitlab/alice/hello.git/info/refs?service=git-receive-pack"
	if got := call(t, noBody("GET", push)); got.status != 401 {
		t.Errorf("a push without a token: got %d, want 401", got.status)
	}
	other := origin + "/gitlab/bob/private.git/info/refs?service=git-upload-pack"
	if got := call(t, noBody("GET", other), basic); got.status != 404 {
		t.Errorf("another's project: got %d, want 404", got.status)
	}
}
