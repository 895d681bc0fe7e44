package e2e_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const ramFolder = "docs/ram"

// fcResources maps the resources that policies name to short names.
func fcResources() map[string]string {
	const where = ":${FC_REGION}:${FC_ACCOUNT_ID}:"
	const instance = "acs:ots" + where + "instance/${BINDERY_TABLESTORE_INSTANCE}/"
	all := map[string]string{
		instance + "table/${BINDERY_TABLE}":                    "table",
		instance + "table/${BINDERY_TABLE}_due":                "due",
		"acs:kms" + where + "secret/${BINDERY_SECRET_PREFIX}*": "tokens",
		// The resource of CreateSecret and ListSecrets. It gives no right to read a secret.
		"acs:kms" + where + "secret":                       "secrets",
		"acs:kms" + where + "secret/${BINDERY_OAUTH_APPS}": "apps",
		"acs:kms" + where + "key/${BINDERY_KMS_KEY}":       "key",
		// What the envelope vault uses.
		instance + "table/${BINDERY_VAULT_TABLE}":          "sealed",
		"acs:kms" + where + "key/${BINDERY_WRAPPING_KEYS}": "wrapping",
		"*": "registry", // Container Registry takes nothing narrower
		"acs:log" + where + "project/${FC_LOG_PROJECT}/logstore/${FC_LOG_STORE}": "log",
	}
	for _, f := range []string{
		"status", "tokenbind", "unbind", "oauthstart", "oauthconfirm", "credential",
		"repository", "subscription", "expirycheck",
	} {
		function := "acs:fc" + where + "functions/${FC_STACK}-" + f
		all[function], all[function+"/*"] = f, f
	}
	return all
}

// readsCatalogue reports whether a function may list the registry's instances. Every function that
// takes an instance needs to.
func readsCatalogue(function string) bool {
	return !slices.Contains([]string{"router", "console", "oauthcallback", "delivery"}, function)
}

// roleRights returns the actions that a role allows, sorted and without their service, by
// resource.
func roleRights(t *testing.T, name string) map[string]string {
	t.Helper()
	var policy struct {
		Version   string
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	text := document(t, filepath.Join(ramFolder, name+".json"))
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil || policy.Version != "1" {
		t.Fatalf("%s: %v", name, err)
	}
	known, actions := fcResources(), map[string][]string{}
	for _, s := range policy.Statement {
		for _, resource := range s.Resource {
			for _, action := range s.Action {
				_, action, _ = strings.Cut(action, ":")
				if on := known[resource]; !slices.Contains(actions[on], action) {
					actions[on] = append(actions[on], action)
				}
				if s.Effect != "Allow" || known[resource] == "" || strings.Contains(action, "*") {
					t.Errorf("%s: %s %s on %s", name, s.Effect, action, resource)
				}
			}
		}
	}
	all := map[string]string{}
	for on, list := range actions {
		slices.Sort(list)
		all[on] = strings.Join(list, " ")
	}
	return all
}

func TestD6_OnFunctionComputeEachFunctionMayDoItsOwnAndNoMore(t *testing.T) {
	const (
		all  = "BatchWriteRow DeleteRow GetRange GetRow PutRow"
		get  = "GetSecretValue"
		both = "Decrypt GenerateDataKey" // both to write a secret; only the first to read one
	)
	want := map[string]map[string]string{
		"console":    {},
		"status":     {"table": "GetRange GetRow"},
		"oauthstart": {"table": "GetRow PutRow", "apps": get, "key": "Decrypt"},
		"tokenbind": {
			"table": all, "tokens": "CreateSecret GetSecretValue", "secrets": "CreateSecret",
			"key": both,
		},
		// Its caller isn't signed in, so it reads no token. If the reply to CreateSecret is lost, the
		// user starts again.
		"oauthcallback": {
			"table": "DeleteRow GetRange GetRow PutRow", "tokens": "CreateSecret",
			"secrets": "CreateSecret", "apps": get, "key": both,
		},
		"oauthconfirm": {"table": all, "tokens": get, "apps": get, "key": "Decrypt"},
		"unbind": {
			"table": all, "tokens": "GetSecretValue PutSecretValue", "apps": get, "key": both,
		},
		"subscription": {
			"table": all, "tokens": "CreateSecret DeleteSecret GetSecretValue PutSecretValue",
			"secrets": "CreateSecret", "apps": get, "key": both,
		},
		"delivery": {
			"table": "BatchWriteRow GetRow PutRow", "tokens": "GetSecretValue PutSecretValue",
			"apps": get, "key": both,
		},
		"credential": {
			"table": "BatchWriteRow GetRow PutRow", "tokens": "GetSecretValue PutSecretValue",
			"apps": get, "key": both,
		},
		"repository": {
			"table": "BatchWriteRow GetRow PutRow", "tokens": "GetSecretValue PutSecretValue",
			"apps": get, "key": both,
		},
		"expirycheck": {
			"table": all, "due": "GetRange",
			"tokens":  "CreateSecret DeleteSecret GetSecretValue PutSecretValue",
			"secrets": "CreateSecret ListSecrets", "apps": get, "key": both,
		},
		"router": {
			"status": "InvokeFunction", "tokenbind": "InvokeFunction", "unbind": "InvokeFunction",
			"oauthstart": "InvokeFunction", "oauthconfirm": "InvokeFunction",
			"credential": "InvokeFunction", "repository": "InvokeFunction",
			"subscription": "InvokeFunction", "expirycheck": "InvokeFunction",
		},
	}
	deployment := readDeployment(t)
	for name, f := range fcFunctions(t, deployment) {
		want[name]["log"] = "PostLogStoreLogs"
		if got := roleRights(t, name); !maps.Equal(got, want[name]) {
			t.Errorf("%s may %v, want %v", name, got, want[name])
		}
		if role := "acs:ram::1234567890123456:role/bindery-" + name; f["role"] != role {
			t.Errorf("%s has the role %v, want one of its own, %s", name, f["role"], role)
		}
		variables := environmentOf(t, name, f)
		for variable, on := range map[string]string{
			"BINDERY_OAUTH_APPS": "apps", "BINDERY_KMS_KEY": "key",
		} {
			_, told := variables[variable]
			if mayUse := want[name][on] != ""; told != mayUse {
				t.Errorf("%s: has %s: %v; may use it: %v", name, variable, told, mayUse)
			}
		}
	}
	env := fcSettings(t)
	for range 2 { // with the guide's settings, then with the defaults
		f := fcFunctions(t, readServerless(t, document(t, "s.yaml"), env))["unbind"]
		told := environmentOf(t, "unbind", f)
		if strings.HasPrefix(told["BINDERY_OAUTH_APPS"], told["BINDERY_SECRET_PREFIX"]) {
			t.Errorf("a role that may read tokens may read the OAuth apps, %s", told["BINDERY_OAUTH_APPS"])
		}
		delete(env, "BINDERY_OAUTH_APPS")
		delete(env, "BINDERY_SECRET_PREFIX")
	}
}

// sealedPolicies returns the policies for the envelope vault that a function needs: its calls are
// those to KMS, to the table in place of the secrets.
func sealedPolicies(t *testing.T, function string) (all []string) {
	t.Helper()
	native := roleRights(t, function)
	actions := strings.Fields(native["tokens"] + " " + native["secrets"])
	for _, policy := range []struct {
		name  string
		calls []string
	}{
		{"sealed-get", []string{"GetSecretValue"}},
		{"sealed-put", []string{"CreateSecret", "PutSecretValue"}},
		{"sealed-delete", []string{"DeleteSecret"}},
		{"sealed-list", []string{"ListSecrets"}},
	} {
		if slices.ContainsFunc(policy.calls, func(c string) bool {
			return slices.Contains(actions, c)
		}) {
			all = append(all, policy.name)
		}
	}
	return all
}

// sealRights changes the rights of a function's role to those that it needs with the envelope
// vault: of the secrets only the OAuth apps.
func sealRights(t *testing.T, function string, rights map[string]string) {
	t.Helper()
	for _, policy := range sealedPolicies(t, function) {
		for on, actions := range roleRights(t, policy) {
			rights[on] += " " + actions
		}
	}
	for _, on := range []string{"tokens", "secrets", "key"} {
		delete(rights, on)
	}
	if rights["apps"] != "" {
		rights["key"] = "Decrypt"
	}
}

func TestD6_OnFunctionComputeTheEnvelopeVaultsPoliciesAllowOneKindOfCall(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"sealed-get":    {"sealed": "GetRow", "wrapping": "Decrypt"},
		"sealed-put":    {"sealed": "PutRow", "wrapping": "GenerateDataKey"},
		"sealed-delete": {"sealed": "DeleteRow"},
		"sealed-list":   {"sealed": "GetRange"},
	} {
		if got := roleRights(t, name); !maps.Equal(got, want) {
			t.Errorf("%s allows %v, want %v", name, got, want)
		}
	}
	for name, f := range fcFunctions(t, readDeployment(t)) {
		variables := environmentOf(t, name, f)
		for _, variable := range []string{
			"BINDERY_VAULT", "BINDERY_VAULT_TABLE", "BINDERY_WRAPPING_KEYS",
		} {
			_, told := variables[variable]
			if told != usesVault(name) || told != (sealedPolicies(t, name) != nil) {
				t.Errorf("%s: has %s: %v", name, variable, told)
			}
		}
	}
}

// Both tables make the same calls for the same purpose, and bindToUnbind on Lambda needs each
// right of template.yaml.
func TestD6_OnFunctionComputeTheTablesRightsAreThoseOnAWS(t *testing.T) {
	same := map[string]string{
		"GetItem": "GetRow", "PutItem": "PutRow", "DeleteItem": "DeleteRow", "Query": "GetRange",
		"BatchWriteItem": "BatchWriteRow", "Scan": "GetRange",
	}
	on := map[string]string{ofTable: "table", dueIndex: "due"}
	aws, seen := readYAML(t, template), 0
	for _, f := range functionsOf(t, aws) {
		want := map[string][]string{}
		for _, r := range rightsOf(t, aws, f, nativeVault) {
			call := same[strings.TrimPrefix(r.action, "dynamodb:")]
			rows, _, _ := strings.Cut(r.on, " ") // Tablestore has no rights on kinds of rows
			if to := on[rows]; to != "" && !slices.Contains(want[to], call) {
				want[to] = append(want[to], call)
			}
		}
		got := roleRights(t, f.folder)
		for _, to := range []string{"table", "due"} {
			seen += len(want[to])
			slices.Sort(want[to])
			if list := strings.Join(want[to], " "); got[to] != list {
				t.Errorf("%s may %q on the %s, and on AWS %q", f.folder, got[to], to, list)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d rights were compared", seen)
	}
}

// Runs the commands of the guide unchanged, with a fake aliyun.
func TestTheGuidesCommandsMakeEachRoleWithItsPolicy(t *testing.T) {
	folder := t.TempDir()
	told := filepath.Join(folder, "told")
	stub := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\037' \"$a\"; done >>" + told +
		"\nprintf '\\036' >>" + told + "\n"
	if err := os.WriteFile(filepath.Join(folder, "aliyun"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n"
	for _, f := range codeBlocks(document(t, fcGuide)) {
		if f.language == "sh" {
			script += f.body
		}
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", script)
	shell.Dir = root
	shell.Env = []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
	for name, value := range fcSettings(t) {
		shell.Env = append(shell.Env, name+"="+value)
	}
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	roles, policies, attached := map[string]bool{}, map[string]bool{}, map[string]bool{}
	placeholder := regexp.MustCompile(`\$\{?\w`)
	for call := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x1e"), "\x1e") {
		words := strings.Split(strings.TrimSuffix(call, "\x1f"), "\x1f")
		flags := map[string]string{}
		for i := 2; i+1 < len(words); i += 2 {
			flags[words[i]] = words[i+1]
		}
		for _, document := range []string{
			flags["--AssumeRolePolicyDocument"], flags["--PolicyDocument"],
		} {
			if document != "" && (!json.Valid([]byte(document)) || placeholder.MatchString(document)) {
				t.Errorf("%v: %s", words[:2], document)
			}
		}
		switch name := flags["--PolicyName"]; strings.Join(words[:2], " ") {
		case "ram CreateRole":
			roles[flags["--RoleName"]] = flags["--AssumeRolePolicyDocument"] != ""
		case "ram CreatePolicy":
			policies[name] = flags["--PolicyDocument"] != ""
		case "ram AttachPolicyToRole":
			attached[name+" to "+flags["--RoleName"]] = policies[name] && roles[flags["--RoleName"]]
		default:
			t.Errorf("it runs %v", words)
		}
	}
	for name, f := range fcFunctions(t, readDeployment(t)) {
		role := strings.TrimPrefix(f["role"].(string), "acs:ram::1234567890123456:role/")
		if !attached[role+" to "+role] {
			t.Errorf("%s: its role %s isn't made, with its policy", name, role)
		}
		if attached["bindery-acr to "+role] != readsCatalogue(name) {
			t.Errorf("%s may list the registry's instances: %v", name, !readsCatalogue(name))
		}
		var sealed []string
		for _, policy := range []string{"sealed-get", "sealed-put", "sealed-delete", "sealed-list"} {
			if attached["bindery-"+policy+" to "+role] {
				sealed = append(sealed, policy)
			}
		}
		if want := sealedPolicies(t, name); !slices.Equal(sealed, want) {
			t.Errorf("%s has the policies %q for sealed tokens, want %q", name, sealed, want)
		}
	}
}
