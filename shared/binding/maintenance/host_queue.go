package maintenance

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// hostQueue is the work that asks one host. No other work waits for that host.
type hostQueue struct {
	waiting  []job
	workers  int
	failures int           // in a row
	wait     time.Duration // that the host asked for with one of them
}

// job is one piece of work that asks a host, and its name.
type job struct {
	what string
	do   task
}

// task does the work. why is the reason if the host must not be asked; the result says how the
// host answered.
type task func(ctx context.Context, why skipReason) (hostResult, error)

// queue adds a job to a host's queue, and starts another worker for it if it may have one.
func (r *run) queue(ctx context.Context, host string, j job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[host]
	if q == nil {
		q = &hostQueue{}
		r.queues[host] = q
	}
	q.waiting = append(q.waiting, j)
	if q.workers < MaxCallsPerHost {
		q.workers++
		r.working.Go(func() { r.work(ctx, q) })
	}
}

// work does the jobs of a queue until it is empty.
func (r *run) work(ctx context.Context, q *hostQueue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			q.workers--
			r.mu.Unlock()
			return
		}
		j := q.waiting[0]
		q.waiting = q.waiting[1:]
		why := skipReason{failing: q.failures >= MaxHostFailures, wait: q.wait}
		r.mu.Unlock()
		why.late = r.over(ctx)
		if why.late && (ctx.Err() != nil || r.ledger.Now().Sub(r.began) > postponeTimeout) {
			continue
		}
		h, err := j.do(ctx, why)
		r.hostAnswered(q, h)
		r.finish(ctx, j.what, err)
	}
}

// hostAnswered counts the failures in a row of a host.
func (r *run) hostAnswered(q *hostQueue, h hostResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !h.asked:
	case h.well:
		q.failures, q.wait = 0, 0
	default:
		q.failures++
		q.wait = max(q.wait, h.wait)
	}
}

// revocationResult returns how a host answered while secrets were revoked. An error of the storage,
// or a conflict, says nothing about the host.
func revocationResult(errs []error) (h hostResult) {
	h = hostResult{asked: len(errs) == 0, well: true}
	for _, err := range errs {
		if problem.Is(err, problem.StorageUnavailable) || errors.Is(err, table.ErrConflict) {
			continue
		}
		h.asked = true
		h.well = h.well && (err == nil || errors.Is(err, ledger.ErrYoung))
		h.wait = max(h.wait, problem.Of(err).RetryAfter)
	}
	return h
}
