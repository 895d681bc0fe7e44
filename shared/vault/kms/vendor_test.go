package kms_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	"github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/kms-20160120/v3/client"
	"github.com/alibabacloud-go/tea/dara"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
	"bindery/shared/vault/vaulttest"
)

// The vendor's own code signs the request that was sent, and the signatures must be equal.
func TestRequestsAreSignedAsTheVendorsClientSignsThem(t *testing.T) {
	for _, token := range []string{"", "session"} {
		var sent *http.Request
		w := newFixture(t)
		client := w.clientOf(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			sent = r
		}))
		w.credentials = alibabacloud.Credentials{
			ID: "id", Key: secret.New("key"), Token: secret.New(token),
		}
		v := kms.New(client, kms.Options{Prefix: prefix, Instance: "kst-1", Key: "key-1"})
		_ = v.Put(t.Context(), name, 1, secret.New("a value + 值"))

		headers := map[string]*string{"host": &sent.Host}
		for header := range sent.Header {
			lower := strings.ToLower(header)
			if lower == "content-type" || strings.HasPrefix(lower, "x-acs-") {
				headers[lower] = dara.String(sent.Header.Get(header))
			}
		}
		want := utils.GetAuthorization(
			&dara.Request{
				Method: &sent.Method, Pathname: &sent.URL.Path, Headers: headers,
				Query: map[string]*string{},
			},
			dara.String("ACS3-HMAC-SHA256"), dara.String(sent.Header.Get("X-Acs-Content-Sha256")),
			dara.String("id"), dara.String("key"),
		)
		if got := sent.Header.Get("Authorization"); got != *want {
			t.Errorf("token %q: got %q, want the vendor's %q", token, got, *want)
		}
	}
}

// vendors is the vendor's client for the service. Its own methods write parameters into the
// address; this one sends them in the body.
func vendors(
	t *testing.T, service http.Handler,
) func(action string, form map[string]any, reply any) {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client, err := sdk.NewClient(&openapi.Config{
		AccessKeyId: dara.String("id"), AccessKeySecret: dara.String("key"),
		SecurityToken: dara.String("token"), Protocol: dara.String("http"),
		Endpoint: &host, NoProxy: &host,
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(action string, form map[string]any, reply any) {
		t.Helper()
		got, err := client.CallApi(&utils.Params{
			Action: &action, Version: dara.String("2016-01-20"), Protocol: dara.String("HTTPS"),
			Pathname: dara.String("/"), Method: dara.String("POST"), AuthType: dara.String("AK"),
			Style: dara.String("RPC"), ReqBodyType: dara.String("formData"),
			BodyType: dara.String("string"),
		}, &utils.OpenApiRequest{Body: form}, &dara.RuntimeOptions{})
		if err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		if err := json.Unmarshal([]byte(got["body"].(string)), reply); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
	}
}

// The fake service is compared with the vendor's client, so that the vault and the fake don't
// merely agree with each other.
func TestTheFakeServiceUnderstandsTheVendorsClient(t *testing.T) {
	service := kmstest.New(kmstest.Options{
		ID: "id", Key: "key", Token: "token", Instance: "kst-1", EncryptionKey: "key-1",
	})
	call := vendors(t, service)
	var created sdk.CreateSecretResponseBody
	call("CreateSecret", map[string]any{
		"SecretName": "a/b", "VersionId": "v1", "SecretData": "value & 值", "SecretDataType": "text",
		"SecretType": "Generic", "DKMSInstanceId": "kst-1", "EncryptionKeyId": "key-1",
	}, &created)
	var put sdk.PutSecretValueResponseBody
	call("PutSecretValue", map[string]any{
		"SecretName": "a/b", "VersionId": "v2", "SecretData": "next", "SecretDataType": "text",
	}, &put)
	if *created.SecretName != "a/b" || *created.VersionId != "v1" || *put.VersionId != "v2" {
		t.Error("the replies are about another secret or version")
	}
	for version, want := range map[string]string{"v1": "value & 值", "v2": "next", "": "next"} {
		form := map[string]any{"SecretName": "a/b"}
		if version != "" {
			form["VersionId"] = version
		}
		var got sdk.GetSecretValueResponseBody
		if call("GetSecretValue", form, &got); *got.SecretData != want || *got.SecretDataType != "text" {
			t.Errorf("version %q: got %q, want %q", version, *got.SecretData, want)
		}
	}
	var listed sdk.ListSecretsResponseBody
	call("ListSecrets", map[string]any{
		"Filters": `[{"Key":"DKMSInstanceId","Values":["kst-1"]}]`, "PageNumber": 1, "PageSize": 100,
	}, &listed)
	if *listed.TotalCount != 1 || *listed.PageNumber != 1 ||
		*listed.SecretList.Secret[0].SecretName != "a/b" ||
		*listed.SecretList.Secret[0].CreateTime == "" {
		t.Errorf("lists %v, want the one secret", listed)
	}
	var deleted sdk.DeleteSecretResponseBody
	call("DeleteSecret", map[string]any{
		"SecretName": "a/b", "ForceDeleteWithoutRecovery": "true",
	}, &deleted)
	if *deleted.SecretName != "a/b" || len(service.Names()) > 0 {
		t.Error("the secret wasn't deleted")
	}
}

func TestEachRequestIsNewAndHasNothingInItsAddress(t *testing.T) {
	w := newFixture(t)
	nonces := map[string]bool{}
	client := w.clientOf(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		nonces[r.Header.Get("X-Acs-Signature-Nonce")] = true
		if r.RequestURI != "/" {
			t.Error("something is in the request's address")
		}
	}))
	v := kms.New(client, kms.Options{Prefix: prefix})
	for _, c := range vaulttest.Calls() {
		_ = c.Do(t.Context(), v, secret.New("value"))
	}
	if len(nonces) != len(vaulttest.Calls()) {
		t.Errorf("%d nonces of %d requests", len(nonces), len(vaulttest.Calls()))
	}
}

func TestAnEndpointThatIsNotAnOriginIsRefused(t *testing.T) {
	if _, err := kms.NewClient(alibabacloud.ClientOptions{Endpoint: "ftp://a"}); err == nil {
		t.Error("got no error")
	}
}
