package e2e_test

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// laptopProcess is a running process of the laptop.
type laptopProcess struct {
	own, sandbox string // ports
	command      *exec.Cmd
	read         chan struct{} // closed when its output has ended
}

// runLaptop runs the laptop's binary in a folder, and returns when it has named its ports. PORT is
// 0 unless the settings say otherwise, which are variables of its environment.
func runLaptop(t *testing.T, binary, folder string, settings ...string) *laptopProcess {
	t.Helper()
	p := &laptopProcess{command: exec.Command(binary), read: make(chan struct{})}
	p.command.Dir = folder
	p.command.Env = append([]string{"PORT=0", "PATH=" + os.Getenv("PATH")}, // for the sandbox's git
		settings...)
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for (p.own == "" || p.sandbox == "") && lines.Scan() {
		if _, port, found := strings.Cut(lines.Text(), "http://localhost:"); found {
			p.own = port
		}
		if _, port, found := strings.Cut(lines.Text(), "http://127.0.0.1:"); found {
			p.sandbox, _, _ = strings.Cut(port, " ")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, stdout); close(p.read) }()
	if p.own == "" || p.sandbox == "" {
		_ = p.end(syscall.SIGKILL)
		t.Fatal("the laptop's process has named no ports")
	}
	return p
}

// end sends the process a signal that ends it, and waits for its end.
func (p *laptopProcess) end(signal os.Signal) error {
	_ = p.command.Process.Signal(signal)
	<-p.read
	return p.command.Wait()
}

// startLaptopProcess runs functions/local on free ports in a folder of its own, and
// returns the ports of Bindery and of the sandbox. The settings are variables of its environment.
func startLaptopProcess(t *testing.T, settings ...string) (own, sandbox string) {
	t.Helper()
	p := runLaptop(t, built.laptopBinary(t), t.TempDir(), settings...)
	t.Cleanup(func() {
		if err := p.end(syscall.SIGTERM); err != nil {
			t.Errorf("the laptop's process ended with %v", err)
		}
	})
	return p.own, p.sandbox
}

// TestDocsCurlWorksAsPasted runs every block of each README that has curl in it in one shell, with
// only the ports changed, and compares each reply with the block of JSON after it. Then the samples
// are as they were.
func TestDocsCurlWorksAsPasted(t *testing.T) {
	testkit.Program(t, "curl")
	for _, name := range readmes {
		t.Run(name, func(t *testing.T) {
			own, platforms := startLaptopProcess(t)
			const border = "\n--- the next block ---\n"
			script, wanted := "set -eu\n", []string{}
			all := codeBlocks(document(t, name))
			for i, f := range all {
				if f.language != "sh" || !strings.Contains(f.body, "curl ") {
					continue
				}
				script += f.body + "printf '" + strings.ReplaceAll(border, "\n", `\n`) + "'\n"
				want := ""
				if i+1 < len(all) && all[i+1].language == "json" {
					want = all[i+1].body
				}
				wanted = append(wanted, want)
			}
			if len(wanted) < 3 {
				t.Fatalf("%s has %d blocks with curl in them, which can't be all", name, len(wanted))
			}
			ports := strings.NewReplacer("localhost:8080", "localhost:"+own,
				"127.0.0.1:8081", "127.0.0.1:"+platforms)
			shell := exec.CommandContext(t.Context(), "bash", "-c", ports.Replace(script))
			shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
			out, err := shell.Output()
			if err != nil {
				t.Errorf("the blocks of %s end with %v", name, err)
			}
			answers := strings.Split(string(out), border)
			for i, want := range wanted {
				if i >= len(answers)-1 {
					t.Fatalf("block %d of %s was not reached", i+1, name)
				}
				wantAnswer(t, fmt.Sprintf("block %d of %s", i+1, name), answers[i], ports.Replace(want))
			}
			wantSamplesUsable(t, own, platforms)
		})
	}
}

// wantSamplesUsable expects that the README's instance is bound, and that each sample token on the
// sandbox's page still has the result that the page says.
func wantSamplesUsable(t *testing.T, own, platforms string) {
	t.Helper()
	c := &laptopClient{t: t, own: "http://localhost:" + own, sandbox: "http://127.0.0.1:" + platforms}
	c.signIn()
	bound := c.call(http.MethodGet, "/v1/bindings?status=bound", nil, http.StatusOK)
	if !strings.Contains(bound.text, `"cri-acme-prod"`) {
		t.Error("afterwards the instance is not bound")
	}
	box := sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader})
	defer box.Close()
	for _, s := range box.Samples() {
		if s.Token.Empty() {
			continue
		}
		status := http.StatusOK
		if strings.HasPrefix(s.Expect.English, "refused") {
			status = http.StatusUnprocessableEntity
		}
		c.call(http.MethodPut, "/v1/instances/cn-shanghai/crp-acme-dev/bindings/"+string(s.Platform),
			c.form(s), status)
	}
}

// wantAnswer compares the last JSON value of a reply with the documentation's, and refuses a
// problem that the documentation doesn't show.
func wantAnswer(t *testing.T, where, answer, want string) {
	t.Helper()
	var last any
	for decoder := json.NewDecoder(strings.NewReader(answer)); ; {
		var value any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s replies with something that isn't JSON", where)
			return
		}
		last = value
	}
	if want == "" {
		if fields, _ := last.(map[string]any); fields["code"] != nil {
			t.Errorf("%s replies with the problem %v", where, fields["code"])
		}
		return
	}
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Errorf("the JSON after %s: %v", where, err)
		return
	}
	for _, wrong := range differences(wanted, last, "") {
		t.Errorf("%s: %s", where, wrong)
	}
}

// differences lists where a reply differs from the documentation. In the documentation "…" stands
// for any text, and as a name for fields that aren't shown.
func differences(want, got any, at string) []string {
	switch want := want.(type) {
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		var wrong []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if name == "…" {
				continue
			}
			value, there := fields[name]
			if !there {
				wrong = append(wrong, at+"/"+name+" is not there")
				continue
			}
			wrong = append(wrong, differences(want[name], value, at+"/"+name)...)
		}
		if _, partly := want["…"]; !partly && len(fields) != len(want) {
			wrong = append(wrong, fmt.Sprintf("%s has %d fields, shown are %d", at, len(fields), len(want)))
		}
		return wrong
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return []string{at + " is another list"}
		}
		var wrong []string
		for i := range want {
			wrong = append(wrong, differences(want[i], list[i], fmt.Sprintf("%s/%d", at, i))...)
		}
		return wrong
	case string:
		if _, ok := got.(string); ok && want == "…" {
			return nil
		}
	}
	if want != got {
		return []string{fmt.Sprintf("%s is not %v", at, want)}
	}
	return nil
}
