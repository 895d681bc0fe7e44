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
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// victimEnv makes a process of this test's binary a victim in place of running tests: it does one
// operation and kills itself at one of its calls.
const victimEnv = "BINDERY_BINDING_VICTIM"

func TestMain(m *testing.M) {
	text := os.Getenv(victimEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var v victim
	err := json.Unmarshal([]byte(text), &v)
	if err == nil {
		err = v.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim is the order to the process, in the environment variable.
type victim struct {
	Operation string
	Dir       string // of the store
	Origin    string // of the sandbox, in the test's process
	Values    []string
	Now       time.Time
	// Kill is the number of the call to table, vault or platform at which it kills itself: before
	// the call is made, or with After when its reply has come.
	Kill  int64
	After bool
	// Sealed says that the vault is the envelope vault, and that only its calls count: to its rows
	// and to the key service.
	Sealed bool

	calls atomic.Int64
}

// run does the operation until it ends or the process is killed.
func (v *victim) run() error {
	s, err := openStore(v.Dir)
	if err != nil {
		return err
	}
	now := func() time.Time { return v.Now }
	hook := func(context.Context, string) (func(), error) { return v.called(), nil }
	box := sandbox.New(sandbox.Options{Now: now, Random: bytes.NewReader(nil)}) // for its apps' names
	rows, dial := ledger.Table(s.table), dialer(nil)
	if v.Sealed {
		err = s.seal(now, hook)
	} else {
		rows, dial = ledger.WithBeforeCall(rows, hook), v.dial
		s.vault = vault.WithBeforeCall(s.vault, hook)
	}
	if err != nil {
		return err
	}
	service := newService(rows, s.vault, platformsAt(v.Origin, now, dial), box, now, &testkit.Log{})
	all := operations()
	at := slices.IndexFunc(all, func(op operation) bool { return op.name == v.Operation })
	in := operationInput{origin: v.Origin}
	for _, value := range v.Values {
		in.values = append(in.values, secret.New(value))
	}
	if err := all[at].do(context.Background(), service, in); err != nil {
		return fmt.Errorf("the process was not killed, but the operation failed: %w", err)
	}
	return s.close()
}

// called counts a call that is about to be made. Its result is called when the reply has come.
func (v *victim) called() (replied func()) {
	if v.calls.Add(1) != v.Kill {
		return func() {}
	}
	if !v.After {
		killItself()
	}
	return killItself
}

// killItself ends the process as a power cut does: no deferred function runs.
func killItself() {
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

// errKilled stands for the reply of a process that was killed.
var errKilled = problem.New(problem.StorageUnavailable).From(errors.New("the process was killed"))

// TestD7_AProcessKilledAtAnyCallLeavesNothingBehind kills a real process before and after each of
// its calls to table, vault and platform, until its operation ends without a kill. The record must
// be the old binding or the new one, and the sweep must find the rest. Where the platform issues a
// token, only two kills lose it: right after its reply, and before the put.
func TestD7_AProcessKilledAtAnyCallLeavesNothingBehind(t *testing.T) {
	for _, op := range withSealed(operations()) {
		t.Run(op.title(), func(t *testing.T) {
			t.Parallel()
			op.killEverywhere(t, false, true)
		})
	}
}

// TestD7_AnOperationThatWasKilledCanBeRepeated kills a process before each of its calls, and then
// has another process do the same, which must succeed.
func TestD7_AnOperationThatWasKilledCanBeRepeated(t *testing.T) {
	for _, op := range withSealed(repeatedOperations()) {
		t.Run(op.title(), func(t *testing.T) {
			t.Parallel()
			op.killEverywhere(t, false)
		})
	}
}

// killEverywhere kills victims at the first call, the second and so on: before it, after it, or
// both.
func (op operation) killEverywhere(t *testing.T, after ...bool) {
	lost, kills := 0, 0
	for k := int64(1); ; k++ {
		survivors := 0
		for _, after := range after {
			survived, one := op.kill(t, k, after)
			if survived {
				survivors++
				continue
			}
			kills++
			lost += one
		}
		if survivors == 0 {
			continue
		}
		testkit.Want(t, fmt.Sprint("victims that never came to call ", k), survivors, len(after))
		testkit.Want(t, "calls at which it was killed", op.sealed && k > 1 || k > 2, true)
		if op.loses >= 0 {
			testkit.Want(t, "kills that lost a token", lost, op.lossesOf(len(after)))
		}
		t.Logf("%d calls, %d kills, %d tokens lost", k-1, kills, lost)
		return
	}
}

// kill runs one victim. It reports whether its operation ended without a kill, and returns how many
// tokens are lost.
func (op operation) kill(t *testing.T, k int64, after bool) (survived bool, lost int) {
	b := op.setUp(t)
	if err := b.store.close(); err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(&victim{
		Operation: op.name, Dir: b.dir, Origin: b.url, Values: b.inputValues(), Now: b.clock().Now(),
		Kill: k, After: after, Sealed: op.sealed,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+string(order))
	out, err := cmd.CombinedOutput()
	state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || err != nil && state.Signal() != syscall.SIGKILL {
		t.Fatalf("the victim ended in another way: %v: %s", err, out)
	}

	b.reopen()
	if survived = err == nil; !survived {
		lost = op.ended(b, fmt.Sprintf("killed at call %d, after it: %v", k, after), errKilled)
	} else {
		lost = op.ended(b, "not killed", nil)
	}
	_ = b.store.close()
	return survived, lost
}

// inputValues returns the values of the operation's input as plain text, for the victim.
func (b *harness) inputValues() []string {
	var open []string
	for _, value := range b.input.values {
		open = append(open, value.Reveal())
	}
	return open
}
