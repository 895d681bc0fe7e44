package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// crashing runs what a process does until it crashes, and reports whether it did.
func crashing(do func()) (crashed bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, crashed = p.(crash); !crashed {
				panic(p)
			}
		}
	}()
	do()
	return false
}

// TestACrashLosesNoEvent crashes the process before and after each call of a delivery, of a run and
// of a replay. What was answered, and what was sent again, is forwarded under one id.
func TestACrashLosesNoEvent(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *harness) (answered bool)
	}{
		{"a signed delivery", func(h *harness) bool {
			return h.signed(push("d1", "main", "a", "b")) == nil
		}},
		{"one that is not signed", func(h *harness) bool {
			h.set("heads/main", "b")
			return h.unsigned(push("d1", "main", "a", "b")) == nil
		}},
	} {
		for at, crashed := 1, true; crashed; at++ {
			for _, after := range []bool{false, true} {
				h := newHarness(t)
				h.calls.reset(at, after)
				answered := false
				crashed = crashing(func() { answered = c.do(h) })
				h.calls.reset(0, false)
				stored := strings.Contains(h.states(), "main")
				h.serve()
				if !answered && !stored {
					check(t, h.signed(push("d1", "main", "a", "b")))
				}
				h.settle()
				once(t, fmt.Sprintf("%s, call %d, after: %v", c.name, at, after), h.receiver.taken(), 1)
			}
			if at > 12 {
				t.Fatal("it doesn't end")
			}
		}
	}
}

func TestACrashOfARunOrAReplayLosesNoEvent(t *testing.T) {
	for at, crashed := 1, true; crashed; at++ {
		for _, after := range []bool{false, true} {
			h := newHarness(t)
			h.receiver.set(always(500))
			for i := range 10 { // of ten refs, so that the log is written in two parts
				check(t, h.signed(push(fmt.Sprint("d", i), fmt.Sprint("b", i), "", "c")))
			}
			h.receiver.set(nil)
			row := h.row()
			h.Advance(time.Minute)
			h.calls.reset(at, after)
			crashed = crashing(func() {
				if sub, err := h.service.Forward(t.Context(), row); err == nil {
					h.Advance(binding.LogDelay)
					if sub, err = h.service.Forward(t.Context(), sub); err == nil {
						_, _ = h.service.Replay(t.Context(), sub, 3)
					}
				}
			})
			h.calls.reset(0, false)
			h.serve()
			h.settle()
			once(t, fmt.Sprintf("call %d, after: %v", at, after), h.receiver.taken(), 10)
			page, err := h.service.Events(t.Context(), h.row(), "")
			check(t, err)
			testkit.Want(t, "events listed", len(page.Events), 10)
		}
		if at > 30 {
			t.Fatal("it doesn't end")
		}
	}
}

// settle is what the runs of an hour do.
func (h *harness) settle() {
	h.Helper()
	for range 60 {
		h.Advance(time.Minute)
		if due := h.row().DueAt; !due.IsZero() && !due.After(h.Now()) {
			h.forward()
		}
	}
	testkit.Want(h, "waiting", h.row().Waiting(), 0)
}

// once reports an error unless each change was told under one id.
func once(t *testing.T, what string, events []got, count int) {
	t.Helper()
	ids := map[string]string{}
	for _, e := range events {
		change := e.Data.Ref + " " + e.Data.Commit
		if other := ids[change]; other != "" && other != e.ID {
			t.Errorf("%s: %s was told as %s and %s", what, change, other, e.ID)
		}
		ids[change] = e.ID
	}
	testkit.Want(t, what+": changes told", len(ids), count)
}

// TestManyDeliveriesAtOnceAreToldOnceAndInOrder delivers the pushes to five branches twice and out
// of order, from many goroutines and two processes, to a receiver that fails for a minute.
func TestManyDeliveriesAtOnceAreToldOnceAndInOrder(t *testing.T) {
	const branches, pushes = 5, 10
	h := newHarness(t)
	h.edit(func(s *binding.Subscription) {
		for b := range branches {
			s.Heads = append(s.Heads, binding.Head{Ref: fmt.Sprint("refs/heads/b", b), Commit: "c0"})
		}
	})
	start := h.Now()
	var again sync.Map // what is refused once more after that minute: each third event
	h.receiver.set(func(_ http.ResponseWriter, e got) int {
		if h.Now().Sub(start) < time.Minute {
			return http.StatusInternalServerError
		}
		if _, refused := again.LoadOrStore(e.ID, true); !refused && e.Data.Number%3 == 0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	processes := []*harness{h, h.another()}
	jobs := shuffled(branches, pushes)
	var wait sync.WaitGroup
	next := make(chan job)
	for i := range 8 {
		wait.Go(func() {
			for j := range next {
				h.advanceHead(j)
				if err := processes[i%2].signed(j.delivery()); err != nil {
					t.Errorf("push %+v: %v", j, err)
				}
			}
		})
	}
	for i, j := range jobs {
		if i == len(jobs)/2 {
			h.Advance(time.Minute) // the receiver recovers
		}
		next <- j
	}
	close(next)
	wait.Wait()
	h.settle()

	events := h.receiver.taken()
	last, ids := map[string]int{}, map[string]string{}
	for _, e := range events {
		var n int
		_, _ = fmt.Sscanf(e.Data.Commit, "c%d", &n)
		change := e.Data.Ref + e.Data.Commit
		if other := ids[change]; other != "" && other != e.ID {
			t.Errorf("%s was told under two ids", change)
		}
		if n < last[e.Data.Ref] && ids[change] == "" {
			t.Errorf("%s: c%d was told after c%d", e.Data.Ref, n, last[e.Data.Ref])
		}
		ids[change], last[e.Data.Ref] = e.ID, max(n, last[e.Data.Ref])
	}
	for b := range branches {
		ref := fmt.Sprint("refs/heads/b", b)
		testkit.Want(t, "the last that was told of "+ref, last[ref], pushes)
	}
	if len(ids) < branches*pushes/2 {
		t.Errorf("only %d of %d pushes were told", len(ids), branches*pushes)
	}
}

// another is another process on the same table, vault, platform and receiver.
func (h *harness) another() *harness {
	other := *h
	other.serve()
	return &other
}

// job is a push of a branch from one commit to the next.
type job struct{ branch, number int }

func (j job) delivery() provider.Delivery {
	id := fmt.Sprintf("d%d.%d", j.branch, j.number)
	return push(id, fmt.Sprint("b", j.branch), fmt.Sprint("c", j.number-1), fmt.Sprint("c", j.number))
}

// shuffled returns each push twice, with neighbours out of order.
func shuffled(branches, pushes int) (jobs []job) {
	random := rand.New(rand.NewPCG(14, 11))
	for n := 1; n <= pushes; n++ {
		for b := range branches {
			jobs = append(jobs, job{b, n}, job{b, n})
		}
	}
	for i := range jobs {
		j := min(len(jobs)-1, i+random.IntN(20))
		jobs[i], jobs[j] = jobs[j], jobs[i]
	}
	return slices.Clip(jobs)
}

// advanceHead makes a push's commit the branch's head, unless a later one is.
func (h *harness) advanceHead(j job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := fmt.Sprint("heads/b", j.branch)
	var n int
	_, _ = fmt.Sscanf(h.heads[name], "c%d", &n)
	h.heads[name] = fmt.Sprint("c", max(n, j.number))
}
