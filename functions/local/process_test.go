package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// longest is how long a test waits for a process, which needs a fraction of it; a benchmark has
// longestBench.
const (
	longest      = 30 * time.Second
	longestBench = 10 * time.Minute
)

// local is the binary under test, built once.
var local string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if role := os.Getenv(besideRole); role != "" {
		fmt.Fprintln(os.Stderr, beside(role))
		return 1
	}
	dir, err := os.MkdirTemp("", "bindery-local-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	local = filepath.Join(dir, "local")
	if err := buildBinary(local, "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// buildBinary builds one function, with the race detector if the tests have it.
func buildBinary(binary, folder string) error {
	args := []string{"build", "-buildvcs=false", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok &&
		slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, folder)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building %s: %w: %s", folder, err, out)
	}
	return nil
}

// process is a running Bindery.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	url     string // Bindery's address in the greeting
	sandbox string
	data    string
	samples []sandbox.Sample // those with a token

	stderr bytes.Buffer // read it only when ended is closed
	ended  chan struct{}
	err    error // with which the process ended

	mu      sync.Mutex
	log     []string
	secrets []secret.Text // what must not be in the log
}

// environment returns the settings and only those variables of the machine that a process needs.
func environment(data string, settings ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + data, "PORT=0", "BINDERY_DATA=" + data,
		"GORACE=atexit_sleep_ms=0", // otherwise each process takes another second to end
	}, settings...)
}

// start runs Bindery and returns when its greeting is complete. At the end of the test the process
// is stopped and its log is searched for tokens.
func start(t testing.TB, data string, settings ...string) *process {
	t.Helper()
	limit := longest
	if _, ok := t.(*testing.B); ok {
		limit = longestBench
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, local), ended: make(chan struct{})}
	p.cmd.Env = environment(data, settings...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	greeted := make(chan bool, 1)
	go p.read(out, greeted)
	t.Cleanup(p.end)
	if !<-greeted {
		<-p.ended
		t.Fatalf("it ended before its greeting was complete: %v: %s", p.err, p.stderr.String())
	}
	box := sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader, URL: p.sandbox})
	defer box.Close()
	for _, s := range box.Samples() {
		if !s.Token.Empty() {
			p.samples = append(p.samples, s)
			p.hide(s.Token)
		}
	}
	return p
}

// read parses the greeting, keeps the lines, and waits for the end.
func (p *process) read(out io.Reader, greeted chan<- bool) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	greeting := true
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		p.mu.Lock()
		p.log = append(p.log, line)
		p.mu.Unlock()
		if greeting {
			p.greeting(line)
		}
		if greeting && p.url != "" {
			greeting = false
			greeted <- true
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line beyond the buffer must not block the process
	p.err = p.cmd.Wait()
	close(p.ended)
	if greeting {
		greeted <- false
	}
}

// greeting parses a line of the greeting.
func (p *process) greeting(line string) {
	after := func(prefix string, to *string) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			*to = strings.TrimSpace(rest)
		}
	}
	after("Bindery is at", &p.url)
	after("The sandbox is at", &p.sandbox)
	p.sandbox, _, _ = strings.Cut(p.sandbox, " ")
	after("Data is kept in", &p.data)
}

// hide adds a secret that the log must not have.
func (p *process) hide(s secret.Text) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, s)
}

// stop ends the process as Ctrl-C or a service manager does, and wants status 0 and nothing on
// stderr.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
	if p.err != nil || p.stderr.Len() > 0 {
		p.t.Errorf("on SIGTERM it ended with %v, stderr %q", p.err, p.stderr.String())
	}
}

// kill kills the process.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// alive fails the test if the process has ended.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Errorf("it ended: %v: %s", p.err, p.stderr.String())
	default:
	}
}

// end ends the process if it runs, and searches its log.
func (p *process) end() {
	p.kill()
	for _, line := range append(p.log, p.stderr.String()) {
		for _, s := range p.secrets {
			if strings.Contains(line, s.Reveal()) {
				p.t.Errorf("a secret is in the log: %s", strings.ReplaceAll(line, s.Reveal(), "<it>"))
			}
		}
		if strings.Contains(line, "DATA RACE") {
			p.t.Errorf("%s", line)
		}
	}
}

// refused runs Bindery with settings with which it can't start. It wants status 1, nothing on
// stdout, and one line on stderr for each mistake, and returns these lines.
func refused(t testing.TB, data string, mistakes int, settings ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, local)
	cmd.Env = environment(data, settings...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit status 1", err)
	}
	if stdout.Len() > 0 {
		t.Errorf("it has %d bytes on stdout, want none", stdout.Len())
	}
	if len(lines) != mistakes {
		t.Errorf("it complains in %d lines, want %d: %q", len(lines), mistakes, lines)
	}
	for _, line := range lines {
		if len(line) < 20 || strings.Contains(line, "goroutine ") {
			t.Errorf("a line of the complaint is not a sentence: %q", line)
		}
	}
	return lines
}

// wants wants the lines to have all the words.
func wants(t testing.TB, lines []string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(strings.Join(lines, "\n"), word) {
			t.Errorf("the complaint is %q, want that it says %q", lines, word)
		}
	}
}

// ports finds two consecutive free ports, and returns the first. They are outside the kernel's
// range of ephemeral ports, so that no other test gets them in the meantime.
func ports(t testing.TB) int {
	t.Helper()
	free := func(port int) bool {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		return l.Close() == nil
	}
	for port := 20_000 + os.Getpid()%10_000; port < 32_000; port += 2 {
		if free(port) && free(port+1) {
			return port
		}
	}
	t.Fatal("no two ports in a row are free")
	return 0
}
