package git

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/testkit"
)

// clone is a clone of a repository that is served on a socket.
type clone struct {
	t       *testing.T
	server  *Server
	of      Repository
	folder  string
	changes [][]Change // of each push
}

// newClone serves a repository and clones it.
func newClone(t *testing.T, path string) *clone {
	t.Helper()
	c := &clone{
		t: t, server: &Server{}, of: Named("test", path), folder: filepath.Join(t.TempDir(), "clone"),
	}
	t.Cleanup(c.server.Close)
	address := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.server.Serve(w, r, c.of, "alice", func(changes []Change) {
			c.changes = append(c.changes, changes)
		})
	}))
	t.Cleanup(address.Close)
	c.git("clone", "--quiet", address.URL+"/test.git", c.folder)
	return c
}

// git runs git in the clone.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func (c *clone) try(args ...string) (string, error) {
	command := exec.CommandContext(c.t.Context(), "git", args...)
	command.Env = append(environment(c.t.TempDir()),
		"GIT_AUTHOR_NAME=Dora", "GIT_AUTHOR_EMAIL=dora@example.com", "GIT_COMMITTER_NAME=Dora",
		"GIT_COMMITTER_EMAIL=dora@example.com", "GIT_COMMITTER_DATE=2026-03-04T12:00:00+0200")
	if _, err := os.Stat(c.folder); err == nil {
		command.Dir = c.folder
	}
	out, err := command.CombinedOutput()
	return string(out), err
}

// commit commits a file with the message as its content, and returns the hash.
func (c *clone) commit(message string) string {
	c.t.Helper()
	return c.commitFile(message, message)
}

func (c *clone) commitFile(content, message string) string {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, "new.txt"), []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.git("add", "new.txt")
	c.git("commit", "--quiet", "-m", message)
	return c.git("rev-parse", "HEAD")
}

// push pushes, and returns the changes of the refs.
func (c *clone) push(args ...string) []Change {
	c.t.Helper()
	before := len(c.changes)
	c.git(append([]string{"push", "--quiet", "origin"}, args...)...)
	if len(c.changes) != before+1 {
		c.t.Fatalf("push %q: told of %d pushes, want 1", args, len(c.changes)-before)
	}
	return c.changes[before]
}

func (c *clone) current() Repository { return c.server.Current(c.of) }

func TestAPushIsToldAndIsReadFromGit(t *testing.T) {
	c := newClone(t, "a/hello")
	before, _ := c.of.Commit("heads/main")
	first := c.commit("one\n\nwith a body")
	second := c.commit("two")
	got := c.push("main")
	commit := func(hash, message string) PushedCommit {
		return PushedCommit{hash, message, "Dora", "dora@example.com", "2026-03-04T10:00:00Z"}
	}
	testkit.WantEqual(t, "changes", got, []Change{{
		Ref: "refs/heads/main", Before: before.Hash, After: second, Commit: second,
		BeforeCommit: before.Hash,
		Commits:      []PushedCommit{commit(first, "one\n\nwith a body\n"), commit(second, "two\n")},
	}})

	now := c.current()
	testkit.Want(t, "default branch", now.Branches[0], "main")
	testkit.WantEqual(t, "refs", slices.Sorted(slices.Values(now.Refs())),
		slices.Sorted(slices.Values(c.of.Refs())))
	head, _ := now.Commit("heads/main")
	testkit.Want(t, "head", head.Hash, second)
	testkit.Want(t, "parent", head.Parent, first)
	testkit.Want(t, "time", head.Time, "2026-03-04T10:00:00Z")
	testkit.Want(t, "tree", head.Tree, c.git("rev-parse", "HEAD^{tree}"))
	file, found := head.File("new.txt")
	testkit.Want(t, "file", file, newFile("new.txt", "two"))
	testkit.Want(t, "found", found, true)
	escaped, _ := head.File("docs/read me #1?.md")
	testkit.Want(t, "an older file", escaped, sameFiles()[0])
	for path, folder := range map[string]bool{
		"docs": true, "new.txt": false, "nothing": false, "": false, "a\nb": false,
	} {
		testkit.Want(t, path, head.IsFolder(path), folder)
	}
	for _, path := range []string{"docs", "nothing", "", "new.txt\n", "../new.txt"} {
		if _, found := head.File(path); found {
			t.Errorf("%q is a file", path)
		}
	}
	for short, want := range map[string]string{
		first[:8]: first, second: second, before.Hash: before.Hash, "main": "", "v1.0.0": "",
		strings.Repeat("ab", 20): "", first[:3]: "", "": "", head.Tree: "", "HEAD": "",
	} {
		found, _ := now.Find(short)
		testkit.Want(t, short, found.Hash, want)
	}
	testkit.Want(t, "an old tag", now.TagObject("v2.0.0"), c.of.TagObject("v2.0.0"))
	testkit.Want(t, "a plain tag", now.TagObject("v1.0.0"), "")
}

func TestAForcedPushAndADeletedBranchAreTold(t *testing.T) {
	c := newClone(t, "a/hello")
	old := c.commit("old")
	c.push("main")
	c.git("reset", "--quiet", "--hard", "HEAD~1")
	c.commit("new")
	if _, err := c.try("push", "--quiet", "origin", "main"); err == nil {
		t.Error("a push that isn't forced replaced a commit")
	}
	got := c.push("--force", "main")[0]
	testkit.Want(t, "forced", got.Forced, true)
	testkit.Want(t, "before", got.Before, old)
	testkit.Want(t, "commits", len(got.Commits), 1)
	if _, found := c.current().Find(old); !found {
		t.Error("the commit that was replaced is gone")
	}
	got = c.push("--delete", "feature/a")[0]
	testkit.Want(t, "ref", got.Ref, "refs/heads/feature/a")
	testkit.Want(t, "after", got.After, Zero)
	testkit.Want(t, "commit", got.Commit, "")
	testkit.Want(t, "commits of none", len(got.Commits), 0)
	if _, found := c.current().Commit("heads/feature/a"); found {
		t.Error("the branch is still there")
	}
	if _, err := c.try("push", "--quiet", "origin", "--delete", "main"); err == nil {
		t.Error("the default branch was deleted")
	}
}

func TestTagsAreToldWithTheirCommits(t *testing.T) {
	c := newClone(t, "a/hello")
	head := c.commit("one")
	c.git("tag", "-a", "-m", "a release", "annotated")
	c.git("tag", "plain")
	c.git("tag", "-m", "of a file", "blob", "HEAD:new.txt")
	object := c.git("rev-parse", "annotated")
	got := c.push("main", "annotated", "plain", "blob")
	var refs []string
	for _, change := range got {
		refs = append(refs, change.Ref)
		testkit.Want(t, change.Ref, change.Commit, head)
		testkit.Want(t, change.Ref, len(change.Commits), 1)
	}
	testkit.WantEqual(t, "refs without that of a file", refs,
		[]string{"refs/heads/main", "refs/tags/annotated", "refs/tags/plain"})
	testkit.Want(t, "the tag's object", got[1].After, object)
	testkit.Want(t, "the tag is new", got[1].Before, Zero)
	now := c.current()
	testkit.Want(t, "annotated", now.TagObject("annotated"), object)
	tagged, _ := now.Commit("tags/annotated")
	testkit.Want(t, "its commit", tagged.Hash, head)
	testkit.Want(t, "plain", now.TagObject("plain"), "")

	moved := c.commit("two")
	c.git("tag", "-f", "plain")
	c.push("main")
	change := c.push("--force", "plain")[0]
	testkit.Want(t, "moved", change.Before+change.After, head+moved)
	testkit.Want(t, "forward", change.Forced, false)
	c.git("tag", "-f", "-a", "-m", "once more", "annotated")
	change = c.push("--force", "annotated")[0]
	testkit.Want(t, "the tag's object before", change.Before, object)
	testkit.Want(t, "its commit before", change.BeforeCommit, head)
}

func TestManyRefsInOnePush(t *testing.T) {
	c := newClone(t, "a/hello")
	head := c.commit("one")
	refs := []string{"main"}
	for i := range 300 {
		refs = append(refs, fmt.Sprintf("HEAD:refs/heads/many/%03d", i))
	}
	got := c.push(refs...)
	testkit.Want(t, "changes", len(got), 301)
	for _, change := range got {
		if change.Commit != head || len(change.Commits) != 1 || change.Forced {
			t.Errorf("%s: got %+v", change.Ref, change)
		}
	}
	testkit.Want(t, "branches", len(c.current().Branches), 305)
}

func TestTheFirstPushToAnEmptyRepositoryMakesItsDefaultBranch(t *testing.T) {
	c := newClone(t, "a/empty")
	head := c.commit("one")
	got := c.push("HEAD:refs/heads/develop")
	testkit.Want(t, "before", got[0].Before, Zero)
	testkit.WantEqual(t, "branches", c.current().Branches, []string{"develop"})
	found, _ := c.current().Commit("heads/develop")
	testkit.Want(t, "head", found.Hash, head)
	if out := c.git("ls-remote", "--symref", "origin", "HEAD"); !strings.Contains(out, "develop") {
		t.Errorf("HEAD is %s", out)
	}
}

func TestALargePushIsAccepted(t *testing.T) {
	c := newClone(t, "a/hello")
	var noise strings.Builder // that doesn't compress well
	for i := 0; noise.Len() < 4<<20; i++ {
		noise.WriteString(hash("blob", fmt.Sprint(i)))
	}
	c.commitFile(noise.String(), "large")
	testkit.Want(t, "changes", len(c.push("main")), 1)
}

func TestAPushOfNothingNewIsNotTold(t *testing.T) {
	c := newClone(t, "a/hello")
	c.git("push", "--quiet", "origin", "main")
	testkit.Want(t, "pushes", len(c.changes), 0)
}

func TestACommitOfThePlatformIsAPush(t *testing.T) {
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, path := range []string{"a/hello", "a/empty"} {
		c := newClone(t, path)
		commit := func(in CommitRequest) (string, Change) {
			t.Helper()
			in.At, c.changes = at, nil
			hash, err := c.server.Commit(t.Context(), c.of, in, func(changes []Change) {
				c.changes = append(c.changes, changes)
			})
			if err != nil || len(c.changes) != 1 || len(c.changes[0]) != 1 {
				t.Fatalf("%s: got %v, %v; want one change", path, c.changes, err)
			}
			testkit.Want(t, "commit", c.changes[0][0].Commit, hash)
			return hash, c.changes[0][0]
		}
		first, change := commit(CommitRequest{Message: "one"})
		testkit.Want(t, "ref", change.Ref, "refs/heads/main")
		testkit.Want(t, "author", change.Commits[0].Author, Person)
		second, change := commit(CommitRequest{Message: "one", Author: "Dora"})
		testkit.Want(t, "before", change.Before, first)
		testkit.WantEqual(t, "commits", change.Commits,
			[]PushedCommit{{second, "one\n", "Dora", Email, "2026-03-04T12:00:00Z"}})
		c.git("fetch", "--quiet")
		c.git("checkout", "--quiet", "-B", "topic", "origin/main")
		topic := c.commit("of the topic")
		c.push("topic")
		main, _ := commit(CommitRequest{Message: "main"})
		merged, change := commit(CommitRequest{Message: "Merge", Merge: "topic"})
		testkit.Want(t, "merged into", change.Before, main)
		testkit.Want(t, "commits of a merge", len(change.Commits), 2)
		of, _ := c.current().Find(merged)
		testkit.Want(t, "first parent", of.Parent, main)
		file, _ := of.File("new.txt")
		testkit.Want(t, "the topic's file", file.Content, "of the topic")
		testkit.Want(t, "the topic's commit", change.Commits[0].Hash, topic)
		_, err := c.server.Commit(t.Context(), c.of, CommitRequest{Merge: "nothing"}, nil)
		if err == nil {
			t.Error("a branch that doesn't exist was merged")
		}
	}
}
