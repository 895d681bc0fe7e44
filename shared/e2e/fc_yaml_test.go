package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"bindery/shared/testkit"
)

const (
	serverless = root + "/s.yaml"
	fcGuide    = "docs/deploy-alibaba.md"
)

// fcSettings returns the settings in the guide's block of environment variables.
func fcSettings(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range codeBlocks(document(t, fcGuide)) {
		if f.language != "env" {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(f.body), "\n") {
			name, value, found := strings.Cut(line, "=")
			if !found || value == "" {
				t.Fatalf("%s: the setting %q has no value", fcGuide, line)
			}
			all[name] = value
		}
	}
	return all
}

// readServerless returns s.yaml with aliases, merges, variables and the environment resolved, as
// Serverless Devs resolves them.
func readServerless(t *testing.T, text string, env map[string]string) object {
	t.Helper()
	var document object
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return resolve(t, document, document, env).(object)
}

func readDeployment(t *testing.T) object {
	t.Helper()
	return readServerless(t, document(t, "s.yaml"), fcSettings(t))
}

var (
	expression = regexp.MustCompile(`\$\{[^}]*\}`)
	ofEnv      = regexp.MustCompile(`^\$\{env\('(\w+)'(?:, '([^']*)'(?: \+ env\('(\w+)'\))?)?\)\}$`)
	ofVars     = regexp.MustCompile(`^\$\{vars\.(\w+)\}$`)
	ofResource = regexp.MustCompile(`^\$\{resources\.(\w+)\.props\.(\w+)\}$`)
)

// resolve returns a part of the document with its expressions replaced by their values.
func resolve(t *testing.T, part any, document object, env map[string]string) any {
	t.Helper()
	switch v := part.(type) {
	case object:
		out := object{}
		for name, value := range v {
			out[name] = resolve(t, value, document, env)
		}
		return out
	case []any:
		out := []any{}
		for _, value := range v {
			out = append(out, resolve(t, value, document, env))
		}
		return out
	case string:
		return expression.ReplaceAllStringFunc(v, func(text string) string {
			var value any
			if found := ofEnv.FindStringSubmatch(text); found != nil {
				set, there := env[found[1]]
				if !there && !strings.Contains(text, ", ") {
					t.Errorf("%s isn't set, and has no default", found[1])
				}
				if !there {
					set = found[2] + env[found[3]]
				}
				return set
			} else if found := ofVars.FindStringSubmatch(text); found != nil {
				value = in(document, "vars", found[1])
			} else if found := ofResource.FindStringSubmatch(text); found != nil {
				value = in(document, "resources", found[1], "props", found[2])
			}
			of, ok := value.(string)
			if !ok {
				t.Errorf("%s isn't a string", text)
			}
			return resolve(t, of, document, env).(string)
		})
	}
	return part
}

// serverlessDevs returns the path of Serverless Devs, as npm installs it.
func serverlessDevs(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "node_modules/.bin/s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		testkit.NoPackages(t)
	}
	return path
}

// preview returns s.yaml as Serverless Devs itself reads it.
func preview(t *testing.T, env map[string]string) (resources any, failed string) {
	t.Helper()
	path := serverlessDevs(t)
	file, err := filepath.Abs(serverless)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	// It looks for a newer version of itself once a day. This file tells it that it has just done so.
	notes := filepath.Join(home, ".s", "config", "update-notifier.json")
	if err := os.MkdirAll(filepath.Dir(notes), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(notes, []byte(`{"lastUpdateCheck":4102444800000}`), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, "preview", "-t", file, "-o", "json")
	command.Dir = home
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "NO_COLOR=1"}
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return nil, string(out)
	}
	var document object
	// It prints a warning first when it is run as root.
	begin := bytes.Index(append([]byte("\n"), out...), []byte("\n{"))
	if begin < 0 || json.Unmarshal(out[begin:], &document) != nil {
		t.Fatalf("s preview shows no JSON: %s", out)
	}
	return document["resources"], ""
}

func TestServerlessDevsReadsWhatTheTestsRead(t *testing.T) {
	env := fcSettings(t)
	env["BINDERY_INSTANCES"] = `{"acme":[{"type":"enterprise","region":"a","id":"<1>","name":"b&c"}]}`
	got, failed := preview(t, env)
	if failed != "" {
		t.Fatal(failed)
	}
	text, err := json.Marshal(readServerless(t, document(t, "s.yaml"), env)["resources"])
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, resource := range want.(object) {
		if shown := in(got, name); !reflect.DeepEqual(shown, resource) {
			t.Errorf("%s is shown as %v, want %v", name, shown, resource)
		}
	}
	if len(got.(object)) != len(want.(object)) {
		t.Errorf("it shows %d resources, want %d", len(got.(object)), len(want.(object)))
	}
}

func TestServerlessDevsNamesAMissingSetting(t *testing.T) {
	env := fcSettings(t)
	delete(env, "BINDERY_KMS_KEY")
	if _, failed := preview(t, env); !strings.Contains(failed, "BINDERY_KMS_KEY") {
		t.Errorf("without a setting it says %q", failed)
	}
}

// strict makes every object of a schema refuse properties that it doesn't list. The vendor's
// schema refuses none.
func strict(schema any) {
	switch v := schema.(type) {
	case object:
		_, listed := v["properties"].(object)
		if _, said := v["additionalProperties"]; listed && !said {
			v["additionalProperties"] = false
		}
		for name, part := range v {
			// These extend the object around them.
			if !slices.Contains([]string{"if", "then", "else"}, name) {
				strict(part)
			}
		}
	case []any:
		for _, part := range v {
			strict(part)
		}
	}
}

// vendorSchema compiles a schema of the vendor, made strict, or a definition in it.
func vendorSchema(t *testing.T, name, definition string) *jsonschema.Schema {
	t.Helper()
	folder := os.Getenv("SCHEMAS")
	if folder == "" {
		testkit.Missing(t, "schema of Serverless Devs", "make test SCHEMAS=their folder")
	}
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	strict(schema)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("file:///"+name, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("file:///" + name + definition)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validate checks a part of the deployment against a schema.
func validate(t *testing.T, schema *jsonschema.Schema, part any) error {
	t.Helper()
	text, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestTheDeploymentFitsTheVendorsSchema(t *testing.T) {
	fc3 := vendorSchema(t, "fc3.schema.json", "")
	domain := vendorSchema(t, "fc3-domain.schema.json", "")
	triggers := map[any]*jsonschema.Schema{
		"http":  vendorSchema(t, "fc3.schema.json", "#/definitions/IHttpTriggerConfig"),
		"timer": vendorSchema(t, "fc3.schema.json", "#/definitions/ITimerTriggerConfig"),
	}
	seen := 0
	for name, resource := range readDeployment(t)["resources"].(object) {
		schema := map[any]*jsonschema.Schema{"fc3": fc3, "fc3-domain": domain}[in(resource, "component")]
		if schema == nil {
			t.Errorf("%s is by the component %v", name, in(resource, "component"))
			continue
		}
		props := in(resource, "props").(object)
		if err := validate(t, schema, props); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The schema accepts anything as one of its many kinds of trigger.
		list, _ := props["triggers"].([]any)
		for _, trigger := range list {
			seen++
			if err := validate(t, triggers[in(trigger, "triggerType")],
				in(trigger, "triggerConfig")); err != nil {
				t.Errorf("%s: a trigger: %v", name, err)
			}
		}
		wrong := maps.Clone(props)
		wrong["timeoot"] = 1
		if validate(t, schema, wrong) == nil {
			t.Errorf("%s: a property that is misspelt passes: the schema checks nothing", name)
		}
	}
	if seen < 5 {
		t.Errorf("only %d triggers were seen", seen)
	}
	misspelt := object{"authType": "anonymous", "methods": []any{"GET"}, "disableUrlInternet": true}
	if validate(t, triggers["http"], misspelt) == nil {
		t.Error("a trigger's property that is misspelt passes")
	}
}

func TestTheDeploymentInAVPCNeedsOnlyTheCommentedLines(t *testing.T) {
	text := document(t, "s.yaml")
	commented := regexp.MustCompile(`(?m)^    # ((?:vpcConfig:|  \w+: .*"\${env\('FC_\w+'\)}".*)$)`)
	if n := len(commented.FindAllString(text, -1)); n != 4 {
		t.Fatalf("%d lines are there to be uncommented, want 4", n)
	}
	env := fcSettings(t)
	env["FC_VPC"], env["FC_VSWITCH"], env["FC_SECURITY_GROUP"] = "vpc-1", "vsw-1", "sg-1"
	inVPC := readServerless(t, commented.ReplaceAllString(text, "    $1"), env)
	fc3 := vendorSchema(t, "fc3.schema.json", "")
	for name, resource := range inVPC["resources"].(object) {
		if in(resource, "component") != "fc3" {
			continue
		}
		if in(resource, "props", "vpcConfig", "vpcId") != "vpc-1" {
			t.Errorf("%s isn't in the VPC", name)
		}
		if err := validate(t, fc3, in(resource, "props")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
