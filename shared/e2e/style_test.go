package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	longestLine = 100 // characters; a tab is one
	longestFile = 500 // lines of a file that isn't a test
	longestMain = 40  // lines of a function's main.go
)

// goFiles calls the test with every Go file, by its path from the root.
func goFiles(t *testing.T, test func(name string, lines [][]byte)) {
	t.Helper()
	tree, seen := os.DirFS(root), 0
	for _, top := range []string{"functions", "shared"} {
		err := fs.WalkDir(tree, top, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".go" {
				return err
			}
			text, err := fs.ReadFile(tree, name)
			if err == nil {
				seen++
				test(name, bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 50 {
		t.Fatalf("found %d Go files, which can't be all", seen)
	}
}

func TestStyleLinesAreShort(t *testing.T) {
	goFiles(t, func(name string, lines [][]byte) {
		for i, line := range lines {
			if width := utf8.RuneCount(line); width > longestLine {
				t.Errorf("%s:%d has %d columns, want at most %d", name, i+1, width, longestLine)
			}
		}
	})
}

func TestStyleFilesAreShort(t *testing.T) {
	goFiles(t, func(name string, lines [][]byte) {
		if !strings.HasSuffix(name, "_test.go") && len(lines) > longestFile {
			t.Errorf("%s has %d lines, want at most %d", name, len(lines), longestFile)
		}
	})
}

func TestStyleMainsOnlyWire(t *testing.T) {
	goFiles(t, func(name string, lines [][]byte) {
		inFunction, _ := filepath.Match("functions/*/main.go", name)
		if inFunction && len(lines) > longestMain {
			t.Errorf("%s has %d lines, want at most %d", name, len(lines), longestMain)
		}
	})
}

// make test counts what is skipped, so no test skips itself without a note.
func TestStyleTestsAreSkippedOnlyWithTheCommandThatInstallsWhatIsMissing(t *testing.T) {
	goFiles(t, func(name string, lines [][]byte) {
		for i, line := range lines {
			skips := bytes.Contains(line, []byte("t.Skip")) || bytes.Contains(line, []byte("b.Skip"))
			if skips && name != "shared/testkit/missing.go" && name != "shared/e2e/style_test.go" {
				t.Errorf("%s:%d skips a test: use testkit.Missing", name, i+1)
			}
		}
	})
}
