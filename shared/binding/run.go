package binding

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
)

const (
	// sweepTimeout is how long one run works before it leaves the rest to the next: well before the
	// 2 minutes after which it could begin no further call.
	sweepTimeout = 90 * time.Second
	// maxConcurrentEntries is how many due entries are looked at side by side.
	maxConcurrentEntries = 32
	// maxCallsPerHost is how many calls one host gets from one run at the same time: what a small
	// self-run GitLab takes without noticing.
	maxCallsPerHost = 8
	// maxHostFailures is after how many failures in a row a host is left alone for this run.
	maxHostFailures = 5
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
	Parked    int // records that died too often with whoever checked them
	Drained   int // records whose events went to the history
	Removed   int // rows of unbound bindings, and expired authorizations
	Kept      int // secrets that are in use
	Deleted   int // secrets that nothing pointed at
	PutOff    int // checks and revocations that were put off: their host fails, or had no time
	Sent      int // webhooks
	Left      bool
	Duration  time.Duration
}

func (a *SweepResult) add(b SweepResult) {
	a.Due += b.Due
	a.Checked += b.Checked
	a.Refreshed += b.Refreshed
	a.Warned += b.Warned
	a.Recovered += b.Recovered
	a.Failed += b.Failed
	a.Parked += b.Parked
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
// Several may run at once, and one may die anywhere: the next goes on. One entry's failure doesn't
// keep the others from being worked on, nor does a slow platform; an error is returned only when
// the index can't be read.
func (s *Service) Sweep(ctx context.Context) (SweepResult, error) {
	r := &run{s: s, began: s.now(), lanes: map[string]*hostQueue{}}
	ctx = s.startInvocation(ctx)
	err := r.read(ctx)
	r.working.Wait()
	r.done.Duration = s.now().Sub(r.began)
	return r.done, err
}

// run is one sweep at work.
type run struct {
	s       *Service
	began   time.Time
	working sync.WaitGroup // the lanes' workers

	mu    sync.Mutex // guards what follows
	done  SweepResult
	lanes map[string]*hostQueue
}

// hostQueue is what is to be asked of one host. It waits there, and nothing else waits for it.
type hostQueue struct {
	waiting  []job
	workers  int
	failures int           // in a row
	wait     time.Duration // that the host asked for with one of them
}

func (r *run) count(part SweepResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.add(part)
}

// over reports whether it is time to leave the rest to the next run.
func (r *run) over(ctx context.Context) bool {
	if r.s.now().Sub(r.began) <= sweepTimeout && ctx.Err() == nil {
		return false
	}
	r.count(SweepResult{Left: true})
	return true
}

// read goes through the index. Entries that ask the platform are queued by host, others are worked
// on at once.
func (r *run) read(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(maxConcurrentEntries)
	defer func() { _ = group.Wait() }()
	seen, cursor := 0, ""
	for {
		page, err := r.s.table.DueBefore(ctx, r.began, cursor, pageSize)
		if err != nil {
			return unavailable("listing what is due", err)
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
	switch {
	case entry.Note != "":
		err = r.note(ctx, entry, &part)
	case entry.Authorization != "":
		err = r.s.sweepAuthorization(ctx, entry.Authorization, &part)
	default:
		var rec table.Binding
		var check bool
		rec, check, err = r.s.sweepBinding(ctx, entry.Binding, &part)
		switch {
		case check:
			r.queue(ctx, hostOf(rec), job{nameOf(entry), r.check(rec)})
		case err == nil && r.s.webhook != nil && rec.Delivery.Waiting > 0:
			r.queue(ctx, "webhook", job{nameOf(entry), r.deliver(rec)})
		}
	}
	r.finish(ctx, nameOf(entry), err, part)
}

// note works on a note. A secret whose tokens its platform is to revoke waits in the lane of that.
// Meanwhile nobody can point a record at it unseen: whoever may still do so writes the note first,
// and then collecting it is a conflict.
func (r *run) note(ctx context.Context, entry table.DueEntry, part *SweepResult) error {
	note, rec, left, err := r.s.sweepNote(ctx, entry.Note, part)
	switch {
	case err != nil || !left:
		return err
	case r.s.revokesUnasked(note.Binding.Platform):
		host := hostOf(table.Binding{Key: note.Binding})
		r.queue(ctx, host, job{nameOf(entry), r.collect(note, rec)})
		return nil
	}
	return r.s.collect(ctx, note, rec, part)
}

// finish counts a piece of work and logs its failure. A conflict is none: somebody else is at work
// on it, or may be, and it comes due again. A platform's own is a warning, as it is of a request:
// alarms are on errors, and a platform that is down is to wake nobody.
func (r *run) finish(ctx context.Context, what string, err error, part SweepResult) {
	if err != nil && !errors.Is(err, table.ErrConflict) && !errors.Is(err, errYoung) {
		part.Failed++
		level := slog.LevelError
		switch problem.Of(err).Code {
		case problem.PlatformError, problem.PlatformUnreachable, problem.PlatformRateLimited:
			level = slog.LevelWarn
		}
		r.s.log.Log(ctx, level, "sweeping failed", "entry", what, "error", err)
	}
	r.count(part)
}

func nameOf(entry table.DueEntry) string {
	switch {
	case entry.Note != "":
		return "note of " + entry.Note
	case entry.Authorization != "":
		return "authorization"
	}
	return "binding " + describe(entry.Binding)
}

// hostOf names the lane of a record's checks: its platform and, where that is anybody's, the host.
func hostOf(rec table.Binding) string {
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

// task does the work. It is told why the host is not to be asked, if it isn't, and tells what it
// heard of the host.
type task func(ctx context.Context, why spared, part *SweepResult) (heard, error)

// spared is why a host is not to be asked: it fails, or the run has no time left. Wait is how
// long the host wants to be left alone.
type spared struct {
	failing, late bool
	wait          time.Duration
}

// heard is how a host did.
type heard struct {
	asked, well bool
	wait        time.Duration // that it asked for
}

// queue puts a job into a host's lane, and gives the lane another worker if it may have one.
func (r *run) queue(ctx context.Context, host string, j job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[host]
	if l == nil {
		l = &hostQueue{}
		r.lanes[host] = l
	}
	l.waiting = append(l.waiting, j)
	if l.workers < maxCallsPerHost {
		l.workers++
		r.working.Go(func() { r.work(ctx, l) })
	}
}

// work empties a lane.
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
		why := spared{failing: l.failures >= maxHostFailures, wait: l.wait}
		r.mu.Unlock()
		why.late = r.over(ctx)
		if why.late && (ctx.Err() != nil || r.s.now().Sub(r.began) > postponeTimeout) {
			continue
		}
		var part SweepResult
		h, err := j.do(ctx, why, &part)
		r.hostAnswered(l, h)
		r.finish(ctx, j.what, err, part)
	}
}

// check is the task of asking a platform about a token.
func (r *run) check(rec table.Binding) task {
	return func(ctx context.Context, why spared, part *SweepResult) (heard, error) {
		if why.failing || why.late {
			part.PutOff++
			wait := max(checkLeaseTTL, why.wait)
			if !why.failing {
				wait = 0 // for the next run, behind what is older
			}
			return heard{}, r.s.postpone(ctx, rec, wait)
		}
		return r.s.checkDue(ctx, rec, part)
	}
}

// collect is the task of revoking and deleting a secret that was left.
func (r *run) collect(note table.Note, rec table.Binding) task {
	return func(ctx context.Context, why spared, part *SweepResult) (heard, error) {
		switch {
		case why.late:
			part.PutOff++
			return heard{}, nil // the note is due as it was
		case why.failing:
			part.PutOff++
			note.DueAt = r.s.now().Add(max(orphanGracePeriod, why.wait))
			_, err := r.s.table.SaveNote(ctx, note)
			return heard{}, err
		}
		err := r.s.collect(ctx, note, rec, part)
		return heard{
			asked: !errors.Is(err, errUnread) && !errors.Is(err, table.ErrConflict),
			well:  err == nil || errors.Is(err, errYoung),
			wait:  problem.Of(err).RetryAfter,
		}, err
	}
}

// deliver is the task of sending a binding's waiting events.
func (r *run) deliver(rec table.Binding) task {
	return func(ctx context.Context, why spared, part *SweepResult) (heard, error) {
		if why.failing || why.late {
			return heard{}, nil // it was claimed for later
		}
		sent, err := r.s.deliver(ctx, rec, r.began.Add(sweepTimeout))
		part.Sent += sent
		return heard{asked: true, well: err == nil}, err
	}
}

func (r *run) hostAnswered(l *hostQueue, h heard) {
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

// postpone leaves a record for later without asking its host.
func (s *Service) postpone(ctx context.Context, rec table.Binding, wait time.Duration) error {
	rec.CheckAt = s.now().Add(wait + s.jitter(checkLeaseTTL))
	rec.DueAt = rec.CheckAt // not earlier for a lease that was left behind
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

// checkDue claims a record and examines it.
func (s *Service) checkDue(
	ctx context.Context, rec table.Binding, part *SweepResult,
) (heard, error) {
	if fromNewerVersion(rec) {
		return heard{}, s.postpone(ctx, rec, checkLeaseTTL)
	}
	if rec.Attempts >= maxCheckAttempts {
		part.Parked++
		return heard{}, s.quarantine(ctx, rec)
	}
	rec, err := s.claim(ctx, rec)
	if err != nil {
		return heard{}, err
	}
	if gone, err := s.instanceGone(ctx, &rec); gone || err != nil {
		return heard{}, err
	}
	if rec.Health == table.Revoked && (isRevokedByOperator(rec) || rec.RecheckAt.IsZero()) {
		return heard{}, s.rest(ctx, rec)
	}
	_, out, err := s.checkClaimed(ctx, rec)
	part.Checked++
	part.Refreshed += one(out.refreshed)
	part.Warned += one(out.warned)
	part.Recovered += one(out.recovered)
	part.Failed += one(out.failed)
	if err != nil {
		return heard{}, err
	}
	if out.transient == nil {
		return heard{asked: true, well: true}, nil
	}
	return heard{asked: true, wait: out.transient.RetryAfter}, nil
}

// quarantine takes a record out of the line for good: whoever checks it, dies. A check that its user asks
// for, or a bind, brings it back.
func (s *Service) quarantine(ctx context.Context, rec table.Binding) error {
	s.log.ErrorContext(ctx, "a binding is not checked any more: whoever does, dies",
		"alarm", "parked", "binding", describe(rec.Key), "attempts", rec.Attempts)
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (table.Lease{})
	rec.CheckAt, rec.RecheckAt, rec.Lease = time.Time{}, time.Time{}, table.Lease{}
	rec.DueAt = s.due(rec)
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

// rest leaves a revoked binding until tomorrow. The platform is not asked again; that the instance
// is still there was looked at. What a refresh has brought after the operator ended the token is
// revoked too.
func (s *Service) rest(ctx context.Context, rec table.Binding) error {
	if look := rec.RecheckAt; !look.IsZero() && !look.After(s.now()) {
		if err := s.revokeLate(ctx, rec); err != nil {
			return err
		}
		rec.RecheckAt = time.Time{}
	}
	rec.Attempts = 0
	rec.CheckAt = s.now().Add(checkInterval - s.jitter(2*time.Hour))
	rec.DueAt = s.due(rec)
	_, err := s.table.SaveBinding(ctx, rec)
	return err
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// instanceGone unbinds a binding whose instance has been away from the catalogue for a week. A
// catalogue that can't be read says nothing.
func (s *Service) instanceGone(ctx context.Context, rec *table.Binding) (bool, error) {
	if s.instances == nil {
		return false, nil
	}
	_, err := s.instances.Find(ctx, rec.Account, rec.Region, rec.Instance)
	switch {
	case err == nil:
		rec.MissingSince = time.Time{}
		return false, nil
	case !problem.Is(err, problem.InstanceUnknown):
		return false, nil
	case rec.MissingSince.IsZero():
		rec.MissingSince = s.now()
	}
	if s.now().Sub(rec.MissingSince) < missingInstancePeriod {
		return false, nil
	}
	old, err := s.unbind(ctx, rec.Key, nil, table.User{})
	if err == nil {
		event.Audit(ctx, s.log, event.Entry{
			Action: "instance gone", Target: rec.Key, Outcome: event.Done, Previous: old.Identity,
		})
	}
	return true, err
}
