package testkit

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Missing skips a test because the machine lacks what it needs, and says how that is installed. The
// last line of make test counts these tests: the variable BINDERY_TEST_SKIPPED names the file in
// which they are noted. With BINDERY_TEST_REQUIRE=all the test fails instead.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	text := fmt.Sprintf("there is no %s: %s", what, install)
	if os.Getenv("BINDERY_TEST_REQUIRE") == "all" {
		t.Fatal(text)
	}
	if err := note(os.Getenv("BINDERY_TEST_SKIPPED"), what+"\t"+install+"\n"); err != nil {
		t.Fatalf("%s, and noting that: %v", text, err)
	}
	t.Skip(text)
}

// note appends a line to a file, in one write because several packages are tested at once.
func note(path, line string) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(line); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// NoPackages is [Missing] for the packages of npm.
func NoPackages(t testing.TB) {
	t.Helper()
	Missing(t, "package of npm", "apt-get install npm && npm ci")
}

// Program returns the path of a program that the test runs, or is [Missing].
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		packages := map[string]string{"aws": "awscli", "node": "npm"}
		Missing(t, name, "apt-get install "+cmp.Or(packages[name], name))
	}
	return path
}
