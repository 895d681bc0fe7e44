package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bindery/shared/api"
)

// lookAtRepositories finds a repository of each platform, resolves its refs, reads its Dockerfile
// and clones it.
func (d *deployment) lookAtRepositories() {
	d.t.Helper()
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		one, clone := d.findHello(platform)
		folder := d.clone(platform, clone)
		for ref, at := range map[string]string{
			"heads/feature/a": "origin/feature/a", "heads/fix/#1-100%": "origin/fix/#1-100%",
			"heads/功能/登录": "origin/功能/登录", "tags/v2.0.0": "v2.0.0^{commit}", // annotated
		} {
			want := d.git(folder, "rev-parse", at)
			d.wantCommit(one+"/commits/"+named(ref), want)
			d.wantCommit(one+"/commits/"+want[:7], want)
			d.wantFile(one+"/files/Dockerfile?ref="+url.QueryEscape(ref),
				d.git(folder, "show", at+":Dockerfile"))
		}
		for _, path := range []string{"docs/read me #1?.md", "目录/文件.txt"} {
			d.wantFile(one+"/files/"+named(path)+"?ref=heads/main",
				d.git(folder, "show", "origin/main:"+path))
		}
		d.wantRef(one, "branches", "feature/a", d.git(folder, "rev-parse", "origin/feature/a"))
		d.wantRef(one, "tags", "v2.0.0", d.git(folder, "rev-parse", "v2.0.0^{commit}"))
	}
	d.expire("bitbucket") // a look refreshes, too
	d.findHello("bitbucket")
}

// named returns a ref or a path as one segment of an address.
func named(name string) string {
	if strings.ContainsAny(name, "%?") {
		return "~" + base64.RawURLEncoding.EncodeToString([]byte(name))
	}
	return url.PathEscape(name)
}

// get asks for what only a caller with the scope may look at.
func (d *deployment) get(path string) reply {
	d.t.Helper()
	a := d.call(http.MethodGet, path, d.bearer("dev", api.ScopeRepositories), nil)
	if a.status != http.StatusOK {
		d.t.Fatalf("%s: %d %v %v", path, a.status, a.body["code"], a.body["reason"])
	}
	return a
}

// findHello searches all pages for the repository hello, and returns the path of its routes and its
// clone address.
func (d *deployment) findHello(platform string) (path, clone string) {
	d.t.Helper()
	list := d.bindingsPath() + "/" + platform + "/repositories"
	for cursor := ""; ; {
		page := d.get(list + "?search=hello&cursor=" + cursor)
		found, _ := page.body["repositories"].([]any)
		for _, r := range found {
			name, _ := in(r, "name").(string)
			if strings.HasSuffix(name, "/hello") && !strings.Contains(name, "group") {
				path = list + "/" + in(r, "key").(string)
				clone, _ = d.get(path).body["url"].(string)
				return path, clone
			}
		}
		var more bool
		if cursor, more = page.body["cursor"].(string); !more {
			d.t.Fatalf("%s has no repository hello: %s", platform, page.text)
		}
	}
}

func (d *deployment) wantCommit(path, want string) {
	d.t.Helper()
	if got := d.get(path).body["commit"]; got != want {
		d.t.Errorf("%s is %v, and in git %s", path, got, want)
	}
}

func (d *deployment) wantFile(path, want string) {
	d.t.Helper()
	if got := strings.TrimSpace(d.get(path).text); got != want {
		d.t.Errorf("%s is %q, and in git %q", path, got, want)
	}
}

// wantRef searches a list of refs for a name.
func (d *deployment) wantRef(one, kind, name, commit string) {
	d.t.Helper()
	page := d.get(one + "/" + kind + "?search=" + url.QueryEscape(name))
	refs, _ := page.body["refs"].([]any)
	for _, r := range refs {
		if in(r, "name") == name && in(r, "commit") == commit {
			return
		}
	}
	d.t.Errorf("the %s of %s lack %s at %s: %s", kind, one, name, commit, page.text)
}

// clone clones with real git, which reads the credential as Bindery replies with it.
func (d *deployment) clone(platform, address string) (folder string) {
	d.t.Helper()
	a := d.call(http.MethodPost, d.bindingsPath()+"/"+platform+"/credential?format=git&repository="+
		url.QueryEscape(address), d.bearer("build", api.ScopeCredential), nil)
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		d.t.Fatalf("a credential of %s for git: %d %v", platform, a.status, a.body["code"])
	}
	home := d.t.TempDir()
	lines := filepath.Join(home, "lines")
	if err := os.WriteFile(lines, []byte(a.text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.git(home, "-c", "credential.helper=!cat '"+lines+"' #", "clone", "-q", address, "hello")
	return filepath.Join(home, "hello")
}

// git runs git and returns its output without spaces around it.
func (d *deployment) git(folder string, arguments ...string) string {
	d.t.Helper()
	git := exec.CommandContext(d.t.Context(), "git", arguments...)
	git.Dir = folder
	git.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
	}
	out, err := git.Output()
	if err != nil {
		d.t.Fatalf("git %s: %v", arguments[0], err) // its output could show the token
	}
	return strings.TrimSpace(string(out))
}
