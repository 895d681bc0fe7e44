// Package e2e_test holds what spans all of Bindery: which package may use which, and how long
// a line, a file and a function's main may be.
package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is where go.mod is, seen from this folder.
const root = "../.."

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath, Name, Dir, Doc string
	GoFiles, Imports, Deps     []string
}

// own is the package's path without the module's.
func (p pkg) own() string { return strings.TrimPrefix(p.ImportPath, "bindery/") }

// arrow is which packages of Bindery a package may import itself. Patterns are those of
// [path.Match]; everything may use secret and problem.
type arrow struct {
	from string
	to   []string
}

// arrows are tried in order; the first whose from matches counts. A package that none matches is
// an error: whoever adds a package says here what it may use.
var arrows = []arrow{
	{"functions/local", []string{
		"shared/api", "shared/config", "shared/console", "shared/sandbox", "shared/trigger",
		"shared/*/selected",
	}},
	{"functions/router", []string{
		"shared/alibabacloud", "shared/config", "shared/dispatch", "shared/trigger",
	}},
	{"functions/console", []string{"shared/api", "shared/config", "shared/console", "shared/trigger"}},
	{"functions/*", []string{
		"shared/api", "shared/config", "shared/trigger", "shared/*/selected",
	}},

	{"shared/secret", nil},
	{"shared/problem", nil},
	{"shared/document", nil},
	{"shared/awscloud", nil},
	{"shared/alibabacloud", nil},
	{"shared/config", []string{"shared/alibabacloud"}},
	{"shared/netguard", nil},
	{"shared/sandbox", nil}, // and so nothing of provider, which it is held against
	{"shared/console", []string{"shared/config"}},
	{"shared/trigger", []string{"shared/alibabacloud", "shared/config"}},
	{"shared/dispatch", []string{"shared/alibabacloud", "shared/trigger"}},
	{"shared/caller", []string{"shared/document"}},
	{"shared/instance", []string{"shared/alibabacloud", "shared/document"}},
	{"shared/provider", []string{"shared/netguard"}},

	{"shared/table", nil},
	{"shared/vault", nil},
	{"shared/event", []string{"shared/table"}},
	{"shared/table/selected", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/config", "shared/table", "shared/table/*",
	}},
	{"shared/vault/selected", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/config", "shared/vault", "shared/vault/*",
	}},
	{"shared/table/engine", []string{"shared/table"}},
	{"shared/table/*", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/table", "shared/table/engine",
	}},
	{"shared/table/dynamo/createtable", []string{"shared/awscloud", "shared/table/dynamo"}},
	{"shared/table/tablestore/createtable", []string{
		"shared/alibabacloud", "shared/table/tablestore",
	}},
	{"shared/vault/*", []string{"shared/alibabacloud", "shared/awscloud", "shared/vault"}},

	{"shared/binding", []string{
		"shared/event", "shared/instance", "shared/provider", "shared/table", "shared/vault",
	}},
	{"shared/api", []string{
		"shared/binding", "shared/caller", "shared/config", "shared/document", "shared/event",
		"shared/instance", "shared/netguard", "shared/provider", "shared/table", "shared/vault",
	}},

	// For tests alone.
	{"shared/faulttest", nil},
	{"shared/*/*test", []string{"shared/*", "shared/*/*"}},
	{"shared/*/*/*test", []string{"shared/*", "shared/*/*"}},
	{"shared/story", []string{"shared/*", "shared/*/*"}},
}

// leaves import nothing of Bindery, not even secret and problem.
var leaves = []string{"shared/secret", "shared/problem", "shared/document"}

// builds are the tags that Bindery is built with.
var builds = []string{"", "aws", "alibaba"}

// packages asks Go for every package of Bindery, as it is built with the tags.
func packages(t *testing.T, tags string) []pkg {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-tags="+tags,
		"-json=ImportPath,Name,Dir,Doc,GoFiles,Imports,Deps", "./functions/...", "./shared/...")
	list.Dir = root
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", list, err, stderr.String())
	}
	var all []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list knows %d packages, which can't be all", len(all))
	}
	return all
}

// each runs the test on every package of every build that has Go files other than tests.
func each(t *testing.T, test func(t *testing.T, p pkg)) {
	t.Helper()
	for _, tags := range builds {
		t.Run("tags="+tags, func(t *testing.T) {
			for _, p := range packages(t, tags) {
				if len(p.GoFiles) > 0 {
					test(t, p)
				}
			}
		})
	}
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

func TestArrowsRunOneWay(t *testing.T) {
	each(t, func(t *testing.T, p pkg) {
		i := slices.IndexFunc(arrows, func(a arrow) bool { return matches([]string{a.from}, p.own()) })
		if i < 0 {
			t.Errorf("%s has no arrow: say in arrows what it may import", p.own())
			return
		}
		allowed := arrows[i].to
		if !slices.Contains(leaves, p.own()) {
			allowed = append([]string{"shared/secret", "shared/problem"}, allowed...)
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, "bindery/")
			if ours && !matches(allowed, name) {
				t.Errorf("%s imports %s, and may import %v only", p.own(), name, allowed)
			}
		}
	})
}

func TestTheDomainKnowsNoHTTPAndNoCloud(t *testing.T) {
	domain := []string{"shared/binding", "shared/table", "shared/vault"}
	foreign := []string{
		"github.com/aws", "github.com/aliyun", "github.com/alibabacloud-go", "go.etcd.io",
	}
	each(t, func(t *testing.T, p pkg) {
		if !slices.Contains(domain, p.own()) {
			return
		}
		for _, imported := range p.Imports {
			http := strings.HasPrefix(imported, "net/http")
			cloud := slices.ContainsFunc(foreign, func(prefix string) bool {
				return strings.HasPrefix(imported, prefix)
			})
			if http || cloud {
				t.Errorf("%s imports %s", p.own(), imported)
			}
		}
	})
}

// forTests reports whether a package is for tests alone.
func forTests(name string) bool {
	switch name {
	case "testing", "net/http/httptest", "bindery/shared/sandbox", "bindery/shared/e2e":
		return true
	}
	for _, module := range []string{
		"testing/", "github.com/chromedp/", "github.com/oauth2-proxy/mockoidc",
		"github.com/drone/go-scm", "github.com/pb33f/", "gitlab.com/gitlab-org/",
		"github.com/alibabacloud-go/",
	} {
		if strings.HasPrefix(name, module) {
			return true
		}
	}
	return strings.HasPrefix(name, "bindery/") && strings.HasSuffix(name, "test")
}

func TestNothingDeployedIsForTests(t *testing.T) {
	each(t, func(t *testing.T, p pkg) {
		if p.Name != "main" || p.own() == "functions/local" {
			return
		}
		for _, dep := range p.Deps {
			if forTests(dep) {
				t.Errorf("%s links %s", p.own(), dep)
			}
		}
	})
}

func TestStatusLinksNoVault(t *testing.T) {
	seen := 0
	each(t, func(t *testing.T, p pkg) {
		if p.own() != "functions/status" {
			return
		}
		seen++
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "bindery/shared/vault/") {
				t.Errorf("%s links %s", p.own(), dep)
			}
		}
	})
	if seen != len(builds) {
		t.Errorf("functions/status was seen in %d builds, want %d", seen, len(builds))
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	each(t, func(t *testing.T, p pkg) {
		begin := "Package " + p.Name + " "
		if p.Name == "main" {
			folder := path.Base(p.ImportPath)
			begin = strings.ToUpper(folder[:1]) + folder[1:] + " "
		}
		if !strings.HasPrefix(p.Doc, begin) {
			t.Errorf("the comment of %s begins %q, want %q", p.own(), p.Doc, begin)
		}
	})
}

func TestEveryFunctionHasAMain(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(root, "functions", folder.Name(), "main.go")); err != nil {
			t.Errorf("functions/%s: %v", folder.Name(), err)
		}
	}
}
