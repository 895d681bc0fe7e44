package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/awslabs/goformation/v7"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"bindery/shared/awscloud"
	"bindery/shared/config"
	"bindery/shared/table/dynamo"
	"bindery/shared/testkit"
)

const template = root + "/template.yaml"

func TestTheTemplateHasEveryFunctionButTheLaptops(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, f := range folders {
		if f.Name() != "local" && f.Name() != "router" { // AWS's API has routes of its own
			want = append(want, f.Name())
		}
	}
	for _, f := range functionsOf(t, readYAML(t, template)) {
		got = append(got, f.folder)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("it deploys %v, want %v", got, want)
	}
}

// The vendor's schema lists the properties of the resources that SAM adds, and few of the others.
func TestTheTemplatesOwnResourcesHaveOnlyKnownProperties(t *testing.T) {
	parse := func(document object) (int, error) {
		plain := object{}
		for name, r := range in(document, "Resources").(object) {
			kind, _ := in(r, "Type").(string)
			if !strings.HasPrefix(kind, "AWS::Serverless::") {
				plain[name] = r
			}
		}
		text, err := json.Marshal(object{
			"AWSTemplateFormatVersion": "2010-09-09", "Resources": plain,
			"Parameters": document["Parameters"], "Conditions": document["Conditions"],
		})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := goformation.ParseJSON(text)
		if err != nil {
			return 0, err
		}
		return len(parsed.Resources), nil
	}
	document := readYAML(t, template)
	if n, err := parse(document); err != nil || n < 20 {
		t.Errorf("%d resources are read: %v", n, err)
	}
	in(document, "Resources", "Table", "Properties").(object)["PointInTimeRecovery"] = object{}
	if _, err := parse(document); err == nil {
		t.Error("a property that is misspelt passes")
	}
}

func TestTheTemplateFitsTheVendorsSchema(t *testing.T) {
	folder := os.Getenv("SCHEMAS")
	if folder == "" {
		testkit.Missing(t, "schema of AWS SAM", "make test SCHEMAS=its folder")
	}
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(lookAhead)
	schema, err := c.Compile(filepath.Join(folder, "sam.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(document object) error {
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	document := readYAML(t, template)
	if err := check(document); err != nil {
		t.Error(err)
	}
	in(document, "Resources", "Status", "Properties").(object)["Timeoot"] = 1
	if check(document) == nil {
		t.Error("a property that is misspelt passes: the schema checks nothing")
	}
}

// pattern is a regular expression without the schema's one negative look-ahead: Go has none.
type pattern struct {
	*regexp.Regexp
	not string // a match must not begin with this
}

func (p pattern) MatchString(s string) bool {
	return (p.not == "" || !strings.HasPrefix(s, p.not)) && p.Regexp.MatchString(s)
}

func lookAhead(text string) (jsonschema.Regexp, error) {
	p := pattern{}
	if rest, found := strings.CutPrefix(text, "^(?!AWS::Serverless::)"); found {
		p.not, text = "AWS::Serverless::", "^"+rest
	}
	var err error
	p.Regexp, err = regexp.Compile(text)
	return p, err
}

var subPattern = regexp.MustCompile(`\$\{([^!}]+)\}`)

// eachName calls found with every name that the document refers to.
func eachName(document any, found func(name, attribute string, isCondition bool)) {
	switch v := document.(type) {
	case []any:
		for _, item := range v {
			eachName(item, found)
		}
	case object:
		for key, value := range v {
			text, isText := value.(string)
			switch {
			case key == "Ref" && isText:
				found(text, "", false)
			case key == "Condition" && isText:
				found(text, "", true)
			case key == "Fn::If":
				found(value.([]any)[0].(string), "", true)
				eachName(value, found)
			case key == "Fn::GetAtt":
				found(value.([]any)[0].(string), value.([]any)[1].(string), false)
			case key == "Fn::Sub" && isText:
				for _, match := range subPattern.FindAllStringSubmatch(text, -1) {
					name, attribute, _ := strings.Cut(match[1], ".")
					found(name, attribute, false)
				}
			default:
				eachName(value, found)
			}
		}
	}
}

func TestEveryNameInTheTemplateIsDefined(t *testing.T) {
	document := readYAML(t, template)
	used, seen := map[string]bool{}, 0
	eachName(document, func(name, attribute string, isCondition bool) {
		seen++
		used[name] = true
		resource, _, _ := strings.Cut(name, ".") // Api.Stage is the API's own stage
		there := in(document, "Resources", resource) != nil ||
			attribute == "" && in(document, "Parameters", name) != nil ||
			slices.Contains([]string{
				"AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackName",
			}, name)
		if isCondition {
			there = in(document, "Conditions", name) != nil
		}
		if !there {
			t.Errorf("%s %s isn't defined", name, attribute)
		}
	})
	if seen < 100 {
		t.Errorf("only %d names were found", seen)
	}
	for name, p := range in(document, "Parameters").(object) {
		if !used[name] {
			t.Errorf("the parameter %s is used nowhere", name)
		}
		if d, _ := in(p, "Description").(string); d == "" {
			t.Errorf("the parameter %s isn't described", name)
		}
	}
}

// routesOf returns, by route, the function that serves it and whether it needs a bearer.
func routesOf(t *testing.T, document object) map[string]string {
	t.Helper()
	routes := map[string]string{}
	for _, f := range functionsOf(t, document) {
		for _, event := range in(f.resource, "Properties", "Events").(object) {
			if in(event, "Type") != "HttpApi" {
				continue
			}
			method, _ := in(event, "Properties", "Method").(string)
			path, _ := in(event, "Properties", "Path").(string)
			gate := "bearer"
			if in(event, "Properties", "Auth", "Authorizer") == "NONE" {
				gate = "open"
			}
			routes[method+" "+path] = f.folder + " " + gate
		}
	}
	return routes
}

func TestTheTemplateServesTheContract(t *testing.T) {
	document := readYAML(t, template)
	if in(document, "Resources", "Api", "Properties", "Auth", "DefaultAuthorizer") != "Bearer" {
		t.Error("a route without an authorizer is open")
	}
	got := routesOf(t, document)
	contract := readYAML(t, root+"/shared/api/openapi.yaml")
	want := map[string]string{}
	// A ref and a path have slashes, which API Gateway decodes.
	rest := strings.NewReplacer("{ref}", "{ref+}", "{path}", "{path+}")
	for path, methods := range in(contract, "paths").(object) {
		for method, operation := range methods.(object) {
			if !slices.Contains([]string{"get", "put", "post", "delete"}, method) {
				continue
			}
			gate := "bearer"
			if none, set := in(operation, "security").([]any); set && len(none) == 0 {
				gate = "open"
			}
			want[strings.ToUpper(method)+" "+rest.Replace(path)] = gate
		}
	}
	for route, gate := range want {
		if _, has, _ := strings.Cut(got[route], " "); has != gate {
			t.Errorf("%s is %q in the template, want %s", route, got[route], gate)
		}
		delete(got, route)
	}
	delete(got, "GET /{asset+}") // the page's files, which aren't in the contract
	if len(got) != 0 {
		t.Errorf("the template serves more than the contract: %v", got)
	}
	stricter := in(document, "Resources", "Api", "Properties", "RouteSettings").(object)
	for route := range stricter {
		if want[route] == "" {
			t.Errorf("a throttle for %s, which is no route", route)
		}
	}
	if len(stricter) != 2 {
		t.Errorf("%d routes have a stricter throttle, want those that bind", len(stricter))
	}
}

func TestTheTemplateAllowsOnlyTheConsolesOrigin(t *testing.T) {
	cors := in(readYAML(t, template), "Resources", "Api", "Properties", "CorsConfiguration")
	if got := in(cors, "AllowOrigins"); !reflect.DeepEqual(got, []any{object{"Ref": "ConsoleUrl"}}) {
		t.Errorf("it allows %v", got)
	}
	if in(cors, "AllowCredentials") != nil {
		t.Error("it allows cookies")
	}
	// The API answers preflights in the function's place, so the template repeats the headers in the
	// code.
	code := document(t, "shared/api/serve.go")
	for header, list := range map[string]string{
		"Access-Control-Allow-Headers":  "AllowHeaders",
		"Access-Control-Allow-Methods":  "AllowMethods",
		"Access-Control-Expose-Headers": "ExposeHeaders",
	} {
		// The list may be a sum of texts.
		found := regexp.MustCompile(`"` + header + `",\s+"((?:[^"]|"\s*\+\s+")+)"`).
			FindStringSubmatch(code)
		if found != nil {
			found[1] = regexp.MustCompile(`"\s*\+\s+"`).ReplaceAllString(found[1], "")
		}
		if found == nil || found[1] != strings.Join(texts(in(cors, list)), ", ") {
			t.Errorf("%s is %v, and in the code %q", list, in(cors, list), found)
		}
	}
}

func TestD3_TheAccessLogHoldsNoQuery(t *testing.T) {
	settings := in(readYAML(t, template), "Resources", "Api", "Properties", "AccessLogSettings")
	format, _ := in(settings, "Format").(string)
	var line map[string]string
	err := json.Unmarshal([]byte(format), &line)
	if err != nil || in(settings, "DestinationArn") == nil {
		t.Fatalf("there is no access log, or its format isn't JSON: %v", err)
	}
	// None of these can hold a query or a header that a client sends.
	harmless := []string{
		"requestTime", "requestId", "routeKey", "path", "status", "identity.sourceIp",
		"responseLength", "responseLatency",
	}
	for name, value := range line {
		if variable, is := strings.CutPrefix(value, "$context."); !is ||
			!slices.Contains(harmless, variable) {
			t.Errorf("the access log's %s is %s", name, value)
		}
	}
	if line["route"] != "$context.routeKey" || line["path"] != "$context.path" {
		t.Errorf("the access log doesn't say what was called: %v", line)
	}
}

// variablesOf returns a function's variables with the parameters that set them.
func variablesOf(document object, f templateFunction) object {
	all := object{}
	for _, of := range []any{in(document, "Globals", "Function"), in(f.resource, "Properties")} {
		set, _ := in(of, "Environment", "Variables").(object)
		maps.Copy(all, set)
	}
	return all
}

// postsEvents reports whether a function posts to the operator's receiver.
func postsEvents(function string) bool {
	return slices.Contains([]string{"delivery", "expirycheck", "subscription"}, function)
}

// usesVault reports whether a function reads or writes tokens.
func usesVault(function string) bool {
	return !slices.Contains([]string{"router", "console", "status", "oauthstart"}, function)
}

func TestTheTemplateSetsEveryVariable(t *testing.T) {
	document := readYAML(t, template)
	// Variables of the laptop and of the other cloud.
	elsewhere := regexp.MustCompile(
		`^(PORT|BINDERY_(DATA|VAULT_KEY|TABLESTORE_.*|KMS_.*|ACR_.*|FC_.*))$`)
	anywhere := map[string]bool{}
	for _, f := range functionsOf(t, document) {
		variables := variablesOf(document, f)
		for name, value := range variables {
			anywhere[name] = true
			if choice, is := in(value, "Fn::If").([]any); is { // the stack's own, or a parameter's
				value = in(choice[2], "Fn::Join").([]any)[1]
			}
			parameter, _ := in(value, "Ref").(string)
			if in(document, "Parameters", parameter) == nil {
				t.Errorf("%s: %s is %v, want a parameter", f.folder, name, value)
			}
		}
		for _, v := range config.Variables() {
			if v.Required && variables[v.Name] == nil {
				t.Errorf("%s can't start: %s isn't set", f.folder, v.Name)
			}
		}
		_, secret := variables["BINDERY_EVENTS_SECRET"]
		if secret != postsEvents(f.folder) {
			t.Errorf("%s: has the events' secret: %v", f.folder, secret)
		}
		for _, name := range []string{
			"BINDERY_VAULT", "BINDERY_VAULT_TABLE", "BINDERY_WRAPPING_KEYS",
		} {
			if _, told := variables[name]; told != usesVault(f.folder) {
				t.Errorf("%s: has %s: %v", f.folder, name, told)
			}
		}
	}
	for _, v := range config.Variables() {
		if anywhere[v.Name] == elsewhere.MatchString(v.Name) {
			t.Errorf("%s: set is %v", v.Name, anywhere[v.Name])
		}
		delete(anywhere, v.Name)
	}
	if len(anywhere) != 0 {
		t.Errorf("variables that no code reads: %v", anywhere)
	}
	for _, name := range []string{"EgressProxy", "EventsSecret"} {
		if in(document, "Parameters", name, "NoEcho") != true {
			t.Errorf("the parameter %s is shown to everyone who may describe the stack", name)
		}
	}
}

func TestTheTemplatesTableIsTheOneThatTheCodeUses(t *testing.T) {
	var want object
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateTable") {
			_ = json.NewDecoder(r.Body).Decode(&want)
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	env := map[string]string{
		"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
		"AWS_ENDPOINT_URL": server.URL,
	}
	cloud, err := awscloud.Config(awscloud.DynamoDB, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	_ = dynamo.Create(t.Context(), dynamodb.NewFromConfig(cloud), "bindery") // fails on purpose
	resources := in(readYAML(t, template), "Resources")
	got := in(resources, "Table", "Properties")
	for _, part := range []string{
		"KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode",
	} {
		if want[part] == nil || !reflect.DeepEqual(in(got, part), want[part]) {
			t.Errorf("%s is %v, want %v", part, in(got, part), want[part])
		}
	}
	// The table of sealed tokens is the same without the index and its attributes.
	sealed := in(resources, "VaultTable", "Properties")
	for part, same := range map[string]any{
		"KeySchema": want["KeySchema"], "BillingMode": want["BillingMode"],
		"AttributeDefinitions": in(got, "AttributeDefinitions").([]any)[:2],
	} {
		if !reflect.DeepEqual(in(sealed, part), same) {
			t.Errorf("sealed tokens: %s is %v, want %v", part, in(sealed, part), same)
		}
	}
}

func TestWhatTheTemplateStoresInIsNotLost(t *testing.T) {
	resources := in(readYAML(t, template), "Resources")
	for name, properties := range map[string][]string{
		"Table": {
			"SSESpecification SSEEnabled",
			"PointInTimeRecoverySpecification PointInTimeRecoveryEnabled", "DeletionProtectionEnabled",
		},
		"VaultTable": {
			"SSESpecification SSEEnabled",
			"PointInTimeRecoverySpecification PointInTimeRecoveryEnabled", "DeletionProtectionEnabled",
		},
		"WrappingKey": {"EnableKeyRotation"},
	} {
		resource := in(resources, name)
		for _, property := range properties {
			if in(in(resource, "Properties"), strings.Fields(property)...) != true {
				t.Errorf("%s: %s isn't true", name, property)
			}
		}
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if in(resource, policy) != "Retain" {
				t.Errorf("%s: %s is %v, want Retain", name, policy, in(resource, policy))
			}
		}
	}
}
