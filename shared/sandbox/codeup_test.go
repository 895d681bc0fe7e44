package sandbox_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/testkit"
)

const (
	platformAPI = "/oapi/v1/platform"
	mainAPI     = "/oapi/v1/codeup/organizations/sandbox-org-main/repositories"
)

func TestCodeupReturnsUserAndOrganizations(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	got := call(t, noBody("GET", origin+platformAPI+"/user"), yunxiaoToken("pt-sandbox-good"))
	if got.status != 200 || got.field(t, "lastOrganization") != "sandbox-org-main" {
		t.Errorf("got %d, %s", got.status, got.body)
	}
	got = call(t, noBody("GET", origin+platformAPI+"/organizations"),
		yunxiaoToken("pt-sandbox-bob"))
	if got.header.Get("X-Total") != "2" || got.field(t, "id") != "sandbox-org-main" {
		t.Errorf("got %d, %s", got.status, got.body)
	}
}

func TestCodeupErrors(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	for _, c := range []struct {
		token, path string
		status      int
		code        string
	}{
		{"", platformAPI + "/user", 401, "Unauthorized"},
		{"pt-sandbox-revoked", platformAPI + "/user", 401, "InvalidTokenError"},
		{"pt-sandbox-expired", platformAPI + "/user", 401, "ExpiredTokenError"},
		{"pt-sandbox-minimal", platformAPI + "/user", 403, "Forbidden"},
		{"pt-sandbox-minimal", platformAPI + "/organizations", 403, "Forbidden"},
		{"pt-sandbox-no-repositories", mainAPI, 403, "Forbidden"},
		{"pt-sandbox-no-branches", mainAPI + "/1001/branches", 403, "Forbidden"},
		{
			"pt-sandbox-good", "/oapi/v1/codeup/organizations/sandbox-org-empty/repositories",
			403, "Forbidden.InvalidUser.UserNotInCurrentOrganization",
		},
		{"pt-sandbox-good", mainAPI + "/9999/branches", 404, "NotFound"},
		{"pt-sandbox-good", "/oapi/v1/unknown", 404, "NotFound"},
	} {
		got := call(t, noBody("GET", origin+c.path), yunxiaoToken(c.token))
		if got.status != c.status || got.field(t, "errorCode") != c.code ||
			got.field(t, "requestId") == "" {
			t.Errorf("%s, %s: got %d, %v; want %d, %s", c.token, c.path, got.status,
				got.field(t, "errorCode"), c.status, c.code)
		}
	}
	s.SetSwitch(sandbox.Codeup, codeup.OpenUser, true)
	user := noBody("GET", origin+platformAPI+"/user")
	if got := call(t, user, yunxiaoToken("pt-sandbox-minimal")).status; got != 200 {
		t.Errorf("open user: got %d, want 200", got)
	}
}

func TestCodeupErrorQuirks(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetSwitch(sandbox.Codeup, codeup.AllowList, true)
	got := call(t, noBody("GET", origin+mainAPI), yunxiaoToken("pt-sandbox-good"))
	text, _ := got.field(t, "errorMessage").(string)
	if got.status != 403 || got.field(t, "errorCode") != "SYSTEM_FORBIDDEN_ERROR" ||
		!strings.Contains(text, "127.0.0.1") {
		t.Errorf("got %d, %s", got.status, got.body)
	}
	s.SetSwitch(sandbox.Codeup, codeup.PlainErrors, true)
	got = call(t, noBody("GET", origin+mainAPI), yunxiaoToken("pt-sandbox-good"))
	if got.header.Get("Content-Type") != "application/json" ||
		!strings.HasPrefix(got.body, "SYSTEM_FORBIDDEN_ERROR") {
		t.Errorf("got %s, %s", got.header.Get("Content-Type"), got.body)
	}
}

func TestCodeupListsInPages(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	good := yunxiaoToken("pt-sandbox-good")
	list := call(t, noBody("GET", origin+mainAPI+"?perPage=1&page=2"), good)
	if list.header.Get("X-Total-Pages") != "7" || list.header.Get("X-Prev-Page") != "1" ||
		list.header.Get("X-Next-Page") != "3" || list.field(t, "path") != "group/world" {
		t.Errorf("got %v, %s", list.header, list.body)
	}
	if list.field(t, "httpUrlToRepo") != nil || list.field(t, "accessLevel") != 40.0 {
		t.Errorf("got %s, want no clone address and a level of 40", list.body)
	}
	detail := call(t, noBody("GET",
		origin+mainAPI+"/"+url.PathEscape("sandbox-org-main/group/world")), good)
	if detail.field(t, "defaultBranch") != "master" || detail.field(t, "accessLevel") != "40" ||
		detail.field(t, "httpUrlToRepo") != origin+"/sandbox-org-main/group/world.git" {
		t.Errorf("got %d, %s", detail.status, detail.body)
	}
	for path, name := range map[string]string{"/1001/branches": "main", "/1001/tags": "v1.0.0"} {
		if got := call(t, noBody("GET", origin+mainAPI+path), good); got.field(t, "name") != name {
			t.Errorf("%s: got %s, want %s", path, got.body, name)
		}
	}
	empty := call(t, noBody("GET",
		origin+"/oapi/v1/codeup/organizations/sandbox-org-empty/repositories"),
		yunxiaoToken("pt-sandbox-empty"))
	if strings.TrimSpace(empty.body) != "[]" {
		t.Errorf("got %s, want an empty list", empty.body)
	}
}

func TestCodeupMembersHaveRoles(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	token := s.Codeup.AddToken(codeup.Token{CloneAccount: "alice", Permissions: append(
		codeup.Minimal(), codeup.Roles)})
	with := yunxiaoToken(token.Reveal())
	org := origin + platformAPI + "/organizations/sandbox-org-main"
	alice := call(t, noBody("GET", org+"/members/member-sandbox-user-alice"), with)
	bob := call(t, noBody("GET", org+"/members:readByUser?userId=sandbox-user-bob"), with)
	a, _ := alice.field(t, "roleIds").([]any)
	b, _ := bob.field(t, "roleIds").([]any)
	roles := call(t, noBody("GET", org+"/roles"), with)
	if len(a) != 1 || len(b) != 1 || a[0] == b[0] || roles.field(t, "id") != a[0] {
		t.Errorf("roles: alice %v, bob %v, of %s", a, b, roles.body)
	}
	for path, want := range map[string]int{
		"/members": 200, "/members/nobody": 404, "/departments": 200,
	} {
		if got := call(t, noBody("GET", org+path), with).status; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	s.Codeup.Leave("sandbox-org-main", "alice")
	if got := call(t, noBody("GET", org+"/members"), with).status; got != 403 {
		t.Errorf("after leaving: got %d, want 403", got)
	}
	s.Codeup.RevokeToken(token)
	if got := call(t, noBody("GET", org+"/members"), with).status; got != 401 {
		t.Errorf("after revoking: got %d, want 401", got)
	}
}

func TestCodeupHooksShowTheirTokens(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	good := yunxiaoToken("pt-sandbox-good")
	hooks := origin + mainAPI + "/1001/webhooks"
	made := call(t, &request{"POST", hooks, `{"url":"https://example.invalid/h","token":"t",
		"pushEvents":true,"enableSslVerification":true}`}, good)
	if made.field(t, "token") != "t" || made.field(t, "enableSSLVerification") != true {
		t.Errorf("got %d, %s", made.status, made.body)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "", "", 200},
		{"GET", "/1", "", 200},
		{"PUT", "/1", `{"url":"https://example.invalid/other"}`, 200},
		{"PUT", "/1", `{}`, 400},
		{"POST", "", `{"url":"` + strings.Repeat("x", 1025) + `"}`, 400},
		{"DELETE", "/1", "", 204},
		{"DELETE", "/1", "", 404},
		{"GET", "/1", "", 404},
		{"PUT", "/1", `{"url":"u"}`, 404},
	} {
		got := call(t, &request{c.method, hooks + c.path, c.body}, good)
		if got.status != c.status {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, got.status, c.status)
		}
	}
	reader := s.Codeup.AddToken(codeup.Token{
		CloneAccount: "alice", Permissions: []codeup.Permission{codeup.HooksRead},
	})
	with := yunxiaoToken(reader.Reveal())
	if got := call(t, noBody("GET", hooks), with).status; got != 200 {
		t.Errorf("reading: got %d, want 200", got)
	}
	if got := call(t, &request{"POST", hooks, `{"url":"u"}`}, with).status; got != 403 {
		t.Errorf("writing: got %d, want 403", got)
	}
}

// refs sends the first request of a clone, for the refs.
func refs(t *testing.T, origin, repository, account, password string) answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet,
		origin+"/"+repository+".git/info/refs?service=git-upload-pack", nil)
	if err != nil {
		t.Fatal(err)
	}
	if account != "" {
		r.SetBasicAuth(account, password)
	}
	got, err := try(r)
	if err != nil {
		t.Fatalf("asking for refs: %v", err)
	}
	return got
}

func TestCodeupGitChecksAccountAndToken(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	const hello = "sandbox-org-main/hello"
	for _, c := range []struct {
		repository, account, token string
		check                      bool
		status                     int
	}{
		{hello, "alice", "pt-sandbox-good", true, 200},
		{"sandbox-org-main/group/world", "alice", "pt-sandbox-good", true, 200},
		{hello, "bob@sandbox.invalid", "pt-sandbox-bob", true, 200},
		{hello, "stranger", "pt-sandbox-good", true, 401},
		{hello, "stranger", "pt-sandbox-good", false, 200},
		{hello, "alice", "pt-wrong", false, 401},
		{hello, "", "", true, 401},
		{hello, "alice", "pt-sandbox-no-repositories", true, 403},
		{"sandbox-org-empty/x", "alice", "pt-sandbox-good", true, 403},
		{"sandbox-org-main/none", "alice", "pt-sandbox-good", true, 404},
	} {
		s.SetSwitch(sandbox.Codeup, codeup.CheckName, c.check)
		got := refs(t, origin, c.repository, c.account, c.token)
		if got.status != c.status {
			t.Errorf("%+v: got %d", c, got.status)
		}
		if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
			t.Errorf("%+v: got challenge %q", c, challenge)
		}
	}
}

func TestCodeupGitLocksAfterFiveWrongPasswords(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	for range 5 {
		refs(t, origin, "sandbox-org-main/hello", "alice", "pt-wrong")
	}
	got := refs(t, origin, "sandbox-org-main/hello", "alice", "pt-sandbox-good")
	if n := s.Codeup.WrongPasswords("alice"); n != 5 || got.status != 403 {
		t.Errorf("got %d wrong passwords and %d, want 5 and 403", n, got.status)
	}
	got = call(t, noBody("GET", origin+platformAPI+"/user"), yunxiaoToken("pt-sandbox-good"))
	if got.status != 200 {
		t.Errorf("the API: got %d, want 200", got.status)
	}
}

func TestCodeupRefsAreReadByGit(t *testing.T) {
	git := testkit.Program(t, "git")
	s, origin := open(t, sandbox.Options{})
	s.Codeup.AddUser(codeup.User{CloneAccount: "dora", ID: "dora"})
	s.Codeup.AddOrganization(codeup.Organization{
		ID: "o", Repositories: []codeup.Repository{
			{ID: 1, Path: "full", Branches: []string{"main", "b"}, Tags: []string{"v1"}},
			{ID: 2, Path: "bare"},
		},
	})
	s.Codeup.Join("o", "dora", true)
	token := s.Codeup.AddToken(codeup.Token{
		CloneAccount: "dora", Permissions: codeup.Minimal(),
	})
	for path, want := range map[string]string{
		"full": "HEAD refs/heads/b refs/heads/main refs/tags/v1", "bare": "",
	} {
		address := strings.Replace(origin, "://", "://dora:"+token.Reveal()+"@", 1)
		c := exec.CommandContext(t.Context(), git, "ls-remote", address+"/o/"+path+".git")
		c.Env = []string{"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + t.TempDir()}
		out, err := c.Output()
		var names []string
		for line := range strings.Lines(string(out)) {
			names = append(names, strings.Fields(line)[1])
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
		}
	}
}
