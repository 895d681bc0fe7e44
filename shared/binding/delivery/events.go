package delivery

import (
	"cmp"
	"context"
	"errors"
	"sort"
	"strconv"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// eventsPageSize is how many events a page has at most.
const eventsPageSize = 50

// EventsPage is a page of a subscription's events.
type EventsPage struct {
	Events []binding.SourceEvent // newest first
	Cursor string                // "" on the last page
}

// Events lists the events of a subscription: those in its row and in its log. It makes one call to
// the table. A cursor that it did not return is [problem.InputMalformed].
func (s *Service) Events(
	ctx context.Context, sub binding.Subscription, cursor string,
) (EventsPage, error) {
	ctx = s.ledger.StartInvocation(ctx)
	below := sub.EventCount + 1
	if cursor != "" {
		number, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || number < 1 || number > below || strconv.FormatInt(number, 10) != cursor {
			return EventsPage{}, ledger.BadCursor()
		}
		below = number
	}
	logged, err := s.ledger.Table.Log(ctx, sub.ID, below, eventsPageSize+1)
	if err != nil {
		return EventsPage{}, ledger.Unavailable("reading the log of events", err)
	}
	byNumber := map[int64]binding.SourceEvent{}
	for _, e := range append(logged, sub.Events...) { // the row counts
		if e.Number < below {
			byNumber[e.Number] = e
		}
	}
	page := EventsPage{Events: make([]binding.SourceEvent, 0, len(byNumber))}
	for _, e := range byNumber {
		page.Events = append(page.Events, e)
	}
	// Not slices.SortFunc, which adds 13 KB to a function for this type.
	sort.Slice(page.Events, func(i, j int) bool {
		return page.Events[i].Number > page.Events[j].Number
	})
	if len(page.Events) > eventsPageSize {
		page.Events = page.Events[:eventsPageSize]
		page.Cursor = strconv.FormatInt(page.Events[eventsPageSize-1].Number, 10)
	}
	return page, nil
}

// Replay sends an event again, with the same id, at once if it can. [problem.DeliveryUnknown] if
// there is no such event, [problem.DeliveryIgnored] if it was never to be sent, with the same
// reason as the event; [problem.Overloaded] if too many wait.
func (s *Service) Replay(
	ctx context.Context, sub binding.Subscription, number int64,
) (binding.SourceEvent, error) {
	ctx = s.ledger.StartInvocation(ctx)
	var lease time.Time
	var refused error
	sub, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		lease, refused = time.Time{}, nil
		var e binding.SourceEvent
		if e, refused = s.replayable(ctx, *row, number); refused != nil {
			return false
		}
		if row.Replay(e, s.ledger.Now()) == binding.Full {
			refused = problem.New(problem.Overloaded).After(time.Minute)
			return false
		}
		lease = s.takeLease(row)
		return true
	})
	if refused != nil || err != nil {
		return binding.SourceEvent{}, cmp.Or(refused, err)
	}
	e, _ := inRow(sub, number)
	if lease.IsZero() {
		return e, nil
	}
	sending, cancel := context.WithTimeout(ctx, 2*event.SendTimeout)
	defer cancel()
	if sub, _, err = s.send(ctx, sending, sub); err != nil {
		return e, err
	}
	if now, ok := inRow(sub, number); ok { // not in the log by now
		e = now
	}
	return e, nil
}

// replayable returns an event that the receiver was, or is, to get.
func (s *Service) replayable(
	ctx context.Context, row binding.Subscription, number int64,
) (e binding.SourceEvent, err error) {
	unknown := problem.New(problem.DeliveryUnknown)
	e, ok := inRow(row, number)
	if !ok {
		if number < 1 || number > row.EventCount || number <= row.EventCount-binding.MaxLogged {
			return e, unknown
		}
		e, err = s.ledger.Table.LoggedEvent(ctx, row.ID, number)
		if errors.Is(err, table.ErrNotFound) {
			return e, unknown
		}
		if err != nil {
			return e, ledger.Unavailable("reading the log of events", err)
		}
	}
	switch {
	case row.Stage != binding.SubscriptionActive:
		return e, unknown
	case e.State == binding.EventIgnored:
		return e, problem.New(problem.DeliveryIgnored).Because(e.Reason)
	}
	return e, nil
}

func inRow(row binding.Subscription, number int64) (e binding.SourceEvent, ok bool) {
	for _, e := range row.Events {
		if e.Number == number {
			return e, true
		}
	}
	return e, false
}
