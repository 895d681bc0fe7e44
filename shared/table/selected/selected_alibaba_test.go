//go:build alibaba

package selected_test

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/table/selected"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
)

func TestWithTheTagAlibabaItIsTablestore(t *testing.T) {
	service := otstest.New(otstest.Options{Instance: "mine", ID: "id", Key: "key", Token: "token"})
	server := httptest.NewServer(service)
	defer server.Close()
	t.Setenv("FC_REGION", "cn-test")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "key")
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "token")
	environment, err := alibabacloud.Read(os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: "mine", Endpoint: server.URL,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), operator, "bindery_test"); err != nil {
		t.Fatal(err)
	}

	c := config.Config{Table: "bindery_test", Alibaba: config.Alibaba{
		TablestoreInstance: "mine", TablestoreURL: server.URL,
	}}
	credentials := new(alibabacloud.InvocationCredentials)
	before := service.Calls()
	opened, closer, err := selected.Open(c, credentials)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(service.Calls(), before) {
		t.Error("Open made a request")
	}
	// The credentials are the environment's at each use, and it waits between two tries.
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "next")
	service.SetCredentials("next", "key", "token")
	service.Fail("PutRow", 1, otstest.Busy)
	if _, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Error(err)
	}
	if got := service.Rows("bindery_test"); got != 1 {
		t.Errorf("the table configured has %d rows, want 1", got)
	}
	// And those of an invocation once there has been one.
	credentials.Set(alibabacloud.Credentials{
		ID: "newest", Key: secret.New("newest"), Token: secret.New("newest"),
	})
	service.SetCredentials("newest", "newest", "newest")
	if _, err := opened.Authorization(t.Context(), "1"); err != nil {
		t.Errorf("with the newest invocation's credentials: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := opened.Authorization(ctx, "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Setenv("FC_REGION", "")
	opened, _, err := selected.Open(config.Config{}, nil)
	for _, variable := range []string{"FC_REGION", "BINDERY_TABLESTORE_INSTANCE"} {
		if opened != nil || err == nil || !strings.Contains(err.Error(), variable+" is not set") {
			t.Errorf("got error %v, want one that names %s", err, variable)
		}
	}
}
