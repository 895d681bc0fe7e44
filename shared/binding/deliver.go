package binding

import (
	"context"
	"time"

	"bindery/shared/table"
)

const (
	// A webhook that fails is sent again after a minute, then after twice as long each time, up to
	// eight hours: about two days in all, in which a receiver can be mended.
	firstRetry  = time.Minute
	lastRetry   = 8 * time.Hour
	mostRetries = 14
)

// deliver sends a binding's waiting events in their order, from the history. The first that fails
// holds up those after it, and no other binding's; after many tries it is left out, with an alarm.
// An event may be sent twice, with the same id.
func (s *Service) deliver(ctx context.Context, rec table.Binding) (int, error) {
	page, err := s.table.ListHistory(
		ctx, rec.Key, table.OldestFirst, rec.Delivery.Sent, pageSize)
	if err != nil {
		return 0, unavailable("reading what is to be sent", err)
	}
	d, sent := rec.Delivery, 0
	var failed error
	for _, e := range page.Items {
		if _, failed = s.punctual(ctx, "Send"); failed != nil {
			break
		}
		if failed = s.webhook.Send(ctx, rec.Key, e); failed != nil {
			break
		}
		d = table.Delivery{Sent: e.Position(), Waiting: max(0, d.Waiting-1)}
		sent++
	}
	switch {
	case failed != nil && d.Tries >= mostRetries && sent == 0:
		left := page.Items[0]
		s.log.ErrorContext(ctx, "a webhook is left out, after many tries",
			"alarm", "webhook", "binding", describe(rec.Key), "event", left.ID, "error", failed)
		d = table.Delivery{Sent: left.Position(), Waiting: max(0, d.Waiting-1), At: s.now()}
	case failed != nil:
		d.At = s.now().Add(min(firstRetry<<min(d.Tries, 20), lastRetry))
		d.Tries++
	case page.Cursor == "":
		d.Waiting = 0
	default:
		d.At = s.now()
	}
	err = s.change(ctx, rec, func(b *table.Binding) bool {
		if b.Delivery.Sent != rec.Delivery.Sent {
			return false // another run was quicker
		}
		// What was drained in the meantime waits as well.
		d.Waiting += max(0, b.Delivery.Waiting-rec.Delivery.Waiting)
		b.Delivery = d
		b.DueAt = s.due(*b)
		return true
	}, &rec)
	if failed != nil {
		return sent, failed
	}
	return sent, err
}
