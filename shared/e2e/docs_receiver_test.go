package e2e_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/secret"
)

// receiverOfDocs compiles the program in docs/build.md.
func receiverOfDocs(t *testing.T) (program string) {
	t.Helper()
	folder := t.TempDir()
	source, program := filepath.Join(folder, "receiver.go"), filepath.Join(folder, "receiver")
	for _, block := range codeBlocks(document(t, "docs/build.md")) {
		if block.language == "go" {
			if err := os.WriteFile(source, []byte(block.body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, source)
	build.Dir = root // for the standard's library
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the receiver of docs/build.md: %v\n%s", err, out)
	}
	return program
}

// TestTheReceiverOfDocsBuildTakesEachEventOnce sends it what Bindery sends.
func TestTheReceiverOfDocsBuildTakesEachEventOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	process := exec.CommandContext(t.Context(), receiverOfDocs(t), address)
	process.Env = []string{"BINDERY_EVENTS_SECRET=" + eventsSecret}
	output, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	lines := bufio.NewScanner(output)
	send := func(key, id, commit string) int {
		t.Helper()
		webhook, err := event.NewWebhook("http://"+address, "", secret.New(key),
			http.DefaultClient, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 { // it may not listen yet
			receipt, _ := webhook.SendSource(t.Context(), binding.Subscription{}, binding.SourceEvent{
				ID: id, Type: binding.SourcePushed, Ref: "refs/heads/main", Commit: commit, Number: 1,
			}, "key")
			if receipt.Status != 0 {
				return receipt.Status
			}
		}
		t.Fatal("the receiver doesn't listen")
		return 0
	}
	for i, step := range []struct {
		key, id, commit string
		want            int
		built           bool
	}{
		{eventsSecret, "one", strings.Repeat("a", 40), http.StatusOK, true},
		{eventsSecret, "one", strings.Repeat("b", 40), http.StatusOK, false}, // the same id
		{eventsSecret, "two", "", http.StatusOK, false},                      // the branch was deleted
		{"whsec_" + strings.Repeat("A", 32), "three", strings.Repeat("c", 40), 401, false},
		{eventsSecret, "four", strings.Repeat("d", 40), http.StatusOK, true},
	} {
		if got := send(step.key, step.id, step.commit); got != step.want {
			t.Errorf("step %d: it answers %d, want %d", i, got, step.want)
		}
		if step.built && (!lines.Scan() || !strings.Contains(lines.Text(), "at "+step.commit)) {
			t.Errorf("step %d: it says %q, want a build of %s", i, lines.Text(), step.commit)
		}
	}
}
