package binding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const (
	// MaxSourceEvent is the size in bytes of the JSON of an event, in the row and on its way to the
	// receiver. Titles are cut first.
	MaxSourceEvent = 20 << 10
	// maxEventBytes is the size of the JSON of all events in a row. A row may have 400 KB in
	// DynamoDB.
	maxEventBytes = 200 << 10
	// maxHeadBytes is the size of the JSON of the heads of refs in a row.
	maxHeadBytes = 100 << 10
	// MaxEnded is how many events that have ended a row has. They are moved to the log in time;
	// otherwise the oldest are dropped, those that were ignored first.
	MaxEnded = 64
	// LogDelay is how long an event that has ended may stay in the row.
	LogDelay = 5 * time.Minute
	// maxCreation is when a creation that a crash has ended is continued: ledger.OrphanGracePeriod.
	maxCreation = 15 * time.Minute
)

// AddResult says what has become of an event that was to be added to a subscription.
type AddResult string

// The results.
const (
	Added    AddResult = "added"
	Repeated AddResult = "repeated" // it is known already
	// Full says that too many wait, or too many refs have changed: SyncAt is now, and a sync makes up
	// for it.
	Full AddResult = "full"
)

// Add adds an event to the subscription unless it is known: by its id, or because the ref's last
// known head is its commit. It numbers the event. If the event waits for the receiver, Add notes
// its id and the ref's head; ignored events have no influence on later ones. The row is to be saved
// after every result but Repeated.
func (s *Subscription) Add(e SourceEvent, now time.Time) AddResult {
	if s.repeats(e) {
		return Repeated
	}
	e = e.fitted()
	if e.State == EventWaiting && !(s.roomFor(e) && (e.Merge != nil || s.roomForHead(e.Ref))) {
		s.SyncAt = now
		return Full
	}
	s.EventCount++
	e.Number, e.ReceivedAt, e.At = s.EventCount, now, now
	if e.State == EventWaiting {
		s.Seen = last(append(slices.Clone(s.Seen), e.ID), MaxSeen)
		if e.Merge == nil {
			s.NoteHead(e.Ref, e.Commit)
		}
	}
	s.Events = append(slices.Clone(s.Events), e)
	s.dropEnded()
	return Added
}

// Knows reports whether an event with the id was added lately.
func (s Subscription) Knows(id string) bool {
	return slices.Contains(s.Seen, id) || slices.ContainsFunc(s.Events, SourceEvent{ID: id}.is)
}

// repeats reports whether an event is known.
func (s *Subscription) repeats(e SourceEvent) bool {
	if s.Knows(e.ID) {
		return true
	}
	if e.Merge != nil || e.State != EventWaiting {
		return false
	}
	commit, known := s.KnownHead(e.Ref)
	return known && commit == e.Commit
}

func (e SourceEvent) is(other SourceEvent) bool { return e.ID == other.ID }

// roomFor reports whether one more event may wait.
func (s *Subscription) roomFor(e SourceEvent) bool {
	count, size := 1, e.size()
	for _, other := range s.Events {
		if other.State == EventWaiting {
			count, size = count+1, size+other.size()
		}
	}
	return count <= MaxWaiting && size <= maxEventBytes
}

// dropEnded drops events that have ended until the bounds of the row are kept.
func (s *Subscription) dropEnded() {
	ended, size := 0, 0
	for _, e := range s.Events {
		size += e.size()
		if e.State != EventWaiting {
			ended++
		}
	}
	for ended > MaxEnded || size > maxEventBytes && ended > 0 {
		i := slices.IndexFunc(s.Events, func(e SourceEvent) bool { return e.State == EventIgnored })
		if i < 0 {
			i = slices.IndexFunc(s.Events, func(e SourceEvent) bool { return e.State != EventWaiting })
		}
		size, ended = size-s.Events[i].size(), ended-1
		s.Events = slices.Delete(s.Events, i, i+1)
	}
}

func (e SourceEvent) size() int {
	text, _ := json.Marshal(plainSourceEvent(e)) // texts, numbers and today's times never fail
	return len(text) + len(e.unknown)
}

// fitted returns the event, cut so that it is not too large.
func (e SourceEvent) fitted() SourceEvent {
	for more := true; more && e.size() > MaxSourceEvent; {
		e, more = e.Cut()
	}
	return e
}

// Cut returns the event with less text, and whether there was any to cut: the title of its oldest
// commit; if there is none, all that is not needed to tell what changed.
func (e SourceEvent) Cut() (SourceEvent, bool) {
	if n := len(e.Titles); n > 0 {
		e.Titles = e.Titles[: n-1 : n-1]
		return e, true
	}
	cut := e.Pusher != "" || e.CompareURL != ""
	e.Pusher, e.CompareURL = "", ""
	if e.Merge != nil && (e.Merge.Title != "" || e.Merge.URL != "") {
		e.Merge, cut = &Merge{Number: e.Merge.Number, Source: e.Merge.Source}, true
	}
	return e, cut
}

// last returns the last n of a list.
func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// KnownHead returns the last known head of a ref, and whether the row has one.
func (s Subscription) KnownHead(ref string) (commit string, known bool) {
	for _, head := range s.Heads {
		if head.Ref == ref {
			return head.Commit, true
		}
	}
	return "", false
}

// Left reports whether the row has an event by which a ref has left a commit, or was created if
// commit is "". A delivery by which the ref has come to it may be older.
func (s Subscription) Left(ref, commit string) bool {
	return slices.ContainsFunc(s.Events, func(e SourceEvent) bool {
		return e.Merge == nil && e.Ref == ref && e.Before == commit
	})
}

// DueTime returns when the subscription next needs work: an event to forward (at the end of the
// lease while one invocation does that), events to move to the log, a sync, or the rest of its
// creation or end. Zero is never.
func (s Subscription) DueTime() time.Time {
	switch s.Stage {
	case SubscriptionCreating:
		return cmp.Or(s.SyncAt, s.CreatedAt.Add(maxCreation))
	case SubscriptionEnding:
		return cmp.Or(s.SyncAt, s.CreatedAt)
	}
	var forward, log time.Time
	for _, e := range s.next() {
		forward = Earliest(forward, e.At)
	}
	if !forward.IsZero() && forward.Before(s.Lease) {
		forward = s.Lease
	}
	for _, e := range s.Events {
		if e.State != EventWaiting {
			log = Earliest(log, e.At.Add(LogDelay))
		}
	}
	return Earliest(s.SyncAt, forward, log)
}

// next returns the first waiting event of each OrderKey.
func (s Subscription) next() (first []SourceEvent) {
	keys := map[string]bool{}
	for _, e := range s.Events {
		if e.State == EventWaiting && !keys[e.OrderKey()] {
			keys[e.OrderKey()] = true
			first = append(first, e)
		}
	}
	return first
}

// Sendable returns the events that may be sent now, in their order: of those that share an OrderKey
// the first, when its pause is over.
func (s Subscription) Sendable(now time.Time) []SourceEvent {
	return slices.DeleteFunc(s.next(), func(e SourceEvent) bool { return e.At.After(now) })
}

// Waiting returns how many events wait for the receiver.
func (s Subscription) Waiting() (n int) {
	for _, e := range s.Events {
		if e.State == EventWaiting {
			n++
		}
	}
	return n
}

// Ended returns the events that have ended.
func (s Subscription) Ended() (ended []SourceEvent) {
	for _, e := range s.Events {
		if e.State != EventWaiting {
			ended = append(ended, e)
		}
	}
	return ended
}

// RemoveLogged removes events that are in the log now. One that waits again stays.
func (s *Subscription) RemoveLogged(logged []SourceEvent) {
	s.Events = slices.DeleteFunc(slices.Clone(s.Events), func(e SourceEvent) bool {
		return e.State != EventWaiting && slices.ContainsFunc(logged, e.is)
	})
}

// Replay makes an event of the row or the log wait again, with its id and its place in the order.
// One that waits is due at once.
func (s *Subscription) Replay(e SourceEvent, now time.Time) AddResult {
	e.State, e.At, e.Reason, e.Tries, e.TriedAt = EventWaiting, now, "", 0, time.Time{}
	at, there := slices.BinarySearchFunc(s.Events, e, func(a, b SourceEvent) int {
		return cmp.Compare(a.Number, b.Number)
	})
	switch {
	case there && s.Events[at].State == EventWaiting:
		e = s.Events[at]
		e.At = now
	case !s.roomFor(e):
		return Full
	}
	s.Events = slices.Clone(s.Events)
	if there {
		s.Events[at] = e
	} else {
		s.Events = slices.Insert(s.Events, at, e)
	}
	s.dropEnded()
	return Added
}

// SourceEventID returns the id of the event of a change in a delivery: it follows from the
// subscription, the delivery's id and the change's OrderKey.
func SourceEventID(subscription, delivery, orderKey string) string {
	return sourceID("delivery", subscription, delivery, orderKey)
}

// CaughtUpID returns the id of an event that a sync has found. It follows from the subscription,
// the ref and its heads before and now.
func CaughtUpID(subscription, ref, before, commit string) string {
	return sourceID("sync", subscription, ref, before, commit)
}

func sourceID(parts ...string) string {
	sum := sha256.Sum256([]byte(Join(parts...)))
	return hex.EncodeToString(sum[:16])
}

// RefEventType returns the type of the event of a ref's change. ok is false for a ref that is
// neither a branch nor a tag.
func RefEventType(ref string) (kind string, ok bool) {
	switch {
	case strings.HasPrefix(ref, "refs/heads/"):
		return SourcePushed, true
	case strings.HasPrefix(ref, "refs/tags/"):
		return SourceTagged, true
	}
	return "", false
}
