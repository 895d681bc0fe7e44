package instance_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/cr-20181201/v2/client"
	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	"github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"

	"bindery/shared/alibabacloud"
	"bindery/shared/instance"
	"bindery/shared/instance/acrtest"
)

// vendors returns the vendor's client for the service at an address.
func vendors(t *testing.T, server *httptest.Server) *sdk.Client {
	t.Helper()
	host := strings.TrimPrefix(server.URL, "http://")
	client, err := sdk.NewClient(&openapi.Config{
		AccessKeyId: dara.String("id"), AccessKeySecret: dara.String(acrKey),
		SecurityToken: dara.String(acrToken), Protocol: dara.String("http"),
		Endpoint: &host, NoProxy: &host,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// The fake service is compared with the vendor's client, so that the catalogue and the fake don't
// merely agree with each other: both clients find the same instances.
func TestTheVendorsClientListsTheSameInstances(t *testing.T) {
	r := newRegistry(t)
	all := running(65)
	all[3].Status, all[40].Status = "DELETED", "STOPPED"
	r.service.Set(all...)
	server := httptest.NewServer(r.service)
	defer server.Close()
	client := vendors(t, server)
	var want []string
	for page := int32(1); ; page++ {
		reply, err := client.ListInstance(&sdk.ListInstanceRequest{
			PageNo: dara.Int32(page), PageSize: dara.Int32(30),
		})
		if err != nil {
			t.Fatal(err)
		}
		body := reply.Body
		if !*body.IsSuccess || *body.Code != "success" || *body.PageNo != page ||
			*body.PageSize != 30 || *body.TotalCount != 65 || *body.RequestId == "" {
			t.Errorf("page %d isn't as the vendor has it: %v", page, body)
		}
		for _, one := range body.Instances {
			if *one.InstanceStatus != "DELETED" {
				want = append(want, fmt.Sprint(*one.RegionId, "/", *one.InstanceId, *one.InstanceName))
			}
		}
		if page*30 >= *body.TotalCount {
			break
		}
	}
	list, err := listAll(t, r)
	if err != nil || len(list) != 64 {
		t.Fatalf("got %d instances, %v", len(list), err)
	}
	for i, one := range list { // the service lists the last one first
		if got := one.Region + "/" + one.ID + one.Name; got != want[len(want)-1-i] {
			t.Errorf("number %d is %s, want the vendor's %s", i, got, want[len(want)-1-i])
		}
	}
	reply, err := client.ListInstance(&sdk.ListInstanceRequest{InstanceStatus: dara.String("STOPPED")})
	if err != nil || len(reply.Body.Instances) != 1 || *reply.Body.PageSize != 30 {
		t.Errorf("of those that are stopped: %v, %v", reply, err)
	}
}

// request is the part of a sent request that says what is asked for.
type request struct{ method, path, query, action, version string }

func (r *request) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, sent *http.Request) {
		*r = request{
			sent.Method, sent.URL.Path, sent.URL.Query().Encode(),
			sent.Header.Get("X-Acs-Action"), sent.Header.Get("X-Acs-Version"),
		}
		next.ServeHTTP(w, sent)
	})
}

func TestTheRequestIsTheSameAsTheVendorsClients(t *testing.T) {
	service := acrtest.New("id", acrKey, acrToken)
	var ours, theirs request
	_, err := instance.FromACR(acrClient(t, ours.note(service)), "acme", instance.Options{}).
		List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(theirs.note(service))
	defer server.Close()
	_, err = vendors(t, server).ListInstance(&sdk.ListInstanceRequest{
		PageNo: dara.Int32(1), PageSize: dara.Int32(30),
	})
	if err != nil || ours != theirs || ours.action != "ListInstance" {
		t.Errorf("got %+v, want the vendor's %+v; %v", ours, theirs, err)
	}
}

// The vendor's own code signs the request that was sent, and the signatures must be equal.
func TestRequestsToTheRegistryAreSignedAsTheVendorsClientSignsThem(t *testing.T) {
	var sent *http.Request
	client := acrClient(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sent = r
	}))
	_, _ = instance.FromACR(client, "acme", instance.Options{}).List(t.Context(), "acme")
	headers, query := map[string]*string{"host": &sent.Host}, map[string]*string{}
	for header := range sent.Header {
		lower := strings.ToLower(header)
		if lower == "content-type" || strings.HasPrefix(lower, "x-acs-") {
			headers[lower] = dara.String(sent.Header.Get(header))
		}
	}
	for name := range sent.URL.Query() {
		query[name] = dara.String(sent.URL.Query().Get(name))
	}
	want := utils.GetAuthorization(
		&dara.Request{Method: &sent.Method, Pathname: &sent.URL.Path, Headers: headers, Query: query},
		dara.String("ACS3-HMAC-SHA256"), dara.String(sent.Header.Get("X-Acs-Content-Sha256")),
		dara.String("id"), dara.String(acrKey),
	)
	if sent.Header.Get("Authorization") != *want || len(query) != 2 {
		t.Errorf("it isn't signed as the vendor signs it, over %d parameters", len(query))
	}
}

func TestWithoutAnEndpointTheRegionsOwnIsCalled(t *testing.T) {
	theirs, err := sdk.NewClient(&openapi.Config{
		AccessKeyId: dara.String("id"), AccessKeySecret: dara.String("key"),
		RegionId: dara.String("cn-hangzhou"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := instance.NewACRClient(alibabacloud.ClientOptions{
		Environment: alibabacloud.Environment{Region: "cn-hangzhou"},
	})
	if err != nil || ours.Endpoint() != "https://"+*theirs.Endpoint {
		t.Errorf("asks %v, want the vendor's %s", ours.Endpoint(), *theirs.Endpoint)
	}
}
