package delivery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
)

const (
	// leasePeriod is for how long one invocation may forward a subscription's events. It then saves
	// the outcome, and takes the lease again if there is more.
	leasePeriod = 30 * time.Second
	// sendPeriod is how long after it took the lease an invocation begins to send an event: the last
	// one and the save end before the lease.
	sendPeriod = leasePeriod - event.SendTimeout - 10*time.Second
	// maxBatch is how many events are sent between two saves: as many may be sent again after a crash.
	maxBatch = 16
	// forwardTimeout is how long one Forward sends events.
	forwardTimeout = 20 * time.Second
)

// Forward sends the events of a subscription that are due, writes those that have ended to its log,
// and returns the row as it is then, and what has ended. It does nothing while another invocation
// forwards them. An event that the receiver doesn't take is no error.
func (s *Service) Forward(
	ctx context.Context, sub binding.Subscription,
) (binding.Subscription, ForwardCounts, error) {
	ctx = s.ledger.StartInvocation(ctx)
	leased, failed := false, error(nil)
	sub, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		now := s.ledger.Now()
		leased, failed = false, nil
		if row.Stage != binding.SubscriptionActive || row.Lease.After(now) {
			return false
		}
		if leased = len(row.Sendable(now)) > 0; leased {
			row.Lease = now.Add(leasePeriod)
			return true
		}
		if len(row.Ended()) == 0 {
			return false
		}
		failed = s.writeLog(ctx, row)
		return failed == nil
	})
	if failed != nil || err != nil || !leased {
		return sub, ForwardCounts{}, cmp.Or(failed, err)
	}
	sending, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	return s.send(ctx, sending, sub)
}

// ForwardCounts counts the events that no longer wait.
type ForwardCounts struct {
	Forwarded int // the receiver has taken them
	Dead      int // it has not, for two days, or it answered 410
}

// takeLease gives a row's lease to this invocation unless another has it, and returns until when;
// zero if another has it.
func (s *Service) takeLease(row *binding.Subscription) time.Time {
	now := s.ledger.Now()
	if row.Lease.After(now) || s.ledger.Webhook == nil {
		return time.Time{}
	}
	row.Lease = now.Add(leasePeriod)
	return row.Lease
}

// send sends the events that are due, those that others store meanwhile too, until sending ends.
// The invocation has the row's lease, which send ends.
func (s *Service) send(
	ctx, sending context.Context, sub binding.Subscription,
) (_ binding.Subscription, done ForwardCounts, _ error) {
	for {
		b := s.batch(sending, sub)
		b.stop = b.stop || sending.Err() != nil
		next, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
			return s.note(ctx, row, &b)
		})
		if err != nil {
			return sub, done, err
		}
		done.Forwarded += s.report(ctx, next, b)
		done.Dead += len(b.dead)
		if !b.more {
			return next, done, nil
		}
		sub = next
	}
}

// batch is what was sent between two saves.
type batch struct {
	lease   time.Time // with which it was sent
	results []binding.ForwardResult
	stop    bool // sending has ended, or the receiver wants no more now
	dead    []string
	more    bool // the row has more to send now, and this invocation does it
}

// batch sends events.
func (s *Service) batch(sending context.Context, sub binding.Subscription) batch {
	b := batch{lease: sub.Lease}
	until := sub.Lease.Add(sendPeriod - leasePeriod)
	for !b.stop && len(b.results) < maxBatch {
		due := sub.Sendable(s.ledger.Now())
		if len(due) == 0 || sending.Err() != nil || s.ledger.Now().After(until) {
			break
		}
		r, err := s.post(sending, sub, due[0])
		if err != nil && sending.Err() != nil {
			b.stop = true // it was our time that ended, and says nothing of the receiver
			break
		}
		b.results = append(b.results, r)
		sub.Record(r, noJitter)
		b.stop = !r.Taken && (r.Answer == 0 || r.RetryAfter > 0 ||
			r.Answer == 429 || r.Answer == 503)
	}
	return b
}

func noJitter(time.Duration) time.Duration { return 0 }

// post sends one event. Without a receiver every try fails.
func (s *Service) post(
	ctx context.Context, sub binding.Subscription, e binding.SourceEvent,
) (binding.ForwardResult, error) {
	r := binding.ForwardResult{ID: e.ID, At: s.ledger.Now()}
	if s.ledger.Webhook == nil {
		return r, nil
	}
	receipt, err := s.ledger.Webhook.SendSource(ctx, sub, e, sub.Repository.Key)
	r.Taken, r.Answer, r.RetryAfter = err == nil, receipt.Status, receipt.RetryAfter
	r.At = s.ledger.Now()
	return r, err
}

// note notes what was sent in the row, and keeps the lease only if there is more to send.
func (s *Service) note(ctx context.Context, row *binding.Subscription, b *batch) bool {
	for _, r := range b.results {
		// A save whose outcome was not known may have noted it.
		if row.Record(r, s.ledger.Jitter) && !slices.Contains(b.dead, r.ID) {
			b.dead = append(b.dead, r.ID)
		}
	}
	now, own := s.ledger.Now(), row.Lease.Equal(b.lease)
	b.more = !b.stop && own && row.Stage == binding.SubscriptionActive && len(row.Sendable(now)) > 0
	switch {
	case b.more:
		row.Lease = now.Add(leasePeriod)
	case own:
		row.Lease = time.Time{}
	}
	if len(row.Ended()) > binding.MaxEnded/2 {
		_ = s.writeLog(ctx, row) // it is tried again later
	}
	return own || len(b.results) > 0
}

// report counts what was sent, and tells the operator of events that the receiver didn't take. It
// returns how many it took.
func (s *Service) report(ctx context.Context, sub binding.Subscription, b batch) (taken int) {
	for _, r := range b.results {
		if r.Taken {
			taken++
		}
	}
	if taken > 0 {
		s.count(ctx, sub.Binding.Platform, "", "EventsForwarded", taken)
	}
	if len(b.dead) == 0 {
		return taken
	}
	s.count(ctx, sub.Binding.Platform, "", "EventsDead", len(b.dead))
	s.ledger.Log.ErrorContext(ctx, "the receiver doesn't take events of a repository",
		"alarm", "webhook", "binding", binding.Describe(sub.Binding), "subscription", sub.ID,
		"events", b.dead)
	return taken
}

// writeLog writes the events that have ended to the log and removes them from a row that is about
// to be saved. Until then they are in both, and the row counts.
func (s *Service) writeLog(ctx context.Context, row *binding.Subscription) error {
	ended := row.Ended()
	kept := slices.DeleteFunc(slices.Clone(ended), func(e binding.SourceEvent) bool {
		return e.Number <= row.EventCount-binding.MaxLogged // a newer one has its place
	})
	for part := range slices.Chunk(kept, binding.MaxEvents) {
		if err := s.ledger.Table.AppendLog(ctx, row.ID, part); err != nil {
			return ledger.Unavailable("writing the log of events", err)
		}
	}
	row.RemoveLogged(ended)
	return nil
}
