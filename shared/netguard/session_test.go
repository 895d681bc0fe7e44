package netguard_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// TestASessionHasOneConnectionAndLeavesNone checks that the name is looked up once, that what is
// refused is refused over an open connection too, and that the end closes the connection.
func TestASessionHasOneConnectionAndLeavesNone(t *testing.T) {
	opened, closed := make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/away" {
				w.Header().Set("Location", "http://169.254.169.254/")
				w.WriteHeader(http.StatusFound)
			}
			_, _ = w.Write([]byte("ok"))
		}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened <- struct{}{}
		case http.StateClosed:
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	network := newInternet()
	network.name("gitlab.example.com", site)
	network.servers[site+":80"] = hostOf(t, server)
	client, end := netguard.New(network.options()).Session()
	for range 3 {
		got, err := get(t, client, "http://gitlab.example.com/")
		testkit.Want(t, "an error", err, nil)
		testkit.Want(t, "the reply", got, "ok")
	}
	_, err := get(t, client, "http://169.254.169.254/")
	testkit.WantProblem(t, "the metadata", err, problem.AddressRefused, "")
	_, err = get(t, client, "http://gitlab.example.com:22/")
	testkit.WantProblem(t, "a port", err, problem.PortRefused, "")
	_, err = get(t, client, "http://gitlab.example.com/away")
	testkit.Want(t, "an error of a redirect", err, nil)
	testkit.Want(t, "connections", len(opened), 1)
	testkit.Want(t, "look-ups", network.lookups(), 1)
	testkit.WantEqual(t, "dialled", network.dials(), []string{site + ":80"})
	testkit.Want(t, "closed before the end", len(closed), 0)
	end()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is open after the end")
	}
}
