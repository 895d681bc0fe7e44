package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// besideRole, if set, makes the tests' binary a server that a benchmark measures beside Bindery:
// bare or verifying. besideKeys are the keys for the second.
const (
	besideRole = "BINDERY_BENCH_ROLE"
	besideKeys = "BINDERY_BENCH_KEYS"
)

// serveBeside starts such a server, which ends with the benchmark.
func serveBeside(b *testing.B, role, keys string) server {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), besideRole+"="+role, besideKeys+"="+keys)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return server{strings.TrimSpace(line), cmd.Process.Pid}
}

// beside is the main of such a server.
func beside(role string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(bare)
	if role == "verifying" {
		if handler, err = verifying(os.Getenv(besideKeys)); err != nil {
			return err
		}
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, handler)
}

func bare(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"token":"a token of forty characters, more or less"}`)
}

// verifying returns a handler that only verifies the laptop's tokens, without a cache.
func verifying(text string) (http.HandlerFunc, error) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		return nil, err
	}
	algorithm := jose.SignatureAlgorithm(keys.Keys[0].Algorithm)
	return func(w http.ResponseWriter, r *http.Request) {
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{algorithm})
		if err == nil {
			_, err = token.Verify(keys.Keys[0])
		}
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		bare(w, r)
	}, nil
}
