package workqueue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding/workqueue"
	"bindery/shared/table"
	"bindery/shared/testkit"
)

// index is a list of what is due, in pages.
type index struct {
	entries, pageSize, asked int
	fails                    error // at the second page
}

func (x *index) list(
	_ context.Context, _ time.Time, cursor string, _ int,
) (page table.Page[int], err error) {
	if x.asked++; x.asked == 2 && x.fails != nil {
		return page, x.fails
	}
	first, _ := strconv.Atoi(cursor)
	for i := first; i < min(first+x.pageSize, x.entries); i++ {
		page.Items = append(page.Items, i)
	}
	if next := first + len(page.Items); next < x.entries {
		page.Cursor = strconv.Itoa(next)
	}
	return page, nil
}

// gauge counts what is going on at the same time.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() (leave func()) {
	now := g.now.Add(1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); {
		most = g.most.Load()
	}
	return func() { g.now.Add(-1) }
}

func well(context.Context, workqueue.SkipReason) workqueue.HostResult {
	return workqueue.HostResult{Asked: true, Well: true}
}

func TestEveryEntryIsWorkedOnOnceAndOnlySoManyAtOnce(t *testing.T) {
	r := workqueue.New(testkit.NewClock().Now)
	var inside gauge
	var mu sync.Mutex
	seen := map[int]int{}
	full := make(chan struct{})
	err := workqueue.Work(t.Context(), r, (&index{entries: 100, pageSize: 30}).list,
		func(_ context.Context, entry int) {
			defer inside.enter()()
			mu.Lock()
			seen[entry]++
			if len(seen) == workqueue.MaxConcurrentEntries {
				close(full)
			}
			mu.Unlock()
			<-full
		})
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "entries", len(seen), 100)
	for entry, times := range seen {
		if times != 1 {
			t.Errorf("entry %d was worked on %d times", entry, times)
		}
	}
	testkit.Want(t, "at once", inside.most.Load(), workqueue.MaxConcurrentEntries)
	testkit.Want(t, "left", r.Left(), false)
}

func TestAHostGetsSoManyCallsAtOnceAndDelaysNoOther(t *testing.T) {
	r := workqueue.New(testkit.NewClock().Now)
	var slow gauge
	var others, arrived atomic.Int64
	othersDone, full := make(chan struct{}), make(chan struct{})
	const jobs = 40
	err := workqueue.Work(t.Context(), r, (&index{entries: 2 * jobs, pageSize: 100}).list,
		func(ctx context.Context, entry int) {
			if entry < jobs {
				r.Queue(ctx, "slow", func(context.Context, workqueue.SkipReason) workqueue.HostResult {
					defer slow.enter()()
					if arrived.Add(1) == workqueue.MaxCallsPerHost {
						close(full)
					}
					<-full
					<-othersDone
					return workqueue.HostResult{}
				})
				return
			}
			r.Queue(ctx, "other", func(context.Context, workqueue.SkipReason) workqueue.HostResult {
				if others.Add(1) == jobs {
					close(othersDone)
				}
				return workqueue.HostResult{}
			})
		})
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "jobs of the slow host", arrived.Load(), jobs)
	testkit.Want(t, "at once", slow.most.Load(), workqueue.MaxCallsPerHost)
}

// oneAfterTheOther runs jobs of one host by one worker. The host's other workers are busy until
// the channel is closed.
func oneAfterTheOther(t *testing.T, r *workqueue.Run, free chan struct{}, jobs ...workqueue.Job) {
	t.Helper()
	err := workqueue.Work(t.Context(), r, (&index{entries: 1, pageSize: 1}).list,
		func(ctx context.Context, _ int) {
			for range workqueue.MaxCallsPerHost - 1 {
				r.Queue(ctx, "host", func(context.Context, workqueue.SkipReason) workqueue.HostResult {
					<-free
					return workqueue.HostResult{}
				})
			}
			for _, job := range jobs {
				r.Queue(ctx, "host", job)
			}
		})
	testkit.Want(t, "error", err, nil)
}

func TestAHostsJobsBeginInTheirOrder(t *testing.T) {
	var order []int
	var jobs []workqueue.Job
	free := make(chan struct{})
	for i := range 50 {
		jobs = append(jobs, func(context.Context, workqueue.SkipReason) workqueue.HostResult {
			if order = append(order, i); len(order) == 50 {
				close(free)
			}
			return workqueue.HostResult{}
		})
	}
	oneAfterTheOther(t, workqueue.New(testkit.NewClock().Now), free, jobs...)
	if len(order) != len(jobs) || !slices.IsSorted(order) {
		t.Errorf("the jobs began in the order %v", order)
	}
}

// TestAHostThatFailsIsNotAskedAgain has one good answer after all but one of the failures that
// count.
func TestAHostThatFailsIsNotAskedAgain(t *testing.T) {
	var asked, skipped int
	var wait time.Duration
	free := make(chan struct{})
	job := func(_ context.Context, why workqueue.SkipReason) (h workqueue.HostResult) {
		if why.Failing {
			skipped, wait = skipped+1, why.Wait
		} else {
			asked++
			h = workqueue.HostResult{
				Asked: true, Well: asked == workqueue.MaxHostFailures, Wait: time.Minute,
			}
		}
		if asked+skipped == 20 {
			close(free)
		}
		return h
	}
	oneAfterTheOther(t, workqueue.New(testkit.NewClock().Now), free, slices.Repeat(
		[]workqueue.Job{job}, 20)...)
	testkit.Want(t, "asked", asked, 2*workqueue.MaxHostFailures)
	testkit.Want(t, "skipped", skipped, 20-asked)
	testkit.Want(t, "the wait that it asked for", wait, time.Minute)
}

// TestWhatIsLateIsLeft moves the clock in the first of three jobs.
func TestWhatIsLateIsLeft(t *testing.T) {
	for _, c := range []struct {
		took         time.Duration
		inTime, late int64
		left         bool
	}{
		{workqueue.RunTimeout, 3, 0, false},
		{workqueue.RunTimeout + time.Second, 1, 2, true},
		{workqueue.RunTimeout + 20*time.Second, 1, 0, true}, // too late to postpone it either
	} {
		clock := testkit.NewClock()
		var inTime, late atomic.Int64
		free := make(chan struct{})
		job := func(_ context.Context, why workqueue.SkipReason) workqueue.HostResult {
			switch {
			case why.Late:
				late.Add(1)
			case inTime.Add(1) == 1:
				clock.Advance(c.took)
				close(free)
			}
			return workqueue.HostResult{}
		}
		r := workqueue.New(clock.Now)
		oneAfterTheOther(t, r, free, job, job, job)
		testkit.Want(t, "in time", inTime.Load(), c.inTime)
		testkit.Want(t, "late", late.Load(), c.late)
		testkit.Want(t, "left", r.Left(), c.left)
	}
}

func TestAnIndexThatCannotBeReadIsTheErrorAndWhatWasReadIsDone(t *testing.T) {
	r := workqueue.New(testkit.NewClock().Now)
	broken := errors.New("broken")
	var done atomic.Int64
	err := workqueue.Work(t.Context(), r, (&index{entries: 20, pageSize: 10, fails: broken}).list,
		func(ctx context.Context, _ int) {
			r.Queue(ctx, "host", func(ctx context.Context, why workqueue.SkipReason) workqueue.HostResult {
				done.Add(1)
				return well(ctx, why)
			})
		})
	testkit.Want(t, "error", err, broken)
	testkit.Want(t, "done", done.Load(), 10)
}

func TestARunReadsSoManyEntriesAndLeavesTheOthers(t *testing.T) {
	r := workqueue.New(testkit.NewClock().Now)
	var done atomic.Int64
	err := workqueue.Work(t.Context(), r, (&index{entries: 30_000, pageSize: 1000}).list,
		func(context.Context, int) { done.Add(1) })
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "done", done.Load(), 20_000)
	testkit.Want(t, "left", r.Left(), true)
}

func TestARunWhoseContextHasEndedLeavesEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := workqueue.New(testkit.NewClock().Now)
	var done atomic.Int64
	err := workqueue.Work(ctx, r, (&index{entries: 100, pageSize: 10}).list,
		func(context.Context, int) {
			cancel()
			done.Add(1)
		})
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "done few", done.Load() <= workqueue.MaxConcurrentEntries+1, true)
	testkit.Want(t, "left", r.Left(), true)
}
