package maintenance

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// run is one run of the schedule.
type run struct {
	*Service
	queues *workqueue.Run

	mu   sync.Mutex // guards what follows
	done RunResult
	// failing counts the bindings whose checks have failed in the same way for a day.
	failing map[failingHost]int
}

// Run works on everything that has come due: it checks tokens, moves events from records to the
// history, deletes the rows of unbound bindings, and deletes secrets that no record points at.
// Several may run at once, and one may crash at any call: the next continues its work. Neither the
// failure of one entry nor a slow platform keeps the others from being worked on; an error is
// returned only when the index can't be read.
func (s *Service) Run(ctx context.Context) (RunResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	r := &run{
		Service: s, queues: workqueue.New(s.ledger.Now), failing: map[failingHost]int{},
	}
	err := workqueue.Work(ctx, r.queues, s.ledger.Table.DueBefore, r.entry)
	if err != nil {
		err = ledger.Unavailable("listing what is due", err)
	}
	checker{s}.alarmLost(ctx, r.done.Lost)
	for of, bindings := range r.failing {
		checker{s}.alarmFailing(ctx, of, bindings)
	}
	r.done.Left, r.done.Duration = r.queues.Left(), r.queues.Took()
	return r.done, err
}

// count adds to the run's result.
func (r *run) count(part RunResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Add(part)
}

// countFailing counts a binding for the alarm about a host, unless it is the zero host.
func (r *run) countFailing(of failingHost) {
	if of == (failingHost{}) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing[of]++
}

// entry works on one entry of the index.
func (r *run) entry(ctx context.Context, entry table.DueEntry) {
	r.count(RunResult{Due: 1})
	var err error
	if entry.Authorization != "" {
		err = r.authorization(ctx, entry.Authorization)
	} else {
		err = r.binding(ctx, entry.Binding)
	}
	r.finish(ctx, nameOf(entry), err)
}

// binding works on a record that is due: on its due secrets first, which may have to be revoked by
// their platform, and then on the rest.
func (r *run) binding(ctx context.Context, key binding.Key) error {
	rec, err := r.dueBinding(ctx, key)
	if err != nil || rec.Version == "" {
		return err
	}
	what := nameOf(table.DueEntry{Binding: key})
	if len(r.dueSecrets(rec)) > 0 {
		if r.mayAskToRevoke(key.Platform) {
			r.queue(ctx, hostOf(binding.Record{Key: key}), what, r.sweepSecretsTask(what, rec))
			return nil
		}
		rec, failed := r.sweepSecrets(ctx, rec)
		r.failed(ctx, what, failed)
		return r.proceed(ctx, rec)
	}
	sends := rec.Delivery.Waiting > 0 && !rec.Delivery.At.After(r.ledger.Now())
	rec, check, err := r.finishRecord(ctx, rec)
	switch {
	case check:
		r.queue(ctx, hostOf(rec), what, r.checkTask(rec))
	case err == nil && r.ledger.Webhook != nil && sends:
		r.queue(ctx, "webhook", what, r.deliverTask(rec))
	}
	return err
}

// proceed continues with a record whose due secrets were worked on, if it is due for more.
func (r *run) proceed(ctx context.Context, rec binding.Record) error {
	due := rec.Version != "" && !rec.DueAt.IsZero() && !rec.DueAt.After(r.ledger.Now())
	if !due || r.queues.Over(ctx) {
		return nil
	}
	return r.binding(ctx, rec.Key)
}

// authorization works on an attempt that is due. A secret whose tokens its platform is asked to
// revoke waits in the queue of that host.
func (r *run) authorization(ctx context.Context, id string) error {
	a, ownsSecret, err := r.dueAuthorization(ctx, id)
	switch {
	case err != nil || !ownsSecret:
		return err
	case r.mayAskToRevoke(a.Platform):
		host := hostOf(binding.Record{Key: binding.Key{Platform: a.Platform}})
		what := nameOf(table.DueEntry{Authorization: id})
		r.queue(ctx, host, what, r.sweepAttemptTask(a))
		return nil
	}
	return r.sweepAttempt(ctx, a)
}

// failed counts and logs failures in a piece of work that continues.
func (r *run) failed(ctx context.Context, what string, errs []error) {
	for _, err := range errs {
		r.finish(ctx, what, err)
	}
}

// finish counts and logs the failure of a piece of work. A conflict is no failure: another call
// works on the row, and it comes due again. A failure of a platform is a warning, as in a request:
// alarms watch errors, and a platform that is down must not raise one at once.
func (r *run) finish(ctx context.Context, what string, err error) {
	switch {
	case problem.Is(err, problem.TokenMismatch):
		r.count(RunResult{Failed: 1}) // the alarm is in the log already
	case err != nil && !errors.Is(err, table.ErrConflict) && !errors.Is(err, ledger.ErrYoung):
		r.count(RunResult{Failed: 1})
		level := slog.LevelError
		switch problem.Of(err).Code {
		case problem.PlatformError, problem.PlatformUnreachable, problem.PlatformRateLimited:
			level = slog.LevelWarn
		}
		r.ledger.Log.Log(ctx, level, "sweeping failed", "entry", what, "error", err)
	}
}

// nameOf returns the name of an entry for the log.
func nameOf(entry table.DueEntry) string {
	if entry.Authorization != "" {
		return "authorization"
	}
	return "binding " + binding.Describe(entry.Binding)
}

// task is work that asks a host, as [workqueue.Job], and may fail.
type task func(context.Context, workqueue.SkipReason) (workqueue.HostResult, error)

// queue adds a task to a host's queue. what is its name for the log.
func (r *run) queue(ctx context.Context, host, what string, do task) {
	r.queues.Queue(ctx, host, func(
		ctx context.Context, why workqueue.SkipReason,
	) workqueue.HostResult {
		h, err := do(ctx, why)
		r.finish(ctx, what, err)
		return h
	})
}

// checkTask returns the task of asking a platform about a token.
func (r *run) checkTask(rec binding.Record) task {
	return func(ctx context.Context, why workqueue.SkipReason) (workqueue.HostResult, error) {
		if why.Failing || why.Late {
			r.count(RunResult{PutOff: 1})
			wait := max(CheckLeaseTTL, why.Wait)
			if !why.Failing {
				wait = 0 // for the next run, behind what is older
			}
			return workqueue.HostResult{}, checker{r.Service}.postpone(ctx, rec, wait)
		}
		out, err := checker{r.Service}.checkDue(ctx, rec)
		r.count(out.counts)
		r.countFailing(out.failing)
		return out.host, err
	}
}

// sweepSecretsTask returns the task of revoking and deleting the due secrets of a record, and of
// working on the rest of the record.
func (r *run) sweepSecretsTask(what string, rec binding.Record) task {
	return func(ctx context.Context, why workqueue.SkipReason) (workqueue.HostResult, error) {
		switch {
		case why.Late:
			r.count(RunResult{PutOff: len(r.dueSecrets(rec))})
			return workqueue.HostResult{}, nil // they stay due
		case why.Failing:
			r.count(RunResult{PutOff: len(r.dueSecrets(rec))})
			rec, err := r.postponeSecrets(ctx, rec, why.Wait)
			if err != nil {
				return workqueue.HostResult{}, err
			}
			return workqueue.HostResult{}, r.proceed(ctx, rec)
		}
		rec, failed := r.sweepSecrets(ctx, rec)
		r.failed(ctx, what, failed)
		return revocationResult(failed), r.proceed(ctx, rec)
	}
}

// sweepAttemptTask returns the task of revoking and deleting the secret of an attempt.
func (r *run) sweepAttemptTask(a binding.Authorization) task {
	return func(ctx context.Context, why workqueue.SkipReason) (workqueue.HostResult, error) {
		switch {
		case why.Late:
			r.count(RunResult{PutOff: 1})
			return workqueue.HostResult{}, nil // it stays due
		case why.Failing:
			r.count(RunResult{PutOff: 1})
			return workqueue.HostResult{}, r.postponeAttempt(ctx, a, why.Wait)
		}
		err := r.sweepAttempt(ctx, a)
		return revocationResult([]error{err}), err
	}
}

// deliverTask returns the task of sending a binding's waiting events.
func (r *run) deliverTask(rec binding.Record) task {
	return func(ctx context.Context, why workqueue.SkipReason) (workqueue.HostResult, error) {
		if why.Failing || why.Late {
			return workqueue.HostResult{}, nil // it was claimed for later
		}
		sent, err := r.deliver(ctx, rec, r.queues.Deadline())
		r.count(RunResult{Sent: sent})
		return workqueue.HostResult{Asked: true, Well: err == nil}, err
	}
}

// revocationResult returns how a host answered while secrets were revoked. An error of the storage,
// or a conflict, says nothing about the host.
func revocationResult(errs []error) (h workqueue.HostResult) {
	h = workqueue.HostResult{Asked: len(errs) == 0, Well: true}
	for _, err := range errs {
		if problem.Is(err, problem.StorageUnavailable) || errors.Is(err, table.ErrConflict) {
			continue
		}
		h.Asked = true
		h.Well = h.Well && (err == nil || errors.Is(err, ledger.ErrYoung))
		h.Wait = max(h.Wait, problem.Of(err).RetryAfter)
	}
	return h
}
