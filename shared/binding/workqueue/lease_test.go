package workqueue_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/table/bolt"
	"bindery/shared/testkit"
)

// leases are two processes on one file, with a lease of the same schedule each.
type leases struct {
	clock       *testkit.Clock
	rows        *bolt.Table
	mine, other *workqueue.Lease
	log         testkit.Log
	calls       int
	fails       string // the call that fails
}

func newLeases(t *testing.T) *leases {
	t.Helper()
	rows, err := bolt.Open(filepath.Join(t.TempDir(), "table.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	x := &leases{clock: testkit.NewClock(), rows: rows}
	x.mine, x.other = x.process("check"), x.process("check")
	return x
}

// process returns the lease of a schedule in a process of its own.
func (x *leases) process(schedule string) *workqueue.Lease {
	return workqueue.NewLease(ledger.New(ledger.Options{
		Table: ledger.WithBeforeCall(x.rows, func(_ context.Context, call string) (func(), error) {
			if x.calls++; call == x.fails {
				return nil, errors.New("broken")
			}
			return nil, nil
		}),
		Log: x.log.Logger(), Clock: x.clock.Now,
	}), schedule)
}

// held reports whether there is a row of the lease.
func (x *leases) held(t *testing.T) bool {
	t.Helper()
	_, err := x.rows.RunLease(t.Context(), "check")
	return err == nil
}

func none() error { return nil }

func TestASecondRunIsRefusedUntilTheFirstHasEnded(t *testing.T) {
	x := newLeases(t)
	failed := errors.New("failed")
	err := x.mine.Hold(t.Context(), func() error {
		testkit.Want(t, "another process", x.other.Hold(t.Context(), none), workqueue.ErrRunning)
		testkit.Want(t, "the same process", x.mine.Hold(t.Context(), none), workqueue.ErrRunning)
		testkit.Want(t, "another schedule", x.process("others").Hold(t.Context(), none), nil)
		return failed
	})
	testkit.Want(t, "the run's error", err, failed)
	testkit.Want(t, "held at the end", x.held(t), false)
	x.calls = 0
	testkit.Want(t, "the next run", x.other.Hold(t.Context(), none), nil)
	testkit.Want(t, "calls to the table", x.calls, 2)
	testkit.Want(t, "log", x.log.String(), "")
}

// TestALeaseIsReleased also when the run has used up the time of its invocation, has ended with it,
// or panics.
func TestALeaseIsReleased(t *testing.T) {
	x := newLeases(t)
	ctx, cancel := context.WithCancel(t.Context())
	_ = x.mine.Hold(ctx, func() error {
		x.clock.Advance(ledger.CallDeadline + time.Second)
		cancel()
		return nil
	})
	testkit.Want(t, "held after a late run", x.held(t), false)
	func() {
		defer func() { _ = recover() }()
		_ = x.mine.Hold(t.Context(), func() error { panic("broken") })
	}()
	testkit.Want(t, "held after a panic", x.held(t), false)
	testkit.Want(t, "the next run", x.mine.Hold(t.Context(), none), nil)
}

// TestAKilledRunDelaysOthersUntilItsLeaseExpires: the clouds end a run after three minutes, and two
// clocks may differ by some seconds.
func TestAKilledRunDelaysOthersUntilItsLeaseExpires(t *testing.T) {
	x := newLeases(t)
	killed := make(chan error)
	release := make(chan struct{})
	defer func() {
		close(release)
		testkit.Want(t, "the run whose lease has expired", <-killed, nil)
		testkit.Want(t, "held by the other", x.held(t), true)
	}()
	taken := make(chan struct{})
	go func() {
		killed <- x.mine.Hold(t.Context(), func() error { close(taken); <-release; return nil })
	}()
	<-taken
	x.clock.Advance(3*time.Minute + 20*time.Second)
	testkit.Want(t, "before it expires", x.other.Hold(t.Context(), none), workqueue.ErrRunning)
	x.clock.Advance(10 * time.Second)
	x.fails = "DeleteRunLease"
	testkit.Want(t, "when it has expired", x.other.Hold(t.Context(), none), nil)
	x.fails = ""
}

// TestALeaseThatAProcessCouldNotReleaseDelaysOnlyOthers: its own next run takes it again, as after
// a save whose reply was lost.
func TestALeaseThatAProcessCouldNotReleaseDelaysOnlyOthers(t *testing.T) {
	x := newLeases(t)
	x.fails = "DeleteRunLease"
	testkit.Want(t, "the run", x.mine.Hold(t.Context(), none), nil)
	testkit.Want(t, "warnings", len(x.log.Records(t, "a lease was not released")), 1)
	x.fails = ""
	testkit.Want(t, "another process", x.other.Hold(t.Context(), none), workqueue.ErrRunning)
	testkit.Want(t, "the same process", x.mine.Hold(t.Context(), none), nil)
	testkit.Want(t, "held at the end", x.held(t), false)
}

func TestARunWithoutALeaseWorksOnWhatIsDue(t *testing.T) {
	x := newLeases(t)
	_, err := x.rows.SaveRunLease(t.Context(), binding.RunLease{Schedule: "check"}) // has expired
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"SaveRunLease", "RunLease"} {
		x.fails = call
		ran := false
		err := x.mine.Hold(t.Context(), func() error { ran = true; return nil })
		testkit.Want(t, call, err, nil)
		testkit.Want(t, call+": it runs", ran, true)
	}
	testkit.Want(t, "warnings", len(x.log.Records(t, "a run has no lease")), 2)
	x.fails = ""
	testkit.Want(t, "afterwards", x.mine.Hold(t.Context(), none), nil)
	testkit.Want(t, "held at the end", x.held(t), false)
}
