package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/vault/awskms/awskmstest"
	"bindery/shared/vault/secretsmanager/smtest"
)

// The names in the deployment on AWS.
const (
	tableName    = "bindery"
	secretPrefix = "bindery/tokens/"
	appsName     = "bindery/oauth-apps"
	wrappingKey  = "key-1"
	admin        = "admin" // the test's own access key, with every right
)

// The services, as X-Amz-Target names them.
const (
	tableService = "DynamoDB_20120810"
	vaultService = "secretsmanager"
	keyService   = "TrentService"
)

// awsCloud is what the functions use of AWS: DynamoDB's protocol by dynoxide, and a fake Secrets
// Manager. A gate before both gives each function the rights of its role in template.yaml and no
// others. The access key's id is the function's folder.
type awsCloud struct {
	callCounter

	url     string
	secrets *smtest.Service
	keys    *awskmstest.Service

	rights map[string][]right

	mu      sync.Mutex // guards what follows
	refused []string
	used    map[string]map[right]bool // by function
	links   map[string]*link          // what tests can cut, by session token and service
}

// startCloud starts the services. What they issue is noted.
func startCloud(t *testing.T, rights map[string][]right, issued *issuedSecrets) *awsCloud {
	t.Helper()
	target, err := url.Parse(dynamotest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &awsCloud{
		secrets: smtest.New(smtest.Options{}), keys: awskmstest.New(wrappingKey), rights: rights,
		used: map[string]map[right]bool{}, links: map[string]*link{},
	}
	rows := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0), // tests end connections on purpose
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		request := awsRequest{}
		_ = json.Unmarshal(body, &request)
		if !c.allowed(r, request) {
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","Message":"not allowed"}`)
			return
		}
		service, _, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if service != keyService { // which is called for a data key that isn't in memory
			ofVault := service == vaultService || request.TableName == sealedTableName
			c.count(callerOf(r), !ofVault)
		}
		store := http.Handler(rows)
		switch service {
		case vaultService:
			store = c.secrets
		case keyService:
			store = issued.note(c.keys)
		}
		if l := c.link(r.Header.Get("X-Amz-Security-Token"), service); l != nil {
			l.forward(w, r, store)
			return
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *awsCloud) secretNames() []string { return c.secrets.Names() }

func (c *awsCloud) ageSecrets(by time.Duration) { c.secrets.Age(by) }

func (c *awsCloud) deniedCalls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}

// awsUnusedRights are the rights that bindToUnbind doesn't use, and what needs them.
var awsUnusedRights = map[string]string{
	"expirycheck sqs:SendMessage":                     "Lambda itself, for events that fail",
	"expirycheck dynamodb:Query 7:history*":           "reading events for the webhook",
	"expirycheck dynamodb:Query 6:holder*":            "finding who holds a token",
	"tokenbind dynamodb:Query 6:holder*":              "the same",
	"expirycheck dynamodb:DeleteItem 6:holder*":       "deleting an outdated entry of that index",
	"tokenbind dynamodb:DeleteItem 6:holder*":         "the same",
	"oauthcallback dynamodb:DeleteItem 6:holder*":     "the same",
	"unbind dynamodb:DeleteItem 6:holder*":            "the same",
	"oauthcallback dynamodb:GetItem 7:binding*":       "counting the tokens of a user of GitHub",
	"unbind dynamodb:BatchWriteItem 7:history*":       "draining a record that has eight events",
	"credential dynamodb:BatchWriteItem 7:history*":   "the same",
	"oauthconfirm dynamodb:BatchWriteItem 7:history*": "the same",
	"repository dynamodb:BatchWriteItem 7:history*":   "the same",
	"subscription dynamodb:BatchWriteItem 7:history*": "the same",
	"delivery dynamodb:BatchWriteItem 7:history*":     "the same",
	"subscription dynamodb:PutItem 7:binding*":        "refreshing a token",
	"delivery dynamodb:PutItem 7:binding*":            "the same",
	"subscription secretsmanager:PutSecretValue":      "the same",
	"delivery secretsmanager:PutSecretValue":          "the same",
	"subscription secretsmanager:GetSecretValue apps": "the same",
	"delivery secretsmanager:GetSecretValue apps":     "the same",
	"subscription dynamodb:BatchWriteItem 6:source*":  "replaying in a full row",
	"delivery dynamodb:BatchWriteItem 6:source*":      "storing in a full row",
	"delivery dynamodb:GetItem 5:heads*":              "the head of a ref that the row doesn't have",
	"unbind secretsmanager:PutSecretValue":            "refreshing a token to remove webhooks with",
	"expirycheck secretsmanager:CreateSecret":         "making a webhook after a crash",
	"expirycheck secretsmanager:TagResource":          "the same",
	"tokenbind kms:Decrypt":                           "reading what another process has sealed",
	"unbind dynamodb:PutItem sealed":                  "refreshing a token",
	"unbind kms:GenerateDataKey":                      "the same",
	"delivery dynamodb:PutItem sealed":                "the same",
	"delivery kms:GenerateDataKey":                    "the same",
}

func (c *awsCloud) unusedRights() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for folder, rights := range c.rights {
		for _, r := range rights {
			name := folder + " " + r.action
			if _, rows, ofKind := strings.Cut(r.on, " "); ofKind {
				name += " " + rows
			}
			switch r.on {
			case apps:
				name += " apps"
			case sealedTokens:
				name += " sealed"
			}
			if !c.used[folder][r] && awsUnusedRights[name] == "" {
				all = append(all, name+" on "+r.on)
			}
		}
	}
	return all
}

var keyID = regexp.MustCompile(`Credential=([^/]+)/`)

// callerOf returns the id of the access key that signed a request.
func callerOf(r *http.Request) string {
	if found := keyID.FindStringSubmatch(r.Header.Get("Authorization")); found != nil {
		return found[1]
	}
	return ""
}

// allowed reports whether the caller's role allows the request, and records a denied one.
func (c *awsCloud) allowed(r *http.Request, in awsRequest) bool {
	who := callerOf(r)
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service == keyService {
		service = "kms"
	}
	service, _, _ = strings.Cut(strings.ToLower(service), "_")
	on := "?"
	switch secret := in.SecretId + in.Name; {
	case in.IndexName != "":
		on = "table/${TableName}/index/" + in.IndexName
	case in.TableName == tableName || in.RequestItems[tableName] != nil:
		on = ofTable
	case in.TableName == sealedTableName:
		on = sealedTokens
	case in.KeyId == awskmstest.ARN(wrappingKey):
		on = wrappingKeys
	case strings.HasPrefix(secret, secretPrefix):
		on = tokens
	case secret == appsName:
		on = apps
	case name == "ListSecrets":
		on = allSecrets
	}
	needed := []right{{service + ":" + name, on}}
	if on == ofTable && name != "Scan" {
		needed = nil
		for _, key := range in.leadingKeys() {
			needed = append(needed, right{service + ":" + name, on + " " + key})
		}
	}
	if len(in.Tags) > 0 {
		needed = append(needed, right{service + ":TagResource", on})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used[who] == nil {
		c.used[who] = map[right]bool{}
	}
	for _, need := range needed {
		i := slices.IndexFunc(c.rights[who], func(r right) bool { return r.allows(need) })
		if i >= 0 {
			c.used[who][c.rights[who][i]] = true
		} else if who != admin {
			c.refused = append(c.refused, fmt.Sprintf("%s: %s on %s", who, need.action, need.on))
			return false
		}
	}
	return len(needed) > 0
}

// allows reports whether a right is the one that a call needs. What a right is on may end with a
// wildcard for the rows. Without rows it is on all of them.
func (r right) allows(need right) bool {
	rows, pattern := strings.CutSuffix(r.on, "*")
	return r.action == need.action &&
		(r.on == need.on || strings.HasPrefix(need.on, r.on+" ") ||
			strings.Contains(r.on, " ") && pattern && strings.HasPrefix(need.on, rows))
}

// awsRequest is what a call says about what it is on.
type awsRequest struct {
	tableRequest
	IndexName, SecretId, Name, KeyId string
	Tags                             []json.RawMessage
}

// tableRequest is what the calls to DynamoDB that Bindery makes say about the rows.
type tableRequest struct {
	TableName                 string
	Key, Item                 keyed
	ExpressionAttributeValues map[string]struct{ S string }
	RequestItems              map[string][]struct {
		PutRequest struct{ Item keyed }
	}
}

// keyed is an item, or the key of one.
type keyed struct{ PK struct{ S string } }

// leadingKeys returns the partition keys of the rows of a call. A key that isn't found is "", which
// no role allows.
func (r tableRequest) leadingKeys() (all []string) {
	for _, write := range r.RequestItems[tableName] {
		all = append(all, write.PutRequest.Item.PK.S)
	}
	if len(all) > 0 {
		return all
	}
	return []string{r.Key.PK.S + r.Item.PK.S + r.ExpressionAttributeValues[":pk"].S}
}
