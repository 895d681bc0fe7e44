package subscription

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/table"
)

const (
	// RunTimeout is how long one run works before it leaves the rest to the next, as the run of
	// package maintenance.
	RunTimeout = 90 * time.Second
	// MaxConcurrent is how many subscriptions' events are forwarded at the same time.
	MaxConcurrent = 32
	// MaxCallsPerHost is how many syncs ask one host at the same time.
	MaxCallsPerHost = 8
	// maxDueEntries bounds a run's memory.
	maxDueEntries = 20_000
)

// RunResult counts what a run has done.
type RunResult struct {
	Due       int  `json:"due"`       // subscriptions that it looked at
	Forwarded int  `json:"forwarded"` // events that the receiver has taken
	Dead      int  `json:"dead"`      // events that it has not taken in two days, or answered 410
	Synced    int  `json:"synced"`    // subscriptions that were compared with their platform
	Repaired  int  `json:"repaired"`  // webhooks
	CaughtUp  int  `json:"caughtUp"`  // events that no delivery told of
	Broken    int  `json:"broken"`    // subscriptions that have broken now
	Ended     int  `json:"ended"`     // subscriptions of which nothing is left
	Failed    int  `json:"failed"`    // subscriptions that an error left for later
	Left      bool `json:"left"`      // some were left for the next run
}

// add adds the counts of a part of the run.
func (r *RunResult) add(part RunResult) {
	r.Due += part.Due
	r.Forwarded += part.Forwarded
	r.Dead += part.Dead
	r.Synced += part.Synced
	r.Repaired += part.Repaired
	r.CaughtUp += part.CaughtUp
	r.Broken += part.Broken
	r.Ended += part.Ended
	r.Failed += part.Failed
	r.Left = r.Left || part.Left
}

// Run works on every subscription that is due: forwards its events, writes its log, syncs, finishes
// what a crash has left. Several may run at once, and one may crash at any call. Neither a failing
// subscription nor a slow platform delays the others, and no event waits for a sync. An error is
// returned only when the index can't be read.
func (s *Service) Run(ctx context.Context) (RunResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	r := &run{Service: s, began: s.ledger.Now(), hosts: map[string]*hostQueue{}}
	err := r.read(ctx)
	r.working.Wait()
	return r.done, err
}

// run is one run.
type run struct {
	*Service
	began   time.Time
	working sync.WaitGroup // the workers of the hosts

	mu    sync.Mutex // guards what follows
	done  RunResult
	hosts map[string]*hostQueue
}

// hostQueue are the subscriptions that wait for a call to one host.
type hostQueue struct {
	waiting []binding.Subscription
	workers int
}

func (r *run) count(part RunResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.add(part)
}

// over reports whether it is time to leave the rest to the next run.
func (r *run) over(ctx context.Context) bool {
	if r.ledger.Now().Sub(r.began) <= RunTimeout && ctx.Err() == nil {
		return false
	}
	r.count(RunResult{Left: true})
	return true
}

// read reads the index of what is due.
func (r *run) read(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(MaxConcurrent)
	defer func() { _ = group.Wait() }()
	seen, cursor := 0, ""
	for {
		page, err := r.ledger.Table.DueSubscriptions(ctx, r.began, cursor, ledger.PageSize)
		if err != nil {
			return ledger.Unavailable("listing the subscriptions that are due", err)
		}
		for _, id := range page.Items {
			if r.over(ctx) {
				return nil
			}
			group.Go(func() error { r.subscription(ctx, id); return nil })
		}
		seen += len(page.Items)
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
		if seen >= maxDueEntries {
			r.count(RunResult{Left: true})
			return nil
		}
	}
}

// subscription works on one entry of the index: it forwards the events that are due, and leaves
// what asks a platform to the queue of its host.
func (r *run) subscription(ctx context.Context, id string) {
	sub, err := r.ledger.Table.Subscription(ctx, id)
	if errors.Is(err, table.ErrNotFound) || err == nil && !r.due(sub.DueAt) {
		return // the index lags
	}
	r.count(RunResult{Due: 1})
	if err == nil && sub.Stage == binding.SubscriptionActive {
		var sent delivery.ForwardCounts
		sub, sent, err = r.deliveries.Forward(ctx, sub)
		r.count(RunResult{Forwarded: sent.Forwarded, Dead: sent.Dead})
		if err == nil {
			sub, err = r.spillHeads(ctx, sub)
		}
	}
	if err != nil {
		r.failed(ctx, id, err)
		return
	}
	if r.due(sub.SyncAt) && !sub.Claim.After(r.ledger.Now()) {
		r.queue(ctx, sub)
	}
}

func (r *run) due(at time.Time) bool { return !at.IsZero() && !at.After(r.ledger.Now()) }

// queue adds a subscription to its host's queue, and starts another worker if the host may have
// one.
func (r *run) queue(ctx context.Context, sub binding.Subscription) {
	host := r.ledger.Platforms.Site(sub.Binding.Platform, "")
	if host == "" { // users name the host, and an account uses few
		host = sub.Binding.Platform + " " + sub.Binding.Account
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.hosts[host]
	if q == nil {
		q = &hostQueue{}
		r.hosts[host] = q
	}
	q.waiting = append(q.waiting, sub)
	if q.workers < MaxCallsPerHost {
		q.workers++
		r.working.Go(func() { r.serve(ctx, q) })
	}
}

// serve works on a queue until it is empty.
func (r *run) serve(ctx context.Context, q *hostQueue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			q.workers--
			r.mu.Unlock()
			return
		}
		sub := q.waiting[0]
		q.waiting = q.waiting[1:]
		r.mu.Unlock()
		if !r.over(ctx) {
			if err := r.maintain(ctx, sub); err != nil {
				r.failed(ctx, sub.ID, err)
			}
		}
	}
}

// maintain ends, completes or syncs one subscription.
func (r *run) maintain(ctx context.Context, sub binding.Subscription) error {
	if sub.Stage == binding.SubscriptionEnding {
		at, err := r.siteOrNone(ctx, sub.Binding)
		if err != nil {
			return err
		}
		_, ended, err := r.finishEnd(ctx, at, sub)
		if ended && err == nil {
			r.count(RunResult{Ended: 1})
		}
		return err
	}
	_, out, err := r.work(ctx, sub)
	if err != nil {
		return err
	}
	part := RunResult{
		Synced: 1, CaughtUp: out.caughtUp, Forwarded: out.sent.Forwarded, Dead: out.sent.Dead,
	}
	if out.repaired {
		part.Repaired = 1
	}
	if out.broken {
		part.Broken = 1
	}
	if out.ended {
		part = RunResult{Ended: 1}
	}
	r.count(part)
	return nil
}

// failed counts and logs the failure of one subscription. A conflict is no failure: another
// invocation works on it. A failure of a platform is a warning, because alarms watch errors.
func (r *run) failed(ctx context.Context, id string, err error) {
	if errors.Is(err, table.ErrConflict) || errors.Is(err, table.ErrNotFound) ||
		problem.Is(err, problem.Conflict) {
		return
	}
	r.count(RunResult{Failed: 1})
	if problem.Is(err, problem.TokenMismatch) {
		return // the alarm is in the log already
	}
	level := slog.LevelWarn
	if isStorage(err) || problem.Is(err, problem.Internal) {
		level = slog.LevelError
	}
	r.ledger.Log.Log(ctx, level, "a subscription is left for later", "subscription", id,
		"error", err)
}
