package e2e_test

import (
	"fmt"
	"net/http"
	"reflect"
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
	// What the envelope vault uses.
	sealedTokens = "table/${VaultTableName}"
	wrappingKeys = "WrappingKeys"

	// The rows of a kind: a right on them has the condition dynamodb:LeadingKeys.
	ofAuthorizations = ofTable + " 13:authorization*"
	ofBindings       = ofTable + " 7:binding*"
	ofHistory        = ofTable + " 7:history*"
	ofIdentities     = ofTable + " 6:holder*"
	ofSubscriptions  = ofTable + " 12:subscription*"
	ofSubscribed     = ofTable + " 10:subscribed*"
	ofSource         = ofTable + " 6:source*"
	ofHeads          = ofTable + " 5:heads*"
	ofLeases         = ofTable + " 5:lease*"
)

// right is an action on a resource. A resource of the stack is named by its logical name.
type right struct{ action, on string }

// The conditions in the template for the rights to a vault.
const (
	nativeVault   = "NativeVault"
	envelopeVault = "EnvelopeVault"
)

// rightsOf returns what a function's role may do under these conditions, apart from writing its own
// log.
func rightsOf(
	t *testing.T, document object, f templateFunction, conditions ...string,
) (all []right) {
	t.Helper()
	attribute, _ := in(f.resource, "Properties", "Role", "Fn::GetAtt").([]any)
	if len(attribute) == 0 {
		t.Fatalf("%s has no role of its own", f.folder)
	}
	role := in(document, "Resources", attribute[0].(string), "Properties")
	for _, policy := range in(role, "Policies").([]any) {
		for _, s := range in(policy, "PolicyDocument", "Statement").([]any) {
			if choice, is := in(s, "Fn::If").([]any); is {
				if s = choice[1]; !slices.Contains(conditions, choice[0].(string)) {
					s = choice[2]
				}
				if in(s, "Ref") == "AWS::NoValue" {
					continue
				}
			}
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
	if reflect.DeepEqual(resource, object{"Fn::If": []any{
		"OwnKey", object{"Fn::GetAtt": []any{"WrappingKey", "Arn"}}, object{"Ref": "WrappingKeys"},
	}}) {
		return wrappingKeys
	}
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
			ofLeases:          "DeleteItem GetItem PutItem",
			tokens:            "CreateSecret DeleteSecret GetSecretValue PutSecretValue TagResource",
			apps:              "GetSecretValue",
			allSecrets:        "ListSecrets",
			"DeadLetters.Arn": "sqs:SendMessage",
		},
	}
	document := readYAML(t, template)
	for _, f := range functionsOf(t, document) {
		got := map[string][]string{}
		for _, r := range rightsOf(t, document, f, nativeVault) {
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

// The envelope vault makes a call to the table for each call to Secrets Manager, and uses the key.
func TestD6_TheEnvelopeVaultsRightsAreThoseToSecrets(t *testing.T) {
	same := map[right][]right{
		{"secretsmanager:GetSecretValue", tokens}: {
			{"dynamodb:GetItem", sealedTokens}, {"kms:Decrypt", wrappingKeys},
		},
		{"secretsmanager:CreateSecret", tokens}: {
			{"dynamodb:PutItem", sealedTokens}, {"kms:GenerateDataKey", wrappingKeys},
		},
		{"secretsmanager:PutSecretValue", tokens}: {
			{"dynamodb:PutItem", sealedTokens}, {"kms:GenerateDataKey", wrappingKeys},
		},
		{"secretsmanager:DeleteSecret", tokens}:    {{"dynamodb:DeleteItem", sealedTokens}},
		{"secretsmanager:ListSecrets", allSecrets}: {{"dynamodb:Scan", sealedTokens}},
		{"secretsmanager:TagResource", tokens}:     nil,
	}
	document, replaced := readYAML(t, template), 0
	for _, f := range functionsOf(t, document) {
		native := rightsOf(t, document, f, nativeVault)
		var want []right
		for _, r := range native {
			sealed, is := same[r]
			if is {
				replaced++
			} else {
				sealed = []right{r}
			}
			for _, s := range sealed {
				if !slices.Contains(want, s) {
					want = append(want, s)
				}
			}
		}
		sorted := func(all []right) []string {
			var texts []string
			for _, r := range all {
				texts = append(texts, r.action+" on "+r.on)
			}
			slices.Sort(texts)
			return slices.Compact(texts)
		}
		sealed := rightsOf(t, document, f, envelopeVault)
		if got, want := sorted(sealed), sorted(want); !slices.Equal(got, want) {
			t.Errorf("%s may %q, want %q", f.folder, got, want)
		}
		got := sorted(rightsOf(t, document, f, nativeVault, envelopeVault))
		both := sorted(slices.Concat(native, sealed))
		if !slices.Equal(got, both) {
			t.Errorf("while tokens move %s may %q, want %q", f.folder, got, both)
		}
	}
	if replaced < 20 {
		t.Errorf("only %d rights were compared", replaced)
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
		engine.LeaseKind,
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
	if got := len(cloud.deniedCalls()); got != 16 {
		t.Errorf("%d calls were denied, want 16", got)
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
