package trigger

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"bindery/shared/testkit"
)

// TestD1_TextOnAnIdleConnectionIsNotLogged has a server send the token that it was sent once more,
// behind its reply.
func TestD1_TextOnAnIdleConnectionIsNotLogged(t *testing.T) {
	const canary = "glpat-canary"
	var text bytes.Buffer
	before := log.Writer()
	t.Cleanup(func() { log.SetOutput(before) })
	log.SetOutput(StandardLog(&text))

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+
			r.Header.Get("Private-Token"))
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	closed := make(chan struct{})
	client := http.Client{Transport: &http.Transport{
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := net.Dial(network, address)
			return &noting{Conn: conn, closed: closed}, err
		},
	}}
	req, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Private-Token", canary)
	reply, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(reply.Body)
	_ = reply.Body.Close()
	<-closed // net/http writes the line before it closes the connection
	log.Print("another line")
	testkit.Want(t, "the reply", string(got), "ok")
	if log := text.String(); !bytes.HasSuffix(text.Bytes(), []byte(" another line\n")) ||
		bytes.Count(text.Bytes(), []byte("\n")) != 1 {
		t.Errorf("the log has %q, want one line", log)
	}
}

// noting tells when a connection is closed.
type noting struct {
	net.Conn
	closed chan struct{}
}

func (c *noting) Close() error {
	close(c.closed)
	return c.Conn.Close()
}
