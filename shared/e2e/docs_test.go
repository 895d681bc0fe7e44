package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// These tests compare the documentation with the code. The parts of the documentation that are
// generated from the code are written by
//
//	go test ./shared/e2e -run TestDocs -update
var update = flag.Bool("update", false, "write the parts of the documentation that are generated")

// readmes are the README in both languages.
var readmes = []string{"README.md", "README.zh-CN.md"}

// document returns the text of a file, by its path from the root.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents returns the names of all files of the documentation.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no file in docs/: %v", err)
	}
	names := slices.Clone(readmes)
	for _, file := range found {
		names = append(names, "docs/"+filepath.Base(file))
	}
	return names
}

// wantDocument compares a document with the generated text. With -update it writes the document
// instead.
func wantDocument(t *testing.T, name, want string) {
	t.Helper()
	if document(t, name) == want {
		return
	}
	if !*update {
		t.Errorf("%s doesn't match the code: go test ./shared/e2e -run TestDocs -update", name)
		return
	}
	if err := os.WriteFile(filepath.Join(root, name), []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantPart is wantDocument for the text between the two marks of a part.
func wantPart(t *testing.T, name, part, want string) {
	t.Helper()
	begin, end := "<!-- "+part+" -->\n", "<!-- end of "+part+" -->"
	before, rest, begun := strings.Cut(document(t, name), begin)
	_, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s lacks the marks of %s", name, part)
	}
	wantDocument(t, name, before+begin+want+end+after)
}

// tableRow returns a line of a Markdown table.
func tableRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// tableRows returns the cells of the first table after a heading, without the table's head.
func tableRows(t *testing.T, name, heading string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut("\n"+document(t, name), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", name, heading)
	}
	var all [][]string
	for line := range strings.SplitSeq(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			if all != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	if len(all) < 3 {
		t.Fatalf("%s has no table after %q", name, heading)
	}
	return all[2:]
}

// firstCells returns the first cell of each row, without the marks of code.
func firstCells(rows [][]string) []string {
	var names []string
	for _, cells := range rows {
		names = append(names, strings.Trim(cells[0], "`"))
	}
	return names
}

func TestDocsConfigurationMatchesTheCode(t *testing.T) {
	table := tableRow("variable", "default", "meaning") + tableRow("---", "---", "---")
	known := map[string]bool{
		"BINDERY_TEST_REQUIRE": true, "BINDERY_TEST_PICTURES": true, "BINDERY_TEST_SKIPPED": true,
	}
	for _, v := range config.Variables() {
		known[v.Name] = true
		standard := v.Default
		if standard != "" {
			standard = "`" + standard + "`"
		}
		if v.Required {
			standard = "**required**"
		}
		table += tableRow("`"+v.Name+"`", standard, v.Meaning)
	}
	wantPart(t, "README.md", "configuration", table)
	variable := regexp.MustCompile(`\bBINDERY_[A-Z0-9_]+[A-Z0-9]\b`)
	for _, name := range documents(t) {
		for _, found := range variable.FindAllString(document(t, name), -1) {
			if !known[found] {
				t.Errorf("%s names %s, which nothing reads", name, found)
			}
		}
	}
}

func TestDocsPlatformsAndStatusesMatchTheCode(t *testing.T) {
	titles := map[string]string{}
	for _, p := range provider.New(provider.Options{Guard: netguard.New(netguard.Options{})}).All() {
		titles[p.Describe().Title] = p.Describe().Name
	}
	var statuses []string
	for _, s := range binding.Statuses() {
		statuses = append(statuses, string(s))
	}
	for name, headings := range map[string][2]string{
		"README.md":       {"## The five platforms", "## Statuses"},
		"README.zh-CN.md": {"## 五个平台", "## 状态"},
	} {
		var platforms []string
		for _, title := range firstCells(tableRows(t, name, headings[0])) {
			platforms = append(platforms, titles[title])
		}
		if !slices.Equal(platforms, provider.Names()) {
			t.Errorf("%s lists the platforms %q, want %q", name, platforms, provider.Names())
		}
		if got := firstCells(tableRows(t, name, headings[1])); !slices.Equal(got, statuses) {
			t.Errorf("%s lists the statuses %q, want %q", name, got, statuses)
		}
	}
}

func TestDocsLayoutNamesEveryFolder(t *testing.T) {
	var layout []string // a row may name several
	for _, cells := range tableRows(t, "README.md", "## Layout") {
		layout = append(layout, strings.Split(strings.ReplaceAll(cells[0], "`", ""), ", ")...)
	}
	for _, top := range []string{"functions", "shared"} {
		folders, err := os.ReadDir(filepath.Join(root, top))
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			name := top + "/" + folder.Name()
			if folder.IsDir() && !slices.Contains(layout, name) {
				t.Errorf("README.md's layout lacks %s", name)
			}
		}
	}
	for _, name := range layout {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("README.md's layout names what isn't there: %v", err)
		}
	}
}

// problemTable returns the catalogue as a table in both languages, sorted by code. Parameters stay
// in braces.
func problemTable(t *testing.T) string {
	params := map[string]string{}
	for _, name := range []string{
		"allowed",
		"code", "count", "field", "host", "limit", "method", "missing", "organizations", "path",
		"permission", "platform", "ref", "scope", "type", "url", "username",
	} {
		params[name] = "{" + name + "}"
	}
	table := tableRow("code, reason", "status", "what it means", "what to do") +
		tableRow("---", "---", "---", "---")
	codes := problem.Codes()
	slices.Sort(codes)
	for _, code := range codes {
		for _, reason := range append([]string{""}, problem.Reasons(code)...) {
			p := &problem.Problem{Code: code, Reason: reason, Params: params}
			en, zh := p.In(problem.English), p.In(problem.Chinese)
			typed := p.With(problem.TypedAddress, "true")
			if remedy := typed.In(problem.English).Remedy; remedy != en.Remedy {
				en.Remedy += "<br>*Where the address was typed:* " + remedy
				zh.Remedy += "<br>*地址由用户填写时：*" + typed.In(problem.Chinese).Remedy
			}
			if line := fmt.Sprint(en, zh); strings.Contains(line, "…") {
				t.Errorf("%s %s has a parameter that isn't listed here: %s", code, reason, line)
			}
			if reason != "" {
				table += tableRow("`"+string(code)+"`, `"+reason+"`", "",
					en.Detail+"<br>"+zh.Detail, en.Remedy+"<br>"+zh.Remedy)
				continue
			}
			table += tableRow("`"+string(code)+"`", fmt.Sprint(p.Status()),
				"**"+en.Title+".** "+en.Detail+"<br>**"+zh.Title+"。**"+zh.Detail,
				en.Remedy+"<br>"+zh.Remedy)
		}
	}
	return table
}

func TestDocsProblemsMatchTheCatalogue(t *testing.T) {
	wantPart(t, "docs/problems.md", "problems", problemTable(t))
}

func TestDocsEventsMatchTheCode(t *testing.T) {
	var events []string
	source := document(t, "shared/binding/event.go")
	types := regexp.MustCompile(`"((?:binding|subscription)\.[a-z_]+)"`)
	for _, found := range types.FindAllStringSubmatch(source, -1) {
		events = append(events, found[1])
	}
	if got := firstCells(tableRows(t, "docs/events.md", "## Events")); !slices.Equal(got, events) {
		t.Errorf("docs/events.md lists %q, want %q", got, events)
	}
	var answered []string
	for _, cells := range tableRows(t, "docs/operate.md", "## Events") {
		answered = append(answered, regexp.MustCompile(`(?:binding|subscription)\.[a-z_]+`).
			FindAllString(cells[0], -1)...)
	}
	slices.Sort(answered)
	if want := slices.Sorted(slices.Values(events)); !slices.Equal(answered, want) {
		t.Errorf("docs/operate.md says what to do about %q, want %q", answered, want)
	}
}

// codeBlock is a fenced block of code in Markdown.
type codeBlock struct{ language, body string }

func codeBlocks(text string) []codeBlock {
	var all []codeBlock
	var open *codeBlock
	for line := range strings.SplitSeq(text, "\n") {
		mark, found := strings.CutPrefix(line, "```")
		switch {
		case found && open == nil:
			open = &codeBlock{language: mark}
		case found:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.body += line + "\n"
		}
	}
	return all
}

// slug returns the anchor of a heading, as GitHub makes it.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestDocsLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	for _, name := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(document(t, name), -1) {
			to := found[1]
			if strings.HasPrefix(to, "https://") {
				continue
			}
			file, anchor, _ := strings.Cut(to, "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s: %v", name, to, err)
				continue
			}
			if anchor == "" {
				continue
			}
			there := false
			for _, h := range heading.FindAllStringSubmatch(document(t, target), -1) {
				there = there || slug(h[1]) == anchor
			}
			if !there {
				t.Errorf("%s links to %s, and there is no such heading", name, to)
			}
		}
	}
}
