package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/table"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
)

// setting is an operator's environment, with a pretend service in it.
func setting(t *testing.T) (*otstest.Service, map[string]string) {
	t.Helper()
	service := otstest.New(otstest.Options{Instance: "mine", ID: "id", Key: "key"})
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	return service, map[string]string{
		"FC_REGION": "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "key",
		"BINDERY_TABLESTORE_INSTANCE":     "mine", "BINDERY_TABLESTORE_URL": server.URL,
	}
}

func TestTheTableIsMadeOnceAndServes(t *testing.T) {
	service, env := setting(t)
	lookup := func(name string) string { return env[name] }
	for range 2 { // and the second time is no error
		var out strings.Builder
		if err := run(t.Context(), []string{"bindery"}, lookup, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != "The table bindery is there.\n" {
			t.Errorf("it says %q", out.String())
		}
	}
	environment, err := alibabacloud.Read(lookup, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: "mine", Endpoint: env["BINDERY_TABLESTORE_URL"],
	})
	if err != nil {
		t.Fatal(err)
	}
	made := tablestore.New(client, "bindery")
	due := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	a := table.Authorization{ID: "1", DueAt: due}
	if _, err := made.SaveAuthorization(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	// What is due is found by the index.
	page, err := made.DueBefore(t.Context(), due.Add(time.Second), "", 10)
	if err != nil || len(page.Items) != 1 || page.Items[0].Authorization != "1" {
		t.Errorf("due are %v (%v), want the one authorization", page.Items, err)
	}
	if got := service.Rows("bindery"); got != 1 {
		t.Errorf("the table has %d rows, want 1", got)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	none := func(string) string { return "" }
	err := run(t.Context(), []string{"bindery"}, none, &strings.Builder{})
	for _, name := range []string{
		"FC_REGION", "ALIBABA_CLOUD_ACCESS_KEY_ID", "BINDERY_TABLESTORE_INSTANCE",
	} {
		if err == nil || !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("got error %v, want one that names %s", err, name)
		}
	}
	if err := run(t.Context(), nil, none, &strings.Builder{}); err == nil {
		t.Error("a table without a name")
	}
}

func TestAServiceThatRefusesIsAnError(t *testing.T) {
	_, env := setting(t)
	env["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = "another"
	var out strings.Builder
	err := run(context.Background(), []string{"bindery"},
		func(name string) string { return env[name] }, &out)
	if err == nil || out.Len() > 0 || strings.Contains(err.Error(), "another") {
		t.Errorf("it says %q, with the error %v", out.String(), err)
	}
}
