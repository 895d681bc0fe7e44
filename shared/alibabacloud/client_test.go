package alibabacloud_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"

	"bindery/shared/alibabacloud"
	"bindery/shared/alibabacloud/acs3test"
	"bindery/shared/secret"
)

func newClient(t *testing.T, service http.Handler) *alibabacloud.Client {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	c, err := alibabacloud.NewClient(alibabacloud.Service{
		Name: "sample", Title: "the sample", Version: "2026-01-02", MaxReply: 100,
		Explain: func(string) string { return "" },
	}, alibabacloud.ClientOptions{
		Environment: alibabacloud.Environment{Credentials: func() alibabacloud.Credentials {
			return alibabacloud.Credentials{
				ID: "id", Key: secret.New("key"), Token: secret.New("token"),
			}
		}},
		Endpoint: server.URL, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Parameters that are encoded in the address are signed in their encoded form. The vendor's code
// signs the request that was sent and must produce the same signature; a check that shares no code
// with either must accept it.
func TestQueryParametersAreSignedAsTheVendorSignsThem(t *testing.T) {
	query := url.Values{
		"b": {"a value + 值"}, "a": {"*~-_./?&=%"}, "A": {""}, "a1": {"1"},
	}
	gate := acs3test.New("2026-01-02", "id", "key", "token")
	asked := 0
	client := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := io.ReadAll(r.Body)
		if refusal := gate.Check(r, body); refusal != nil {
			t.Errorf("refused: %+v", *refusal)
		}
		headers, parameters := map[string]*string{"host": &r.Host}, map[string]*string{}
		for header := range r.Header {
			lower := strings.ToLower(header)
			if lower == "content-type" || strings.HasPrefix(lower, "x-acs-") {
				headers[lower] = dara.String(r.Header.Get(header))
			}
		}
		for name, values := range r.URL.Query() {
			parameters[name] = dara.String(values[0])
		}
		want := utils.GetAuthorization(
			&dara.Request{Method: &r.Method, Pathname: &r.URL.Path, Headers: headers, Query: parameters},
			dara.String("ACS3-HMAC-SHA256"), dara.String(r.Header.Get("X-Acs-Content-Sha256")),
			dara.String("id"), dara.String("key"),
		)
		if r.Header.Get("Authorization") != *want || r.URL.Query().Encode() != query.Encode() {
			t.Errorf("asked for %q, which isn't signed as the vendor signs it", r.RequestURI)
		}
		_, _ = io.WriteString(w, `{"name":"reply"}`)
	}))
	for _, form := range []url.Values{nil, {"c": {"in the body"}}} {
		var reply struct{ Name string }
		err := client.Call(t.Context(), alibabacloud.Operation{
			Action: "Look", Query: query, Form: form,
		}, &reply)
		if err != nil || reply.Name != "reply" {
			t.Errorf("got %+v, %v", reply, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want twice", asked)
	}
}

// Counter-check: the gate refuses changed requests.
func TestARequestThatWasChangedIsRefused(t *testing.T) {
	for what, change := range map[string]func(r *http.Request){
		"nothing":       func(*http.Request) {},
		"a parameter":   func(r *http.Request) { r.URL.RawQuery = "a=2" },
		"another one":   func(r *http.Request) { r.URL.RawQuery += "&b=1" },
		"the operation": func(r *http.Request) { r.Header.Set("X-Acs-Action", "Delete") },
		"the host":      func(r *http.Request) { r.Host = "elsewhere" },
		"the token":     func(r *http.Request) { r.Header.Set("X-Acs-Security-Token", "other") },
	} {
		gate := acs3test.New("2026-01-02", "id", "key", "token")
		client := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			refusal := gate.Check(r, nil)
			if (refusal == nil) != (what == "nothing") {
				t.Errorf("%s was changed: got %+v", what, refusal)
			}
			if again := gate.Check(r, nil); again == nil {
				t.Errorf("%s was changed: the same request gets through twice", what)
			}
			_, _ = io.WriteString(w, "{}")
		}))
		err := client.Call(t.Context(), alibabacloud.Operation{
			Action: "Look", Query: url.Values{"a": {"1"}},
		}, &struct{}{})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutAnEndpointTheRegionsServiceIsCalled(t *testing.T) {
	for endpoint, want := range map[string]string{
		"": "https://sample.cn-test.aliyuncs.com", "http://127.0.0.1:1/": "http://127.0.0.1:1",
	} {
		c, err := alibabacloud.NewClient(alibabacloud.Service{Name: "sample"},
			alibabacloud.ClientOptions{
				Environment: alibabacloud.Environment{Region: "cn-test"}, Endpoint: endpoint,
			})
		if err != nil || c.Endpoint() != want {
			t.Errorf("%q: asks %s, want %s; %v", endpoint, c.Endpoint(), want, err)
		}
	}
}
