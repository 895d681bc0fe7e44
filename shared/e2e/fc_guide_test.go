package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fcGuides are the guide to Alibaba Cloud in each language, with the headings of its tables of
// settings and of alarms, and its words for a setting that has no default.
var fcGuides = []struct{ name, settings, alarms, required, inVPC string }{
	{fcGuide, "## 2. The settings", "## Alarms", "**required**", "with a VPC"},
	{"docs/deploy-alibaba.zh-CN.md", "## 2. 配置", "## 告警", "**必填**", "使用 VPC 时必填"},
}

func TestDocsGuidesToAlibabaCloudHaveTheSameCode(t *testing.T) {
	want := codeBlocks(document(t, fcGuide))
	for _, guide := range fcGuides {
		got := codeBlocks(document(t, guide.name))
		if len(got) != len(want) || len(want) < 10 {
			t.Fatalf("%s has %d blocks of code, %s %d", guide.name, len(got), fcGuide, len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("block %d of %s is another than in %s:\n%s", i+1, guide.name, fcGuide, got[i].body)
			}
		}
	}
}

func TestDocsGuidesToAlibabaCloudListEverySetting(t *testing.T) {
	setting := regexp.MustCompile(
		`(?m)^( +#)?.*\$\{env\('(\w+)'(?:, '([^']*)'(?: \+ env\('(\w+)'\))?)?\)\}`)
	for _, guide := range fcGuides {
		var want [][]string
		for _, found := range setting.FindAllStringSubmatch(document(t, "s.yaml"), -1) {
			standard := guide.required
			if found[1] != "" {
				standard = guide.inVPC
			} else if found[3] != "" {
				standard = "`" + found[3] + found[4] + "`"
			} else if strings.Contains(found[0], ", '')") {
				standard = ""
			}
			want = append(want, []string{"`" + found[2] + "`", standard})
		}
		got := tableRows(t, guide.name, guide.settings)
		for i := range min(len(got), len(want)) {
			if len(got[i]) != 3 || !slices.Equal(got[i][:2], want[i]) || got[i][2] == "" {
				t.Errorf("%s lists %q, want %q and what it means", guide.name, got[i], want[i])
			}
		}
		if len(got) != len(want) || len(want) < 35 {
			t.Errorf("%s lists %d settings, s.yaml reads %d", guide.name, len(got), len(want))
		}
	}
}

// Both clouds' alarms look at the log: the guide's queries find the same lines as the filters of
// template.yaml, and lines of errors.
func TestDocsAlarmsOnAlibabaCloudAreThoseOnAWS(t *testing.T) {
	lines := []string{`{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"refused"}`}
	var alarms []string
	filter := regexp.MustCompile(`^\{ \$\.(\w+) (?:= ("\w+")|>= (0)) \}$`)
	for name, resource := range in(readYAML(t, template), "Resources").(object) {
		switch in(resource, "Type") {
		case "AWS::CloudWatch::Alarm":
			alarms = append(alarms, name)
		case "AWS::Logs::MetricFilter":
			pattern, _ := in(resource, "Properties", "FilterPattern").(string)
			found := filter.FindStringSubmatch(pattern)
			if found == nil {
				t.Fatalf("%s: the pattern %q is of another kind", name, pattern)
			}
			lines = append(lines, fmt.Sprintf(`{"msg":"a line","%s":%s%s}`, found[1], found[2], found[3]))
		}
	}
	lines = append(lines, `{"msg":"metric","Due":0,"Function":"expirycheck"}`)
	query := regexp.MustCompile(`(?m)^(\w+) \| .*regexp_like\(message, '([^']+)'\)$`)
	queries := query.FindAllStringSubmatch(document(t, fcGuide), -1)
	if len(queries) != 11 {
		t.Errorf("the guide has %d queries, want 11", len(queries))
	}
	hit := map[string]bool{}
	for _, line := range lines {
		seen := 0
		for _, q := range queries {
			if regexp.MustCompile(q[2]).MatchString(line) && strings.Contains(line, q[1]) {
				hit[q[1]] = true
				seen++
			}
		}
		if seen != 1 {
			t.Errorf("%d queries find %s, want 1", seen, line)
		}
	}
	for _, q := range queries {
		if !hit[q[1]] {
			t.Errorf("no line is found by %s", q[0])
		}
	}
	slices.Sort(alarms)
	for _, guide := range fcGuides {
		got := firstCells(tableRows(t, guide.name, guide.alarms))
		slices.Sort(got)
		if !slices.Equal(got, alarms) {
			t.Errorf("%s has the alarms %q, the template %q", guide.name, got, alarms)
		}
	}
}
