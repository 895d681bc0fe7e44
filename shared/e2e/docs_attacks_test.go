package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// attackNumbers returns the number of every attack, in order.
func attackNumbers() []string {
	var all []string
	for _, group := range []struct {
		letter string
		last   int
	}{{"A", 24}, {"B", 15}, {"C", 16}, {"D", 20}, {"E", 19}} {
		for n := range group.last {
			all = append(all, fmt.Sprint(group.letter, n+1))
		}
	}
	return all
}

// attackTests returns the tests whose names begin with an attack's number, by number.
func attackTests(t *testing.T) map[string][]string {
	tests := map[string][]string{}
	declared := regexp.MustCompile(`^func (Test([A-E][0-9]+)_\w+)\(`)
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
	for _, heading := range []string{"A", "B", "C", "D", "E"} {
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
			t.Errorf("%v have a number that %s lacks", found, name)
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
				t.Errorf("docs/attacks.md names %s for %s, which doesn't exist", test, number)
			}
		}
	}
}

func writeAttackTests(t *testing.T, name string, tests map[string][]string) {
	t.Helper()
	numbered := regexp.MustCompile(`^\| ([A-E][0-9]+) \| .* \| .* \| `)
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
