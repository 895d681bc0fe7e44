// Package workqueue works on what is due, within the time of one run of a schedule: on the entries
// of an index in parallel, and on what asks a host in a queue of that host. What the work is, the
// packages maintenance and subscription say.
package workqueue

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

const (
	// RunTimeout is how long one run works before it leaves the rest to the next: well before the
	// 2 minutes after which it may begin no further call.
	RunTimeout = 90 * time.Second
	// MaxConcurrentEntries is how many due entries are worked on at the same time.
	MaxConcurrentEntries = 32
	// maxEntries bounds a run's memory.
	maxEntries = 20_000
)

// Run is one run. Its methods may be called at once from many goroutines.
type Run struct {
	now     func() time.Time
	began   time.Time
	working sync.WaitGroup // the workers of the queues

	mu     sync.Mutex // guards what follows
	left   bool
	queues map[string]*hostQueue
}

// New returns a run that begins now.
func New(now func() time.Time) *Run {
	return &Run{now: now, began: now(), queues: map[string]*hostQueue{}}
}

// Work calls work with each entry of an index that was due when the run began, and returns when all
// of it has ended, also what it has queued. list reads a page of the index. An error is list's.
func Work[E any](
	ctx context.Context, r *Run,
	list func(ctx context.Context, due time.Time, cursor string, limit int) (table.Page[E], error),
	work func(context.Context, E),
) error {
	defer r.working.Wait()
	var group errgroup.Group
	group.SetLimit(MaxConcurrentEntries)
	defer func() { _ = group.Wait() }()
	seen, cursor := 0, ""
	for {
		page, err := list(ctx, r.began, cursor, ledger.PageSize)
		if err != nil {
			return err
		}
		for _, entry := range page.Items {
			if r.Over(ctx) {
				return nil
			}
			group.Go(func() error { work(ctx, entry); return nil })
		}
		seen += len(page.Items)
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
		if seen >= maxEntries {
			r.leave()
			return nil
		}
	}
}

// Over reports whether it is time to leave the rest to the next run.
func (r *Run) Over(ctx context.Context) bool {
	if !r.now().After(r.Deadline()) && ctx.Err() == nil {
		return false
	}
	r.leave()
	return true
}

// Deadline returns when it is time to leave the rest to the next run.
func (r *Run) Deadline() time.Time { return r.began.Add(RunTimeout) }

// Left reports whether something was left for the next run.
func (r *Run) Left() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

func (r *Run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
}

// Took returns how long the run has worked.
func (r *Run) Took() time.Duration { return r.now().Sub(r.began) }
