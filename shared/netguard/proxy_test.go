package netguard_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"bindery/shared/netguard"
	"bindery/shared/problem"
)

// A proxy that refuses to connect is the operator's matter, not the platform's.
func TestAProxyThatRefusesIsNamed(t *testing.T) {
	for _, status := range []int{403, 407, 502} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		}))
		t.Cleanup(proxy.Close)
		address, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		guard := netguard.New(netguard.Options{EgressProxy: address})
		_, err = get(t, guard.Trusted(), "https://api.example/?access_token=canary")
		p := netguard.Problem(err, "GitHub")
		if p.Code != problem.PlatformUnreachable || p.Reason != "proxy" {
			t.Errorf("%d: got %v", status, p)
		}
	}
}
