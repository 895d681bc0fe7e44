package maintenance

import (
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

const (
	// RetryCheckInterval is the time to the next check after one without an answer.
	RetryCheckInterval = time.Hour
	// CheckLeaseTTL keeps a record that is being checked from coming due again at once when its
	// check crashes.
	CheckLeaseTTL = 15 * time.Minute
	// MaxCheckAttempts is how many checks in a row may crash before a record is parked.
	MaxCheckAttempts = 10
	// missingInstancePeriod is how long an instance may be missing from the catalogue before its
	// bindings are unbound.
	missingInstancePeriod = 7 * 24 * time.Hour
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

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// skipReason is why a host must not be asked: it fails, or the run has no time left. wait is how
// long the host has asked callers to wait.
type skipReason struct {
	failing, late bool
	wait          time.Duration
}

// hostResult says how a host answered. The zero value is a host that was not asked.
type hostResult struct {
	asked, well bool
	wait        time.Duration // that it asked for
}
