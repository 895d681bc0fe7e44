package smtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The versions of the script.
var (
	v1 = strings.Repeat("1", 32)
	v2 = strings.Repeat("2", 64)
	v3 = strings.Repeat("3", 36)
)

// Short names for what the tests expect.
const (
	parameter = "InvalidParameterException"
	request   = "InvalidRequestException"
	exists    = "ResourceExistsException"
	missing   = "ResourceNotFoundException"
	limit     = "LimitExceededException"
)

// line is one call and the error that it expects. $1, $2 and $3 are the versions.
type line struct{ operation, body, want string }

// script returns calls about a few secrets that produce every documented error that the fake
// service knows.
func script() []line {
	long := func(n int) string { return strings.Repeat("x", n) }
	stages := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"s%d"`, i))
		}
		return strings.Join(all, ",")
	}
	const create, put, get, del = "CreateSecret", "PutSecretValue", "GetSecretValue", "DeleteSecret"
	const describe, tag, stage = "DescribeSecret", "TagResource", "UpdateSecretVersionStage"
	return []line{
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretString":"one","Description":"d",` +
			`"Tags":[{"Key":"k","Value":"v"}]}`, ""},
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretString":"one"}`, ""},
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretString":"two"}`, exists},
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretBinary":"b25l"}`, exists},
		{create, `{"Name":"a/b","ClientRequestToken":"$2","SecretString":"one"}`, exists},
		{create, `{"Name":"a b","ClientRequestToken":"$1","SecretString":"one"}`, parameter},
		{create, `{"Name":"","ClientRequestToken":"$1","SecretString":"one"}`, parameter},
		{create, `{"Name":"` + long(513) + `","ClientRequestToken":"$1","SecretString":"1"}`, parameter},
		{create, `{"Name":"c","SecretString":"one"}`, request},
		{create, `{"Name":"c","ClientRequestToken":"` + long(31) + `","SecretString":"1"}`, parameter},
		{create, `{"Name":"c","ClientRequestToken":"` + long(65) + `","SecretString":"1"}`, parameter},
		{create, `{"Name":"c","ClientRequestToken":"$1"}`, parameter},
		{
			create, `{"Name":"c","ClientRequestToken":"$1","SecretString":"1","SecretBinary":""}`,
			parameter,
		},
		{
			create, `{"Name":"c","ClientRequestToken":"$1","SecretString":"` + long(65_537) + `"}`,
			parameter,
		},
		{create, `{"Name":"c","ClientRequestToken":"$1","SecretString":"` + long(65_536) + `"}`, ""},
		{create, `{"Name":"d","ClientRequestToken":"$1","SecretString":"1","KmsKeyId":"k"}`, parameter},
		{
			create, `{"Name":"d","ClientRequestToken":"$1","SecretString":"1","Tags":[{"Key":""}]}`,
			parameter,
		},
		{create, `{"Name":`, "SerializationException"},

		{put, `{"SecretId":"a/b","ClientRequestToken":"$2","SecretBinary":"AP8="}`, ""},
		{put, `{"SecretId":"a/b","ClientRequestToken":"$2","SecretBinary":"AP8="}`, ""},
		{put, `{"SecretId":"a/b","ClientRequestToken":"$2","SecretBinary":"AAA="}`, exists},
		{put, `{"SecretId":"nobody","ClientRequestToken":"$2","SecretString":"1"}`, missing},
		{put, `{"SecretId":"a/b","SecretString":"1"}`, request},
		{put, `{"SecretId":"a/b","ClientRequestToken":"$3"}`, parameter},
		{
			put, `{"SecretId":"a/b","ClientRequestToken":"$3","SecretString":"1","VersionStages":[""]}`,
			parameter,
		},
		{
			put, `{"SecretId":"a/b","ClientRequestToken":"$3","SecretString":"1","VersionStages":[` +
				stages(21) + `]}`, parameter,
		},
		{
			put, `{"SecretId":"a/b","ClientRequestToken":"$3","SecretString":"1","VersionStages":[` +
				stages(19) + `]}`, limit,
		},
		{
			put, `{"SecretId":"a/b","ClientRequestToken":"$3","SecretString":"1","VersionStages":[` +
				stages(18) + `]}`, "",
		},

		{get, `{"SecretId":"a/b"}`, ""},
		{get, `{"SecretId":"a/b","VersionId":"$1"}`, ""},
		{get, `{"SecretId":"a/b","VersionId":"$3","VersionStage":"s7"}`, ""},
		{get, `{"SecretId":"a/b","VersionId":"$2","VersionStage":"s7"}`, request},
		{get, `{"SecretId":"a/b","VersionId":"` + long(40) + `"}`, missing},
		{get, `{"SecretId":"a/b","VersionId":"1"}`, parameter},
		{get, `{"SecretId":"a/b","VersionStage":"other"}`, missing},
		{get, `{"SecretId":"nobody"}`, missing},
		{get, `{"SecretId":""}`, parameter},
		{get, `{"SecretId":"` + long(2049) + `"}`, parameter},

		{describe, `{"SecretId":"a/b"}`, ""},
		{describe, `{"SecretId":"nobody"}`, missing},
		{"ListSecrets", `{}`, ""},
		{"ListSecrets", `{"MaxResults":1}`, ""},
		{"ListSecrets", `{"MaxResults":0}`, parameter},
		{"ListSecrets", `{"MaxResults":101}`, parameter},
		{"ListSecrets", `{"NextToken":"%"}`, "InvalidNextTokenException"},
		{"ListSecrets", `{"Filters":[{"Key":"name","Values":["a/"]}]}`, ""},
		{"ListSecrets", `{"Filters":[{"Key":"all","Values":["a/"]}]}`, parameter},
		{"ListSecretVersionIds", `{"SecretId":"a/b"}`, ""},
		{"ListSecretVersionIds", `{"SecretId":"a/b","IncludeDeprecated":true,"MaxResults":1}`, ""},
		{"ListSecretVersionIds", `{"SecretId":"nobody"}`, missing},
		{"ListSecretVersionIds", `{"SecretId":"a/b","NextToken":"%"}`, "InvalidNextTokenException"},

		{tag, `{"SecretId":"a/b","Tags":[{"Key":"k","Value":"w"},{"Key":"l","Value":""}]}`, ""},
		{tag, `{"SecretId":"a/b","Tags":[{"Key":"` + long(129) + `"}]}`, parameter},
		{
			tag, `{"SecretId":"a/b","Tags":[` + strings.Repeat(`{"Key":"k"},`, 50) + `{"Key":"k"}]}`,
			parameter,
		},
		{tag, `{"SecretId":"nobody","Tags":[]}`, missing},

		{stage, `{"SecretId":"a/b","VersionStage":"AWSCURRENT","MoveToVersionId":"$3"}`, parameter},
		{stage, `{"SecretId":"a/b","VersionStage":"AWSCURRENT","RemoveFromVersionId":"$2"}`, parameter},
		{
			stage, `{"SecretId":"a/b","VersionStage":"AWSCURRENT","RemoveFromVersionId":"$2",` +
				`"MoveToVersionId":"$3"}`, "",
		},
		{stage, `{"SecretId":"a/b","VersionStage":"more","MoveToVersionId":"$3"}`, limit},
		{stage, `{"SecretId":"a/b","VersionStage":"s7","RemoveFromVersionId":"$3"}`, ""},
		{stage, `{"SecretId":"a/b","VersionStage":"s7","RemoveFromVersionId":"$3"}`, parameter},
		{stage, `{"SecretId":"a/b","VersionStage":"s7","MoveToVersionId":"` + long(40) + `"}`, missing},
		{stage, `{"SecretId":"a/b","VersionStage":"s8"}`, parameter},
		{stage, `{"SecretId":"a/b","VersionStage":" "}`, parameter},
		{stage, `{"SecretId":"nobody","VersionStage":"s8"}`, missing},

		{del, `{"SecretId":"a/b","RecoveryWindowInDays":6}`, parameter},
		{del, `{"SecretId":"a/b","RecoveryWindowInDays":31}`, parameter},
		{del, `{"SecretId":"a/b","RecoveryWindowInDays":7,"ForceDeleteWithoutRecovery":true}`, parameter},
		{del, `{"SecretId":"nobody"}`, missing},
		{del, `{"SecretId":"nobody","ForceDeleteWithoutRecovery":true}`, ""},
		{del, `{"SecretId":"a/b","RecoveryWindowInDays":7}`, ""},
		{del, `{"SecretId":"a/b"}`, request},
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretString":"one"}`, request},
		{put, `{"SecretId":"a/b","ClientRequestToken":"$2","SecretBinary":"AP8="}`, request},
		{get, `{"SecretId":"a/b","VersionId":"$1"}`, request},
		{tag, `{"SecretId":"a/b","Tags":[]}`, request},
		{stage, `{"SecretId":"a/b","VersionStage":"s8","RemoveFromVersionId":"$3"}`, request},
		{describe, `{"SecretId":"a/b"}`, ""},
		{"ListSecrets", `{}`, ""},
		{"ListSecrets", `{"IncludePlannedDeletion":true}`, ""},
		{del, `{"SecretId":"a/b","ForceDeleteWithoutRecovery":true}`, ""},
		{get, `{"SecretId":"a/b","VersionId":"$1"}`, missing},
		{create, `{"Name":"a/b","ClientRequestToken":"$1","SecretString":"again"}`, ""},
	}
}

// runScript makes the script's calls.
func (w *fixture) runScript(t *testing.T) {
	t.Helper()
	versions := strings.NewReplacer("$1", v1, "$2", v2, "$3", v3)
	for _, l := range script() {
		w.ask(t, l.operation, versions.Replace(l.body), l.want)
		w.clock.Advance(time.Minute)
	}
}

func TestEveryDocumentedErrorOccurs(t *testing.T) { newFixture(t).runScript(t) }

func TestLabelsMoveAsDocumented(t *testing.T) {
	w := newFixture(t)
	stagesOf := func(version string) string {
		t.Helper()
		got := w.ask(t, "DescribeSecret", `{"SecretId":"s"}`, "")["VersionIdsToStages"]
		return fmt.Sprint(got.(map[string]any)[version])
	}
	put := func(version, more string) {
		t.Helper()
		w.ask(t, "PutSecretValue", `{"SecretId":"s","ClientRequestToken":"`+version+
			`","SecretString":"`+version+`"`+more+`}`, "")
	}
	w.ask(t, "CreateSecret",
		`{"Name":"s","ClientRequestToken":"`+v1+`","SecretString":"`+v1+`"}`, "")
	if got := stagesOf(v1); got != "[AWSCURRENT]" {
		t.Errorf("the first version is %s", got)
	}
	put(v2, "")
	if one, two := stagesOf(v1), stagesOf(v2); one != "[AWSPREVIOUS]" || two != "[AWSCURRENT]" {
		t.Errorf("after a put the versions are %s and %s", one, two)
	}
	put(v3, `,"VersionStages":["mine"]`)
	if two, three := stagesOf(v2), stagesOf(v3); two != "[AWSCURRENT]" || three != "[mine]" {
		t.Errorf("after a put with a label of its own the versions are %s and %s", two, three)
	}
	put(v1, "") // exists already, so nothing happens
	if one := stagesOf(v1); one != "[AWSPREVIOUS]" {
		t.Errorf("after the same put again the first is %s", one)
	}
	w.ask(t, "UpdateSecretVersionStage", `{"SecretId":"s","VersionStage":"AWSCURRENT",`+
		`"RemoveFromVersionId":"`+v2+`","MoveToVersionId":"`+v3+`"}`, "")
	if one, two, three := stagesOf(v1), stagesOf(v2), stagesOf(v3); one != "<nil>" ||
		two != "[AWSPREVIOUS]" || three != "[AWSCURRENT mine]" {
		t.Errorf("after the move the versions are %s, %s and %s", one, two, three)
	}
}

func TestListsContinueWhereThePageEnded(t *testing.T) {
	w := newFixture(t)
	for i := range 5 {
		w.ask(t, "CreateSecret", fmt.Sprintf(
			`{"Name":"s%d","ClientRequestToken":"%s","SecretString":"1"}`, i, v1), "")
		w.ask(t, "PutSecretValue", fmt.Sprintf(
			`{"SecretId":"s0","ClientRequestToken":"%032d","SecretString":"1"}`, i), "")
	}
	follow := func(operation, body, list string) (pages, entries int) {
		next := ""
		for {
			got := w.ask(t, operation, fmt.Sprintf(body, next), "")
			pages, entries = pages+1, entries+len(got[list].([]any))
			token, more := got["NextToken"].(string)
			if !more {
				return pages, entries
			}
			next = token
		}
	}
	pages, entries := follow("ListSecrets", `{"MaxResults":2,"NextToken":%q}`, "SecretList")
	if pages != 3 || entries != 5 {
		t.Errorf("listed %d secrets in %d pages, want 5 in 3", entries, pages)
	}
	pages, entries = follow("ListSecretVersionIds",
		`{"SecretId":"s0","IncludeDeprecated":true,"MaxResults":4,"NextToken":%q}`, "Versions")
	if pages != 2 || entries != 6 {
		t.Errorf("listed %d versions in %d pages, want 6 in 2", entries, pages)
	}
}

func TestOldVersionsWithoutALabelAreRemoved(t *testing.T) {
	w := newFixture(t)
	put := func(i int, want string) {
		t.Helper()
		w.ask(t, "PutSecretValue", fmt.Sprintf(
			`{"SecretId":"s","ClientRequestToken":"%032d","SecretString":"1"}`, i), want)
	}
	held := func() int {
		t.Helper()
		got := w.ask(t, "ListSecretVersionIds", `{"SecretId":"s","IncludeDeprecated":true}`, "")
		more := 0
		if token, there := got["NextToken"].(string); there {
			rest := w.ask(t, "ListSecretVersionIds",
				`{"SecretId":"s","IncludeDeprecated":true,"NextToken":"`+token+`"}`, "")
			more = len(rest["Versions"].([]any))
		}
		return len(got["Versions"].([]any)) + more
	}
	w.ask(t, "CreateSecret", `{"Name":"s","ClientRequestToken":"`+v1+`","SecretString":"1"}`, "")
	for i := range 149 {
		put(i, "")
	}
	put(149, limit)
	if got := held(); got != 150 {
		t.Errorf("%d versions in a day are kept, want 150", got)
	}
	w.clock.Advance(25 * time.Hour)
	put(149, "")
	if got := held(); got != 100 {
		t.Errorf("a day later there are %d versions, want 100", got)
	}
	w.ask(t, "GetSecretValue", `{"SecretId":"s","VersionStage":"AWSPREVIOUS"}`, "")
	w.ask(t, "GetSecretValue", `{"SecretId":"s","VersionId":"`+v1+`"}`, missing)
}
