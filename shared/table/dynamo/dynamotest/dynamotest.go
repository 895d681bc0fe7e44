// Package dynamotest starts a local server for DynamoDB's protocol: dynoxide, which npm installs.
// docs/testing.md lists how it differs from the service.
package dynamotest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/testkit"
)

// Start starts an empty DynamoDB for the length of the test, and returns its origin. Without npm's
// packages the test is skipped, or fails if BINDERY_TEST_REQUIRE is all.
func Start(t testing.TB) (origin string) {
	t.Helper()
	path := program(t)
	for range 5 { // another process may take the port first
		address := free(t)
		_, port, _ := net.SplitHostPort(address)
		ctx, cancel := context.WithCancel(context.Background())
		server := exec.CommandContext(ctx, path, "serve", "--host", "127.0.0.1", "--port", port)
		server.Dir = t.TempDir()
		if err := server.Start(); err != nil {
			cancel()
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = server.Wait()
			close(ended)
		}()
		end := func() {
			cancel()
			<-ended
		}
		if listens(address, ended) {
			t.Cleanup(end)
			return "http://" + address
		}
		end()
	}
	t.Fatal("DynamoDB doesn't start")
	return ""
}

// program is looked for in every folder from here upwards.
func program(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for above := ""; folder != above; folder = filepath.Dir(folder) {
		path := filepath.Join(folder, "node_modules", "@dynoxide", "linux-x64", "dynoxide")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		above = folder
	}
	testkit.NoPackages(t) // or this isn't linux/amd64
	return ""
}

// free returns an address at which no process listens at the moment.
func free(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// listens waits until something listens at the address, or the process has ended.
func listens(address string, ended <-chan struct{}) bool {
	for range 1000 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}
