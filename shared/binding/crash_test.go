package binding_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bindery/shared/binding/ledger"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// victimEnv makes a process of this test's binary a victim in place of running tests: it does one
// deed and kills itself at one of its calls.
const victimEnv = "BINDERY_BINDING_VICTIM"

func TestMain(m *testing.M) {
	text := os.Getenv(victimEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var v victim
	err := json.Unmarshal([]byte(text), &v)
	if err == nil {
		err = v.live()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim is what the process is told.
type victim struct {
	Deed   string
	Dir    string // of the store
	Origin string // of the sandbox, which lives on
	Papers []string
	Now    time.Time
	// Kill is the number of the call to table, vault or platform at which it dies; before the call
	// is made or after its reply has come.
	Kill  int64
	After bool

	calls atomic.Int64
}

// live does the deed, to its end or to the victim's.
func (v *victim) live() error {
	s, err := openStore(v.Dir)
	if err != nil {
		return err
	}
	now := func() time.Time { return v.Now }
	hook := func(context.Context, string) (func(), error) { return v.called(), nil }
	box := sandbox.New(sandbox.Options{Now: now, Random: bytes.NewReader(nil)}) // for its apps' names
	service := newService(ledger.WithBeforeCall(s.table, hook), vault.WithBeforeCall(s.vault, hook),
		platformsAt(v.Origin, now, v.dial), box, now, &lines{})
	all := deeds()
	at := slices.IndexFunc(all, func(d deed) bool { return d.name == v.Deed })
	e := errand{origin: v.Origin}
	for _, paper := range v.Papers {
		e.papers = append(e.papers, secret.New(paper))
	}
	if err := all[at].do(context.Background(), service, e); err != nil {
		return fmt.Errorf("nobody was killed, and yet: %w", err)
	}
	return s.table.Close()
}

// called counts a call that is about to be made. What it returns is called when the reply has come.
func (v *victim) called() (replied func()) {
	if v.calls.Add(1) != v.Kill {
		return func() {}
	}
	if !v.After {
		die()
	}
	return die
}

// die ends the process as a power cut does: nothing that is deferred runs.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (v *victim) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watched{Conn: conn, victim: v}, nil
}

// watched is a connection to a platform. Each request is one write.
type watched struct {
	net.Conn
	victim  *victim
	replied atomic.Pointer[func()]
}

func (w *watched) Write(p []byte) (int, error) {
	replied := w.victim.called()
	w.replied.Store(&replied)
	return w.Conn.Write(p)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if replied := w.replied.Load(); replied != nil && n > 0 {
		(*replied)()
	}
	return n, err
}

// errKilled stands for the answer that nobody got.
var errKilled = problem.New(problem.StorageUnavailable).From(errors.New("the process was killed"))

// TestD7_WhicheverCallAProcessDiesAtNothingIsLeftOver kills a real process before and after each of
// its calls to table, vault and platform, until it lives through its deed. What it leaves behind
// must be the old binding or the new one, and the sweep must find the rest. Where the platform
// issues a token, two deaths lose it, and only these: right after its reply, and before the put.
func TestD7_WhicheverCallAProcessDiesAtNothingIsLeftOver(t *testing.T) {
	for _, d := range deeds() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.killEverywhere(t, false, true)
		})
	}
}

// TestD7_WhatADeathHasCutShortCanBeDoneAgain kills a process before each of its calls, and then has
// another do the same, which must succeed.
func TestD7_WhatADeathHasCutShortCanBeDoneAgain(t *testing.T) {
	for _, d := range repeated() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.killEverywhere(t, false)
		})
	}
}

// killEverywhere kills victims at the first call, the second and so on: before it, after it, or
// both.
func (d deed) killEverywhere(t *testing.T, after ...bool) {
	lost, deaths := 0, 0
	for k := int64(1); ; k++ {
		lives := 0
		for _, after := range after {
			survived, one := d.kill(t, k, after)
			if survived {
				lives++
				continue
			}
			deaths++
			lost += one
		}
		if lives == 0 {
			continue
		}
		want(t, fmt.Sprint("victims that never came to call ", k), lives, len(after))
		want(t, "calls at which it was killed", k > 2, true)
		if d.loses >= 0 {
			want(t, "deaths that lost a token", lost, d.loses)
		}
		t.Logf("%d calls, %d deaths, %d tokens lost", k-1, deaths, lost)
		return
	}
}

// kill runs one victim, and reports whether it has lived through its deed, and how many tokens are
// lost.
func (d deed) kill(t *testing.T, k int64, after bool) (survived bool, lost int) {
	b := d.ready(t)
	if err := b.store.table.Close(); err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(&victim{
		Deed: d.name, Dir: b.dir, Origin: b.url, Papers: b.papers(), Now: b.clock().now(),
		Kill: k, After: after,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+string(order))
	out, err := cmd.CombinedOutput()
	state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || err != nil && state.Signal() != syscall.SIGKILL {
		t.Fatalf("the victim ended otherwise: %v: %s", err, out)
	}

	b.store = mustOpen(t, b.dir)
	b.serve(b.store.table, b.store.vault)
	if survived = err == nil; !survived {
		lost = d.ended(b, fmt.Sprintf("killed at call %d, after it: %v", k, after), errKilled)
	} else {
		lost = d.ended(b, "not killed", nil)
	}
	_ = b.store.table.Close()
	return survived, lost
}

// papers are what the victim is told of its errand.
func (b *harness) papers() []string {
	var open []string
	for _, paper := range b.errand.papers {
		open = append(open, paper.Reveal())
	}
	return open
}
