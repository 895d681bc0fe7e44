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

// run is one run of the sweep.
type run struct {
	s       *Service
	began   time.Time
	working sync.WaitGroup // the workers of the queues

	mu     sync.Mutex // guards what follows
	done   SweepResult
	queues map[string]*hostQueue
}

// count adds the counts of a part of the run.
func (r *run) count(part SweepResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Add(part)
}

// over reports whether it is time to leave the rest to the next run.
func (r *run) over(ctx context.Context) bool {
	if r.s.ledger.Now().Sub(r.began) <= SweepTimeout && ctx.Err() == nil {
		return false
	}
	r.count(SweepResult{Left: true})
	return true
}

// read goes through the index. Entries that ask the platform are queued by host, others are worked
// on at once.
func (r *run) read(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(MaxConcurrentEntries)
	defer func() { _ = group.Wait() }()
	seen, cursor := 0, ""
	for {
		page, err := r.s.ledger.Table.DueBefore(ctx, r.began, cursor, ledger.PageSize)
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
			r.count(SweepResult{Left: true})
			return nil
		}
	}
}

// entry works on one entry of the index.
func (r *run) entry(ctx context.Context, entry table.DueEntry) {
	part := SweepResult{Due: 1}
	var err error
	if entry.Authorization != "" {
		err = r.authorization(ctx, entry.Authorization, &part)
	} else {
		err = r.binding(ctx, entry.Binding, &part)
	}
	r.finish(ctx, nameOf(entry), err, part)
}

// binding works on a record that is due: on its due secrets first, which may have to be revoked by
// their platform, and then on the rest.
func (r *run) binding(ctx context.Context, key binding.Key, part *SweepResult) error {
	rec, err := r.s.dueBinding(ctx, key, part)
	if err != nil || rec.Version == "" {
		return err
	}
	what := nameOf(table.DueEntry{Binding: key})
	if len(r.s.dueSecrets(rec)) > 0 {
		if r.s.mayAskToRevoke(key.Platform) {
			r.queue(ctx, hostOf(binding.Record{Key: key}), job{what, r.sweepSecrets(what, rec)})
			return nil
		}
		rec, failed := r.s.sweepSecrets(ctx, rec, part)
		r.failed(ctx, what, failed)
		return r.proceed(ctx, rec, part)
	}
	sends := rec.Delivery.Waiting > 0 && !rec.Delivery.At.After(r.s.ledger.Now())
	rec, check, err := r.s.sweepBinding(ctx, rec, part)
	switch {
	case check:
		r.queue(ctx, hostOf(rec), job{what, r.check(rec)})
	case err == nil && r.s.ledger.Webhook != nil && sends:
		r.queue(ctx, "webhook", job{what, r.deliver(rec)})
	}
	return err
}

// proceed continues with a record whose due secrets were worked on, if it is due for more.
func (r *run) proceed(ctx context.Context, rec binding.Record, part *SweepResult) error {
	if rec.Version == "" || rec.DueAt.IsZero() || rec.DueAt.After(r.s.ledger.Now()) || r.over(ctx) {
		return nil
	}
	return r.binding(ctx, rec.Key, part)
}

// authorization works on an attempt that is due. A secret whose tokens its platform is asked to
// revoke waits in the queue of that host.
func (r *run) authorization(ctx context.Context, id string, part *SweepResult) error {
	a, ownsSecret, err := r.s.dueAuthorization(ctx, id, part)
	switch {
	case err != nil || !ownsSecret:
		return err
	case r.s.mayAskToRevoke(a.Platform):
		host := hostOf(binding.Record{Key: binding.Key{Platform: a.Platform}})
		what := nameOf(table.DueEntry{Authorization: id})
		r.queue(ctx, host, job{what, r.sweepAttempt(a)})
		return nil
	}
	return r.s.sweepAttempt(ctx, a, part)
}

// failed counts and logs failures in a piece of work that continues.
func (r *run) failed(ctx context.Context, what string, errs []error) {
	for _, err := range errs {
		r.finish(ctx, what, err, SweepResult{})
	}
}

// finish counts a piece of work and logs its failure. A conflict is no failure: another call works
// on the row, and it comes due again. A failure of a platform is a warning, as in a request: alarms
// watch errors, and a platform that is down must not raise one.
func (r *run) finish(ctx context.Context, what string, err error, part SweepResult) {
	if problem.Is(err, problem.TokenMismatch) {
		part.Failed++ // the alarm is in the log already
	} else if err != nil && !errors.Is(err, table.ErrConflict) && !errors.Is(err, ledger.ErrYoung) {
		part.Failed++
		level := slog.LevelError
		switch problem.Of(err).Code {
		case problem.PlatformError, problem.PlatformUnreachable, problem.PlatformRateLimited:
			level = slog.LevelWarn
		}
		r.s.ledger.Log.Log(ctx, level, "sweeping failed", "entry", what, "error", err)
	}
	r.count(part)
}

// nameOf returns the name of an entry for the log.
func nameOf(entry table.DueEntry) string {
	if entry.Authorization != "" {
		return "authorization"
	}
	return "binding " + binding.Describe(entry.Binding)
}

// check is the task of asking a platform about a token.
func (r *run) check(rec binding.Record) task {
	return func(ctx context.Context, why skipReason, part *SweepResult) (hostResult, error) {
		if why.failing || why.late {
			part.PutOff++
			wait := max(CheckLeaseTTL, why.wait)
			if !why.failing {
				wait = 0 // for the next run, behind what is older
			}
			return hostResult{}, checker{r.s}.postpone(ctx, rec, wait)
		}
		return checker{r.s}.checkDue(ctx, rec, part)
	}
}

// sweepSecrets is the task of revoking and deleting the due secrets of a record, and of working on
// the rest of the record.
func (r *run) sweepSecrets(what string, rec binding.Record) task {
	return func(ctx context.Context, why skipReason, part *SweepResult) (hostResult, error) {
		switch {
		case why.late:
			part.PutOff += len(r.s.dueSecrets(rec))
			return hostResult{}, nil // they stay due
		case why.failing:
			part.PutOff += len(r.s.dueSecrets(rec))
			rec, err := r.s.postponeSecrets(ctx, rec, why.wait)
			if err != nil {
				return hostResult{}, err
			}
			return hostResult{}, r.proceed(ctx, rec, part)
		}
		rec, failed := r.s.sweepSecrets(ctx, rec, part)
		r.failed(ctx, what, failed)
		return revocationResult(failed), r.proceed(ctx, rec, part)
	}
}

// sweepAttempt is the task of revoking and deleting the secret of an attempt.
func (r *run) sweepAttempt(a binding.Authorization) task {
	return func(ctx context.Context, why skipReason, part *SweepResult) (hostResult, error) {
		switch {
		case why.late:
			part.PutOff++
			return hostResult{}, nil // it stays due
		case why.failing:
			part.PutOff++
			return hostResult{}, r.s.postponeAttempt(ctx, a, why.wait)
		}
		err := r.s.sweepAttempt(ctx, a, part)
		return revocationResult([]error{err}), err
	}
}

// deliver is the task of sending a binding's waiting events.
func (r *run) deliver(rec binding.Record) task {
	return func(ctx context.Context, why skipReason, part *SweepResult) (hostResult, error) {
		if why.failing || why.late {
			return hostResult{}, nil // it was claimed for later
		}
		sent, err := r.s.deliver(ctx, rec, r.began.Add(SweepTimeout))
		part.Sent += sent
		return hostResult{asked: true, well: err == nil}, err
	}
}
