package maintenance

import "time"

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

// Add adds the counts of another result. What is known at the end of a run is not added.
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
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
