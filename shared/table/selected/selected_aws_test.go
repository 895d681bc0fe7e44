//go:build aws

package selected_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/table/selected"
)

func TestWithTheTagAwsItIsDynamoDB(t *testing.T) {
	var target, body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		target, body = r.Header.Get("X-Amz-Target"), string(text)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	t.Setenv("AWS_REGION", "eu-test-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)

	opened, closer, err := selected.Open(config.Config{Table: "bindery-test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if target != "" {
		t.Error("Open made a request")
	}
	if _, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Error(err)
	}
	if target != "DynamoDB_20120810.PutItem" || !strings.Contains(body, `"bindery-test"`) {
		t.Errorf("a save asked %q, want DynamoDB's PutItem into the table configured", target)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_REGION", "")
	if opened, _, err := selected.Open(config.Config{}, nil); err == nil || opened != nil ||
		err.Error() != "AWS_REGION is not set" {
		t.Errorf("without a region: got error %v, want one that names the variable", err)
	}
}
