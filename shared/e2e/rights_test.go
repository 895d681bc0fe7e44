package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/api"
	"bindery/shared/binding"
	"bindery/shared/table/engine"
)

// The resources that rights are for, as the template names them.
const (
	arn    = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:"
	tokens = "secret:${SecretPrefix}*"
	apps   = "secret:${OAuthApps}-??????" // Secrets Manager adds six characters to an ARN
	// ListSecrets has no narrower resource. It shows names and no value.
	allSecrets = "*"
	ofTable    = "table/${TableName}"
	dueIndex   = "table/${TableName}/index/due"

	// The rows of a kind: a right on them has the condition dynamodb:LeadingKeys.
	ofAuthorizations = ofTable + " 13:authorization*"
	ofBindings       = ofTable + " 7:binding*"
	ofHistory        = ofTable + " 7:history*"
	ofIdentities     = ofTable + " 6:holder*"
	ofSubscriptions  = ofTable + " 12:subscription*"
	ofSubscribed     = ofTable + " 10:subscribed*"
	ofSource         = ofTable + " 6:source*"
	ofHeads          = ofTable + " 5:heads*"
)

// right is an action on a resource. A resource of the stack is named by its logical name.
type right struct{ action, on string }

// rightsOf returns what a function's role may do, apart from writing its own log.
func rightsOf(t *testing.T, document object, f templateFunction) (all []right) {
	t.Helper()
	attribute, _ := in(f.resource, "Properties", "Role", "Fn::GetAtt").([]any)
	if len(attribute) == 0 {
		t.Fatalf("%s has no role of its own", f.folder)
	}
	role := in(document, "Resources", attribute[0].(string), "Properties")
	for _, policy := range in(role, "Policies").([]any) {
		for _, s := range in(policy, "PolicyDocument", "Statement").([]any) {
			if in(s, "Effect") != "Allow" || in(s, "NotAction") != nil || in(s, "NotResource") != nil {
				t.Errorf("%s: a statement that isn't plain: %v", f.folder, s)
			}
			on := resourceOf(in(s, "Resource"))
			if on == f.logical+"Log.Arn" {
				continue
			}
			if condition := in(s, "Condition"); condition != nil {
				on += " " + leadingKey(t, condition)
			}
			actions := texts(in(s, "Action"))
			if len(actions) == 0 {
				t.Errorf("%s: actions aren't named: %v", f.folder, s)
			}
			for _, action := range actions {
				all = append(all, right{action, on})
			}
		}
	}
	return all
}

// leadingKey returns the pattern of the partition keys that a statement is restricted to.
func leadingKey(t *testing.T, condition any) string {
	t.Helper()
	keys := texts(in(condition, "ForAllValues:StringLike", "dynamodb:LeadingKeys"))
	if len(condition.(object)) != 1 || len(keys) != 1 {
		t.Errorf("a condition that isn't read by this test: %v", condition)
		return ""
	}
	return keys[0]
}

func resourceOf(resource any) string {
	if sub, ok := in(resource, "Fn::Sub").(string); ok {
		for _, service := range []string{"dynamodb", "secretsmanager"} {
			if rest, found := strings.CutPrefix(sub, fmt.Sprintf(arn, service)); found {
				return rest
			}
		}
		return sub
	}
	if attribute, ok := in(resource, "Fn::GetAtt").([]any); ok {
		return fmt.Sprint(attribute[0], ".", attribute[1])
	}
	return fmt.Sprint(resource)
}

func TestD6_EachFunctionMayDoItsOwnAndNoMore(t *testing.T) {
	const (
		dynamo = "dynamodb:"
		vault  = "secretsmanager:"
	)
	want := map[string]map[string]string{
		"status":     {ofBindings: "GetItem Query", ofHistory: "Query"},
		"console":    {},
		"oauthstart": {ofAuthorizations: "GetItem PutItem", apps: "GetSecretValue"},
		"tokenbind": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			ofIdentities: "DeleteItem PutItem Query",
			tokens:       "CreateSecret GetSecretValue TagResource",
			ofSubscribed: "Query", ofSubscriptions: "GetItem PutItem",
		},
		"oauthcallback": {
			ofAuthorizations: "GetItem PutItem", ofBindings: "GetItem",
			ofIdentities: "DeleteItem PutItem Query",
			tokens:       "CreateSecret TagResource", apps: "GetSecretValue",
		},
		"oauthconfirm": {
			ofAuthorizations: "GetItem PutItem", ofBindings: "GetItem PutItem",
			ofHistory: "BatchWriteItem", ofIdentities: "DeleteItem PutItem Query",
			tokens: "GetSecretValue", apps: "GetSecretValue",
			ofSubscribed: "Query", ofSubscriptions: "GetItem PutItem",
		},
		"unbind": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			ofIdentities: "DeleteItem Query",
			ofSubscribed: "Query", ofSubscriptions: "GetItem PutItem",
			tokens: "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"subscription": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			ofSubscriptions: "DeleteItem GetItem PutItem",
			ofSubscribed:    "DeleteItem GetItem PutItem Query",
			ofSource:        "BatchWriteItem DeleteItem GetItem Query",
			ofHeads:         "DeleteItem GetItem PutItem",
			tokens:          "CreateSecret DeleteSecret GetSecretValue PutSecretValue TagResource",
			apps:            "GetSecretValue",
		},
		"delivery": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			ofSubscriptions: "GetItem PutItem", ofSource: "BatchWriteItem", ofHeads: "GetItem",
			tokens: "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"credential": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			tokens: "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"repository": {
			ofBindings: "GetItem PutItem", ofHistory: "BatchWriteItem",
			tokens: "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"expirycheck": {
			ofAuthorizations: "DeleteItem GetItem PutItem",
			ofBindings:       "DeleteItem GetItem PutItem", ofHistory: "BatchWriteItem Query",
			ofIdentities: "DeleteItem Query", ofTable: "Scan", dueIndex: "Query",
			ofSubscriptions:   "DeleteItem GetItem PutItem",
			ofSubscribed:      "DeleteItem GetItem Query",
			ofSource:          "BatchWriteItem DeleteItem Query",
			ofHeads:           "DeleteItem GetItem PutItem",
			tokens:            "CreateSecret DeleteSecret GetSecretValue PutSecretValue TagResource",
			apps:              "GetSecretValue",
			allSecrets:        "ListSecrets",
			"DeadLetters.Arn": "sqs:SendMessage",
		},
	}
	document := readYAML(t, template)
	for _, f := range functionsOf(t, document) {
		got := map[string][]string{}
		for _, r := range rightsOf(t, document, f) {
			action := strings.TrimPrefix(strings.TrimPrefix(r.action, dynamo), vault)
			got[r.on] = append(got[r.on], action)
			if strings.Contains(r.action, "*") {
				t.Errorf("%s may %s", f.folder, r.action)
			}
		}
		for on, actions := range got {
			slices.Sort(actions)
			if list := strings.Join(actions, " "); list != want[f.folder][on] {
				t.Errorf("%s may %s on %s, want %q", f.folder, list, on, want[f.folder][on])
			}
		}
		if len(got) != len(want[f.folder]) {
			t.Errorf("%s has rights on %d things, want %d", f.folder, len(got), len(want[f.folder]))
		}
		_, hasApps := variablesOf(document, f)["BINDERY_OAUTH_APPS"]
		if mayRead := want[f.folder][apps] != ""; hasApps != mayRead {
			t.Errorf("%s: has the name of the OAuth apps: %v; may read them: %v",
				f.folder, hasApps, mayRead)
		}
	}
	parameters := in(document, "Parameters")
	prefix, _ := in(parameters, "SecretPrefix", "Default").(string)
	name, _ := in(parameters, "OAuthApps", "Default").(string)
	if prefix == "" || strings.HasPrefix(name, prefix) {
		t.Errorf("a role that may read tokens, %s*, may read the OAuth apps, %s", prefix, name)
	}
}

// TestB15_OnLambdaFunctionsWithoutABearerWriteNoBinding writes to each kind of row with the rights
// of two functions that anyone may call, and reads a forged row with the function of builds.
func TestB15_OnLambdaFunctionsWithoutABearerWriteNoBinding(t *testing.T) {
	t.Parallel()
	d := startLambda(t)
	writer := d.bearer("alice", api.ScopeWrite)
	d.bindByConsent("github", writer)
	d.bindByConsent("gitee", writer)
	key := func(kind string) row {
		return row{
			"pk": &types.AttributeValueMemberS{Value: binding.Join(kind, "one")},
			"sk": &types.AttributeValueMemberS{Value: engine.OnlyRow},
		}
	}
	kinds := []string{
		engine.AuthorizationKind, engine.BindingKind, engine.HistoryKind, engine.IdentityKind,
		engine.SubscriptionKind, engine.SubscribedKind, engine.SourceKind, engine.HeadsKind,
	}
	cloud := d.host.(*onLambda)
	for who, want := range map[string][]string{
		"oauthstart":    {engine.AuthorizationKind},
		"oauthcallback": {engine.AuthorizationKind, engine.IdentityKind},
	} {
		var wrote []string
		for _, kind := range kinds {
			_, err := d.dynamoDBOf(who).PutItem(t.Context(), &dynamodb.PutItemInput{
				TableName: aws.String(tableName), Item: key(kind),
			})
			if err == nil {
				wrote = append(wrote, kind)
			}
		}
		if !slices.Equal(wrote, want) {
			t.Errorf("%s may write rows of the kinds %q, want %q", who, wrote, want)
		}
	}
	// A batch is refused if one of its rows is of another kind.
	_, err := d.dynamoDBOf("credential").BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{
		RequestItems: map[string][]types.WriteRequest{tableName: {
			{PutRequest: &types.PutRequest{Item: key(engine.HistoryKind)}},
			{PutRequest: &types.PutRequest{Item: key(engine.BindingKind)}},
		}},
	})
	if err == nil {
		t.Error("credential may write a binding's row in a batch")
	}
	if got := len(cloud.deniedCalls()); got != 14 {
		t.Errorf("%d calls were denied, want 14", got)
	}
	cloud.mu.Lock()
	cloud.refused = nil // expected
	cloud.mu.Unlock()

	_, victim := d.bindingRow("github")
	r, record := d.bindingRow("gitee")
	record["token"] = victim["token"]
	d.setRecord(r, record)
	a := d.call(http.MethodPost, d.bindingsPath()+"/gitee/credential",
		d.bearer("alice", api.ScopeCredential), nil)
	if a.status != http.StatusInternalServerError || a.body["code"] != "token_mismatch" {
		t.Errorf("a forged row: %d %v", a.status, a.body)
	}
}
