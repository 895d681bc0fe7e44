package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The resources that rights are for, as the template names them.
const (
	arn      = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:"
	tokens   = "secret:${SecretPrefix}*"
	apps     = "secret:${OAuthApps}-??????" // Secrets Manager adds six characters to an ARN
	ofTable  = "table/${TableName}"
	dueIndex = "table/${TableName}/index/due"
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
		"status":     {ofTable: "GetItem Query"},
		"console":    {},
		"oauthstart": {ofTable: "GetItem PutItem", apps: "GetSecretValue"},
		"tokenbind": {
			ofTable: "BatchWriteItem DeleteItem GetItem PutItem Query",
			tokens:  "CreateSecret GetSecretValue PutSecretValue TagResource",
		},
		"oauthcallback": {
			ofTable: "DeleteItem GetItem PutItem Query",
			tokens:  "CreateSecret PutSecretValue TagResource",
			apps:    "GetSecretValue",
		},
		"oauthconfirm": {
			ofTable: "BatchWriteItem DeleteItem GetItem PutItem Query",
			tokens:  "GetSecretValue", apps: "GetSecretValue",
		},
		"unbind": {
			ofTable: "BatchWriteItem DeleteItem GetItem PutItem Query",
			tokens:  "GetSecretValue", apps: "GetSecretValue",
		},
		"credential": {
			ofTable: "BatchWriteItem GetItem PutItem",
			tokens:  "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"repository": {
			ofTable: "BatchWriteItem GetItem PutItem",
			tokens:  "GetSecretValue PutSecretValue", apps: "GetSecretValue",
		},
		"expirycheck": {
			ofTable:  "BatchWriteItem DeleteItem GetItem PutItem Query Scan",
			dueIndex: "Query",
			tokens:   "DeleteSecret GetSecretValue PutSecretValue", apps: "GetSecretValue",
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
