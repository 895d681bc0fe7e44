package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

func TestARepositoryIsListedResolvedAndRead(t *testing.T) {
	w, s, list := newShelfWorld(t)
	first := w.look(list).ok()
	want := map[string]any{
		"key": first.list("repositories")[0]["key"], "name": "acme/web-1",
		"url":    "https://gitlab.example/acme/web-1.git",
		"webUrl": "https://gitlab.example/acme/web-1", "defaultBranch": "main",
		"visibility": "private", "archived": false, "empty": false, "canSubscribe": false,
	}
	testkit.Want(t, "a repository", fmt.Sprint(first.list("repositories")[0]), fmt.Sprint(want))
	next := w.look(list + "?cursor=" + first.text("cursor")).ok()
	testkit.Want(t, "the last page's length", len(next.list("repositories")), 1)
	testkit.Want(t, "the last page's cursor", next.json()["cursor"], any(nil))

	one := list + "/" + want["key"].(string)
	testkit.Want(t, "the one", fmt.Sprint(w.look(one).ok().json()), fmt.Sprint(want))
	branches := w.look(one + "/branches?search=a").ok()
	testkit.Want(t, "a branch", fmt.Sprint(branches.list("refs")[0]), fmt.Sprint(map[string]any{
		"name": "main", "commit": strings.Repeat("a", 40), "protected": true, "default": true,
	}))
	w.look(one + "/branches?search=a&cursor=" + branches.text("cursor")).ok()
	w.look(one + "/tags").ok()
	commit := w.look(one + "/commits/" + url.PathEscape("heads/fix/#1?-100%")).ok()
	testkit.Want(t, "the commit", fmt.Sprint(commit.json()), fmt.Sprint(map[string]any{
		"commit": strings.Repeat("b", 40), "committedAt": "2025-01-01T19:04:05Z",
		"message": "Change\n", "url": nil,
	}))
	file := w.look(one + "/files/Dockerfile?ref=heads/main").ok()
	testkit.Want(t, "the file", string(file.body), "FROM scratch\n")
	if got := s.calls(); !slices.Equal(got, []string{
		"list  ", "list  2", "one 1", "refs 1 heads a ", "refs 1 heads a 2", "refs 1 tags  ",
		"commit 1 heads/fix/#1?-100%", "file 1 Dockerfile heads/main",
	}) {
		t.Errorf("the platform was asked %q", got)
	}
}

// API Gateway hands over a path whose slashes are decoded, Function Compute one that isn't. What
// neither hands over whole is in base64url.
func TestRefsAndPathsMayBeEncodedOrNot(t *testing.T) {
	w, s, list := newShelfWorld(t)
	one := list + "/" + w.keys(list)[0]
	s.calls()
	for _, address := range []string{
		"/commits/heads/fix/%231%3F-100%25", "/commits/heads%2Ffix%2F%231%3F-100%25",
		"/commits/~" + base64.RawURLEncoding.EncodeToString([]byte("heads/fix/#1?-100%")),
	} {
		w.do(request{method: "GET", path: one + address, as: w.looker(), unlisted: true}).ok()
	}
	for _, address := range []string{
		"/files/docs/read%20me%20%231%3F.md?ref=heads%2Fmain",
		"/files/docs%2Fread%20me%20%231%3F.md?ref=heads/main",
		"/files/~ZG9jcy9yZWFkIG1lICMxPy5tZA?ref=heads/main",
	} {
		w.do(request{method: "GET", path: one + address, as: w.looker(), unlisted: true}).
			refused(problem.FileUnknown, "")
	}
	want := slices.Repeat([]string{"commit 1 heads/fix/#1?-100%"}, 3)
	want = append(want, slices.Repeat([]string{"file 1 docs/read me #1?.md heads/main"}, 3)...)
	if got := s.calls(); !slices.Equal(got, want) {
		t.Errorf("the platform was asked %q", got)
	}
}

func TestAKeySurvivesARenameAndATokenOfTheSameUser(t *testing.T) {
	w, s, list := newShelfWorld(t)
	key := w.keys(list)[0]
	s.change(func() { s.list[0].Name = "acme/renamed" })
	w.put(home+"/gitlab", gitlab()).ok()
	testkit.Want(t, "the name", w.look(list+"/"+key).ok().text("name"), "acme/renamed")
	if strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("the key %s needs escaping in an address", key)
	}
}

// A page costs one call to each store at most, and one to the platform.
func TestALookMakesExactlyTheCallsItNeeds(t *testing.T) {
	w, s, list := newShelfWorld(t)
	key := w.keys(list)[0]
	for _, path := range []string{
		list, list + "?search=web", list + "/" + key, list + "/" + key + "/tags",
		list + "/" + key + "/commits/heads%2Fmain", list + "/" + key + "/files/Dockerfile?ref=heads/main",
	} {
		for _, vault := range []string{"Get", ""} { // cold, then warm
			if vault != "" {
				w.put(home+"/gitlab", gitlab()).ok() // a new secret, which no process has read
			}
			w.table.reset(nil)
			w.vault.reset(nil)
			w.box.ResetLog()
			s.calls()
			w.look(path).ok()
			testkit.Want(t, path+": the table", strings.Join(w.table.made(), " "), "Binding")
			testkit.Want(t, path+": the vault", strings.Join(w.vault.made(), " "), vault)
			testkit.Want(t, path+": the platform", len(s.calls())+w.box.Count(sandbox.GitLab), 1)
		}
	}
}

// One answer never ends a binding, and a look is not even a check.
func TestARefusedLookChangesNoBinding(t *testing.T) {
	w, s, list := newShelfWorld(t)
	before := fmt.Sprint(w.binding(home, "gitlab"))
	for code, reason := range map[problem.Code]string{
		problem.TokenRejected: "bound", problem.TokenExpired: "", problem.UserBlocked: "",
		problem.PermissionMissing: "",
	} {
		s.err = problem.New(code).With("platform", "GitLab").With("missing", "api")
		w.table.reset(nil)
		r := w.look(list).refused(code, reason)
		readsWell(t, r.json(), problem.English)
		testkit.Want(t, string(code)+": the table", strings.Join(w.table.made(), " "), "Binding")
	}
	testkit.Want(t, "the binding", fmt.Sprint(w.binding(home, "gitlab")), before)
}

func TestALookRefreshesOnlyAnExpiredToken(t *testing.T) {
	w, _, list := newGitHubShelf(t)
	w.clock.Advance(8*time.Hour - time.Minute)
	w.look(list).ok()
	testkit.Want(t, "refreshes of a token that is valid for a minute",
		w.box.Refreshes(sandbox.GitHub), 0)
	w.clock.Advance(time.Minute)
	w.look(list).ok()
	w.look(list).ok()
	testkit.Want(t, "refreshes of an expired token", w.box.Refreshes(sandbox.GitHub), 1)
}

func TestALookNeedsItsOwnScopeAndABinding(t *testing.T) {
	w, s, list := newShelfWorld(t)
	s.calls()
	w.do(request{
		method: "GET", path: list,
		as: w.looker("scope", "bindery.read bindery.write bindery.credential"),
	}).refused(problem.ScopeMissing, "")
	w.look(home+"/github/repositories").refused(problem.NotBound, "")
	w.do(request{method: "GET", path: home, as: w.looker()}).refused(problem.ScopeMissing, "")
	if got := s.calls(); len(got) != 0 {
		t.Errorf("the platform was asked %q", got)
	}
}

func TestD12_TheThreeHundredAndFirstLookOfAMinuteIsRefused(t *testing.T) {
	w, _, list := newShelfWorld(t)
	for range 300 {
		w.look(list).ok()
	}
	w.look(list).refused(problem.TooManyCalls, "")
	w.do(request{method: "GET", path: list, as: w.looker("sub", "dev-2")}).ok()
}

// A search that the platform gets must be a part of a name.
func TestASearchIsChecked(t *testing.T) {
	w, s, list := newShelfWorld(t)
	key := w.keys(list)[0]
	s.calls()
	for search, reason := range map[string]string{
		strings.Repeat("a", 257): "too_long", "a%0Ab": "characters", "%FF": "characters",
	} {
		for _, path := range []string{list, list + "/" + key + "/branches"} {
			r := w.do(request{method: "GET", path: path + "?search=" + search, as: w.looker()})
			r.refused(problem.InputMalformed, reason)
		}
	}
	if got := s.calls(); len(got) != 0 {
		t.Errorf("the platform was asked %q", got)
	}
	w.look(list + "?search=" + url.QueryEscape("功能 %/#?&")).ok()
	testkit.Want(t, "the search", s.calls()[0], "list 功能 %/#?& ")
}

// Reading a file hands out what a repository holds, so it has an audit line. A list has none.
func TestAReadFileIsAudited(t *testing.T) {
	w, _, list := newShelfWorld(t)
	one := list + "/" + w.keys(list)[0]
	w.look(one + "/files/Dockerfile?ref=heads/main").ok()
	w.look(one+"/files/none?ref=heads/main").refused(problem.FileUnknown, "")
	w.do(request{
		method: "GET", path: one + "/files/Dockerfile", as: w.looker(), odd: true,
	}).refused(problem.InputMalformed, "required")
	var lines []string
	for _, line := range w.log.Records(t, "audit") {
		if user, _ := line["user"].(map[string]any); user["subject"] == "dev-1" {
			lines = append(lines, fmt.Sprint(line["action"], line["outcome"], line["platform"]))
		}
	}
	testkit.Want(t, "the lines", fmt.Sprint(lines), fmt.Sprint([]string{"filedonegitlab"}))
}

// Notices are in the language of the reader.
func TestNoticesReadWellInBothLanguages(t *testing.T) {
	w, s, list := newShelfWorld(t)
	s.notices = []*problem.Problem{
		problem.New(problem.RepositoriesHidden).Because("single_sign_on").
			With("platform", "GitHub").With("url", "https://github.com/orgs/acme/sso"),
		problem.New(problem.ListCut).With("platform", "GitLab").With("limit", "1000"),
	}
	for _, language := range []problem.Language{problem.Chinese, problem.English} {
		r := w.do(request{
			method: "GET", path: list, as: w.looker(),
			header: map[string]string{"Accept-Language": string(language)},
		}).ok()
		notices := r.list("notices")
		testkit.Want(t, "notices", len(notices), len(s.notices))
		for _, n := range notices {
			readsWell(t, n, language)
		}
		if !strings.Contains(notices[0]["remedy"].(string), "https://github.com/orgs/acme/sso") {
			t.Errorf("it doesn't say where: %v", notices[0])
		}
	}
}

// looking causes a problem by what the platform answers.
func looking(path string, set func(*shelf)) func(*world, string) reply {
	return func(w *world, language string) reply {
		s := newShelf()
		again := newConsentWorld(w.t, s.on)
		again.put(home+"/gitlab", gitlab()).ok()
		list := home + "/gitlab/repositories"
		path := strings.ReplaceAll(path, "{key}", again.keys(list)[0])
		set(s)
		return again.do(request{
			method: http.MethodGet, path: list + path, as: again.looker(),
			header: map[string]string{"Accept-Language": language},
		})
	}
}

// repositoryProblems are the problems of a look at repositories.
func repositoryProblems() []scenario {
	fails := func(p *problem.Problem) func(*shelf) {
		return func(s *shelf) { s.err = p.With("platform", "GitLab").With("missing", "api") }
	}
	none := func(*shelf) {}
	return []scenario{
		{problem.InputMalformed, "cursor", looking("?cursor=x", none)},
		{problem.InputMalformed, "too_long", looking("?search="+strings.Repeat("a", 257), none)},
		{problem.InputMalformed, "encoding", looking("/{key}/commits/~aGVhZHM=", none)},
		{problem.InputMalformed, "encoding", looking("/{key}/files/~!?ref=heads/main", none)},
		{problem.RepositoryUnknown, "", looking("/x", none)},
		// It vanished after it was listed.
		{problem.RepositoryUnknown, "", looking("/{key}/branches", fails(
			problem.New(problem.RepositoryUnknown)))},
		{problem.RefUnknown, "", looking("/{key}/commits/heads%2Fno", none)},
		{problem.FileUnknown, "", looking("/{key}/files/no?ref=heads/main", none)},
		{problem.FileTooLarge, "", looking("/{key}/files/Dockerfile?ref=heads/main", fails(
			problem.New(problem.FileTooLarge).With("path", "Dockerfile").With("limit", "262144")))},
		{problem.PlatformRateLimited, "", looking("", fails(
			problem.New(problem.PlatformRateLimited).After(time.Minute)))},
		{problem.PermissionMissing, "", looking("", fails(problem.New(problem.PermissionMissing)))},
		{problem.TokenRejected, "bound", looking("", fails(problem.New(problem.TokenRejected)))},
	}
}
