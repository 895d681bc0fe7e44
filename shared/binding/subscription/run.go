package subscription

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/problem"
	"bindery/shared/table"
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

// add adds the counts of a part of the run. What is left is known at its end.
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
}

// Run works on every subscription that is due: forwards its events, writes its log, syncs, finishes
// what a crash has left. Several may run at once, and one may crash at any call. Neither a failing
// subscription nor a slow platform delays the others, and no event waits for a sync. An error is
// returned only when the index can't be read.
func (s *Service) Run(ctx context.Context) (RunResult, error) {
	return s.run(ctx, true)
}

// Forward is the part of [Service.Run] that asks no platform, for a run that finds another under
// way: it forwards the events that are due, and leaves everything else.
func (s *Service) Forward(ctx context.Context) (RunResult, error) { return s.run(ctx, false) }

func (s *Service) run(ctx context.Context, asks bool) (RunResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	r := &run{Service: s, queues: workqueue.New(s.ledger.Now), asks: asks}
	err := workqueue.Work(ctx, r.queues, s.ledger.Table.DueSubscriptions, r.subscription)
	r.done.Left = r.done.Left || r.queues.Left()
	if err != nil {
		err = ledger.Unavailable("listing the subscriptions that are due", err)
	}
	return r.done, err
}

// run is one run.
type run struct {
	*Service
	queues *workqueue.Run
	asks   bool // platforms

	mu   sync.Mutex // guards what follows
	done RunResult
}

func (r *run) count(part RunResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.add(part)
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

// leave notes that something is left for the next run.
func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Left = true
}

func (r *run) due(at time.Time) bool { return !at.IsZero() && !at.After(r.ledger.Now()) }

// queue leaves a subscription to the queue of its host. What has no time left stays due.
func (r *run) queue(ctx context.Context, sub binding.Subscription) {
	if !r.asks {
		r.leave()
		return
	}
	host := r.ledger.Platforms.Site(sub.Binding.Platform, "")
	if host == "" { // users name the host, and an account uses few
		host = sub.Binding.Platform + " " + sub.Binding.Account
	}
	r.queues.Queue(ctx, host, func(
		ctx context.Context, why workqueue.SkipReason,
	) (none workqueue.HostResult) {
		if !why.Late {
			if err := r.maintain(ctx, sub); err != nil {
				r.failed(ctx, sub.ID, err)
			}
		}
		return none // each subscription has its own pace: none is skipped for another's failures
	})
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
