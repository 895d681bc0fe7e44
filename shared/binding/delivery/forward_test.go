package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestAnEventThatTheReceiverRefusesIsSentAgainWithItsID(t *testing.T) {
	h := newHarness(t)
	seen := map[string]int{}
	h.receiver.set(func(_ http.ResponseWriter, e got) int {
		if seen[e.ID]++; seen[e.ID] < 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	check(t, h.signed(push("d1", "main", "a", "b")))
	check(t, h.signed(push("d2", "main", "b", "c"))) // waits for the first
	h.forward()                                      // in the pause
	testkit.Want(t, "tries", seen[h.row().Events[0].ID], 1)
	for range 6 {
		h.Advance(time.Minute)
		h.forward()
	}
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=c")
	testkit.Want(t, "ids", len(seen), 2)
}

func TestA410EndsAnEventAndTellsTheOperator(t *testing.T) {
	h := newHarness(t)
	h.receiver.set(always(http.StatusGone))
	check(t, h.signed(push("d1", "main", "a", "b")))
	e := h.row().Events[0]
	testkit.Want(t, "state", e.State, binding.EventDead)
	testkit.Want(t, "answer", e.Answer, http.StatusGone)
	testkit.Want(t, "alarms", strings.Count(h.log.String(), `"alarm":"webhook"`), 1)
	h.Advance(time.Hour)
	h.forward()
	testkit.Want(t, "alarms", strings.Count(h.log.String(), `"alarm":"webhook"`), 1)
	testkit.Want(t, "metric", strings.Count(h.log.String(), `"EventsDead":1`), 1)
}

func TestAfterTwoDaysAnEventIsDeadAndTheOperatorToldOnce(t *testing.T) {
	h := newHarness(t)
	tries := 0
	h.receiver.set(func(http.ResponseWriter, got) int { tries++; return 500 })
	check(t, h.signed(push("d1", "main", "a", "b")))
	for range 200 {
		due := h.row().DueAt
		if h.row().Events == nil || h.row().Events[0].State != binding.EventWaiting {
			break
		}
		h.Advance(due.Sub(h.Now()))
		h.forward()
	}
	e := h.row().Events[0]
	testkit.Want(t, "state", e.State, binding.EventDead)
	testkit.Want(t, "alarms", strings.Count(h.log.String(), `"alarm":"webhook"`), 1)
	if tries < 15 || tries > 30 {
		t.Errorf("%d tries in two days", tries)
	}
	h.receiver.set(nil)
	e, err := h.service.Replay(t.Context(), h.row(), 1)
	check(t, err)
	testkit.Want(t, "state after a replay", e.State, binding.EventForwarded)
	want(t, "id", h.receiver.taken()[0].ID, e.ID)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		h := newHarness(t)
		tries := 0
		h.receiver.set(func(w http.ResponseWriter, _ got) int {
			tries++
			w.Header().Set("Retry-After", "600")
			return status
		})
		d := push("d1", "main", "a", "b")
		d.Changes = append(d.Changes, push("", "next", "a", "c").Changes...)
		check(t, h.signed(d))
		h.Advance(599 * time.Second)
		h.forward()
		testkit.Want(t, "tries within the pause", tries, 1)
		h.receiver.set(nil)
		h.Advance(2 * time.Second)
		h.forward()
		testkit.Want(t, "taken", len(h.receiver.taken()), 2)
	}
}

func TestOneEventThatIsRefusedDelaysNoOtherRef(t *testing.T) {
	h := newHarness(t)
	h.receiver.set(func(_ http.ResponseWriter, e got) int {
		if e.Data.Ref == "refs/heads/main" {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	for i := range 5 {
		check(t, h.signed(push(fmt.Sprint("m", i), "main", fmt.Sprint(i), fmt.Sprint(i+1))))
		check(t, h.signed(push(fmt.Sprint("n", i), "next", fmt.Sprint(i), fmt.Sprint(i+1))))
	}
	testkit.Want(t, "told", len(h.receiver.taken()), 5)
	testkit.Want(t, "waiting", h.row().Waiting(), 5)
}

func TestOnlyOneInvocationForwards(t *testing.T) {
	h := newHarness(t)
	h.edit(func(s *binding.Subscription) { s.Lease = h.Now().Add(10 * time.Second) })
	check(t, h.signed(push("d1", "main", "a", "b")))
	h.forward()
	testkit.Want(t, "while another forwards", len(h.receiver.taken()), 0)
	testkit.Want(t, "due", h.row().DueAt, h.Now().Add(10*time.Second))
	h.Advance(11 * time.Second)
	h.forward()
	want(t, "after its lease", h.receiver.told(), "heads/main=b")
}

func TestTheHolderSendsWhatOthersStoreMeanwhile(t *testing.T) {
	h := newHarness(t)
	h.receiver.set(func(_ http.ResponseWriter, e got) int {
		if e.Data.Commit == "b" {
			h.receiver.set(nil)
			check(t, h.signed(push("d2", "main", "b", "c")))
			check(t, h.signed(push("d3", "next", "", "x")))
			testkit.Want(t, "sent by the others", len(h.receiver.taken()), 0)
		}
		return http.StatusOK
	})
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=c heads/next=x")
	want(t, "row", h.states(), "main=b forwarded, main=c forwarded, next=x forwarded")
	testkit.Want(t, "lease", h.row().Lease.IsZero(), true)
}

func TestALostLeaseEndsNoOthers(t *testing.T) {
	h := newHarness(t)
	theirs := h.Now().Add(time.Hour)
	h.receiver.set(func(http.ResponseWriter, got) int {
		h.edit(func(s *binding.Subscription) { s.Lease = theirs })
		return http.StatusOK
	})
	check(t, h.signed(push("d1", "main", "a", "b")))
	testkit.Want(t, "lease", h.row().Lease, theirs)
	want(t, "row", h.states(), "main=b forwarded")
}

func TestWithoutAReceiverEventsEndAfterTwoDays(t *testing.T) {
	h := newHarness(t)
	h.webhook = nil
	h.serve()
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "row", h.states(), "main=b waiting")
	for range 60 {
		h.Advance(time.Hour)
		h.forward()
	}
	testkit.Want(t, "waiting", h.row().Waiting(), 0)
}

func TestEndedEventsMoveToTheLog(t *testing.T) {
	h := newHarness(t)
	h.edit(func(s *binding.Subscription) { s.Branches = []string{"main"} })
	for i := range 150 {
		branch := "main"
		if i%3 > 0 {
			branch = "other"
		}
		h.Advance(time.Second)
		check(t, h.signed(push(fmt.Sprint("d", i), branch, fmt.Sprint(i-3), fmt.Sprint(i))))
	}
	if n := len(h.row().Events); n > binding.MaxEnded {
		t.Errorf("the row has %d events", n)
	}
	h.Advance(binding.LogDelay)
	sub := h.forward()
	testkit.Want(t, "events of the row", len(sub.Events), 0)
	testkit.Want(t, "due", sub.DueAt.IsZero(), true)

	number, cursor := int64(150), ""
	for pages := 1; ; pages++ {
		h.calls.reset(0, false)
		page, err := h.service.Events(t.Context(), h.row(), cursor)
		check(t, err)
		for _, e := range page.Events {
			testkit.Want(t, "number", e.Number, number)
			number--
		}
		if cursor = page.Cursor; cursor == "" {
			testkit.Want(t, "pages", pages, 3)
			break
		}
	}
	testkit.Want(t, "events listed", number, 0)
}

func TestTheRowCountsWhereTheLogHasTheEventToo(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "a", "b")))
	h.Advance(binding.LogDelay)
	h.forward()
	h.receiver.set(always(500))
	_, err := h.service.Replay(t.Context(), h.row(), 1)
	check(t, err)
	page, err := h.service.Events(t.Context(), h.row(), "")
	check(t, err)
	testkit.Want(t, "events", len(page.Events), 1)
	testkit.Want(t, "state", page.Events[0].State, binding.EventWaiting)
	testkit.Want(t, "tries", page.Events[0].Tries, 1)
}

func TestACursorIsOneOfTheList(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "a", "b")))
	for _, cursor := range []string{"x", "0", "-1", "3", "01", "+1", "1 ", "99999999999999999999"} {
		_, err := h.service.Events(t.Context(), h.row(), cursor)
		testkit.WantProblem(t, cursor, err, problem.InputMalformed, "cursor")
	}
}

func TestOnlyWhatTheReceiverWasToGetIsReplayed(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "a", "b")))
	check(t, h.signed(testDelivery("d2")))
	for _, number := range []int64{-1, 0, 3} {
		_, err := h.service.Replay(t.Context(), h.row(), number)
		testkit.WantProblem(t, fmt.Sprint(number), err, problem.DeliveryUnknown, "")
	}
	_, err := h.service.Replay(t.Context(), h.row(), 2)
	testkit.WantProblem(t, "a test", err, problem.DeliveryIgnored, binding.IgnoredTest)
	for range 2 {
		e, err := h.service.Replay(t.Context(), h.row(), 1)
		check(t, err)
		testkit.Want(t, "state", e.State, binding.EventForwarded)
	}
	events := h.receiver.taken()
	testkit.Want(t, "events", len(events), 3)
	if events[0].ID != events[1].ID || events[1].ID != events[2].ID {
		t.Error("a replay has another id")
	}
}
