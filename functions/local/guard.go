package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// onlyLocalhost refuses requests whose Host isn't this machine and the port. A web page of another
// host can make its own name resolve to 127.0.0.1 (DNS rebinding), and could then sign in as any
// user, or consent for one in the sandbox. The reply names the address to open.
func onlyLocalhost(port, address string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, named := strings.CutSuffix(r.Host, ":"+port)
		if (named || port == "80") && (name == "localhost" || name == "127.0.0.1") {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "open "+address, http.StatusMisdirectedRequest)
	})
}

// onlySameOrigin refuses requests that a page of another origin sends, also of another port of this
// machine. Programs such as curl send none of the headers that it looks at. The reply can't be
// embedded by another page.
func onlySameOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		foreign := origin != "" && origin != "http://"+r.Host
		if foreign || site != "" && site != "same-origin" && site != "none" {
			http.Error(w, "a page of another origin may not call this", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// listenIPv6 listens on the port of [::1], which browsers may take localhost for: another user of
// this machine could listen there and be taken for Bindery. It returns nil if the machine has no
// IPv6.
func listenIPv6(ctx context.Context, port string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp6", net.JoinHostPort("::1", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on port %s of [::1], which browsers may take "+
			"localhost for: set PORT= to another one", port)
	}
	if err != nil {
		return nil, nil // without IPv6 there is nothing to protect
	}
	return listener, nil
}
