package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// BenchmarkCredentialReads measures reads of a credential from a running laptop, beside a bare
// handler and one that verifies the same token, each in a process of its own. The three are
// measured in turn and the best of five rounds counts, so that other load of the machine affects
// all. x-bare is the rate as a part of the bare handler's over as many connections, and x-verifying
// as a part of the other's. cpu-us is the server's processor time for a read, x-bare-cpu its
// multiple of the bare handler's, and rss-MB the server's memory.
func BenchmarkCredentialReads(b *testing.B) {
	for _, size := range []struct {
		bindings    int // and as many instances in one account
		connections []int
	}{{100, []int{16}}, {10_000, []int{16, 64}}} {
		data, instances := memoryFolder(b), catalogue(b, size.bindings)
		seed(b, data, size.bindings, instances)
		p := start(b, data, instances)
		tokens := p.signInAll(400) // a caller may read 600 credentials a minute
		targets := []*target{
			{name: "bare", server: serveBeside(b, "bare", "")},
			{name: "verifying", server: serveBeside(b, "verifying",
				string(p.call(http.MethodGet, "/dev/jwks", secret.Text{}, nil).body))},
			{name: "laptop", server: server{p.url, p.cmd.Process.Pid}},
		}
		for _, connections := range size.connections {
			for _, t := range targets {
				t.best = measured{}
				t.load(b, connections, size.bindings, tokens) // until each token and binding is known
			}
			for range rounds {
				for _, t := range targets {
					t.best = t.best.or(t.measure(b, connections, size.bindings, tokens))
				}
			}
			for _, t := range targets {
				b.Run(fmt.Sprintf("bindings=%d/connections=%d/%s", size.bindings, connections, t.name),
					func(b *testing.B) { t.report(b, targets[0].best, targets[1].best) })
			}
		}
	}
}

const (
	rounds     = 5
	roundReads = 10_000
)

// target is a server under load.
type target struct {
	name   string
	server server
	best   measured
}

type server struct {
	url string
	pid int
}

// measured are the reads a second and the server's processor time for one.
type measured struct {
	rate float64
	cpu  time.Duration
}

// or returns the better of each.
func (m measured) or(other measured) measured {
	if m.cpu == 0 {
		return other
	}
	return measured{max(m.rate, other.rate), min(m.cpu, other.cpu)}
}

func (t *target) measure(
	b *testing.B, connections, bindings int, tokens []secret.Text,
) measured {
	before := t.server.cpu(b)
	took := t.load(b, connections, bindings, tokens)
	used := t.server.cpu(b) - before
	return measured{roundReads / took.Seconds(), used / roundReads}
}

func (t *target) report(b *testing.B, bare, verifying measured) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(t.best.rate, "reads/s")
	b.ReportMetric(t.best.rate/bare.rate, "x-bare")
	b.ReportMetric(t.best.rate/verifying.rate, "x-verifying")
	b.ReportMetric(float64(t.best.cpu.Nanoseconds())/1000, "cpu-us")
	b.ReportMetric(float64(t.best.cpu)/float64(bare.cpu), "x-bare-cpu")
	b.ReportMetric(t.server.rss(b), "rss-MB")
}

// load makes roundReads requests over so many connections, and returns how long they took. It
// writes and reads the connections itself, because net/http's client takes more time than the
// servers that are measured.
func (t *target) load(
	b *testing.B, connections, bindings int, tokens []secret.Text,
) time.Duration {
	address, _ := url.Parse(t.server.url)
	var made atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for range connections {
		all.Go(func() {
			if err := t.reads(address.Host, &made, bindings, tokens); err != nil {
				b.Errorf("%s: %v", t.name, err)
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}

func (t *target) reads(host string, made *atomic.Int64, bindings int, tokens []secret.Text) error {
	connection, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	in := bufio.NewReader(connection)
	for n := made.Add(1); n <= roundReads; n = made.Add(1) {
		_, err := fmt.Fprintf(connection,
			"POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			credentialPath(int(n)%bindings), host, tokens[int(n)%len(tokens)].Reveal())
		if err != nil {
			return err
		}
		if err := readReply(in); err != nil {
			return err
		}
	}
	return nil
}

// readReply reads a reply with a Content-Length.
func readReply(in *bufio.Reader) error {
	lines := textproto.NewReader(in)
	status, err := lines.ReadLine()
	if err != nil {
		return err
	}
	length := 0
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			if length, err = strconv.Atoi(value); err != nil {
				return err
			}
		}
	}
	if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
		return err
	}
	if status != "HTTP/1.1 200 OK" {
		return fmt.Errorf("the reply is %q", status)
	}
	return nil
}

// cpu returns the processor time that the process has used, of which the clock's tick is 10 ms.
func (s server) cpu(b *testing.B) time.Duration {
	text := s.proc(b, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var user, system int64
	_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss returns the process's memory in MB.
func (s server) rss(b *testing.B) float64 {
	_, rest, _ := strings.Cut(s.proc(b, "status"), "VmRSS:")
	var kB float64
	_, _ = fmt.Sscan(rest, &kB)
	return kB / 1024
}

// proc returns what the kernel says about the process. Only Linux does.
func (s server) proc(b *testing.B, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.pid, name))
	if err != nil {
		testkit.Missing(b, "/proc", "mount -t proc proc /proc")
	}
	return string(text)
}
