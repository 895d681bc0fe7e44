package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type object = map[string]any

// longForm returns a node of YAML with CloudFormation's short tags in their long form.
func longForm(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var value any
	switch n.Kind {
	case yaml.DocumentNode:
		return longForm(t, n.Content[0])
	case yaml.MappingNode:
		m := object{}
		for i := 0; i < len(n.Content); i += 2 {
			if _, doubled := m[n.Content[i].Value]; doubled {
				t.Errorf("line %d: %s is there twice", n.Content[i].Line, n.Content[i].Value)
			}
			m[n.Content[i].Value] = longForm(t, n.Content[i+1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, longForm(t, item))
		}
		value = list
	case yaml.ScalarNode:
		if strings.HasPrefix(n.Tag, "!!") {
			if err := n.Decode(&value); err != nil {
				t.Fatal(err)
			}
		} else {
			value = n.Value
		}
	default:
		t.Fatalf("line %d: CloudFormation knows no aliases", n.Line)
	}
	switch name, short := strings.CutPrefix(n.Tag, "!"); {
	case !short || strings.HasPrefix(name, "!"):
		return value
	case name == "Ref" || name == "Condition":
		return object{name: value}
	case name == "GetAtt":
		resource, attribute, _ := strings.Cut(n.Value, ".")
		return object{"Fn::GetAtt": []any{resource, attribute}}
	default:
		return object{"Fn::" + name: value}
	}
}

func readYAML(t *testing.T, name string) object {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return longForm(t, &n).(object)
}

// in returns the value at this path of a document, nil if there is none.
func in(document any, steps ...string) any {
	for _, step := range steps {
		m, _ := document.(object)
		document = m[step]
	}
	return document
}

func texts(list any) (all []string) {
	items, _ := list.([]any)
	for _, item := range items {
		text, _ := item.(string)
		all = append(all, text)
	}
	return all
}

// templateFunction is a function in template.yaml.
type templateFunction struct {
	folder   string // under functions/
	logical  string
	resource object
}

func functionsOf(t *testing.T, document object) (all []templateFunction) {
	t.Helper()
	resources := in(document, "Resources").(object)
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		r := resources[name].(object)
		if r["Type"] != "AWS::Serverless::Function" {
			continue
		}
		uri, _ := in(r, "Properties", "CodeUri").(string)
		all = append(all, templateFunction{filepath.Base(uri), name, r})
		if want := "dist/lambda/" + filepath.Base(uri) + "/"; uri != want {
			t.Errorf("%s: CodeUri is %s, want %s", name, uri, want)
		}
		if in(r, "Metadata", "SkipBuild") != true {
			t.Errorf("%s: what make package-aws has built would be built again", name)
		}
	}
	return all
}
