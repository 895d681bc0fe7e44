package maintenance

import (
	"context"
	"time"
)

const (
	// RunTimeout is how long one run works before it leaves the rest to the next: well before the
	// 2 minutes after which it may begin no further call.
	RunTimeout = 90 * time.Second
	// MaxConcurrentEntries is how many due entries are worked on at the same time.
	MaxConcurrentEntries = 32
	// MaxCallsPerHost is how many calls one host gets from one run at the same time: a small
	// self-managed GitLab can take that many.
	MaxCallsPerHost = 8
	// MaxHostFailures is the number of failures in a row after which a host is not asked again in
	// this run.
	MaxHostFailures = 5
	// postponeTimeout is how long after its start a run still postpones the work that it has no time
	// for.
	postponeTimeout = 105 * time.Second
	// maxDueEntries bounds a run's memory.
	maxDueEntries = 20_000
)

// RunResult counts what a run of the schedule has done.
type RunResult struct {
	Due       int // entries of the index that it looked at
	Checked   int // tokens that the platform was asked about
	Refreshed int
	Warned    int // bindings whose token is about to expire, with a new event about it
	Recovered int
	Failed    int  // entries that an error left for later, and checks that did not end well
	Parked    int  // records whose checks crashed too often
	Lost      int  // bindings that were revoked because the vault lacks their token
	Drained   int  // records whose events went to the history
	Removed   int  // rows of unbound bindings, and expired authorizations
	Kept      int  // secrets that are in use
	Deleted   int  // secrets that nothing pointed at
	PutOff    int  // checks and revocations that were postponed: their host fails, or time was over
	Sent      int  // webhooks
	Left      bool // entries were left for the next run
	Duration  time.Duration
}

// Add adds the counts of another result. The duration is not added.
func (a *RunResult) Add(b RunResult) {
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
