// Package triggertest runs a function's binary as a cloud does: it is the runtime API of AWS Lambda
// or of Function Compute's built-in Go runtime, from which the process fetches events and to which
// it posts replies.
//
// It covers the part of the protocols that the vendors' own Go libraries use: one process, events
// as bytes in, replies as bytes out, and the deadline. gateway.go converts requests to events and
// results to replies. How a cloud starts, freezes and ends processes is left out.
package triggertest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options says how a process is started.
type Options struct {
	// On is the runtime: [Lambda] or [FunctionCompute].
	On Runtime
	// Binary is the program, and Env its whole environment except the runtime API's address.
	Binary string
	Env    []string
	// As are the credentials that come with each event until others are set. If it is zero,
	// canaries are sent. Lambda sends none.
	As Credentials
	// Timeout is how long one event may take; 0 is 15 seconds. The process gets it as a deadline,
	// and is not ended when it has passed.
	Timeout time.Duration
}

// Process is a running function. Its methods may be called at once from many goroutines.
type Process struct {
	options Options
	cmd     *exec.Cmd
	begun   time.Time
	polled  chan struct{} // closed at the first request for an event
	ended   chan struct{} // closed when the process has ended
	log     string        // a file: it is complete when the reply arrives

	events chan *invocation

	mu      sync.Mutex // guards the fields below
	number  int
	waiting map[string]*invocation
	first   time.Time
	as      Credentials
}

// invocation is one event in progress.
type invocation struct {
	id    string
	kind  kind
	event []byte
	as    Credentials
	done  chan outcome // takes one
}

type outcome struct {
	reply []byte
	err   error
}

// Failure is an error that the process posted in place of a reply.
type Failure struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
	// Posted is the whole body that was posted.
	Posted string `json:"-"`
}

func (f *Failure) Error() string { return f.Type + ": " + f.Message }

// ErrEnded means that the process ended before it replied.
var ErrEnded = errors.New("triggertest: the process has ended")

// Start starts the process. It is killed when the test ends; how it ends is no error here.
func Start(t testing.TB, o Options) *Process {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	p := &Process{
		options: o,
		polled:  make(chan struct{}),
		ended:   make(chan struct{}),
		events:  make(chan *invocation),
		waiting: map[string]*invocation{},
		as: cmp.Or(o.As,
			Credentials{"canary-key-id", "canary-key-secret", "canary-security-token"}),
		log: filepath.Join(t.TempDir(), "log"),
	}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	server := httptest.NewServer(p.api())
	p.cmd = exec.Command(o.Binary)
	p.cmd.Env = append(append([]string{}, o.Env...),
		o.On.variable+"="+strings.TrimPrefix(server.URL, "http://"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		server.Close()
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	// The process ends before the API does: a library that finds no API asks again without a pause.
	t.Cleanup(func() {
		p.Kill()
		server.CloseClientConnections()
		server.Close()
	})
	return p
}

// Kill ends the process at once and waits until it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// CPU returns the processor time that the process used until it ended, which has to be before.
func (p *Process) CPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Log returns everything that the process has written to stdout and stderr until now.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Ready waits for the process's first request for an event, and returns the time since the start.
func (p *Process) Ready(ctx context.Context) (time.Duration, error) {
	select {
	case <-p.polled:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.first.Sub(p.begun), nil
	case <-p.ended:
		return 0, ErrEnded
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Invoke sends the event as soon as the process asks for one, and returns its reply. The error is a
// [*Failure] if the process posted one, and [ErrEnded] if the process will never answer.
func (p *Process) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return p.invoke(ctx, event, invoke)
}

// SetCredentials changes the credentials that come with each event from now on; the zero value
// sends none.
func (p *Process) SetCredentials(as Credentials) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.as = as
}

// Initialize runs the function's initializer, which only Function Compute has.
func (p *Process) Initialize(ctx context.Context) error {
	_, err := p.invoke(ctx, nil, initializer)
	return err
}

// PreStop runs the function's preStop hook, which only Function Compute has.
func (p *Process) PreStop(ctx context.Context) error {
	_, err := p.invoke(ctx, nil, preStop)
	return err
}

func (p *Process) invoke(ctx context.Context, event []byte, kind kind) ([]byte, error) {
	p.mu.Lock()
	p.number++
	i := &invocation{
		id:   fmt.Sprintf("00000000-0000-4000-8000-%012d", p.number),
		kind: kind, event: event, as: p.as, done: make(chan outcome, 1),
	}
	p.waiting[i.id] = i
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, i.id)
	}()
	select {
	case p.events <- i:
	case <-p.ended:
		return nil, ErrEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case o := <-i.done:
		return o.reply, o.err
	case <-p.ended:
		return nil, ErrEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// api is the runtime API.
func (p *Process) api() http.Handler {
	mux := http.NewServeMux()
	base := p.options.On.base
	mux.HandleFunc("GET "+base+"next", p.next)
	mux.HandleFunc("POST "+base+"{id}/response", p.posted(func(body []byte) outcome {
		return outcome{reply: body}
	}))
	mux.HandleFunc("POST "+base+"{id}/error", p.posted(func(body []byte) outcome {
		failure := &Failure{Posted: string(body)}
		_ = json.Unmarshal(body, failure) // a body that isn't JSON is in Posted
		return outcome{err: failure}
	}))
	return mux
}

// next waits until there is an event. A process that handles several at once asks for the second
// before it has replied to the first.
func (p *Process) next(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.first.IsZero() {
		p.first = time.Now()
		close(p.polled)
	}
	p.mu.Unlock()
	select {
	case i := <-p.events:
		p.options.On.describe(w.Header(), i, time.Now(), p.options.Timeout)
		_, _ = w.Write(i.event)
	case <-r.Context().Done():
	}
}

func (p *Process) posted(read func(body []byte) outcome) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p.mu.Lock()
		i := p.waiting[r.PathValue("id")]
		delete(p.waiting, r.PathValue("id")) // one reply each
		p.mu.Unlock()
		if err != nil || i == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		i.done <- read(body)
		w.WriteHeader(p.options.On.accepted)
	}
}
