package maintenance

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// run is one run of the schedule.
type run struct {
	*Service
	began   time.Time
	working sync.WaitGroup // the workers of the queues

	mu     sync.Mutex // guards what follows
	done   RunResult
	queues map[string]*hostQueue
	// failing counts the bindings whose checks have failed in the same way for a day.
	failing map[failingHost]int
}

// Run works on everything that has come due: it checks tokens, moves events from records to the
// history, deletes the rows of unbound bindings, and deletes secrets that no record points at.
// Several may run at once, and one may crash at any call: the next continues its work. Neither the
// failure of one entry nor a slow platform keeps the others from being worked on; an error is
// returned only when the index can't be read.
func (s *Service) Run(ctx context.Context) (RunResult, error) {
	r := &run{
		Service: s, began: s.ledger.Now(),
		queues: map[string]*hostQueue{}, failing: map[failingHost]int{},
	}
	ctx = s.ledger.StartInvocation(ctx)
	err := r.read(ctx)
	r.working.Wait()
	checker{s}.alarmLost(ctx, r.done.Lost)
	for of, bindings := range r.failing {
		checker{s}.alarmFailing(ctx, of, bindings)
	}
	r.done.Duration = s.ledger.Now().Sub(r.began)
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

// over reports whether it is time to leave the rest to the next run.
func (r *run) over(ctx context.Context) bool {
	if r.ledger.Now().Sub(r.began) <= RunTimeout && ctx.Err() == nil {
		return false
	}
	r.count(RunResult{Left: true})
	return true
}

// read reads the index of what is due. Work that asks a platform is queued by host, other work is
// done at once.
func (r *run) read(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(MaxConcurrentEntries)
	defer func() { _ = group.Wait() }()
	seen, cursor := 0, ""
	for {
		page, err := r.ledger.Table.DueBefore(ctx, r.began, cursor, ledger.PageSize)
		if err != nil {
			return ledger.Unavailable("listing what is due", err)
		}
		for _, entry := range page.Items {
			if r.over(ctx) {
				return nil
			}
			group.Go(func() error { r.entry(ctx, entry); return nil })
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
			r.queue(ctx, hostOf(binding.Record{Key: key}), job{what, r.sweepSecretsTask(what, rec)})
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
		r.queue(ctx, hostOf(rec), job{what, r.checkTask(rec)})
	case err == nil && r.ledger.Webhook != nil && sends:
		r.queue(ctx, "webhook", job{what, r.deliverTask(rec)})
	}
	return err
}

// proceed continues with a record whose due secrets were worked on, if it is due for more.
func (r *run) proceed(ctx context.Context, rec binding.Record) error {
	if rec.Version == "" || rec.DueAt.IsZero() || rec.DueAt.After(r.ledger.Now()) || r.over(ctx) {
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
		r.queue(ctx, host, job{what, r.sweepAttemptTask(a)})
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

// checkTask returns the task of asking a platform about a token.
func (r *run) checkTask(rec binding.Record) task {
	return func(ctx context.Context, why skipReason) (hostResult, error) {
		if why.failing || why.late {
			r.count(RunResult{PutOff: 1})
			wait := max(CheckLeaseTTL, why.wait)
			if !why.failing {
				wait = 0 // for the next run, behind what is older
			}
			return hostResult{}, checker{r.Service}.postpone(ctx, rec, wait)
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
	return func(ctx context.Context, why skipReason) (hostResult, error) {
		switch {
		case why.late:
			r.count(RunResult{PutOff: len(r.dueSecrets(rec))})
			return hostResult{}, nil // they stay due
		case why.failing:
			r.count(RunResult{PutOff: len(r.dueSecrets(rec))})
			rec, err := r.postponeSecrets(ctx, rec, why.wait)
			if err != nil {
				return hostResult{}, err
			}
			return hostResult{}, r.proceed(ctx, rec)
		}
		rec, failed := r.sweepSecrets(ctx, rec)
		r.failed(ctx, what, failed)
		return revocationResult(failed), r.proceed(ctx, rec)
	}
}

// sweepAttemptTask returns the task of revoking and deleting the secret of an attempt.
func (r *run) sweepAttemptTask(a binding.Authorization) task {
	return func(ctx context.Context, why skipReason) (hostResult, error) {
		switch {
		case why.late:
			r.count(RunResult{PutOff: 1})
			return hostResult{}, nil // it stays due
		case why.failing:
			r.count(RunResult{PutOff: 1})
			return hostResult{}, r.postponeAttempt(ctx, a, why.wait)
		}
		err := r.sweepAttempt(ctx, a)
		return revocationResult([]error{err}), err
	}
}

// deliverTask returns the task of sending a binding's waiting events.
func (r *run) deliverTask(rec binding.Record) task {
	return func(ctx context.Context, why skipReason) (hostResult, error) {
		if why.failing || why.late {
			return hostResult{}, nil // it was claimed for later
		}
		sent, err := r.deliver(ctx, rec, r.began.Add(RunTimeout))
		r.count(RunResult{Sent: sent})
		return hostResult{asked: true, well: err == nil}, err
	}
}
