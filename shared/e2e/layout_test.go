// Package e2e_test holds tests of all of Bindery: the packaged functions in both clouds'
// protocols, a real browser, failing stores, the templates, the documentation, and rules for
// imports and style.
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

// root is the folder of go.mod.
const root = "../.."

// pkg is what go list reports about a package.
type pkg struct {
	ImportPath, Name, Dir, Doc string
	GoFiles, Imports, Deps     []string
}

// inModule returns the package's path without the module's.
func (p pkg) inModule() string { return strings.TrimPrefix(p.ImportPath, "bindery/") }

// importRule lists which packages of Bindery a package may import directly. Patterns are those of
// [path.Match]. Every package may import secret, problem and timing.
type importRule struct {
	from string
	to   []string
}

// importRules are tried in order; the first whose from matches counts. A package without a rule
// fails the test, so that adding one includes a decision about its imports.
var importRules = []importRule{
	{"functions/local", []string{
		"shared/alibabacloud", "shared/api", "shared/config", "shared/console", "shared/sandbox",
		"shared/trigger", "shared/*/selected",
	}},
	{"functions/router", []string{
		"shared/alibabacloud", "shared/config", "shared/dispatch", "shared/trigger",
	}},
	{"functions/console", []string{"shared/api", "shared/config", "shared/console", "shared/trigger"}},
	{"functions/*", []string{
		"shared/api", "shared/config", "shared/trigger", "shared/*/selected",
	}},

	{"shared/timing", nil},
	{"shared/bench", nil},
	{"shared/cost", nil},
	{"shared/secret", nil},
	{"shared/problem", nil},
	{"shared/cache", nil},
	{"shared/awscloud", nil},
	{"shared/alibabacloud", nil},
	{"shared/config", []string{"shared/provider"}},
	{"shared/netguard", nil},
	// The sandbox uses nothing of provider: the one is tested against the other.
	{"shared/sandbox", []string{"shared/sandbox/*"}},
	{"shared/sandbox/git", nil},
	{"shared/sandbox/page", nil},
	{"shared/sandbox/platform", []string{"shared/sandbox/git", "shared/sandbox/page"}},
	{"shared/sandbox/oauth", []string{
		"shared/sandbox/git", "shared/sandbox/page", "shared/sandbox/platform",
	}},
	{"shared/sandbox/*", []string{
		"shared/sandbox/git", "shared/sandbox/oauth", "shared/sandbox/platform",
	}},
	{"shared/console", []string{"shared/config"}},
	{"shared/trigger", []string{"shared/alibabacloud", "shared/config"}},
	{"shared/dispatch", []string{"shared/alibabacloud", "shared/trigger"}},
	{"shared/auth", []string{"shared/cache"}},
	{"shared/instance", []string{"shared/alibabacloud", "shared/cache"}},
	{"shared/provider", []string{"shared/netguard"}},

	{"shared/vault", nil},
	{"shared/binding", []string{"shared/instance", "shared/provider", "shared/vault"}},
	{"shared/event", []string{"shared/binding"}},
	{"shared/table", []string{"shared/binding"}},
	{"shared/table/selected", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/binding/ledger", "shared/config",
		"shared/table", "shared/table/*",
	}},
	{"shared/vault/selected", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/binding/ledger", "shared/config",
		"shared/table/selected", "shared/vault", "shared/vault/*",
	}},
	{"shared/vault/envelope", []string{
		"shared/binding", "shared/table", "shared/table/engine", "shared/vault",
	}},
	{"shared/vault/vaulttest", []string{
		"shared/table", "shared/table/engine", "shared/vault", "shared/vault/envelope",
	}},
	{"shared/table/engine", []string{"shared/binding", "shared/table"}},
	{"shared/table/tabletest", []string{"shared/binding", "shared/binding/ledger", "shared/table"}},
	{"shared/table/*", []string{
		"shared/alibabacloud", "shared/awscloud", "shared/binding", "shared/table",
		"shared/table/engine",
	}},
	{"shared/table/dynamo/createtable", []string{"shared/awscloud", "shared/table/dynamo"}},
	{"shared/table/tablestore/createtable", []string{
		"shared/alibabacloud", "shared/table/tablestore",
	}},
	{"shared/vault/*", []string{"shared/alibabacloud", "shared/awscloud", "shared/vault"}},

	{"shared/binding/ledger", []string{
		"shared/binding", "shared/event", "shared/provider", "shared/table", "shared/vault",
	}},
	{"shared/binding/workqueue", []string{
		"shared/binding", "shared/binding/ledger", "shared/table",
	}},
	{"shared/binding/maintenance", []string{
		"shared/binding", "shared/binding/credential", "shared/binding/ledger",
		"shared/binding/workqueue", "shared/event", "shared/instance", "shared/provider",
		"shared/table", "shared/vault",
	}},
	{"shared/binding/repository", []string{
		"shared/binding", "shared/binding/credential", "shared/binding/ledger", "shared/event",
		"shared/instance", "shared/provider",
	}},
	{"shared/binding/delivery", []string{
		"shared/binding", "shared/binding/credential", "shared/binding/ledger", "shared/event",
		"shared/provider", "shared/table", "shared/vault",
	}},
	{"shared/binding/subscription", []string{
		"shared/binding", "shared/binding/credential", "shared/binding/delivery",
		"shared/binding/ledger", "shared/binding/workqueue", "shared/event", "shared/instance",
		"shared/provider", "shared/table", "shared/vault",
	}},
	{"shared/binding/*", []string{
		"shared/binding", "shared/binding/ledger", "shared/event", "shared/instance",
		"shared/provider", "shared/table", "shared/vault",
	}},
	{"shared/api", []string{
		"shared/alibabacloud", "shared/auth", "shared/binding", "shared/binding/*", "shared/cache",
		"shared/config", "shared/event", "shared/instance", "shared/netguard", "shared/provider",
		"shared/vault",
	}},

	// Only for tests.
	{"shared/testkit", nil},
	{"shared/faulttest", nil},
	{"shared/*/*test", []string{"shared/*", "shared/*/*"}},
	{"shared/*/*/*test", []string{"shared/*", "shared/*/*"}},
	{"shared/e2e", []string{"shared/*", "shared/*/*"}},
}

// leaves import nothing of Bindery, not even secret, problem and timing.
var leaves = []string{"shared/timing", "shared/secret", "shared/problem", "shared/cache"}

// builds are the build tags of the three builds.
var builds = []string{"", "aws", "alibaba"}

// packages returns what go list reports about every package of Bindery in the build with these
// tags.
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

// eachPackage calls test with every package of every build that has Go files other than tests.
func eachPackage(t *testing.T, test func(t *testing.T, p pkg)) {
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

func TestImportsFollowTheRules(t *testing.T) {
	eachPackage(t, func(t *testing.T, p pkg) {
		i := slices.IndexFunc(importRules, func(r importRule) bool {
			return matches([]string{r.from}, p.inModule())
		})
		if i < 0 {
			t.Errorf("%s has no rule: add one to importRules", p.inModule())
			return
		}
		allowed := importRules[i].to
		if !slices.Contains(leaves, p.inModule()) {
			allowed = append([]string{"shared/secret", "shared/problem", "shared/timing"}, allowed...)
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, "bindery/")
			if ours && !matches(allowed, name) {
				t.Errorf("%s imports %s, and may import %v only", p.inModule(), name, allowed)
			}
		}
	})
}

func TestTheDomainImportsNeitherHTTPNorACloud(t *testing.T) {
	domain := []string{"shared/binding", "shared/table", "shared/vault"}
	foreign := []string{
		"github.com/aws", "github.com/aliyun", "github.com/alibabacloud-go", "go.etcd.io",
	}
	eachPackage(t, func(t *testing.T, p pkg) {
		if !slices.Contains(domain, p.inModule()) {
			return
		}
		for _, imported := range p.Imports {
			http := strings.HasPrefix(imported, "net/http")
			cloud := slices.ContainsFunc(foreign, func(prefix string) bool {
				return strings.HasPrefix(imported, prefix)
			})
			if http || cloud {
				t.Errorf("%s imports %s", p.inModule(), imported)
			}
		}
	})
}

// onlyForTests reports whether a package is only for tests.
func onlyForTests(name string) bool {
	switch name {
	case "testing", "net/http/httptest", "bindery/shared/sandbox", "bindery/shared/e2e",
		"bindery/shared/testkit":
		return true
	}
	for _, module := range []string{
		"testing/", "bindery/shared/sandbox/", "github.com/chromedp/",
		"github.com/oauth2-proxy/mockoidc",
		"github.com/drone/go-scm", "github.com/pb33f/", "gitlab.com/gitlab-org/",
		"github.com/alibabacloud-go/",
	} {
		if strings.HasPrefix(name, module) {
			return true
		}
	}
	return strings.HasPrefix(name, "bindery/") && strings.HasSuffix(name, "test")
}

func TestNothingDeployedLinksATestPackage(t *testing.T) {
	eachPackage(t, func(t *testing.T, p pkg) {
		if p.Name != "main" || p.inModule() == "functions/local" {
			return
		}
		for _, dep := range p.Deps {
			if onlyForTests(dep) {
				t.Errorf("%s links %s", p.inModule(), dep)
			}
		}
	})
}

func TestStatusLinksNoVault(t *testing.T) {
	seen := 0
	eachPackage(t, func(t *testing.T, p pkg) {
		if p.inModule() != "functions/status" {
			return
		}
		seen++
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "bindery/shared/vault/") {
				t.Errorf("%s links %s", p.inModule(), dep)
			}
		}
	})
	if seen != len(builds) {
		t.Errorf("functions/status was seen in %d builds, want %d", seen, len(builds))
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	eachPackage(t, func(t *testing.T, p pkg) {
		begin := "Package " + p.Name + " "
		if p.Name == "main" {
			folder := path.Base(p.ImportPath)
			begin = strings.ToUpper(folder[:1]) + folder[1:] + " "
		}
		if !strings.HasPrefix(p.Doc, begin) {
			t.Errorf("the comment of %s begins %q, want %q", p.inModule(), p.Doc, begin)
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
