package binding

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTheNumbersInTheDocumentationAreTheCodes reads the table of constants.
func TestTheNumbersInTheDocumentationAreTheCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]any{
		"checkEvery": checkEvery, "checkAgain": checkAgain, "unanswered": unanswered,
		"expiring": time.Duration(expiring), "hostCap": hostCap, "hostFailing": hostFailing,
		"atOnce": atOnce, "mostDue": mostDue, "sweeping": sweeping, "claimed": claimed,
		"hopelessChecks": hopelessChecks, "hopeless": hopeless, "missing": time.Duration(missing),
		"settle": settle, "latest": latest, "firstRetry": firstRetry, "lastRetry": lastRetry,
		"mostRetries": mostRetries, "MinimumLife": MinimumLife, "fresh": fresh,
		"leaseFor": leaseFor, "refreshing": refreshing, "waiting": waiting,
		"longestBackoff": longestBackoff,
	}
	_, table, _ := strings.Cut(string(text), "| constant |")
	table, _, _ = strings.Cut(table, "\n\n") // another may follow
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		value, known := constants[name]
		if !known {
			t.Errorf("the table names %s, which isn't compared", name)
			continue
		}
		delete(constants, name)
		d, isTime := value.(time.Duration)
		was := strings.TrimSpace(cells[2])
		if isTime {
			told, err := time.ParseDuration(was)
			want(t, name, fmt.Sprint(told, err), fmt.Sprint(d, nil))
			continue
		}
		want(t, name, was, fmt.Sprint(value))
	}
	want(t, "constants that the table lacks", len(constants), 0)
}
