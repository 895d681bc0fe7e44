package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// BenchmarkCredentialReads measures reads of a credential from a running laptop, in a process of
// its own, beside a bare handler and one that verifies the same token, which run in the client's
// process. x-bare is the rate as a part of the bare handler's at as many connections. cpu-us is the
// laptop's processor time for a read, and rss-MB its memory.
func BenchmarkCredentialReads(b *testing.B) {
	const bindings, callers = 100, 400
	p := start(b, b.TempDir(), "BINDERY_INSTANCES="+numberedInstances(bindings))
	var tokens []secret.Text
	for n := range callers { // a caller may read 600 credentials a minute
		tokens = append(tokens, p.signIn(url.Values{"user": {fmt.Sprint("caller-", n)}}))
	}
	for n := range bindings {
		path := fmt.Sprintf("/v1/instances/r/i%d/bindings/gitlab", n)
		got := p.call(http.MethodPut, path, tokens[n], form(p.sample("gitlab", "good")))
		if got.status != http.StatusOK {
			b.Fatalf("binding: status %d: %s", got.status, got.code())
		}
	}
	read := func(n int64) *http.Request {
		path := fmt.Sprintf("%s/v1/instances/r/i%d/bindings/gitlab/credential", p.url, n%bindings)
		return request(b, path, tokens[n%callers])
	}
	for n := range int64(callers) { // which every caller's token and every binding's is known after
		reply, err := http.DefaultClient.Do(read(n))
		if err != nil || reply.StatusCode != http.StatusOK {
			b.Fatalf("the first read of caller %d: %v, %v", n, reply, err)
		}
		_ = reply.Body.Close()
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token":"a token of forty characters, more or less"}`)
	}))
	defer bare.Close()
	verifying := httptest.NewServer(p.verifier(b))
	defer verifying.Close()
	to := func(address string) func(int64) *http.Request {
		return func(n int64) *http.Request { return request(b, address, tokens[n%callers]) }
	}
	for _, connections := range []int{16, 64} {
		var bareRate float64
		for _, target := range []struct {
			name string
			next func(int64) *http.Request
			own  bool // the laptop
		}{
			{"bare", to(bare.URL), false},
			{"verifying", to(verifying.URL), false},
			{"laptop", read, true},
		} {
			b.Run(fmt.Sprintf("%s-%d", target.name, connections), func(b *testing.B) {
				before := p.cpu()
				rate := load(b, connections, target.next)
				if target.name == "bare" {
					bareRate = rate
				}
				b.ReportMetric(rate, "reads/s")
				b.ReportMetric(rate/bareRate, "x-bare")
				if target.own {
					b.ReportMetric(float64((p.cpu()-before).Microseconds())/float64(b.N), "cpu-us")
					b.ReportMetric(p.rss(), "rss-MB")
				}
			})
		}
	}
}

func numberedInstances(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"type":"personal","region":"r","id":"i%d","name":""}`, i))
	}
	return `{"acme":[` + strings.Join(list, ",") + `]}`
}

func request(b *testing.B, address string, token secret.Text) *http.Request {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	return r
}

// load makes b.N requests over so many connections, and returns how many a second.
func load(b *testing.B, connections int, next func(int64) *http.Request) float64 {
	client := http.Client{Transport: &http.Transport{
		MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
	}}
	defer client.CloseIdleConnections()
	var made atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for range connections {
		all.Go(func() {
			for n := made.Add(1); n <= int64(b.N); n = made.Add(1) {
				reply, err := client.Do(next(n))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, reply.Body)
				_ = reply.Body.Close()
				if reply.StatusCode != http.StatusOK {
					b.Errorf("status %d", reply.StatusCode)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(b.N) / time.Since(begun).Seconds()
}

// verifier is a handler that only verifies the laptop's tokens, without a cache.
func (p *process) verifier(b *testing.B) http.Handler {
	var keys jose.JSONWebKeySet
	got := p.call(http.MethodGet, "/dev/jwks", secret.Text{}, nil)
	if err := json.Unmarshal(got.body, &keys); err != nil {
		b.Fatal(err)
	}
	algorithm := jose.SignatureAlgorithm(keys.Keys[0].Algorithm)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{algorithm})
		if err == nil {
			_, err = token.Verify(keys.Keys[0])
		}
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// cpu returns the processor time that the process has used, of which the clock's tick is 10 ms.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		testkit.Missing(p.t, "/proc", "mount -t proc proc /proc")
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss returns the process's memory in MB.
func (p *process) rss() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kB float64
	_, _ = fmt.Sscan(rest, &kB)
	return kB / 1024
}
