package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
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
	known := map[string]bool{"BINDERY_TEST_REQUIRE": true}
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
		"count", "field", "limit", "method", "missing", "organizations", "permission", "platform",
		"scope", "type",
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
	source := document(t, "shared/event/event.go")
	types := regexp.MustCompile(`"(binding\.[a-z_]+)"`)
	for _, found := range types.FindAllStringSubmatch(source, -1) {
		events = append(events, found[1])
	}
	if got := firstCells(tableRows(t, "docs/events.md", "## Events")); !slices.Equal(got, events) {
		t.Errorf("docs/events.md lists %q, want %q", got, events)
	}
	var answered []string
	for _, cells := range tableRows(t, "docs/operate.md", "## Events") {
		answered = append(answered, regexp.MustCompile(`binding\.[a-z_]+`).FindAllString(cells[0], -1)...)
	}
	slices.Sort(answered)
	if want := slices.Sorted(slices.Values(events)); !slices.Equal(answered, want) {
		t.Errorf("docs/operate.md says what to do about %q, want %q", answered, want)
	}
}

// attackNumbers returns the number of every attack, in order.
func attackNumbers() []string {
	var all []string
	for _, group := range []struct {
		letter string
		last   int
	}{{"A", 18}, {"B", 14}, {"C", 15}, {"D", 14}} {
		for n := range group.last {
			all = append(all, fmt.Sprint(group.letter, n+1))
		}
	}
	return all
}

// attackTests returns the tests whose names begin with an attack's number, by number.
func attackTests(t *testing.T) map[string][]string {
	tests := map[string][]string{}
	declared := regexp.MustCompile(`^func (Test([A-D][0-9]+)_\w+)\(`)
	goFiles(t, func(name string, lines [][]byte) {
		for _, line := range lines {
			if found := declared.FindSubmatch(line); found != nil {
				number := string(found[2])
				tests[number] = append(tests[number], string(found[1]))
			}
		}
	})
	for _, names := range tests {
		slices.Sort(names)
	}
	return tests
}

const notYet = "not yet"

func TestDocsAttacksNameTheirTests(t *testing.T) {
	const name = "docs/attacks.md"
	tests := attackTests(t)
	if *update {
		writeAttackTests(t, name, tests)
	}
	var numbers []string
	for _, heading := range []string{"A", "B", "C", "D"} {
		for _, cells := range tableRows(t, name, "## "+headingOf(t, name, heading)) {
			number := cells[0]
			numbers = append(numbers, number)
			if len(cells) != 4 || cells[1] == "" || cells[2] == "" {
				t.Errorf("%s: %s has %d cells, or empty ones, want number, attack, defence, tests",
					name, number, len(cells))
				continue
			}
			wantAttackTests(t, number, cells[3], tests[number])
		}
	}
	if want := attackNumbers(); !slices.Equal(numbers, want) {
		t.Errorf("%s has the numbers %v, want %v", name, numbers, want)
	}
	for number, found := range tests {
		if !slices.Contains(numbers, number) {
			t.Errorf("%v bear a number that %s lacks", found, name)
		}
	}
}

// headingOf returns the heading that begins with a group's letter.
func headingOf(t *testing.T, name, letter string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^## (` + letter + `\. .+)$`).FindStringSubmatch(document(t, name))
	if found == nil {
		t.Fatalf("%s has no heading for %s", name, letter)
	}
	return found[1]
}

// wantAttackTests compares the tests that a row names with those that exist.
func wantAttackTests(t *testing.T, number, cell string, tests []string) {
	t.Helper()
	switch {
	case cell == notYet && len(tests) > 0:
		t.Errorf("docs/attacks.md has no test for %s, but there is %s (-update writes them)",
			number, strings.Join(tests, ", "))
	case cell == notYet:
	case cell == "":
		t.Errorf("docs/attacks.md names neither a test for %s nor %q", number, notYet)
	default:
		for test := range strings.SplitSeq(cell, ", ") {
			if !slices.Contains(tests, strings.Trim(test, "`")) {
				t.Errorf("docs/attacks.md names %s for %s, which there isn't", test, number)
			}
		}
	}
}

func writeAttackTests(t *testing.T, name string, tests map[string][]string) {
	t.Helper()
	numbered := regexp.MustCompile(`^\| ([A-D][0-9]+) \| .* \| .* \| `)
	lines := strings.Split(document(t, name), "\n")
	for i, line := range lines {
		found := numbered.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		cell := notYet
		if names := tests[found[1]]; len(names) > 0 {
			cell = "`" + strings.Join(names, "`, `") + "`"
		}
		cells := strings.Split(line, " | ")
		lines[i] = strings.Join(append(cells[:3], cell+" |"), " | ")
	}
	wantDocument(t, name, strings.Join(lines, "\n"))
}

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

// startLaptopProcess builds functions/local, runs it on free ports in a folder of its own, and
// returns the ports of Bindery and of the sandbox.
func startLaptopProcess(t *testing.T) (own, sandbox string) {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "local")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./functions/local")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	process := exec.Command(binary) // ended in the cleanup: the end of a context would be an error
	process.Dir = folder
	process.Env = []string{"PORT=0"}
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for (own == "" || sandbox == "") && lines.Scan() {
		if _, port, found := strings.Cut(lines.Text(), "http://localhost:"); found {
			own = port
		}
		if _, port, found := strings.Cut(lines.Text(), "http://127.0.0.1:"); found {
			sandbox, _, _ = strings.Cut(port, " ")
		}
	}
	read := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, stdout); close(read) }()
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		<-read
		if err := process.Wait(); err != nil {
			t.Errorf("the laptop's process ended with %v", err)
		}
	})
	if own == "" || sandbox == "" {
		t.Fatal("the laptop's process has named no ports")
	}
	return own, sandbox
}

// TestDocsCurlWorksAsPasted runs every block of each README that has curl in it in one shell, with
// only the ports changed, and compares each reply with the block of JSON after it.
func TestDocsCurlWorksAsPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("BINDERY_TEST_REQUIRE") == "all" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, name := range readmes {
		t.Run(name, func(t *testing.T) {
			own, sandbox := startLaptopProcess(t)
			const border = "\n--- the next block ---\n"
			script, wanted := "set -eu\n", []string{}
			all := codeBlocks(document(t, name))
			for i, f := range all {
				if f.language != "sh" || !strings.Contains(f.body, "curl ") {
					continue
				}
				script += f.body + "printf '" + strings.ReplaceAll(border, "\n", `\n`) + "'\n"
				want := ""
				if i+1 < len(all) && all[i+1].language == "json" {
					want = all[i+1].body
				}
				wanted = append(wanted, want)
			}
			if len(wanted) < 3 {
				t.Fatalf("%s has %d blocks with curl in them, which can't be all", name, len(wanted))
			}
			ports := strings.NewReplacer("localhost:8080", "localhost:"+own,
				"127.0.0.1:8081", "127.0.0.1:"+sandbox)
			shell := exec.CommandContext(t.Context(), "bash", "-c", ports.Replace(script))
			shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
			out, err := shell.Output()
			if err != nil {
				t.Errorf("the blocks of %s end with %v", name, err)
			}
			answers := strings.Split(string(out), border)
			for i, want := range wanted {
				if i >= len(answers)-1 {
					t.Fatalf("block %d of %s was not reached", i+1, name)
				}
				wantAnswer(t, fmt.Sprintf("block %d of %s", i+1, name), answers[i], ports.Replace(want))
			}
		})
	}
}

// wantAnswer compares the last JSON value of a reply with the documentation's, and refuses a
// problem that the documentation doesn't show.
func wantAnswer(t *testing.T, where, answer, want string) {
	t.Helper()
	var last any
	for decoder := json.NewDecoder(strings.NewReader(answer)); ; {
		var value any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s answers what is no JSON", where)
			return
		}
		last = value
	}
	if want == "" {
		if fields, _ := last.(map[string]any); fields["code"] != nil {
			t.Errorf("%s answers with the problem %v", where, fields["code"])
		}
		return
	}
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Errorf("the JSON after %s: %v", where, err)
		return
	}
	for _, wrong := range differences(wanted, last, "") {
		t.Errorf("%s: %s", where, wrong)
	}
}

// differences lists where a reply differs from the documentation. In the documentation "…" stands
// for any text, and as a name for fields that aren't shown.
func differences(want, got any, at string) []string {
	switch want := want.(type) {
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		var wrong []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if name == "…" {
				continue
			}
			value, there := fields[name]
			if !there {
				wrong = append(wrong, at+"/"+name+" is not there")
				continue
			}
			wrong = append(wrong, differences(want[name], value, at+"/"+name)...)
		}
		if _, partly := want["…"]; !partly && len(fields) != len(want) {
			wrong = append(wrong, fmt.Sprintf("%s has %d fields, shown are %d", at, len(fields), len(want)))
		}
		return wrong
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return []string{at + " is another list"}
		}
		var wrong []string
		for i := range want {
			wrong = append(wrong, differences(want[i], list[i], fmt.Sprintf("%s/%d", at, i))...)
		}
		return wrong
	case string:
		if _, ok := got.(string); ok && want == "…" {
			return nil
		}
	}
	if want != got {
		return []string{fmt.Sprintf("%s is not %v", at, want)}
	}
	return nil
}
