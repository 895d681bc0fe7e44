package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"bindery/shared/testkit"
)

// sampleToken is the platform's token that docs/build.md binds.
const sampleToken = "glpat-sandbox-alice-good"

// buildShell runs docs/build.md in one shell: with real git and curl, in a home of its own.
type buildShell struct {
	t      *testing.T
	folder string // the shell's home and working folder
	args   string // a file with the arguments of every curl and of every process of git
	ports  *strings.Replacer
	given  atomic.Int64 // credentials that Bindery was asked for
}

// newBuildShell starts the laptop's process with a proxy before it, which counts.
func newBuildShell(t *testing.T) *buildShell {
	t.Helper()
	for _, program := range []string{"git", "curl", "bash"} {
		testkit.Program(t, program)
	}
	s := &buildShell{t: t, folder: t.TempDir()}
	s.args = filepath.Join(s.folder, "arguments")
	own, sandbox := startLaptopProcess(t)
	target := &url.URL{Scheme: "http", Host: "localhost:" + own}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target) // and the Host, which the laptop checks
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/credential") {
			s.given.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.ports = strings.NewReplacer("http://localhost:8080", front.URL,
		"127.0.0.1:8081", "127.0.0.1:"+sandbox)
	return s
}

// run runs the script and returns its output.
func (s *buildShell) run(script string) string {
	s.t.Helper()
	real, err := exec.LookPath("curl")
	if err != nil {
		s.t.Fatal(err)
	}
	programs := filepath.Join(s.folder, "programs")
	s.must(os.MkdirAll(programs, 0o755))
	s.must(os.WriteFile(filepath.Join(programs, "curl"), fmt.Appendf(nil,
		"#!/bin/sh\nprintf 'curl %%s\\n' \"$*\" >> '%s'\nexec '%s' \"$@\"\n", s.args, real), 0o755))
	shell := exec.CommandContext(s.t.Context(), "bash", "-c",
		"set -euo pipefail\n"+s.ports.Replace(script))
	shell.Dir = s.folder
	shell.Env = []string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + s.folder, "GIT_TRACE=" + s.args,
		"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
	}
	out, err := shell.Output()
	if failed, ok := err.(*exec.ExitError); ok {
		s.t.Fatalf("%v\n%s", err, strings.ReplaceAll(string(failed.Stderr), sampleToken, "[token]"))
	}
	s.must(err)
	return string(out)
}

func (s *buildShell) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestDocsBuildWorksAsPasted runs every command of docs/build.md, with only the ports changed. What
// needs Docker or Kaniko is not run; the secrets for them are looked at.
func TestDocsBuildWorksAsPasted(t *testing.T) {
	s := newBuildShell(t)
	script, variables := "", ""
	for _, block := range codeBlocks(document(t, "docs/build.md")) {
		if block.language == "sh" {
			script += block.body
		}
	}
	for _, name := range []string{
		"GIT_AUTH_HEADER", "GIT_AUTH_TOKEN", "GIT_USERNAME", "GIT_PASSWORD",
	} {
		variables += "echo \"= $" + name + "\"\n"
	}
	out := s.run(script + variables)
	// ls-remote, clone, the script's, two fetches with the cache, one for each secret, and the push.
	testkit.Want(t, "credentials that were handed out", s.given.Load(), 8)
	for _, secret := range []string{
		"= basic " + "YWxpY2U6Z2xwYXQtc2FuZGJveC1hbGljZS1nb29k", // alice, colon, the token
		"= " + sampleToken, "= alice", "= " + sampleToken,
	} {
		_, rest, found := strings.Cut(out, secret+"\n")
		if !found {
			t.Errorf("a build's variable isn't what %d characters say", len(secret))
		}
		out = rest
	}
	s.wantNoTokenLeft("hello")
}

// wantNoTokenLeft fails if the token is in an argument of a process or in a clone.
func (s *buildShell) wantNoTokenLeft(clone string) {
	s.t.Helper()
	seen := 0
	found := func(path string, _ os.DirEntry, err error) error {
		if info, statErr := os.Stat(path); err != nil || statErr != nil || info.IsDir() {
			return err
		}
		seen++
		s.wantNoToken(path)
		return nil
	}
	err := filepath.WalkDir(filepath.Join(s.folder, clone), found)
	if err != nil || seen == 0 {
		s.t.Errorf("%d files were searched: %v", seen, err)
	}
	s.wantNoToken(s.args)
	s.wantNoToken(filepath.Join(s.folder, ".gitconfig"))
}

func (s *buildShell) wantNoToken(file string) {
	s.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || len(text) == 0 && filepath.Base(file) == "arguments" {
		s.t.Errorf("%s can't be searched: %v", filepath.Base(file), err)
	}
	for what, secret := range map[string]string{
		"the platform's token": sampleToken, "an access token of Bindery": "eyJhbGciOi",
	} {
		if strings.Contains(string(text), secret) {
			s.t.Errorf("%s has %s", filepath.Base(file), what)
		}
	}
}

// TestAPrivateSubmoduleIsClonedWithTheHelper uses the helper of docs/build.md, and then breaks it.
func TestAPrivateSubmoduleIsClonedWithTheHelper(t *testing.T) {
	s := newBuildShell(t)
	script := ""
	for _, block := range codeBlocks(document(t, "docs/build.md")) {
		if block.language == "sh" {
			script += block.body
		}
		if strings.Contains(block.body, "git clone") {
			break
		}
	}
	out := s.run(script + `
		git config --global user.name a
		git config --global user.email a@example.com
		git init -q whole
		git -C whole submodule add -q http://127.0.0.1:8081/gitlab/alice/hello.git part
		git -C whole commit -q -m whole
		git clone -q --recurse-submodules whole copy
		cat copy/part/Dockerfile
		echo
		git -C hello rev-parse HEAD
		curl -fsS -H @bindery.header "$GITLAB/repositories/$REPOSITORY/commits/heads/feature/a"
		unset GITLAB
		git ls-remote http://127.0.0.1:8081/gitlab/alice/hello.git || echo refused
	`)
	_, rest, _ := strings.Cut(out, "FROM scratch\nLABEL ref=\"heads/main\"\n\n")
	head, rest, _ := strings.Cut(rest, "\n")
	if !strings.Contains(rest, `"commit":"`+head+`"`) || !strings.HasSuffix(rest, "refused\n") ||
		!strings.Contains(out, head+"\trefs/heads/feature/a\n") {
		t.Errorf("the submodule, the commits or the refusal without a helper are others: %q", out)
	}
	s.wantNoTokenLeft("copy")
}
