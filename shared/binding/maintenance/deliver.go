package maintenance

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
)

const (
	// A webhook that fails is sent again after a minute, then after twice as long each time, up to
	// eight hours.
	minDeliveryBackoff = time.Minute
	maxDeliveryBackoff = 8 * time.Hour
	// MaxDeliveryTries is how often a webhook is sent again before it is skipped: for about two days
	// in all, in which the operator can repair the receiver.
	MaxDeliveryTries = 14
)

// deliver sends a binding's waiting events from the history, in their order, and returns how many
// it has sent. It sends at least one and starts no further one after until. An event that fails
// delays the later events of its binding, and no other binding's; after MaxDeliveryTries it is
// skipped, with an alarm. An event may be sent twice, with the same id.
func (s *Service) deliver(
	ctx context.Context, rec binding.Record, until time.Time,
) (int, error) {
	page, err := s.ledger.Table.ListHistory(
		ctx, rec.Key, table.OldestFirst, rec.Delivery.Sent, ledger.PageSize)
	if err != nil {
		return 0, ledger.Unavailable("reading the events to send", err)
	}
	sent := 0
	var failed error
	for sent < len(page.Items) && failed == nil && (sent == 0 || s.ledger.Now().Before(until)) {
		if failed = s.ledger.Webhook.Send(ctx, rec.Key, page.Items[sent]); failed == nil {
			sent++
		}
	}
	past := sent // events that are not sent again
	if failed != nil && sent == 0 && rec.Delivery.Tries >= MaxDeliveryTries {
		past++
		s.ledger.Log.ErrorContext(ctx, "a webhook is left out, after many tries", "alarm", "webhook",
			"binding", binding.Describe(rec.Key), "event", page.Items[0].ID, "error", failed)
	}
	_, err = s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if b.Delivery.Sent != rec.Delivery.Sent {
			return false // another run has sent them
		}
		b.Delivery = s.delivered(b.Delivery, rec.Delivery, page, past, failed != nil)
		b.DueAt = s.ledger.Due(*b)
		return true
	})
	if failed != nil {
		return sent, failed
	}
	return sent, err
}

// delivered returns the new progress of a delivery: now is the record's current one, was the one
// with which the page was read, and past is how many events of the page are not sent again.
func (s *Service) delivered(
	now, was binding.Delivery, page table.Page[binding.Event], past int, failed bool,
) binding.Delivery {
	next := binding.Delivery{Sent: was.Sent, Tries: was.Tries, At: s.ledger.Now()}
	if past > 0 {
		next.Sent, next.Tries = page.Items[past-1].Position(), 0
	}
	if past == len(page.Items) && page.Cursor == "" {
		next.Waiting = max(0, now.Waiting-was.Waiting) // events drained in the meantime
		return next
	}
	next.Waiting = max(1, now.Waiting-past)
	if failed {
		next.At = s.ledger.Now().Add(min(minDeliveryBackoff<<min(next.Tries, 20), maxDeliveryBackoff))
		next.Tries++
	}
	return next
}
