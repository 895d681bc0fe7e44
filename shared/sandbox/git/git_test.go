package git

import (
	"os/exec"
	"strings"
	"testing"
)

// made makes the repository, and returns what git says of it.
func made(t *testing.T, s *Server, r Repository, args ...string) string {
	t.Helper()
	d, err := s.ensure(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(
		t.Context(), "git", append([]string{"-C", d.folder}, args...)...)
	command.Env = environment(d.folder)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

func TestTheAPIsHashesAreThoseOfGit(t *testing.T) {
	var s Server
	t.Cleanup(s.Close)
	for _, path := range []string{"hello", "twins", "other"} {
		r := Named("test-"+path, "a/"+path)
		listed := made(t, &s, r, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)")
		if got, want := strings.Count(listed, "\n"), len(r.Refs()); got != want {
			t.Errorf("%s: git has %d refs, want %d", path, got, want)
		}
		for _, ref := range r.Refs() {
			c, found := r.Commit(ref)
			object := c.Hash + " "
			if tag := r.TagObject(strings.TrimPrefix(ref, "tags/")); tag != "" &&
				strings.HasPrefix(ref, "tags/") {
				object = tag + " " + c.Hash
			}
			if line := "refs/" + ref + " " + object + "\n"; !found || !strings.Contains(listed, line) {
				t.Errorf("%s: git has %s, want %s", path, listed, line)
			}
			if again, found := r.Find(c.Hash[:7]); !found || again.Hash != c.Hash {
				t.Errorf("%s: %s isn't found by its short hash", path, ref)
			}
			for _, f := range c.Files {
				if got := made(t, &s, r, "show", c.Hash+":"+f.Path); got != f.Content {
					t.Errorf("%s: %s has another %s", path, ref, f.Path)
				}
			}
		}
	}
}

func TestAnEmptyRepositoryHasNoCommit(t *testing.T) {
	var s Server
	t.Cleanup(s.Close)
	r := Named("test-empty", "a/empty")
	if got := made(t, &s, r, "for-each-ref"); got != "" {
		t.Errorf("git has %s", got)
	}
	if _, found := r.Find(r.first().Hash); found {
		t.Error("it has a commit")
	}
}

func TestTwoThousandBranchesAreOneImport(t *testing.T) {
	var s Server
	t.Cleanup(s.Close)
	r := Named("test-branches", "a/branches")
	if got := strings.Count(made(t, &s, r, "for-each-ref", "refs/heads"), "\n"); got != 2000 {
		t.Errorf("git has %d branches", got)
	}
	if got := strings.TrimSpace(made(t, &s, r, "symbolic-ref", "HEAD")); got != "refs/heads/main" {
		t.Errorf("HEAD is %s", got)
	}
}
