package smtest_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"bindery/shared/testkit"
)

// model is the part of AWS's description of the service that is used here.
type model struct {
	Operations map[string]struct {
		Input, Output reference
		Errors        []reference
	}
	Shapes map[string]shape
}

type shape struct {
	Type               string
	Members            map[string]reference
	Required           []string
	Member, Key, Value reference
	Min, Max           *int
	Pattern            string
	Exception, Fault   bool
}

type reference struct{ Shape string }

// common are errors that every operation of every service may return and that the model doesn't
// list.
var common = []string{
	"ThrottlingException", "SerializationException", "UnknownOperationException",
	"AccessDeniedException", "MissingAuthenticationTokenException", "IncompleteSignatureException",
}

// awsModel reads the description that AWS's command line includes. Its place differs between
// installations, so the program is asked which files it reads.
func awsModel(t *testing.T) model {
	t.Helper()
	told, _ := commandLine(t, "http://127.0.0.1:9", "--debug", "list-secrets")
	file := regexp.MustCompile(`Loading JSON file: (\S*/secretsmanager/\S*/service-2\.json\S*)`).
		FindStringSubmatch(told)
	if file == nil {
		t.Fatal("the command line doesn't show where its description of the service is")
	}
	f, err := os.Open(file[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(file[1], ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var m model
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// commandLine runs AWS's command line against a service, and returns everything that it prints.
func commandLine(t *testing.T, url string, args ...string) (out string, err error) {
	t.Helper()
	program := testkit.Program(t, "aws")
	all := append([]string{"--endpoint-url", url, "--output", "json", "secretsmanager"}, args...)
	run := exec.CommandContext(t.Context(), program, all...)
	run.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=eu-test-1", "AWS_DEFAULT_REGION=eu-test-1", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent",
		"AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1")
	text, err := run.CombinedOutput()
	return string(text), err
}

// holds returns what is wrong with a value that should have the shape.
func (m model) holds(name, at string, value any) []string {
	s, known := m.Shapes[name]
	if !known {
		return []string{at + ": the description has no shape " + name}
	}
	allowed, length := "", -1
	var wrong []string
	switch v := value.(type) {
	case map[string]any:
		if s.Type == "map" {
			return m.holdsMap(s, at, v)
		}
		allowed, wrong = "structure", m.holdsMembers(s, at, v)
	case []any:
		allowed, length = "list", len(v)
		for i, inner := range v {
			wrong = append(wrong, m.holds(s.Member.Shape, fmt.Sprintf("%s[%d]", at, i), inner)...)
		}
	case string:
		allowed, length = "string blob", utf8.RuneCountInString(v)
		if s.Type == "blob" {
			raw, err := base64.StdEncoding.DecodeString(v)
			if length = len(raw); err != nil {
				wrong = append(wrong, at+" isn't base64")
			}
		}
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			wrong = append(wrong, at+" doesn't match "+s.Pattern)
		}
	case float64:
		allowed = "timestamp integer long"
	case bool:
		allowed = "boolean"
	}
	if !slices.Contains(strings.Fields(allowed), s.Type) {
		wrong = append(wrong, fmt.Sprintf("%s is %T and should be a %s", at, value, s.Type))
	}
	if length >= 0 && (s.Min != nil && length < *s.Min || s.Max != nil && length > *s.Max) {
		wrong = append(wrong, fmt.Sprintf("%s has a length of %d, not as %s has it", at, length, name))
	}
	return wrong
}

func (m model) holdsMap(s shape, at string, value map[string]any) []string {
	var wrong []string
	for key, inner := range value {
		wrong = append(wrong, m.holds(s.Key.Shape, at+" key", key)...)
		wrong = append(wrong, m.holds(s.Value.Shape, at+"."+key, inner)...)
	}
	return wrong
}

func (m model) holdsMembers(s shape, at string, value map[string]any) []string {
	var wrong []string
	for name, inner := range value {
		if member, known := s.Members[name]; known {
			wrong = append(wrong, m.holds(member.Shape, at+"."+name, inner)...)
		} else {
			wrong = append(wrong, at+" should have no member "+name)
		}
	}
	for _, name := range s.Required {
		if _, there := value[name]; !there {
			wrong = append(wrong, at+" is without its member "+name)
		}
	}
	return wrong
}

func TestRepliesAndErrorsAreThoseOfAWSsOwnDescription(t *testing.T) {
	m := awsModel(t)
	w := newFixture(t)
	w.runScript(t)
	seen := map[string]map[string]bool{}
	for _, e := range w.exchanges {
		if seen[e.operation] == nil {
			seen[e.operation] = map[string]bool{}
		}
		seen[e.operation][e.code()] = true
		for _, wrong := range m.wrong(e) {
			t.Errorf("%s: %s", e.operation, wrong)
		}
	}
	for operation, codes := range seen {
		if !codes[""] {
			t.Errorf("no successful reply of %s was checked", operation)
		}
		// The other errors are about encryption, policies and replicas, or are tested as faults.
		for _, want := range []string{parameter, request, exists, missing, "InvalidNextTokenException"} {
			if slices.Contains(m.Operations[operation].Errors, reference{want}) && !codes[want] &&
				!slices.Contains(needless[operation], want) {
				t.Errorf("%s never answered %s", operation, want)
			}
		}
	}
	// These errors are tested as faults, or no script produces them.
	for _, code := range []string{"InternalServiceError", limit} {
		if !m.Shapes[code].Exception || m.Shapes[code].Fault != (code == "InternalServiceError") {
			t.Errorf("the description has no error %s, or with another status", code)
		}
	}
	if len(seen) != 9 {
		t.Errorf("checked %v, want all nine operations", slices.Sorted(maps.Keys(seen)))
	}
}

// needless are errors that an operation documents for features that the fake service doesn't have.
var needless = map[string][]string{
	"CreateSecret":         {missing},   // an encryption key
	"DescribeSecret":       {parameter}, // the SecretId's length, as everywhere
	"ListSecrets":          {request},   // owning services
	"ListSecretVersionIds": {parameter}, // MaxResults, as in ListSecrets
}

// wrong returns what is wrong with an exchange.
func (m model) wrong(e exchange) []string {
	operation := m.Operations[e.operation]
	if e.status == 200 {
		wrong := m.holds(operation.Input.Shape, "request", any(e.request))
		if operation.Output.Shape == "" {
			if e.reply != nil {
				wrong = append(wrong, "there should be no reply")
			}
			return wrong
		}
		return append(wrong, m.holds(operation.Output.Shape, "reply", any(e.reply))...)
	}
	code := e.code()
	if slices.Contains(common, code) {
		return nil
	}
	if !slices.Contains(operation.Errors, reference{code}) {
		return []string{"doesn't document the error " + code}
	}
	delete(e.reply, "__type")
	return m.holds(code, code, any(e.reply))
}

func TestTheCommandLineReadsAndWritesTheOAuthApps(t *testing.T) {
	w := newFixture(t)
	run := func(args ...string) map[string]any {
		t.Helper()
		out, err := commandLine(t, w.url, args...)
		if err != nil {
			t.Fatalf("aws secretsmanager %s: %v: %s", args[0], err, out)
		}
		var reply map[string]any
		if out != "" {
			if err := json.Unmarshal([]byte(out), &reply); err != nil {
				t.Fatalf("aws secretsmanager %s printed %q", args[0], out)
			}
		}
		return reply
	}
	run("create-secret", "--name", "bindery/oauth-apps", "--secret-string", `{"gitee":1}`,
		"--tags", "Key=application,Value=bindery")
	run("put-secret-value", "--secret-id", "bindery/oauth-apps", "--secret-string", `{"gitee":2}`)
	got := run("get-secret-value", "--secret-id", "bindery/oauth-apps")
	if got["SecretString"] != `{"gitee":2}` || fmt.Sprint(got["VersionStages"]) != "[AWSCURRENT]" {
		t.Errorf("get-secret-value got another value or label than the one put")
	}
	got = run("list-secrets", "--page-size", "1", "--filters", "Key=name,Values=bindery/")
	if list, _ := got["SecretList"].([]any); len(list) != 1 {
		t.Errorf("list-secrets shows %d secrets, want 1", len(list))
	} else if tags := list[0].(map[string]any)["Tags"]; fmt.Sprint(tags) !=
		"[map[Key:application Value:bindery]]" {
		t.Errorf("list-secrets shows the tags %v", tags)
	}
	run("delete-secret", "--secret-id", "bindery/oauth-apps", "--force-delete-without-recovery")
	out, err := commandLine(t, w.url, "get-secret-value", "--secret-id", "bindery/oauth-apps")
	if err == nil || !strings.Contains(out, missing) {
		t.Errorf("get-secret-value of a deleted secret printed %q", out)
	}
}
