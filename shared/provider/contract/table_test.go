package contract_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bindery/shared/netguard"
	"bindery/shared/provider"
)

// How sure it is that a call is as the platform expects it.
const (
	recorded   = "recorded"   // a reply was recorded by others, or published by the vendor
	described  = "described"  // the vendor's description of its API, or the vendor's own client
	documented = "documented" // the vendor's documentation
	assumed    = "assumed"    // none of these: Bindery tolerates both answers
)

// row is a call of the table.
type row struct {
	platform, call, purpose, source, sure string
	pattern                               *regexp.Regexp
}

// matches reports whether a request is this call.
func (r row) matches(e exchange) bool {
	return r.platform == e.platform && r.pattern.MatchString(e.call)
}

var parameter = regexp.MustCompile(`\\\{[a-z_]+(\\\.\\\.\\\.)?\\\}`)

// callPattern returns the pattern of a call in which {name} is one segment of the path and
// {name...} several.
func callPattern(call string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.ReplaceAll(call, "{address}", "\x00"))
	quoted = parameter.ReplaceAllStringFunc(quoted, func(found string) string {
		if strings.Contains(found, `\.`) {
			return ".+"
		}
		return "[^/]+"
	})
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, "\x00", `\{address\}`) + "$")
}

// readTable returns the rows of docs/platforms.md.
func readTable(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile("../../../docs/platforms.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Every call\n")
	if !found {
		t.Fatal("docs/platforms.md has no table of calls")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	titles := map[string]string{}
	set := provider.New(provider.Options{Guard: netguard.New(netguard.Options{})})
	for _, p := range set.All() {
		titles[p.Describe().Title] = p.Describe().Name
	}
	var rows []row
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 5 {
			continue
		}
		for i, cell := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cell), "`")
		}
		if name, ok := titles[cells[0]]; ok {
			rows = append(rows, row{
				name, cells[1], cells[2], cells[3], cells[4], callPattern(cells[1]),
			})
		}
	}
	return rows
}

func TestTheTableHasEveryCall(t *testing.T) {
	rows := readTable(t)
	made := map[string]bool{}
	for _, e := range recordAll(t) {
		i := slices.IndexFunc(rows, func(r row) bool { return r.matches(e) })
		if i < 0 {
			t.Errorf("docs/platforms.md has no row for %s of %s", e.call, e.platform)
			continue
		}
		made[rows[i].call] = true
	}
	for _, r := range rows {
		if !made[r.call] {
			t.Errorf("docs/platforms.md has a row for %s, which no platform calls", r.call)
		}
	}
}

func TestFewCallsAreOnlyAssumed(t *testing.T) {
	rows := readTable(t)
	count := map[string]int{}
	for _, r := range rows {
		if r.purpose == "" || r.source == "" {
			t.Errorf("the row of %s has an empty cell", r.call)
		}
		if !slices.Contains([]string{recorded, described, documented, assumed}, r.sure) {
			t.Errorf("the row of %s is %q", r.call, r.sure)
		}
		count[r.sure]++
	}
	if count[assumed]*10 > len(rows) {
		t.Errorf("%d of %d calls are only assumed, want at most one in ten",
			count[assumed], len(rows))
	}
	t.Logf("%d calls: %v", len(rows), count)
}
