package sandbox

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// checkout is a clone of a repository of the sandbox.
type checkout struct {
	*oauthWorld
	platform Platform
	path     string
	folder   string
}

// pathOf returns the path of a repository that alice sees, such as hello.
func pathOf(p Platform, name string) string {
	switch {
	case p == Codeup && (name == "hello" || name == platform.ReadOnly):
		return "sandbox-org-main/" + name
	case p == Codeup:
		return "sandbox-org-main/group/" + name
	case strings.Contains(name, "/"):
		return name
	}
	return "alice/" + name
}

// clone clones a repository of alice with the password that may push.
func (w *oauthWorld) clone(p Platform, name string) *checkout {
	w.t.Helper()
	c := &checkout{oauthWorld: w, platform: p, path: pathOf(p, name)}
	folder := filepath.Join(w.t.TempDir(), "clone")
	if out, err := c.git("clone", "--quiet", c.address("alice"), folder); err != nil {
		w.t.Fatalf("%s: %v: %s", p, err, out)
	}
	c.folder = folder
	return c
}

// address returns the address for git as a user who may push.
func (c *checkout) address(user string) string {
	return PushURL(c.server.URL, c.platform, c.path, user)
}

// git runs git in the clone, or anywhere before there is one.
func (c *checkout) git(args ...string) (string, error) {
	command := exec.CommandContext(c.t.Context(), "git", args...)
	command.Dir = c.folder
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=Dora", "GIT_AUTHOR_EMAIL=dora@example.com",
		"GIT_COMMITTER_NAME=Dora", "GIT_COMMITTER_EMAIL=dora@example.com",
	}
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// must runs git in the clone.
func (c *checkout) must(args ...string) string {
	c.t.Helper()
	out, err := c.git(args...)
	if err != nil {
		c.t.Fatalf("%s: git %q: %v: %.500s", c.platform, args, err, out)
	}
	return out
}

// commit commits a file whose content is the message, and returns the hash.
func (c *checkout) commit(message string) string {
	c.t.Helper()
	err := os.WriteFile(filepath.Join(c.folder, "new.txt"), []byte(message), 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	c.must("add", "new.txt")
	c.must("commit", "--quiet", "-m", message)
	return c.must("rev-parse", "HEAD")
}

// ask asks the platform's API as alice.
func (c *checkout) ask(path string) oauthReply {
	c.t.Helper()
	r := c.request("GET", path, "")
	r.Header.Set("User-Agent", "test")
	switch c.platform {
	case Codeup:
		r.Header.Set("X-Yunxiao-Token", "pt-sandbox-good")
	case GitLab:
		r.Header.Set("Private-Token", "glpat-sandbox-alice-good")
	default:
		r.Header.Set("Authorization", "Bearer "+c.bind(c.platform).get("access_token"))
	}
	return c.send(r)
}

// apis are the calls about hello: for all branches, for the branch topic, all tags, and a file.
func apis(p Platform, commit string) (branches, branch, tags, file string) {
	base := map[Platform]string{
		Codeup:    "/oapi/v1/codeup/organizations/sandbox-org-main/repositories/1001",
		GitLab:    "/api/v4/projects/alice%2Fhello/repository",
		Gitee:     "/api/v5/repos/alice/hello",
		GitHub:    fmt.Sprintf("/repositories/%d", platform.NewRepository(p, "alice/hello").ID),
		Bitbucket: "/2.0/repositories/alice/hello",
	}[p]
	all := "?per_page=100&perPage=100&pagelen=100"
	branches, branch, tags = base+"/branches"+all, base+"/branches/topic", base+"/tags"+all
	switch p {
	case Codeup:
		file = base + "/files/new.txt?ref=" + commit
	case GitLab:
		file = base + "/files/new.txt/raw?ref=" + commit
	case GitHub:
		branch, file = base+"/commits/heads/topic", base+"/contents/new.txt?ref="+commit
	case Gitee:
		file = base + "/contents/new.txt?ref=" + commit
	default:
		branches, branch = base+"/refs/branches"+all, base+"/refs/branches/topic"
		tags, file = base+"/refs/tags"+all, base+"/src/"+commit+"/new.txt"
	}
	return branches, branch, tags, file
}

// everyPlatform lists the platforms.
func everyPlatform() []Platform { return []Platform{Codeup, Gitee, GitHub, GitLab, Bitbucket} }

func TestAPushIsSeenInEachPlatformsAPI(t *testing.T) {
	w := newOAuthWorld(t)
	for _, p := range everyPlatform() {
		c := w.clone(p, "hello")
		c.must("checkout", "--quiet", "-b", "topic")
		head := c.commit("pushed by git")
		c.must("tag", "-a", "-m", "release", "v9")
		c.must("push", "--quiet", "origin", "topic", "v9", ":feature/a")
		branches, branch, tags, file := apis(p, head)
		list := c.ask(branches).text
		for text, want := range map[string]bool{
			head: true, `"topic"`: true, `"feature/a"`: false, `"main"`: true,
		} {
			testkit.Want(t, string(p)+": the branches have "+text, strings.Contains(list, text), want)
		}
		one := c.ask(branch).text
		testkit.Want(t, string(p)+": the branch's commit", strings.Contains(one, head), true)
		testkit.Want(t, string(p)+": the author", strings.Contains(one, "Dora"), true)
		tagged := c.ask(tags).text
		testkit.Want(t, string(p)+": the tag's commit", strings.Contains(tagged, head), true)
		content := c.ask(file).text
		encoded := base64.StdEncoding.EncodeToString([]byte("pushed by git"))
		testkit.Want(t, string(p)+": the file",
			content == "pushed by git" || strings.Contains(content, encoded), true)
	}
}

func TestPushesThatAreNotAllowedAreRefused(t *testing.T) {
	w := newOAuthWorld(t)
	for _, p := range everyPlatform() {
		c := w.clone(p, "hello")
		c.commit("not allowed")
		for _, name := range []string{"archive", platform.ReadOnly} {
			address := PushURL(w.server.URL, p, pathOf(p, name), "alice")
			out, err := c.git("push", address, "HEAD:refs/heads/main")
			if err == nil || !strings.Contains(out, "403") {
				t.Errorf("%s: a push to %s: got %v, %s", p, name, err, out)
			}
		}
		for _, password := range []string{"wrong", platform.GitPassword("bob")} {
			address := strings.Replace(c.address("alice"), platform.GitPassword("alice"), password, 1)
			if out, err := c.git("push", address, "HEAD:refs/heads/main"); err == nil {
				t.Errorf("%s: a push with a wrong password: %s", p, out)
			}
		}
		main, _ := w.repository(p, c.path).Commit("heads/main")
		seeded, _ := Repository(p, c.path).Commit("heads/main")
		testkit.Want(t, string(p)+": the branch", main.Hash, seeded.Hash)
	}
}

func TestTokensPushAsTheirScopesAllow(t *testing.T) {
	w := newOAuthWorld(t)
	for p, allowed := range map[Platform]bool{
		Gitee: true, GitHub: true, GitLab: true, Bitbucket: false, Codeup: false,
	} {
		c := w.clone(p, "hello")
		c.commit("by a token")
		user, token := "alice", ""
		switch p {
		case Codeup:
			token = "pt-sandbox-good"
		case GitLab:
			token = "glpat-sandbox-alice-good"
		case Gitee:
			user, token = "oauth2", w.bind(p).get("access_token")
		case GitHub:
			user, token = "x-access-token", w.bind(p).get("access_token")
		default:
			user, token = "x-token-auth", w.bind(p).get("access_token")
		}
		address := strings.Replace(c.address("alice"),
			"//alice:"+platform.GitPassword("alice"), "//"+user+":"+token, 1)
		_, err := c.git("push", "--quiet", address, "HEAD:main")
		testkit.Want(t, string(p)+": pushed", err == nil, allowed)
	}
}
