package smtest_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/vault/secretsmanager/smtest"
)

const secretS = `{"Name":"s","ClientRequestToken":"00000000000000000000000000000001",` +
	`"SecretString":"value"}`

func TestRequestsMustBeSignedInTheRightForm(t *testing.T) {
	w := newFixture(t)
	change := func(header, old, with string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set(header, strings.Replace(r.Header.Get(header), old, with, 1))
		}
	}
	const (
		incomplete = "IncompleteSignatureException"
		unknown    = "UnknownOperationException"
	)
	for what, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"as it should be": {func(*http.Request) {}, ""},
		"no signature": {
			func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException",
		},
		"another scheme":    {change("Authorization", "AWS4-HMAC-SHA256", "Bearer"), incomplete},
		"another service":   {change("Authorization", "/secretsmanager/", "/dynamodb/"), incomplete},
		"no region":         {change("Authorization", "/eu-test-1/", "/"), incomplete},
		"a short signature": {change("Authorization", "0a0a", "0a"), incomplete},
		"no date":           {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, incomplete},
		"another form":      {change("X-Amz-Date", "T080000Z", " 08:00:00"), incomplete},
		"another day":       {change("X-Amz-Date", "20260301", "20260302"), incomplete},
		"host not signed":   {change("Authorization", "host;", ""), incomplete},
		"date not signed":   {change("Authorization", "x-amz-date;", ""), incomplete},
		"signed, not sent":  {change("Authorization", "x-amz-target", "x-amz-target;x-z"), incomplete},
		"out of order": {
			change("Authorization", "content-type;host", "host;content-type"), incomplete,
		},
		"another type":      {change("Content-Type", "1.1", "1.0"), unknown},
		"another operation": {change("X-Amz-Target", "ListSecrets", "RotateSecret"), unknown},
		"another path":      {func(r *http.Request) { r.URL.Path = "/v1" }, unknown},
		"another method":    {func(r *http.Request) { r.Method = http.MethodPut }, unknown},
	} {
		r := w.request(t, "ListSecrets", "{}")
		c.change(r)
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		last := w.exchanges[len(w.exchanges)-1]
		if last.code() != c.want || (reply.StatusCode == http.StatusOK) != (c.want == "") {
			t.Errorf("%s: got %d %q, want %q", what, reply.StatusCode, last.code(), c.want)
		}
	}
}

func TestFaultsOccurAsOftenAsPlanned(t *testing.T) {
	w := newFixture(t)
	w.Fail("CreateSecret", 1, smtest.Throttled)
	w.Fail("CreateSecret", 1, smtest.Broken)
	w.Fail("CreateSecret", 1, smtest.Denied)
	w.Fail("CreateSecret", 1, smtest.NotVisible)
	w.Fail("CreateSecret", 1, smtest.Quoting)
	w.ask(t, "ListSecrets", "{}", "")
	for _, want := range []string{
		"ThrottlingException", "InternalServiceError", "AccessDeniedException", missing, parameter,
	} {
		w.ask(t, "CreateSecret", secretS, want)
	}
	if names := w.Names(); len(names) > 0 {
		t.Errorf("created %v, want nothing done", names)
	}
	w.ask(t, "CreateSecret", secretS, "")
	if names := w.Names(); !slices.Equal(names, []string{"s"}) {
		t.Errorf("got %v, want the secret", names)
	}
	if calls := w.Calls(); calls["CreateSecret"] != 6 || calls["ListSecrets"] != 1 {
		t.Errorf("counted %v, want 6 and 1", calls)
	}
}

func TestALostReplyComesAfterTheWork(t *testing.T) {
	w := newFixture(t)
	w.Fail("CreateSecret", 1, smtest.Lost)
	reply, err := http.DefaultClient.Do(w.request(t, "CreateSecret", secretS))
	if err == nil {
		_ = reply.Body.Close()
		t.Errorf("got status %d, want no reply", reply.StatusCode)
	}
	if names := w.Names(); len(names) != 1 {
		t.Error("the work wasn't done")
	}
	w.Fail("GetSecretValue", 1, smtest.Garbled)
	reply, err = http.DefaultClient.Do(w.request(t, "GetSecretValue", `{"SecretId":"s"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err != nil || !strings.Contains(string(body), "value") || strings.HasSuffix(string(body), "}") {
		t.Errorf("the garbled reply is %q, want a beginning with the value in it", body)
	}
}

func TestAForcedDeletionMayBeSlow(t *testing.T) {
	w := newFixture(t)
	w.Linger(true)
	w.ask(t, "CreateSecret", secretS, "")
	w.ask(t, "DeleteSecret", `{"SecretId":"s","ForceDeleteWithoutRecovery":true}`, "")
	if names := w.Names(); len(names) > 0 {
		t.Errorf("%v could be restored", names)
	}
	w.ask(t, "GetSecretValue", `{"SecretId":"s"}`, request)
	w.ask(t, "CreateSecret", secretS, request)
	w.ask(t, "DeleteSecret", `{"SecretId":"s","ForceDeleteWithoutRecovery":true}`, "")
	w.Linger(false)
	w.ask(t, "GetSecretValue", `{"SecretId":"s"}`, missing)
	w.ask(t, "CreateSecret", secretS, "")
}

func TestACallMayBeDelayed(t *testing.T) {
	held, free := make(chan string), make(chan struct{})
	w := newFixture(t)
	w.Service = smtest.New(smtest.Options{OnCall: func(operation string) {
		if operation == "CreateSecret" {
			held <- operation
			<-free
		}
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ask(t, "CreateSecret", secretS, "")
	}()
	<-held
	w.ask(t, "GetSecretValue", `{"SecretId":"s"}`, missing)
	close(free)
	<-done
	w.ask(t, "GetSecretValue", `{"SecretId":"s"}`, "")
}
