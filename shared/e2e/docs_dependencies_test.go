package e2e_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// directModules returns the modules of go.mod that Bindery imports, also in tests, or runs as a
// tool; and all that go.mod requires.
func directModules(t *testing.T) (direct, required []string) {
	mod := document(t, "go.mod")
	require := regexp.MustCompile(`(?m)^(?:require )?\t?(\S+\.\S+/\S+|\S+\.\S+) v\S+`)
	for _, found := range require.FindAllStringSubmatch(mod, -1) {
		required = append(required, found[1])
	}
	imported := map[string]bool{}
	_, tools, _ := strings.Cut(mod, "\ntool (")
	tools, _, _ = strings.Cut(tools, ")")
	for _, tool := range strings.Fields(tools) {
		imported[tool] = true
	}
	for _, tags := range builds {
		list := exec.CommandContext(t.Context(), "go", "list", "-tags="+tags, "-f",
			`{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`,
			"./functions/...", "./shared/...")
		list.Dir = root
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		for _, name := range strings.Fields(string(out)) {
			imported[name] = true
		}
	}
	for _, module := range required {
		for name := range imported {
			if name == module || strings.HasPrefix(name, module+"/") {
				direct = append(direct, module)
				break
			}
		}
	}
	if len(direct) < 5 {
		t.Fatalf("found the direct requirements %v only", direct)
	}
	return direct, required
}

func TestDocsDependenciesAreExplained(t *testing.T) {
	direct, required := directModules(t)
	var explained []string
	for _, heading := range []string{"## In what is deployed", "## On a laptop and in tests"} {
		explained = append(explained, firstCells(tableRows(t, "docs/dependencies.md", heading))...)
	}
	for _, module := range direct {
		if !slices.Contains(explained, module) {
			t.Errorf("docs/dependencies.md doesn't say why %s is there", module)
		}
	}
	for _, module := range explained {
		if !slices.Contains(required, module) {
			t.Errorf("docs/dependencies.md explains %s, which go.mod doesn't require", module)
		}
	}
}
