package trigger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.connections:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestASlowClientIsCutOff measures the limits by a clock that runs only while everything waits.
func TestASlowClientIsCutOff(t *testing.T) {
	for what, c := range map[string]struct {
		sent  string
		reads bool // whether the client reads the reply
		want  time.Duration
	}{
		"nothing":       {"", true, 5 * time.Second},
		"half a header": {"GET / HTTP/1.1\r\nX: ", true, 5 * time.Second},
		"half a body": {
			"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1", true, 15 * time.Second,
		},
		"the reply is not read":    {"GET /write HTTP/1.1\r\nHost: x\r\n\r\n", false, 30 * time.Second},
		"no request after a first": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, 60 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var failed error
			mux := http.NewServeMux()
			mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
			mux.HandleFunc("/read", func(_ http.ResponseWriter, r *http.Request) {
				_, failed = io.ReadAll(r.Body)
				panic(http.ErrAbortHandler)
			})
			mux.HandleFunc("/write", func(w http.ResponseWriter, _ *http.Request) {
				for failed == nil {
					_, failed = w.Write(make([]byte, 1<<10))
				}
				panic(http.ErrAbortHandler)
			})
			listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- Serve(ctx, listener, Function{HTTP: mux}, newLogger(io.Discard, ""))
			}()
			here, there := net.Pipe()
			defer here.Close()
			listener.connections <- there
			if _, err := io.WriteString(here, c.sent); err != nil {
				t.Fatal(err)
			}
			if c.reads {
				_, _ = io.Copy(io.Discard, here) // until the server closes the connection
			} else {
				time.Sleep(c.want)
				synctest.Wait()
			}
			if got := time.Since(start); got != c.want {
				t.Errorf("%s: cut off after %v, want %v", what, got, c.want)
			}
			if !c.reads && !errors.Is(failed, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the handler got %v, want that its time is over", what, failed)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
}
