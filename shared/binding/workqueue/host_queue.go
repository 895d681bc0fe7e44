package workqueue

import (
	"context"
	"time"
)

const (
	// MaxCallsPerHost is how many calls one host gets from one run at the same time: a small
	// self-managed GitLab can take that many.
	MaxCallsPerHost = 8
	// MaxHostFailures is the number of failures in a row after which a host is not asked again in
	// this run.
	MaxHostFailures = 5
	// postponeTimeout is how long after its start a run still postpones the work that it has no time
	// for.
	postponeTimeout = 105 * time.Second
)

// hostQueue is the work that asks one host. No other work waits for that host.
type hostQueue struct {
	waiting  []Job
	workers  int
	failures int           // in a row
	wait     time.Duration // that the host asked for with one of them
}

// Job is one piece of work that asks a host. It gets the reason if it must not ask the host now,
// and says how the host answered.
type Job func(context.Context, SkipReason) HostResult

// SkipReason is why a host must not be asked: it fails, or the run has no time left. The zero value
// is no reason. Wait is how long the host has asked callers to wait.
type SkipReason struct {
	Failing, Late bool
	Wait          time.Duration
}

// HostResult says how a host answered. The zero value is a host that was not asked.
type HostResult struct {
	Asked, Well bool
	Wait        time.Duration // that it asked for
}

// Queue adds a job to a host's queue, and starts another worker for it if it may have one. It may
// be called from the work of the run and from its jobs.
func (r *Run) Queue(ctx context.Context, host string, job Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[host]
	if q == nil {
		q = &hostQueue{}
		r.queues[host] = q
	}
	q.waiting = append(q.waiting, job)
	if q.workers < MaxCallsPerHost {
		q.workers++
		r.working.Go(func() { r.serve(ctx, q) })
	}
}

// serve does the jobs of a queue until it is empty.
func (r *Run) serve(ctx context.Context, q *hostQueue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			q.workers--
			r.mu.Unlock()
			return
		}
		job := q.waiting[0]
		q.waiting = q.waiting[1:]
		why := SkipReason{Failing: q.failures >= MaxHostFailures, Wait: q.wait}
		r.mu.Unlock()
		why.Late = r.Over(ctx)
		if why.Late && (ctx.Err() != nil || r.Took() > postponeTimeout) {
			continue
		}
		r.answered(q, job(ctx, why))
	}
}

// answered counts the failures in a row of a host.
func (r *Run) answered(q *hostQueue, h HostResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !h.Asked:
	case h.Well:
		q.failures, q.wait = 0, 0
	default:
		q.failures++
		q.wait = max(q.wait, h.Wait)
	}
}
