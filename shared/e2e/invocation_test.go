package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"bindery/shared/alibabacloud"
	"bindery/shared/api"
	"bindery/shared/instance/acrtest"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/testkit"
	"bindery/shared/trigger/triggertest"
)

// registry is what listing instances needs of Alibaba Cloud: the registry's API and the table.
// They accept one set of credentials at a time. Those in the functions' environment have expired.
type registry struct {
	service *acrtest.Service
	rows    *otstest.Service
	env     []string
}

func startRegistry(t *testing.T, issuer string) *registry {
	t.Helper()
	r := &registry{
		service: acrtest.New("", "", ""),
		rows:    otstest.New(otstest.Options{Instance: "mine"}),
	}
	r.service.Set(acrtest.Instance{ID: "cri-1", Name: "prod", Region: "cn-test", Status: "RUNNING"})
	service, rows := httptest.NewServer(r.service), httptest.NewServer(r.rows)
	t.Cleanup(service.Close)
	t.Cleanup(rows.Close)
	variables := map[string]string{
		"FC_REGION": "cn-test", "FC_FUNCTION_NAME": "bindery-test",
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     "old",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "canary-key-old",
		"ALIBABA_CLOUD_SECURITY_TOKEN":    "canary-token-old",
		"BINDERY_PUBLIC_URL":              "https://bindery.example",
		"BINDERY_CONSOLE_URL":             "https://console.example",
		"BINDERY_OIDC_ISSUER":             issuer, "BINDERY_OIDC_JWKS_URL": issuer,
		"BINDERY_OIDC_AUDIENCE": "bindery",
		"BINDERY_INSTANCES":     "acr", "BINDERY_ACR_ACCOUNT": "acme",
		"BINDERY_ACR_URL":             service.URL,
		"BINDERY_TABLE":               "bindery_test",
		"BINDERY_TABLESTORE_INSTANCE": "mine", "BINDERY_TABLESTORE_URL": rows.URL,
		"BINDERY_KMS_INSTANCE": "kst-1", "BINDERY_KMS_KEY": "key-1",
	}
	for name, value := range variables {
		r.env = append(r.env, name+"="+value)
	}
	r.acceptCredentials("old")
	environment, err := alibabacloud.Read(func(name string) string { return variables[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: "mine", Endpoint: rows.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), operator, "bindery_test"); err != nil {
		t.Fatal(err)
	}
	return r
}

// acceptCredentials changes the credentials that the services accept, and returns them.
func (r *registry) acceptCredentials(id string) triggertest.Credentials {
	c := triggertest.Credentials{ID: id, Key: "canary-key-" + id, Token: "canary-token-" + id}
	r.service.SetCredentials(c.ID, c.Key, c.Token)
	r.rows.SetCredentials(c.ID, c.Key, c.Token)
	return c
}

// start starts a function as it is packaged for Function Compute.
func (r *registry) start(t *testing.T, binaries, folder string) *triggertest.Process {
	t.Helper()
	return triggertest.Start(t, triggertest.Options{
		On: triggertest.FunctionCompute(), Binary: filepath.Join(binaries, folder), Env: r.env,
	})
}

func TestFunctionComputeListsTheRegistryWithEachInvocationsCredentials(t *testing.T) {
	binaries := built.functions(t, forAlibaba)
	d := &deployment{t: t, client: http.DefaultClient}
	d.startIssuer()
	r := startRegistry(t, d.issuer.URL)
	status, check := r.start(t, binaries, "status"), r.start(t, binaries, "expirycheck")
	// This process gets no credentials with its invocations, so it has only those of its environment.
	without := r.start(t, binaries, "status")
	without.SetCredentials(triggertest.Credentials{})
	asking := func(p *triggertest.Process, path string) reply {
		t.Helper()
		front := httptest.NewServer(p)
		defer front.Close()
		return d.call(http.MethodGet, front.URL+"/v1"+path, d.bearer("alice", api.ScopeRead), nil)
	}
	get := func(path string) reply { t.Helper(); return asking(status, path) }
	timer := []byte(`{"triggerTime":"2026-11-19T10:00:00Z","triggerName":"check","payload":""}`)

	status.SetCredentials(r.acceptCredentials("first"))
	if a := asking(without, "/platforms"); a.status != http.StatusOK {
		t.Errorf("a request that needs no credentials: %d %v", a.status, a.body["code"])
	}
	if a := asking(without, "/instances"); a.body["code"] != "instances_unavailable" {
		t.Errorf("the registry takes any credentials, and the test sees nothing: %d", a.status)
	}
	asked := r.service.Calls()
	want := fmt.Sprint([]any{
		object{"type": "enterprise", "region": "cn-test", "id": "cri-1", "name": "prod"},
	})
	if a := get("/instances"); fmt.Sprint(a.body["instances"]) != want {
		t.Errorf("lists %d %s, want %s\n%s", a.status, a.text, want, status.Log())
	}
	for _, id := range []string{"second", "third"} {
		status.SetCredentials(r.acceptCredentials(id))
		a := get("/instances/cn-test/cri-1/bindings")
		if list, _ := a.body["bindings"].([]any); a.status != http.StatusOK || len(list) != 5 {
			t.Errorf("%s: the instance's bindings: %d %s", id, a.status, a.text)
		}
	}
	testkit.Want(t, "calls of the registry", r.service.Calls()-asked, 1)
	for _, id := range []string{"fourth", "fifth"} {
		check.SetCredentials(r.acceptCredentials(id))
		if reply, err := check.Invoke(t.Context(), timer); err != nil {
			t.Errorf("%s: the timer: %s %v\n%s", id, reply, err, check.Log())
		}
	}
	for _, p := range []*triggertest.Process{status, check, without} {
		if strings.Contains(p.Log(), "canary") {
			t.Error("the log shows credentials")
		}
	}
}
