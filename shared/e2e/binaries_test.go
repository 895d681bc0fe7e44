package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The clouds that functions are packaged for, by the build tag of their stores.
const (
	forAWS     = "aws"
	forAlibaba = "alibaba"
)

// functions builds all functions once per cloud, as they are packaged but for this machine's
// architecture.
func (s *artifacts) functions(t testing.TB, stores string) (folder string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functionFolders[stores] == "" {
		folder = filepath.Join(s.dir, "functions-"+stores)
		var packages []string
		for _, f := range functionFolders(t) {
			packages = append(packages, "./functions/"+f)
		}
		buildAs(t, stores, folder+"/", packages...)
		s.functionFolders[stores] = folder
	}
	return s.functionFolders[stores]
}

// functionFolders returns the folders of all functions but local.
func functionFolders(t testing.TB) (all []string) {
	t.Helper()
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.Name() != "local" {
			all = append(all, f.Name())
		}
	}
	return all
}

// buildAs builds with the flags with which the Makefile packages functions for a cloud. what may
// begin with more flags of go build.
func buildAs(t testing.TB, stores, to string, what ...string) {
	t.Helper()
	buildIn(t, root, stores, to, what...)
}

// buildIn is like buildAs, for another folder of source.
func buildIn(t testing.TB, source, stores, to string, what ...string) {
	t.Helper()
	build := exec.Command("go", append([]string{
		"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-gcflags=all=-l",
		"-gcflags=runtime/...=", "-gcflags=internal/...=", "-gcflags=crypto/...=",
		"-tags", stores + ",lambda.norpc,nethttpomithttp2", "-o", to,
	}, what...)...)
	build.Dir = source
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
}
