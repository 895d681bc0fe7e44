package api_test

import (
	"reflect"
	"strings"
	"testing"

	"bindery/shared/binding/maintenance"
)

// TestARunOfTheScheduleLogsEveryNumber of its result, under the name of the result's field.
func TestARunOfTheScheduleLogsEveryNumber(t *testing.T) {
	w := newWorld(t)
	w.sweep()
	lines := w.log.Records(t, "checked")
	if len(lines) == 0 {
		t.Fatal("no run is in the log")
	}
	for field := range reflect.TypeFor[maintenance.RunResult]().Fields() {
		name := strings.ToLower(field.Name[:1]) + field.Name[1:]
		if name == "duration" {
			name = "durationMs"
		}
		if _, ok := lines[0][name]; !ok {
			t.Errorf("the line of a run has no %s: %v", name, lines[0])
		}
	}
}
