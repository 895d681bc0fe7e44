package e2e_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/testkit"
)

// filterPattern matches a filter on one field: { $.alarm = "parked" }, { $.Due >= 0 }.
var filterPattern = regexp.MustCompile(`^\{ \$\.(\w+) (?:= "(\w+)"|>= 0) \}$`)

// TestAlarmsMatchLinesThatAreWritten compares the template's filters with lines of the log, its
// alarms with its filters, and the operator's guide with both.
func TestAlarmsMatchLinesThatAreWritten(t *testing.T) {
	resources := in(readYAML(t, template), "Resources").(object)
	metrics := writtenMetrics(t)
	filtered, told := map[string]bool{}, map[string]bool{}
	for name, resource := range resources {
		if in(resource, "Type") != "AWS::Logs::MetricFilter" {
			continue
		}
		pattern, _ := in(resource, "Properties", "FilterPattern").(string)
		found := filterPattern.FindStringSubmatch(pattern)
		if found == nil {
			t.Errorf("%s: %q isn't read by this test", name, pattern)
			continue
		}
		if found[1] == "alarm" {
			told[found[2]] = true
		} else if !metrics[found[1]] && found[1] != "code" { // which the line of a refused request has
			t.Errorf("%s looks for %s, which no metric's line has at its top", name, found[1])
		}
		into := in(resource, "Properties", "MetricTransformations").([]any)[0]
		filtered[in(into, "MetricName").(string)] = true
	}
	for name, resource := range resources {
		own := in(resource, "Properties", "Namespace", "Fn::Sub") == "${AWS::StackName}/alarms"
		if metric, _ := in(resource, "Properties", "MetricName").(string); own && !filtered[metric] {
			t.Errorf("%s is on the metric %q, which no filter makes", name, metric)
		}
	}
	got := slices.Sorted(maps.Keys(told))
	if want := firstCells(tableRows(t, "docs/operate.md", "## Alarms")); !slices.Equal(got, want) {
		t.Errorf("the template has alarms on the lines %q, docs/operate.md lists %q", got, want)
	}
}

// Lambda counts no error for a panic or a refusal: the function replies in both cases.
func TestAnErrorInAnyFunctionsLogRaisesAnAlarm(t *testing.T) {
	resources := in(readYAML(t, template), "Resources").(object)
	heard := map[string]bool{}
	for _, resource := range resources {
		if in(resource, "Properties", "FilterPattern") == `{ $.level = "ERROR" }` {
			heard[in(resource, "Properties", "LogGroupName", "Ref").(string)] = true
		}
	}
	for name, resource := range resources {
		if in(resource, "Type") == "AWS::Serverless::Function" && !heard[name+"Log"] {
			t.Errorf("an error in the log of %s raises no alarm", name)
		}
	}
	var counted []any
	for _, metric := range in(resources, "ErrorsAlarm", "Properties", "Metrics").([]any) {
		counted = append(counted, in(metric, "MetricStat", "Metric", "MetricName"))
	}
	if !slices.Contains(counted, any("error")) || len(counted) > 11 {
		t.Errorf("ErrorsAlarm counts %v, want error too, and at most ten", counted)
	}
}

// writtenMetrics returns the top-level fields of the lines that count credentials and runs.
func writtenMetrics(t *testing.T) map[string]bool {
	t.Helper()
	var log testkit.Log
	event.Metric(t.Context(), log.Logger(), time.Now(),
		map[string]string{"Kind": "done"}, map[string]float64{"Credentials": 1})
	event.Metric(t.Context(), log.Logger(), time.Now(), nil, map[string]float64{"Due": 1})
	event.Metric(t.Context(), log.Logger(), time.Now(), nil, map[string]float64{"DueSubscriptions": 1})
	all := map[string]bool{}
	for _, fields := range log.Records(t, "metric") {
		for name := range fields {
			all[name] = true
		}
	}
	return all
}
