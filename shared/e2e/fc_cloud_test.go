package e2e_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/alibabacloud/acs3test"
	"bindery/shared/config"
	"bindery/shared/instance/acrtest"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/trigger/triggertest"
	"bindery/shared/vault/kms/kmstest"
)

// fcCloud is what the functions use of Alibaba Cloud: fake services of Tablestore, KMS and
// Container Registry, and Function Compute's own API. A gate before all of them gives each
// function the rights of its role in docs/ram and no others. The access key's id is the function's
// folder: each function gets its credentials with each invocation.
type fcCloud struct {
	callCounter

	settings map[string]string
	vault    *kmstest.Service
	registry *acrtest.Service
	rights   map[string]map[string]string // by function and resource

	mu         sync.Mutex // guards what follows
	onEachCall func(who string, needs []right)
	refused    []string
	used       map[string]bool // "function action on"
}

// startFCCloud starts the services and puts their addresses into settings. What they issue is
// noted. invoke returns the process of a function that another one invokes.
func startFCCloud(
	t *testing.T, settings map[string]string, folders []string, issued *issuedSecrets,
	invoke func(folder string) *triggertest.Process,
) *fcCloud {
	t.Helper()
	c := &fcCloud{
		settings: settings, used: map[string]bool{},
		vault: kmstest.New(kmstest.Options{
			Instance: settings["BINDERY_KMS_INSTANCE"], EncryptionKey: settings["BINDERY_KMS_KEY"],
		}),
		registry: acrtest.New("", "", ""),
		rights:   map[string]map[string]string{},
	}
	for _, folder := range folders {
		c.rights[folder] = roleRights(t, folder)
		if settings["BINDERY_VAULT"] == config.EnvelopeVault {
			sealRights(t, folder, c.rights[folder])
		}
		if readsCatalogue(folder) {
			maps.Copy(c.rights[folder], roleRights(t, "acr"))
		}
	}
	rows := otstest.New(otstest.Options{Instance: settings["BINDERY_TABLESTORE_INSTANCE"]})
	rows.Know(c.known)
	c.vault.Know(c.known)
	c.vault.AddKey(settings["BINDERY_WRAPPING_KEYS"])
	c.registry.Know(c.known)
	c.serve(t, "BINDERY_TABLESTORE_URL", rows, c.ofTablestore)
	c.serve(t, "BINDERY_KMS_URL", issued.note(c.vault), c.ofKMS)
	c.serve(t, "BINDERY_ACR_URL", c.registry, func(r *http.Request, _ []byte) []right {
		return []right{{r.Header.Get("X-Acs-Action"), "registry"}}
	})
	c.serve(t, "BINDERY_FC_URL", c.invocations(invoke), func(r *http.Request, _ []byte) []right {
		return []right{{r.Header.Get("X-Acs-Action"), invokedBy(r)}}
	})
	return c
}

// credentialsOf returns the credentials that come with a function's invocations.
func credentialsOf(folder string) triggertest.Credentials {
	return triggertest.Credentials{
		ID: folder, Key: "canary-key-" + folder, Token: "canary-token-" + folder,
	}
}

// known returns the credentials of an access key.
func (c *fcCloud) known(id string) (key, token string, ok bool) {
	as := credentialsOf(id)
	return as.Key, as.Token, id == admin || c.rights[id] != nil
}

// serve starts a service behind the gate. needs returns the rights that a request needs.
func (c *fcCloud) serve(
	t *testing.T, variable string, service http.Handler,
	needs func(r *http.Request, body []byte) []right,
) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		who := r.Header.Get("X-Acs-Accesskey-Id") + r.Header.Get("X-Ots-Accesskeyid")
		needed := needs(r, body)
		if meet := c.callHook(); meet != nil {
			meet(who, needed)
		}
		if !c.allowed(who, needed) {
			http.Error(w, `{"Code":"NoPermission"}`, http.StatusForbidden)
			return
		}
		is := func(on string) bool {
			return slices.ContainsFunc(needed, func(r right) bool { return r.on == on })
		}
		switch variable {
		case "BINDERY_TABLESTORE_URL":
			c.count(who, !is("sealed"))
		case "BINDERY_KMS_URL":
			if !is("wrapping") { // which is called for a data key that isn't in memory
				c.count(who, false)
			}
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.settings[variable] = server.URL
}

// onCall sets the function that is called before each call of a service. It may block the call.
func (c *fcCloud) onCall(meet func(who string, needs []right)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEachCall = meet
}

func (c *fcCloud) callHook() func(who string, needs []right) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onEachCall
}

// allowed reports whether the caller's role allows the request, and records a denied one.
func (c *fcCloud) allowed(who string, needed []right) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if who == admin {
		return true
	}
	for _, need := range needed {
		if !slices.Contains(strings.Fields(c.rights[who][need.on]), need.action) {
			c.refused = append(c.refused, fmt.Sprintf("%s: %s on %s", who, need.action, need.on))
			return false
		}
		c.used[who+" "+need.action+" "+need.on] = true
	}
	return len(needed) > 0
}

func (c *fcCloud) ofTablestore(r *http.Request, body []byte) (needed []right) {
	operation := strings.TrimPrefix(r.URL.Path, "/")
	for _, name := range otstest.Named(operation, body) {
		on := map[string]string{
			c.settings["BINDERY_TABLE"]: "table", c.settings["BINDERY_TABLE"] + "_due": "due",
			c.settings["BINDERY_VAULT_TABLE"]: "sealed",
		}[name]
		needed = append(needed, right{operation, on})
	}
	return needed
}

// ofKMS returns the rights that a request to KMS needs. Sealing and opening a secret uses the
// caller's right to the key.
func (c *fcCloud) ofKMS(r *http.Request, body []byte) []right {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	on := "?"
	switch name := form.Get("SecretName"); {
	case strings.HasPrefix(name, c.settings["BINDERY_SECRET_PREFIX"]):
		on = "tokens"
	case name == c.settings["BINDERY_OAUTH_APPS"]:
		on = "apps"
	}
	action := r.Header.Get("X-Acs-Action")
	switch wrapped, _ := base64.StdEncoding.DecodeString(form.Get("CiphertextBlob")); action {
	case "ListSecrets":
		on = "secrets"
	case "GenerateDataKey", "Decrypt":
		key, _, _ := strings.Cut(string(wrapped), ":") // as the fake writes it
		if form.Get("KeyId")+key == c.settings["BINDERY_WRAPPING_KEYS"] {
			on = "wrapping"
		}
	}
	needed := []right{{action, on}}
	switch action {
	case "CreateSecret": // the documentation doesn't say which of the two counts
		needed = append(needed, right{action, "secrets"}, right{"GenerateDataKey", "key"})
	case "PutSecretValue":
		needed = append(needed, right{"GenerateDataKey", "key"})
	case "GetSecretValue":
		needed = append(needed, right{"Decrypt", "key"})
	}
	return needed
}

var invocationPath = regexp.MustCompile(`^/2023-03-30/functions/bindery-(\w+)/invocations$`)

// invokedBy returns the function that a request invokes.
func invokedBy(r *http.Request) string {
	if found := invocationPath.FindStringSubmatch(r.URL.Path); found != nil {
		return found[1]
	}
	return ""
}

// invocations is Function Compute's InvokeFunction, which the router calls.
func (c *fcCloud) invocations(invoke func(folder string) *triggertest.Process) http.Handler {
	gate := acs3test.New("2023-03-30", "", "", "")
	gate.Path = invocationPath
	gate.Know(c.known)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if no := gate.Check(r, event); err != nil || no != nil {
			http.Error(w, `{"Code":"SignatureNotMatch"}`, http.StatusForbidden)
			return
		}
		reply, err := invoke(invokedBy(r)).Invoke(r.Context(), event)
		if err != nil {
			w.Header().Set("X-Fc-Error-Type", "UnhandledInvocationError")
		}
		_, _ = w.Write(reply)
	})
}

func (c *fcCloud) secretNames() []string { return c.vault.Names() }

func (c *fcCloud) ageSecrets(by time.Duration) { c.vault.Age(by) }

func (c *fcCloud) deniedCalls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}

func (c *fcCloud) unusedRights() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for folder, rights := range c.rights {
		for on, actions := range rights {
			for action := range strings.FieldsSeq(actions) {
				use := folder + " " + action + " " + on
				name := use
				if on == "key" && c.settings["BINDERY_VAULT"] == config.EnvelopeVault {
					name += " of the apps"
				}
				// Function Compute itself writes the log.
				if on != "log" && !c.used[use] && fcUnusedRights[name] == "" {
					all = append(all, name)
				}
			}
		}
	}
	return all
}

// fcUnusedRights are the rights that bindToUnbind doesn't use, and what needs them.
var fcUnusedRights = map[string]string{
	"tokenbind GetRange table":             "finding who holds a token before revoking it",
	"tokenbind DeleteRow table":            "deleting an outdated entry of the identity index",
	"oauthcallback DeleteRow table":        "the same",
	"oauthcallback GetSecretValue tokens":  "reading whether a secret was stored",
	"unbind DeleteRow table":               "the same",
	"unbind BatchWriteRow table":           "draining a record that has eight events",
	"credential BatchWriteRow table":       "the same",
	"repository BatchWriteRow table":       "the same",
	"oauthconfirm BatchWriteRow table":     "the same",
	"subscription PutSecretValue tokens":   "refreshing a token",
	"delivery PutSecretValue tokens":       "the same",
	"delivery GenerateDataKey key":         "the same",
	"subscription GetSecretValue apps":     "the same",
	"delivery GetSecretValue apps":         "the same",
	"subscription BatchWriteRow table":     "replaying in a row that many ended events are in",
	"delivery BatchWriteRow table":         "storing in such a row",
	"unbind PutSecretValue tokens":         "refreshing a token to remove webhooks with",
	"unbind GenerateDataKey key":           "the same",
	"expirycheck CreateSecret tokens":      "making a webhook after a crash",
	"expirycheck CreateSecret secrets":     "the same",
	"tokenbind Decrypt wrapping":           "reading what another process has sealed",
	"unbind PutRow sealed":                 "refreshing a token",
	"unbind GenerateDataKey wrapping":      "the same",
	"delivery PutRow sealed":               "the same",
	"delivery GenerateDataKey wrapping":    "the same",
	"delivery Decrypt key of the apps":     "the same",
	"subscription Decrypt key of the apps": "the same",
}
