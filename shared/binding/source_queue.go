package binding

import "time"

// AddResult says what has become of an event that was to be added to a subscription.
type AddResult string

// The results.
const (
	Added    AddResult = "added"
	Repeated AddResult = "repeated" // it is known already
	Full     AddResult = "full"     // too many wait: SyncAt is now, and a sync makes up for it
)

// Add adds an event to the subscription unless it is known: by its id, or because the ref's last
// known head is its commit. It numbers the event and notes the id and the head. The row is to be
// saved after every result but Repeated.
func (s *Subscription) Add(e SourceEvent, now time.Time) AddResult { panic("not implemented") }

// KnownHead returns the last known head of a ref, and whether the row has one.
func (s Subscription) KnownHead(ref string) (commit string, known bool) { panic("not implemented") }

// DueTime returns when the subscription next needs work: an event to forward (at the end of the
// lease while one invocation does that), events to move to the log, a sync, or the rest of its
// creation or end. Zero is never.
func (s Subscription) DueTime() time.Time { panic("not implemented") }

// SourceEventID returns the id of the event of a change in a delivery: it follows from the
// subscription, the delivery's id and the change's OrderKey.
func SourceEventID(subscription, delivery, orderKey string) string { panic("not implemented") }

// CaughtUpID returns the id of an event that a sync has found. It follows from the subscription,
// the ref and its heads before and now.
func CaughtUpID(subscription, ref, before, commit string) string { panic("not implemented") }
