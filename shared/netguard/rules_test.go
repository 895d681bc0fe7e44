package netguard

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"bindery/shared/problem"
)

// TestC5_TheDialerAsksOnceMore connects to an address as if the look-up had allowed it.
func TestC5_TheDialerAsksOnceMore(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{}, 2)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- struct{}{}
			conn.Close()
		}
	}()
	guard := New(Options{})
	to := netip.MustParseAddrPort(listener.Addr().String())

	conn, err := guard.connect(t.Context(), "tcp", to, false)
	if !problem.Is(err, problem.AddressRefused) {
		t.Errorf("connect to %s: got %v, %v, want it refused", to, conn, err)
	}
	conn, err = guard.connect(t.Context(), "tcp", to, true)
	if err != nil {
		t.Fatalf("connect to a listed address: %v", err)
	}
	<-accepted
	conn.Close()
	listener.Close()
	if _, more := <-accepted; more {
		t.Error("the refused address was connected to")
	}
}

func TestC8_ThePortRuleExactly(t *testing.T) {
	listed := []uint16{80, 21, 443, 70, 210, 280, 488, 591, 777}
	for n := range 1 << 16 {
		port := uint16(n)
		want := slices.Contains(listed, port) || port >= 1025
		if got := portAllowed("http", port); got != want {
			t.Errorf("port %d over HTTP: allowed %v, want %v", port, got, want)
		}
		if got, want := portAllowed("https", port), port == 443; got != want {
			t.Errorf("port %d over HTTPS: allowed %v, want %v", port, got, want)
		}
	}
}

func TestTheDialedAddressMustBeReadable(t *testing.T) {
	guard := New(Options{})
	for _, address := range []string{"gitlab.example.com", "gitlab.example.com:http", "127.1:80"} {
		if conn, err := guard.dialGuarded(t.Context(), "tcp", address); err == nil {
			conn.Close()
			t.Errorf("dialGuarded(%s) connected", address)
		}
	}
}
