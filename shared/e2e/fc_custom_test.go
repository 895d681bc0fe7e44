package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/secret"
)

// custom is a function's process as Function Compute's custom runtime has it: nothing invokes it,
// and its credentials are those of the environment.
type custom struct {
	t     *testing.T
	path  string // of its log
	ended chan error
}

func (w *world) startCustom(folder string) *custom {
	w.t.Helper()
	c := &custom{w.t, filepath.Join(w.t.TempDir(), "log"), make(chan error, 1)}
	log, err := os.Create(c.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	o := w.options(folder)
	p := exec.Command(o.Binary)
	p.Env = append(o.Env, "FC_SERVER_PORT=0", "ALIBABA_CLOUD_ACCESS_KEY_ID="+o.As.ID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET="+o.As.Key, "ALIBABA_CLOUD_SECURITY_TOKEN="+o.As.Token)
	p.Stdout, p.Stderr = log, log
	if err := p.Start(); err != nil {
		w.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.ended <- p.Wait()
	}()
	w.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-over
	})
	return c
}

func (c *custom) log() string {
	text, err := os.ReadFile(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// onEveryInterface is the line that says where it listens: the cloud doesn't come by 127.0.0.1.
var onEveryInterface = regexp.MustCompile(
	`"msg":"listening".*"address":"(?:\[::\]|0\.0\.0\.0):(\d+)"`)

// origin waits until it listens.
func (c *custom) origin() string {
	c.t.Helper()
	for {
		if found := onEveryInterface.FindStringSubmatch(c.log()); found != nil {
			return "http://127.0.0.1:" + found[1]
		}
		select {
		case err := <-c.ended:
			c.t.Fatalf("it ends with %v: %s", err, c.log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestOnFunctionComputesCustomRuntimeTheSameBinaryServesHTTP(t *testing.T) {
	w := startFC(t)
	w.bindByToken("gitlab", w.bearer("alice", api.ScopeWrite))
	c := w.startCustom("status")
	origin := c.origin()
	if a := w.call(http.MethodGet, origin+"/healthz", secret.Text{}, nil); a.status != 204 {
		t.Errorf("/healthz is %d", a.status)
	}
	a := w.call(http.MethodGet, origin+w.at(), w.bearer("alice", api.ScopeRead), nil)
	if list, _ := a.body["bindings"].([]any); a.status != http.StatusOK || len(list) != 5 ||
		in(list[3], "status") != "bound" {
		t.Errorf("the bindings: %d %v", a.status, a.body["code"])
	}
	for _, word := range w.canaries() {
		if strings.Contains(c.log(), word) {
			t.Error("the log shows a secret")
		}
	}
}

func TestOnFunctionComputesCustomRuntimeTheScheduleSaysWhereItRuns(t *testing.T) {
	c := startFC(t).startCustom("expirycheck")
	if err := <-c.ended; err == nil || !strings.Contains(c.log(), "runtime go1") {
		t.Errorf("it ends with %v: %s", err, c.log())
	}
}
