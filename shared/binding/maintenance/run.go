package maintenance

import (
	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/table"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// sweepTimeout is how long one run works before it leaves the rest to the next: well before the
	// 2 minutes after which it could begin no further call.
	SweepTimeout = 90 * time.Second
	// maxConcurrentEntries is how many due entries are looked at side by side.
	MaxConcurrentEntries = 32
	// maxCallsPerHost is how many calls one host gets from one run at the same time: what a small
	// self-run GitLab takes without noticing.
	MaxCallsPerHost = 8
	// maxHostFailures is after how many failures in a row a host is not asked again in this run.
	MaxHostFailures = 5
	// postponeTimeout is when a run stops pushing back what its hosts had no time for.
	postponeTimeout = 105 * time.Second
	// maxDueEntries bounds a run's memory.
	maxDueEntries = 20_000
)

// SweepResult counts what a run did.
type SweepResult struct {
	Due       int // entries of the index that it looked at
	Checked   int // tokens that the platform was asked about
	Refreshed int
	Warned    int // owners told of their token's end
	Recovered int
	Failed    int // entries that an error left for later, and checks that did not end well
	Parked    int // records whose checks crashed too often
	Lost      int // bindings that were revoked because the vault lacks their token
	Drained   int // records whose events went to the history
	Removed   int // rows of unbound bindings, and expired authorizations
	Kept      int // secrets that are in use
	Deleted   int // secrets that nothing pointed at
	PutOff    int // checks and revocations that were put off: their host fails, or had no time
	Sent      int // webhooks
	Left      bool
	Duration  time.Duration
}

func (a *SweepResult) Add(b SweepResult) {
	a.Due += b.Due
	a.Checked += b.Checked
	a.Refreshed += b.Refreshed
	a.Warned += b.Warned
	a.Recovered += b.Recovered
	a.Failed += b.Failed
	a.Parked += b.Parked
	a.Lost += b.Lost
	a.Drained += b.Drained
	a.Removed += b.Removed
	a.Kept += b.Kept
	a.Deleted += b.Deleted
	a.PutOff += b.PutOff
	a.Sent += b.Sent
	a.Left = a.Left || b.Left
}

// Sweep works on everything that has come due: it checks tokens, moves events from records to the
// history, drops the rows of what was unbound, and deletes secrets that no record points at.
// Several may run at once, and one may crash at any call: the next continues its work. Neither the
// failure of one entry nor a slow platform keeps the others from being worked on; an error is
// returned only when the index can't be read.
func (s *Service) Sweep(ctx context.Context) (SweepResult, error) {
	r := &run{s: s, began: s.ledger.Now(), queues: map[string]*hostQueue{}}
	ctx = s.ledger.StartInvocation(ctx)
	err := r.read(ctx)
	r.working.Wait()
	s.alarmLost(ctx, r.done.Lost)
	r.done.Duration = s.ledger.Now().Sub(r.began)
	return r.done, err
}

// run is one sweep at work.
type run struct {
	s       *Service
	began   time.Time
	working sync.WaitGroup // the workers of the queues

	mu     sync.Mutex // guards what follows
	done   SweepResult
	queues map[string]*hostQueue
}

// hostQueue is the work that asks one host. It waits for that host only.
type hostQueue struct {
	waiting  []job
	workers  int
	failures int           // in a row
	wait     time.Duration // that the host asked for with one of them
}

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
	rec, check, err := r.s.sweepBinding(ctx, rec, part)
	switch {
	case check:
		r.queue(ctx, hostOf(rec), job{what, r.check(rec)})
	case err == nil && r.s.ledger.Webhook != nil && rec.Delivery.Waiting > 0:
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
	if err != nil && !errors.Is(err, table.ErrConflict) && !errors.Is(err, ledger.ErrYoung) {
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

func nameOf(entry table.DueEntry) string {
	if entry.Authorization != "" {
		return "authorization"
	}
	return "binding " + binding.Describe(entry.Binding)
}

// hostOf names the queue of a record's checks: its platform and, where users name it, the host.
func hostOf(rec binding.Record) string {
	if u, err := url.Parse(rec.Address); err == nil {
		return rec.Platform + " " + u.Host
	}
	return rec.Platform + " " + rec.Address
}

// job is one piece of work that asks a host, and its name.
type job struct {
	what string
	do   task
}

// task does the work. why says why the host must not be asked, if it must not; the result says how
// the host answered.
type task func(ctx context.Context, why skipReason, part *SweepResult) (hostResult, error)

// skipReason is why a host must not be asked: it fails, or the run has no time left. wait is how
// long the host has asked callers to wait.
type skipReason struct {
	failing, late bool
	wait          time.Duration
}

// hostResult is how a host answered.
type hostResult struct {
	asked, well bool
	wait        time.Duration // that it asked for
}

// queue adds a job to a host's queue, and starts another worker for it if it may have one.
func (r *run) queue(ctx context.Context, host string, j job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.queues[host]
	if l == nil {
		l = &hostQueue{}
		r.queues[host] = l
	}
	l.waiting = append(l.waiting, j)
	if l.workers < MaxCallsPerHost {
		l.workers++
		r.working.Go(func() { r.work(ctx, l) })
	}
}

// work empties a queue.
func (r *run) work(ctx context.Context, l *hostQueue) {
	for {
		r.mu.Lock()
		if len(l.waiting) == 0 {
			l.workers--
			r.mu.Unlock()
			return
		}
		j := l.waiting[0]
		l.waiting = l.waiting[1:]
		why := skipReason{failing: l.failures >= MaxHostFailures, wait: l.wait}
		r.mu.Unlock()
		why.late = r.over(ctx)
		if why.late && (ctx.Err() != nil || r.s.ledger.Now().Sub(r.began) > postponeTimeout) {
			continue
		}
		var part SweepResult
		h, err := j.do(ctx, why, &part)
		r.hostAnswered(l, h)
		r.finish(ctx, j.what, err, part)
	}
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
			return hostResult{}, r.s.postpone(ctx, rec, wait)
		}
		return r.s.checkDue(ctx, rec, part)
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

// revocationResult is what a host has shown while secrets were revoked. An error of the storage, or
// a conflict, says nothing of it.
func revocationResult(errs []error) (h hostResult) {
	h = hostResult{asked: len(errs) == 0, well: true}
	for _, err := range errs {
		if errors.Is(err, errUnread) || errors.Is(err, table.ErrConflict) {
			continue
		}
		h.asked = true
		h.well = h.well && (err == nil || errors.Is(err, ledger.ErrYoung))
		h.wait = max(h.wait, problem.Of(err).RetryAfter)
	}
	return h
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

func (r *run) hostAnswered(l *hostQueue, h hostResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !h.asked:
	case h.well:
		l.failures, l.wait = 0, 0
	default:
		l.failures++
		l.wait = max(l.wait, h.wait)
	}
}
