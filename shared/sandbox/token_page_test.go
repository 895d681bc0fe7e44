package sandbox_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// tokenPages are the pages where a token is created, with the call that shows whether it is valid.
var tokenPages = []struct {
	path, user, permission, call, header, value string
}{
	{
		"/gitlab/-/user_settings/personal_access_tokens", "bob", "api", "/api/v4/user",
		"Private-Token", `id="token">(glpat-[^<]+)<`,
	},
	{
		"/settings/personalAccessToken", "carol", "用户：只读", "/oapi/v1/platform/user",
		"X-Yunxiao-Token", `id="token">(pt-[^<]+)<`,
	},
}

// fill sends a form.
func fill(t *testing.T, address string, form url.Values, headers ...header) answer {
	t.Helper()
	headers = append(headers, header{"Content-Type", "application/x-www-form-urlencoded"})
	return call(t, &request{"POST", address, form.Encode()}, headers...)
}

func TestATokenIsCreatedShownOnceAndRevoked(t *testing.T) {
	for _, p := range tokenPages {
		_, origin := open(t, sandbox.Options{})
		got := fill(t, origin+p.path, url.Values{
			"do": {"create"}, "user": {p.user}, "name": {"<b>mine"}, "permission": {p.permission},
		})
		testkit.Want(t, "status", got.status, 200)
		shown := regexp.MustCompile(p.value).FindStringSubmatch(got.body)
		if shown == nil {
			t.Fatalf("%s shows no token", p.path)
		}
		whose := func() answer {
			return call(t, noBody("GET", origin+p.call), header{p.header, shown[1]})
		}
		testkit.Want(t, "it is the user's", strings.Contains(whose().body, p.user), true)
		again := call(t, noBody("GET", origin+p.path)).body
		testkit.Want(t, "shown again", strings.Contains(again, shown[1]), false)
		testkit.Want(t, "listed", strings.Contains(again, "&lt;b&gt;mine"), true)
		fill(t, origin+p.path, url.Values{"do": {"revoke:1"}},
			header{"Sec-Fetch-Site", "cross-site"})
		testkit.Want(t, "after another site's button", whose().status, 200)
		fill(t, origin+p.path, url.Values{"do": {"revoke:1"}})
		testkit.Want(t, "after the button", whose().status, 401)
		testkit.Want(t, "no such button",
			fill(t, origin+p.path, url.Values{"do": {"revoke:x"}}).status, 200)
	}
}

func TestTheQueryFillsInTheFormOfATokenAsAtGitLab(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	page := call(t, noBody("GET", origin+tokenPages[0].path+"?name=Bindery&scopes=api,read_user")).body
	for text, want := range map[string]bool{
		`name="name" value="Bindery"`: true, `value="api" checked`: true,
		`value="read_user" checked`: true, `value="read_api" checked`: false,
	} {
		testkit.Want(t, text, strings.Contains(page, text), want)
	}
}

func TestAFormOfATokenKeepsWhatWasTyped(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	for wrong, value := range map[string]string{
		"user": "mallory", "name": " ", "permission": "none", "expires": "2001-01-01",
	} {
		form := url.Values{
			"do": {"create"}, "user": {"bob"}, "name": {"kept"}, "permission": {"read_api"},
		}
		form.Set(wrong, value)
		got := fill(t, origin+tokenPages[0].path, form)
		testkit.Want(t, wrong+": status", got.status, 422)
		testkit.Want(t, wrong+": says so", strings.Contains(got.body, `id="problem"`), true)
		testkit.Want(t, wrong+": a token", strings.Contains(got.body, `id="token"`), false)
		text := html.UnescapeString(got.body)
		testkit.Want(t, wrong+": name", strings.Contains(text, `value="kept"`), wrong != "name")
		testkit.Want(t, wrong+": permission", strings.Contains(text, `value="read_api" checked`),
			wrong != "permission")
	}
}
