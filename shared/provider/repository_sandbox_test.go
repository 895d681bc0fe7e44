package provider_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// reader is a platform with alice's token, whose repositories are read.
type reader struct {
	*world
	provider.RepositoryPlatform
	name string
	cred provider.Credential
}

// readers runs the test with each platform.
func readers(t *testing.T, test func(*testing.T, reader)) {
	t.Helper()
	for _, name := range provider.Names() {
		t.Run(name, func(t *testing.T) { test(t, newReader(t, name)) })
	}
}

func newReader(t *testing.T, name string) reader {
	t.Helper()
	w := newWorld(t)
	p, _ := w.set.Get(name)
	r := reader{world: w, name: name}
	r.RepositoryPlatform, _ = provider.RepositoriesOf(p)
	switch name {
	case provider.GitLab:
		r.cred = provider.Credential{
			Access: secret.New("glpat-sandbox-alice-good"), Address: w.url + "/gitlab",
		}
	case provider.Codeup:
		r.cred = provider.Credential{
			Access: secret.New("pt-sandbox-good"), Organization: "sandbox-org-main",
		}
	default:
		token := w.platform(t, name).bind(t, "alice", nil)
		r.cred = provider.Credential{Access: token.Access, Scopes: token.Scopes}
	}
	return r
}

// all lists every repository that a search finds, and counts the pages.
func (r reader) all(t *testing.T, search string) (all []provider.Repository, pages int) {
	t.Helper()
	for cursor := ""; pages < 100; {
		page, err := r.Repositories(t.Context(), r.cred, search, cursor)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		all = append(all, page.Repositories...)
		if cursor = page.Cursor; cursor == "" {
			return all, pages
		}
	}
	t.Fatal("the list has no end")
	return nil, 0
}

// named finds the repository whose path ends so.
func (r reader) named(t *testing.T, end string) provider.Repository {
	t.Helper()
	all, _ := r.all(t, "")
	for _, one := range all {
		if strings.HasSuffix(one.Name, end) {
			return one
		}
	}
	t.Fatalf("%s isn't listed", end)
	return provider.Repository{}
}

func TestRepositoriesAreListedAndFoundAgainByID(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		all, _ := r.all(t, "")
		seen := map[string]bool{}
		for _, listed := range all {
			seen[listed.ID] = true
			one, err := r.Repository(t.Context(), r.cred, listed.ID)
			if err != nil {
				t.Fatalf("%s: %v", listed.Name, err)
			}
			empty := strings.HasSuffix(listed.Name, "/empty") && r.name != provider.GitHub
			testkit.Want(t, listed.Name+" is empty", one.Empty, empty)
			archived := strings.HasSuffix(listed.Name, "/archive") && r.name != provider.Bitbucket &&
				r.name != provider.Gitee
			testkit.Want(t, listed.Name+" is archived", one.Archived, archived)
			// Codeup's administrators may change everything.
			testkit.Want(t, listed.Name+" can be subscribed to", one.CanSubscribe,
				!strings.HasSuffix(listed.Name, "handbook") || r.name == provider.Codeup)
			if first := one.DefaultBranch; !empty && first != "main" && first != "master" {
				t.Errorf("%s has the default branch %q", one.Name, first)
			}
			if !strings.HasPrefix(one.URL, r.url+"/") || !strings.HasSuffix(one.URL, ".git") ||
				strings.Contains(one.URL, "@") || one.WebURL == "" {
				t.Errorf("%s is cloned from %q and shown at %q", one.Name, one.URL, one.WebURL)
			}
			// A list may say less, and nothing else.
			if listed.DefaultBranch == "" {
				listed.DefaultBranch = one.DefaultBranch
			}
			listed.Empty = one.Empty
			if r.name == provider.Bitbucket {
				listed.CanSubscribe = one.CanSubscribe
			}
			testkit.Want(t, "the one that was listed", listed, one)
		}
		testkit.Want(t, "different ids", len(seen), len(all))
		if len(all) < 6 {
			t.Errorf("%d repositories are listed", len(all))
		}
		_, err := r.Repository(t.Context(), r.cred, unknownID(r.name, all[0].ID))
		testkit.Want(t, "an id that nothing has", problem.Of(err).Code, problem.RepositoryUnknown)
		_, err = r.Repository(t.Context(), r.cred, "../user")
		testkit.Want(t, "an id that is none", problem.Of(err).Code, problem.RepositoryUnknown)
	})
}

// unknownID returns an id of the platform's form that no repository has.
func unknownID(name, like string) string {
	switch name {
	case provider.Bitbucket:
		return like[:len(like)-6] + "ffff}"[:5] + "}"
	case provider.Gitee:
		return "1" + like
	}
	return "12345"
}

func TestThreeThousandRepositoriesAreListedInFullAndSearched(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		r.sandbox.SetSwitch(sandbox.Platform(r.name), platform.ManyRepositories, true)
		r.sandbox.ResetLog()
		all, pages := r.all(t, "")
		seen := map[string]bool{}
		for _, one := range all {
			seen[one.ID] = true
		}
		if len(all) < 3006 || len(seen) != len(all) {
			t.Errorf("%d are listed, %d different", len(all), len(seen))
		}
		calls := r.sandbox.Count(sandbox.Platform(r.name))
		if most := pages + extraCalls[r.name]; calls > most {
			t.Errorf("%d pages cost %d calls, want at most %d", pages, calls, most)
		}
		found, _ := r.all(t, "SERVICE-2999")
		if len(found) != 1 || !strings.HasSuffix(found[0].Name, "/service-2999") {
			t.Errorf("a search finds %+v", found)
		}
	})
}

// extraCalls are the calls of a whole list that are not for its pages: where one of Bitbucket's
// workspaces begins, the workspaces are listed.
var extraCalls = map[string]int{provider.Bitbucket: 3}

func TestRefsAreListedWithTheirCommits(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		for _, path := range []string{"/hello", "/twins", "/branches", "/empty"} {
			one := r.named(t, path)
			id, want := one.ID, sandbox.Repository(sandbox.Platform(r.name), one.Name)
			for kind, names := range map[provider.RefKind][]string{
				provider.Branches: want.Branches, provider.Tags: append(want.Tags, want.Annotated...),
			} {
				got := r.refs(t, id, kind, "")
				testkit.Want(t, path+" has "+string(kind), len(got), len(names))
				for _, ref := range got {
					checkRef(t, want, kind, ref)
				}
			}
		}
		id := r.named(t, "/branches").ID
		found := r.refs(t, id, provider.Branches, "topic/1999")
		testkit.Want(t, "found among 2,000", len(found), 1)
		_, err := r.Refs(t.Context(), r.cred, unknownID(r.name, id), provider.Tags, "", "")
		testkit.Want(t, "refs of none", problem.Of(err).Code, problem.RepositoryUnknown)
	})
}

func checkRef(t *testing.T, c git.Repository, kind provider.RefKind, ref provider.Ref) {
	t.Helper()
	path := c.Name
	want, found := c.Commit(string(kind) + "/" + ref.Name)
	if !found || ref.Commit != want.Hash {
		t.Errorf("%s: %s/%s is at %s, want %s", path, kind, ref.Name, ref.Commit, want.Hash)
	}
	if isDefault := kind == provider.Branches && ref.Name == "main"; ref.Default != isDefault {
		t.Errorf("%s: %s is the default branch: %t", path, ref.Name, ref.Default)
	}
}

// refs lists all refs that a search finds.
func (r reader) refs(
	t *testing.T, id string, kind provider.RefKind, search string,
) (all []provider.Ref) {
	t.Helper()
	for cursor, pages := "", 0; pages < 50; pages++ {
		page, err := r.Refs(t.Context(), r.cred, id, kind, search, cursor)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Refs...)
		if cursor = page.Cursor; cursor == "" {
			return all
		}
	}
	t.Fatal("the list has no end")
	return nil
}

func TestARefIsResolvedToItsCommit(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		for _, path := range []string{"/hello", "/twins"} {
			one := r.named(t, path)
			id, content := one.ID, sandbox.Repository(sandbox.Platform(r.name), one.Name)
			var refs []string
			for _, name := range content.Branches {
				refs = append(refs, "heads/"+name)
			}
			for _, name := range append(content.Tags, content.Annotated...) {
				refs = append(refs, "tags/"+name)
			}
			for _, ref := range refs {
				want, _ := content.Commit(ref)
				for _, asked := range []string{ref, want.Hash, want.Hash[:8]} {
					got, err := r.Commit(t.Context(), r.cred, id, asked)
					if err != nil || got.Hash != want.Hash || got.Message != want.Message ||
						got.CommittedAt.Format("2006-01-02T15:04:05Z07:00") != git.When ||
						!strings.HasPrefix(got.URL, r.url+"/") {
						t.Errorf("%s, %s: got %+v, %v; want %s", path, asked, got, err, want.Hash)
					}
				}
			}
			for _, unknown := range []string{
				"heads/nothing", "tags/nothing", "tags/main", "heads/v1.0.0", "main", "deadbeef",
				"refs/heads/main", "heads/../tags/v1", "heads/", "heads/a b", "heads/a\nb", "",
				strings.Repeat("ab", 20),
			} {
				_, err := r.Commit(t.Context(), r.cred, id, unknown)
				if code := problem.Of(err).Code; code != problem.RefUnknown {
					t.Errorf("%s, %q: got %v, want %s", path, unknown, err, problem.RefUnknown)
				}
			}
		}
		_, err := r.Commit(t.Context(), r.cred, r.named(t, "/empty").ID, "heads/main")
		testkit.Want(t, "a branch of none", problem.Of(err).Code, problem.RefUnknown)
	})
}

func TestAFileIsReadAtARef(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		one := r.named(t, "/hello")
		id, content := one.ID, sandbox.Repository(sandbox.Platform(r.name), one.Name)
		for _, ref := range []string{"heads/功能/登录", "heads/fix/#1-100%", "tags/v2.0.0"} {
			want, _ := content.Commit(ref)
			for _, path := range []string{
				"Dockerfile", "README.md", "docs/read me #1?.md", "目录/文件.txt",
			} {
				file, _ := want.File(path)
				got, err := r.File(t.Context(), r.cred, id, path, ref)
				if err != nil || string(got) != file.Content {
					t.Errorf("%s at %s: got %q, %v", path, ref, got, err)
				}
			}
		}
		for path, want := range map[string]problem.Code{
			git.LargeFile: problem.FileTooLarge, "docs": problem.FileUnknown,
			"nothing": problem.FileUnknown, "../Dockerfile": problem.FileUnknown,
			"": problem.FileUnknown, "docs/../README.md": problem.FileUnknown,
			"README.md\n": problem.FileUnknown,
		} {
			got, err := r.File(t.Context(), r.cred, id, path, "heads/main")
			if problem.Of(err).Code != want || got != nil {
				t.Errorf("%q: got %d bytes, %v; want %s", path, len(got), err, want)
			}
		}
		_, err := r.File(t.Context(), r.cred, id, "README.md", "heads/nothing")
		testkit.Want(t, "a file of no branch", problem.Of(err).Code, problem.RefUnknown)
	})
}

// gitUsers are the names that go with the tokens.
var gitUsers = map[string]string{
	provider.Codeup: "alice", provider.Gitee: "oauth2", provider.GitHub: "x-access-token",
	provider.GitLab: "alice", provider.Bitbucket: "x-token-auth",
}

// gitRefs asks git for the refs at a clone address, with a token that is in no argument.
func gitRefs(t *testing.T, address, username string, token secret.Text) (string, error) {
	t.Helper()
	program := testkit.Program(t, "git")
	const helper = `credential.helper=!f() { echo "username=$NAME"; echo "password=$TOKEN"; }; f`
	command := exec.CommandContext(t.Context(), program, "-c", helper, "ls-remote", address)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "NAME=" + username, "TOKEN=" + token.Reveal(),
	}
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestGitSeesAtTheCloneAddressWhatIsListed(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		for _, path := range []string{"/hello", "/empty"} {
			one := r.named(t, path)
			seen, err := gitRefs(t, one.URL, gitUsers[r.name], r.cred.Access)
			if err != nil {
				t.Fatalf("git ls-remote %s: %v: %s", one.URL, err, seen)
			}
			for kind, prefix := range map[provider.RefKind]string{
				provider.Branches: "refs/heads/", provider.Tags: "refs/tags/",
			} {
				for _, ref := range r.refs(t, one.ID, kind, "") {
					line := ref.Commit + "\t" + prefix + ref.Name
					if !strings.Contains(seen, line+"\n") && !strings.Contains(seen, line+"^{}\n") {
						t.Errorf("%s: git has no %s in %s", one.Name, line, seen)
					}
				}
			}
			testkit.Want(t, path+" has refs", seen != "", path == "/hello")
			if out, err := gitRefs(
				t, one.URL, gitUsers[r.name], secret.New("another-token"),
			); err == nil {
				t.Errorf("%s: git reads with another token: %s", one.Name, out)
			}
		}
	})
}

func TestARejectedTokenReadsNoRepository(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		cred := r.cred
		cred.Access = secret.New("another-token")
		_, err := r.Repositories(t.Context(), cred, "", "")
		testkit.Want(t, "a list", problem.Of(err).Code, problem.TokenRejected)
	})
}
