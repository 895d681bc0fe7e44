package trigger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"bindery/shared/config"
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
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
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
	_, line, _ := strings.Cut(text.String(), " another")
	testkit.Want(t, "the log behind its first line", line, " line\n")
	testkit.Want(t, "lines", strings.Count(text.String(), "\n"), 1)
}

// runLogChild is the main of a function whose log gets what net/http prints of an idle connection.
func runLogChild() {
	Run(func(Params) (Function, error) {
		log.Print("another line")
		log.Printf("Unsolicited response received on idle HTTP channel starting with %q", "canary")
		return Function{}, errors.New("no table")
	})
}

func TestD1_AFunctionsStandardLogDropsText(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = []string{"BINDERY_TEST_CHILD=log", "GOCOVERDIR=" + t.TempDir()}
	lookup := environment()
	for _, v := range config.Variables() {
		child.Env = append(child.Env, v.Name+"="+lookup(v.Name))
	}
	var stderr bytes.Buffer
	child.Stderr = &stderr
	_ = child.Run() // it fails, after the lines
	text := stderr.String()
	if !strings.Contains(text, "another line") || !strings.Contains(text, "no table") ||
		strings.Contains(text, "canary") {
		t.Errorf("the function wrote %q", text)
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
