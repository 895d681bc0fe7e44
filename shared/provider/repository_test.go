package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// reader returns a platform that calls the site, and a credential for it.
func (s *tokenSite) reader(name string) (RepositoryPlatform, Credential) {
	p, _ := s.platforms().Get(name)
	return p.(RepositoryPlatform), Credential{
		Access: secret.New(canaryToken), Address: s.URL, Organization: "o1",
	}
}

// An id of each platform, and the path of the repository that has it.
const (
	workspaceID  = "{11111111-0000-4000-8000-000000000000}"
	repositoryID = "{22222222-0000-4000-8000-000000000000}"

	bitbucketRepositoryPath = "/2.0/repositories/%7B11111111-0000-4000-8000-000000000000%7D/" +
		"%7B22222222-0000-4000-8000-000000000000%7D"
	codeupRepositories = "/oapi/v1/codeup/organizations/o1/repositories"
)

var repositoryIDs = map[string]struct{ id, path string }{
	Codeup:    {"7", codeupRepositories + "/7"},
	Gitee:     {"7/acme/web", "/api/v5/repos/acme/web"},
	GitHub:    {"7", "/repositories/7"},
	GitLab:    {"7", "/api/v4/projects/7"},
	Bitbucket: {workspaceID + "/" + repositoryID, bitbucketRepositoryPath},
}

func TestE9_NoSecretOfAReplyIsInARepository(t *testing.T) {
	for name, body := range map[string]string{
		Codeup: `{"id":7,"pathWithNamespace":"o1/web","webUrl":"javascript:canary()",
			"httpUrlToRepo":"https://canary:canary@evil.example/o1/web.git?private_token=canary"}`,
		Gitee: `{"id":7,"full_name":"acme/web",
			"html_url":"https://oauth2:canary@evil.example/o1/web.git"}`,
		GitHub: `{"id":7,"full_name":"o1/web","temp_clone_token":"canary","html_url":"canary:x",
			"clone_url":"https://x-access-token:canary@evil.example/o1/web.git#canary"}`,
		GitLab: `{"id":7,"path_with_namespace":"o1/web","runners_token":"canary","web_url":"//canary",
			"http_url_to_repo":"https://gitlab-ci-token:canary@evil.example/o1/web.git"}`,
		Bitbucket: `{"uuid":"` + repositoryID + `","workspace":{"uuid":"` + workspaceID + `"},
			"full_name":"o1/web","links":{"clone":[{"name":"https",
			"href":"https://canary@evil.example/o1/web.git"}],"html":{"href":"data:canary"}}}`,
	} {
		of := repositoryIDs[name]
		s := newTokenSite(t, map[string]canned{of.path: {body: body}})
		p, cred := s.reader(name)
		got, err := p.Repository(t.Context(), cred, of.id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		testkit.Want(t, name+"'s clone address", got.URL, s.URL+"/o1/web.git")
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, "canary") ||
			strings.Contains(text, "evil") {
			t.Errorf("%s: the repository is %s", name, text)
		}
	}
}

func TestE10_HostileNamesAreKeptOrDropped(t *testing.T) {
	const hash = "0123456789012345678901234567890123456789"
	s := newTokenSite(t, map[string]canned{
		"/api/v4/projects": {body: `[{"id":7,"path_with_namespace":"a\u0000\r\nSet-Cookie: x/<b>"}]`},
		"/api/v4/projects/7/repository/branches": {body: `[
			{"name":"<img src=x>","commit":{"id":"` + hash + `"}},
			{"name":"a\nb","commit":{"id":"` + hash + `"}},
			{"name":"../../x","commit":{"id":"` + hash + `"}},
			{"name":"short","commit":{"id":"0123"}}, {"name":"null","commit":null}]`},
	})
	p, cred := s.reader(GitLab)
	page, err := p.Repositories(t.Context(), cred, "", "")
	if err != nil || len(page.Repositories) != 1 {
		t.Fatalf("got %+v, %v", page, err)
	}
	testkit.Want(t, "the name", page.Repositories[0].Name, "aSet-Cookie: x/<b>")
	refs, err := p.Refs(t.Context(), cred, "7", Branches, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs.Refs { // git allows HTML in a name, but no space, line break or ".."
		t.Errorf("%q is listed", ref.Name)
	}
}

func TestE14_AStrangersRepositoryAtAnOldPathIsNotFollowed(t *testing.T) {
	stranger := canned{body: `{"id":8,"full_name":"acme/web","default_branch":"main"}`}
	renamed := canned{body: `[{"id":6,"full_name":"acme/other"},
		{"id":7,"full_name":"acme/new-name","default_branch":"main"}]`}
	s := newTokenSite(t, map[string]canned{
		"/api/v5/repos/acme/web": stranger, "/api/v5/user/repos": renamed,
		"/api/v5/repos/acme/new-name/branches": {body: `[]`},
	})
	p, cred := s.reader(Gitee)
	got, err := p.Repository(t.Context(), cred, "7/acme/web")
	testkit.Want(t, "an error", err, nil)
	testkit.Want(t, "the renamed one", got.Name, "acme/new-name")
	_, err = p.Refs(t.Context(), cred, "7/acme/web", Branches, "", "")
	testkit.Want(t, "an error of its branches", err, nil)
	_, err = p.Repository(t.Context(), cred, "9/acme/web")
	testkit.Want(t, "one that is nowhere", problem.Of(err).Code, problem.RepositoryUnknown)

	s = newTokenSite(t, map[string]canned{
		"/repositories/7": {body: `{"id":8}`}, "/api/v4/projects/7": {body: `{"id":8}`},
		codeupRepositories + "/7": {body: `{"id":8}`},
		bitbucketRepositoryPath:   {body: `{"uuid":"{other}"}`},
	})
	for _, name := range []string{GitHub, GitLab, Codeup, Bitbucket} {
		p, cred := s.reader(name)
		_, err := p.Repository(t.Context(), cred, repositoryIDs[name].id)
		testkit.Want(t, name+" about another id", problem.Of(err).Code, problem.PlatformError)
	}
}

func TestE17_ACursorThatNoPlatformIssuedIsRefused(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		"/api/v5/repos/acme/web": {body: `{"id":7,"full_name":"acme/web"}`},
	})
	for name, of := range repositoryIDs {
		p, cred := s.reader(name)
		for _, cursor := range []string{
			"0", "-1", "01", "1e3", "../x", "https://evil.example/", "99999999999999999999", " 2",
			"a/b/c/d", "acme/../x", "acme/2&role=admin/", "acme/2/evil?x", "2?page=3", "/2/",
		} {
			_, err := p.Repositories(t.Context(), cred, "", cursor)
			wantMalformed(t, err, "cursor", "cursor")
			if name == Bitbucket && !strings.ContainsAny(cursor, "/. ?") {
				continue // it may name a page there
			}
			_, err = p.Refs(t.Context(), cred, of.id, Tags, "", cursor)
			wantMalformed(t, err, "cursor", "cursor")
		}
		for _, id := range []string{"", "x", "-7", "07", "../user", "7/..", "7/a/../b", "{}/{}"} {
			_, err := p.Repository(t.Context(), cred, id)
			testkit.Want(t, name+" of "+id, problem.Of(err).Code, problem.RepositoryUnknown)
		}
	}
	// Gitee looks for the repository first.
	for _, path := range slices.Compact(s.paths()) {
		if path != "GET /api/v5/repos/acme/web" {
			t.Errorf("%s was called", path)
		}
	}
}

func TestALinkLeadsNowhereElse(t *testing.T) {
	const next = `"next":"https://evil.example/2.0/steal?page=2"`
	s := newTokenSite(t, map[string]canned{
		"/2.0/user/workspaces":   {body: `{"values":[{"workspace":{"slug":"acme"}}]}`},
		"/2.0/repositories/acme": {body: `{"values":[],` + next + `}`},
		"/user/repos": {
			body: `[]`, header: map[string]string{"Link": `<https://evil.example/>; rel="next"`},
		},
	})
	for name, want := range map[string]string{Bitbucket: "acme/2/", GitHub: "2"} {
		p, cred := s.reader(name)
		page, err := p.Repositories(t.Context(), cred, "", "")
		if err != nil || page.Cursor != want {
			t.Errorf("%s: the cursor is %q, %v; want %q", name, page.Cursor, err, want)
		}
		if _, err = p.Repositories(t.Context(), cred, "", page.Cursor); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitHubTellsWhatSingleSignOnHides(t *testing.T) {
	for told, want := range map[string]string{
		"partial-results; organizations=21955855,20582480":  "/settings/applications",
		"required; url=SITE/orgs/acme/sso?request=1":        "/orgs/acme/sso?request=1",
		"required; url=https://evil.example/sso":            "/settings/applications",
		"required; url=SITE.evil.example/orgs/acme/sso":     "/settings/applications",
		"required; url=javascript:alert(1)//SITE/orgs/acme": "/settings/applications",
	} {
		s := newTokenSite(t, nil)
		header := map[string]string{"X-GitHub-SSO": strings.ReplaceAll(told, "SITE", s.URL)}
		s.replies = map[string]canned{
			"/user/repos": {body: `[]`, header: header},
			"/repositories/7": {
				status: 403, header: header,
				body: `{"message":"Resource protected by organization SAML enforcement."}`,
			},
		}
		p, cred := s.reader(GitHub)
		page, err := p.Repositories(t.Context(), cred, "", "")
		if err != nil || len(page.Notices) != 1 {
			t.Fatalf("%s: got %+v, %v", told, page, err)
		}
		_, err = p.Repository(t.Context(), cred, "7")
		for _, got := range []*problem.Problem{page.Notices[0], problem.Of(err)} {
			if got.Code != problem.RepositoriesHidden || got.Reason != "single_sign_on" ||
				got.Params["url"] != s.URL+want {
				t.Errorf("%s: got %v, %v", told, got, got.Params)
			}
		}
	}
}

func TestCodeupsListGoesOnUntilItIsCut(t *testing.T) {
	s := newTokenSite(t, nil)
	full := canned{
		body: `[{"id":7,"pathWithNamespace":"o1/web"}]`, header: map[string]string{"X-Next-Page": "152"},
	}
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Query().Get("page") {
		case "151":
			full.write(w)
		case "152":
			canned{status: 400, body: `{"errorCode":"BadRequest","errorMessage":"page"}`}.write(w)
		default:
			return false
		}
		return true
	}
	p, cred := s.reader(Codeup)
	page, err := p.Repositories(t.Context(), cred, "", "151")
	if err != nil || len(page.Repositories) != 1 || page.Cursor != "152" {
		t.Fatalf("page 151 is %+v, %v", page, err)
	}
	page, err = p.Repositories(t.Context(), cred, "", page.Cursor)
	if err != nil || page.Cursor != "" || len(page.Notices) != 1 ||
		page.Notices[0].Code != problem.ListCut || page.Notices[0].Params["limit"] != "15100" {
		t.Errorf("page 152 is %+v, %v", page, err)
	}
}

func TestCodeupNamesThePermissionThatIsMissing(t *testing.T) {
	s := newTokenSite(t, nil)
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		canned{status: 403, body: `{"errorCode":"Forbidden","errorMessage":"No permission"}`}.write(w)
		return true
	}
	p, cred := s.reader(Codeup)
	const hash = "0123456789012345678901234567890123456789"
	_, list := p.Repositories(t.Context(), cred, "", "")
	_, branch := p.Commit(t.Context(), cred, "7", "heads/main")
	_, tag := p.Commit(t.Context(), cred, "7", "tags/v1")
	_, commit := p.Commit(t.Context(), cred, "7", hash)
	_, file := p.File(t.Context(), cred, "7", "Dockerfile", hash)
	for want, err := range map[string]error{
		mayRepositories: list, mayBranches: branch, mayTags: tag, mayCommits: commit, mayFiles: file,
	} {
		p := problem.Of(err)
		if p.Code != problem.PermissionMissing || p.Params["missing"] != want {
			t.Errorf("got %v, %v; want %s", err, p.Params, want)
		}
	}
}

func TestAWorkspaceThatRefusesTheUserHidesNoOther(t *testing.T) {
	workspaces := canned{body: `{"values":[{"workspace":{"slug":"walled"}},
		{"workspace":{"slug":"acme"}},{"workspace":{"slug":"gone"}}]}`}
	s := newTokenSite(t, map[string]canned{
		"/2.0/user/workspaces":   workspaces,
		"/2.0/repositories/acme": {body: `{"values":[]}`},
		"/2.0/repositories/gone": {
			status: 404, body: `{"type":"error","error":{"message":"No workspace"}}`,
		},
		"/2.0/repositories/walled": {
			status: 403, body: `{"type":"error","error":{"message":"To get access, whitelist your IP."}}`,
		},
	})
	p, cred := s.reader(Bitbucket)
	page, err := p.Repositories(t.Context(), cred, "", "")
	if err != nil || page.Cursor != "" || len(page.Repositories) != 0 || len(page.Notices) != 1 ||
		page.Notices[0].Code != problem.AddressNotListed {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestWhatIsNotFoundIsThePlatformsWordOnly(t *testing.T) {
	for name, of := range repositoryIDs {
		for _, tt := range []struct {
			reply canned
			want  problem.Code
		}{
			{canned{status: 404, body: `{"message":"404 Project Not Found"}`}, problem.RepositoryUnknown},
			{canned{status: 404, kind: "text/html", body: `<html>`}, problem.PlatformError},
			{canned{status: 404, body: ``}, problem.PlatformError},
			{canned{status: 503, body: `{"message":"x"}`}, problem.PlatformError},
			{canned{status: 429, body: `{"message":"x"}`}, problem.PlatformRateLimited},
		} {
			s := newTokenSite(t, map[string]canned{
				of.path: tt.reply, of.path + "/refs/tags": tt.reply, of.path + "/tags": tt.reply,
				of.path + "/repository/tags": tt.reply, "/api/v5/user/repos": {body: `[]`},
			})
			p, cred := s.reader(name)
			_, err := p.Repository(t.Context(), cred, of.id)
			testkit.Want(t, fmt.Sprint(name, " ", tt.reply), problem.Of(err).Code, tt.want)
			_, err = p.Refs(t.Context(), cred, of.id, Tags, "", "")
			testkit.Want(t, fmt.Sprint(name, "'s tags ", tt.reply), problem.Of(err).Code, tt.want)
			keepsQuiet(t, err)
		}
	}
	s := newTokenSite(t, map[string]canned{
		"/api/v4/projects/7/repository/tags": {status: 403, body: `{"message":"403 Forbidden"}`},
		"/repositories/7/commits/heads/main": {
			status: 409, body: `{"message":"Git Repository is empty."}`,
		},
	})
	p, cred := s.reader(GitLab)
	_, err := p.Refs(t.Context(), cred, "7", Tags, "", "")
	testkit.Want(t, "code that the user may not see", problem.Of(err).Code, problem.RepositoryUnknown)
	p, cred = s.reader(GitHub)
	_, err = p.Commit(t.Context(), cred, "7", "heads/main")
	testkit.Want(t, "an empty repository", problem.Of(err).Code, problem.RefUnknown)
}

// Older servers of Gitee ignore page and per_page for refs, and have no header about pages.
func TestGiteesUnpagedRefsAreWhole(t *testing.T) {
	const hash = "0123456789012345678901234567890123456789"
	var list []string
	for i := range 250 {
		list = append(list, fmt.Sprintf(`{"name":"b%d","commit":{"sha":"%s"}}`, i, hash))
	}
	for _, n := range []int{100, 250} {
		s := newTokenSite(t, map[string]canned{
			"/api/v5/repos/acme/web":          {body: `{"id":7,"full_name":"acme/web"}`},
			"/api/v5/repos/acme/web/branches": {body: "[" + strings.Join(list[:n], ",") + "]"},
		})
		p, cred := s.reader(Gitee)
		page, err := p.Refs(t.Context(), cred, "7/acme/web", Branches, "", "")
		if err != nil || len(page.Refs) != n || page.Cursor != "" {
			t.Errorf("got %d refs, %q, %v", len(page.Refs), page.Cursor, err)
		}
	}
}

func TestASearchOverAListIsBoundedAndSaysSo(t *testing.T) {
	s := newTokenSite(t, map[string]canned{"/user/repos": {
		body:   `[{"id":7,"full_name":"acme/web"}]`,
		header: map[string]string{"Link": `<https://api.github.com/x>; rel="next"`},
	}})
	p, cred := s.reader(GitHub)
	page, err := p.Repositories(t.Context(), cred, "nothing", "")
	if err != nil || page.Cursor != "11" || len(page.Repositories) != 0 || len(s.paths()) != 10 ||
		len(page.Notices) != 1 || page.Notices[0].Reason != "search" {
		t.Errorf("got %+v, %v after %d calls", page, err, len(s.paths()))
	}
	page, err = p.Repositories(t.Context(), cred, "WEB", "")
	if err != nil || page.Cursor != "2" || len(page.Repositories) != 1 || page.Notices != nil {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestNamesAreEscapedAsEachPlatformReadsThem(t *testing.T) {
	const name = "fix/#1-100%/ü"
	for platform, want := range map[string]string{
		Codeup:    codeupRepositories + "/7/branches/fix%2F%231-100%25%2F%C3%BC",
		Gitee:     "/api/v5/repos/acme/web/branches/fix%2F%231-100%25%2F%C3%BC",
		GitHub:    "/repositories/7/commits/heads/fix/%231-100%25/%C3%BC",
		GitLab:    "/api/v4/projects/7/repository/branches/fix%2F%231-100%25%2F%C3%BC",
		Bitbucket: bitbucketRepositoryPath + "/refs/branches/fix/%231-100%25/%C3%BC",
	} {
		s := newTokenSite(t, map[string]canned{
			"/api/v5/repos/acme/web": {body: `{"id":7,"full_name":"acme/web"}`},
		})
		p, cred := s.reader(platform)
		_, _ = p.Commit(t.Context(), cred, repositoryIDs[platform].id, "heads/"+name)
		if !slices.Contains(s.paths(), "GET "+want) {
			t.Errorf("%s: called %q, want %s", platform, s.paths(), want)
		}
	}
}
