package workqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

// leaseTTL is how long a run keeps others of its schedule away if it doesn't say that it has ended:
// longer than any run, which the clouds end after 3 minutes, by more than their clocks differ.
const leaseTTL = 3*time.Minute + 30*time.Second

// ErrRunning says that another run of the same schedule is under way.
var ErrRunning = errors.New("workqueue: another run of the schedule is under way")

// Lease keeps the runs of one schedule from working at the same time, so that a host gets
// [MaxCallsPerHost] from all of them together. Two runs at once would do no other harm. Its methods
// may be called at once from many goroutines and processes.
type Lease struct {
	ledger   *ledger.Ledger
	schedule string
	holder   string
	running  sync.Mutex // held by this process's run
}

// NewLease returns the lease of a schedule, for a process. It makes no call.
func NewLease(l *ledger.Ledger, schedule string) *Lease {
	return &Lease{ledger: l, schedule: schedule, holder: rand.Text()}
}

// Hold calls run while it holds the lease, and returns its error. It fails with [ErrRunning] if
// another run holds it; run is then not called. If the table doesn't give the lease, it calls run
// without one: what is due matters more. A process that was killed holds the lease until it
// expires.
func (x *Lease) Hold(ctx context.Context, run func() error) error {
	if !x.running.TryLock() {
		return ErrRunning
	}
	defer x.running.Unlock()
	taken, err := x.take(x.ledger.StartInvocation(ctx))
	switch {
	case errors.Is(err, table.ErrConflict):
		return ErrRunning
	case err != nil:
		x.ledger.Log.WarnContext(ctx, "a run has no lease", "schedule", x.schedule, "error", err)
	default:
		defer x.release(context.WithoutCancel(ctx), taken)
	}
	return run()
}

// take makes one call if the lease is free, and fails with [table.ErrConflict] if it is held. A
// lease of this process remains from a run that could not release it.
func (x *Lease) take(ctx context.Context) (binding.RunLease, error) {
	now := x.ledger.Now()
	mine := binding.RunLease{Schedule: x.schedule, Holder: x.holder, ExpiresAt: now.Add(leaseTTL)}
	taken, err := x.ledger.Table.SaveRunLease(ctx, mine)
	if !errors.Is(err, table.ErrConflict) {
		return taken, err
	}
	there, err := x.ledger.Table.RunLease(ctx, x.schedule)
	switch {
	case errors.Is(err, table.ErrNotFound): // released just now
		return there, table.ErrConflict
	case err != nil:
		return there, err
	case there.Holder != x.holder && there.ExpiresAt.After(now):
		return there, table.ErrConflict
	}
	mine.Version, mine.Attributes = there.Version, there.Attributes
	return x.ledger.Table.SaveRunLease(ctx, mine)
}

// release deletes the lease, also when the run has used up its invocation's time.
func (x *Lease) release(ctx context.Context, taken binding.RunLease) {
	err := x.ledger.Table.DeleteRunLease(x.ledger.StartInvocation(ctx), taken)
	if err != nil && !errors.Is(err, table.ErrConflict) {
		x.ledger.Log.WarnContext(ctx, "a lease was not released",
			"schedule", x.schedule, "error", err)
	}
}
