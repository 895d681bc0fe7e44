package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/workqueue"
	"bindery/shared/testkit"
)

// platformGate blocks the requests to platforms until it is opened. It opens by itself if it blocks
// more than the limit.
type platformGate struct {
	arrived    atomic.Int64
	full, open chan struct{} // full is closed when as many are blocked as the limit
}

func (w *world) blockPlatforms(limit int64) *platformGate {
	g := &platformGate{full: make(chan struct{}), open: make(chan struct{})}
	look := func() {
		switch g.arrived.Add(1) {
		case limit:
			close(g.full)
		case limit + 1:
			close(g.open)
		}
		<-g.open
	}
	w.asked.Store(&look)
	return g
}

// startRun begins a run of a schedule, and returns what waits for its end.
func (w *world) startRun(task string) (wait func()) {
	ended := make(chan error)
	go func() {
		_, err := w.api.Task(w.t.Context(), []byte(`{"name":"`+task+`"}`))
		ended <- err
	}()
	return func() {
		w.t.Helper()
		testkit.Want(w.t, "the first run", <-ended, nil)
	}
}

// overlaps returns the runs that have found another under way.
func (w *world) overlaps() (count int) {
	for _, line := range w.log.Records(w.t, "metric") {
		if line["Overlaps"] == 1.0 {
			count++
		}
	}
	return count
}

// TestTwoRunsOfTheCheckAtOnceAskAHostByEight has bindings of one GitLab of which one half comes due
// while a run asks about the other.
func TestTwoRunsOfTheCheckAtOnceAskAHostByEight(t *testing.T) {
	const half = workqueue.MaxCallsPerHost
	var instances []string
	for i := range 2 * half {
		instances = append(instances,
			fmt.Sprintf(`{"type": "personal", "region": "r", "id": "i-%d", "name": ""}`, i))
	}
	w := newWorld(t, env("BINDERY_INSTANCES", `{"acme": [`+strings.Join(instances, ",")+`]}`))
	for i := range 2 * half {
		w.put(fmt.Sprintf("/v1/instances/r/i-%d/bindings/gitlab", i), gitlab()).ok()
		key := binding.Key{
			Account: "acme", Region: "r", Instance: fmt.Sprint("i-", i), Platform: "gitlab",
		}
		rec, err := w.lost.Binding(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = nil
		rec.CheckAt = w.clock.Now().Add(time.Duration(i/half+1) * time.Minute)
		rec.DueAt = rec.CheckAt
		if _, err := w.lost.SaveBinding(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(time.Minute)
	g := w.blockPlatforms(half)
	first := w.startRun("expiry-check")
	<-g.full
	w.clock.Advance(time.Minute)
	if _, err := w.process().Task(t.Context(), nil); err != nil {
		t.Errorf("the run that finds another: %v", err)
	}
	testkit.Want(t, "requests at once", g.arrived.Load(), half)
	testkit.Want(t, "runs that found another", w.overlaps(), 1)
	if g.arrived.Load() == half {
		close(g.open)
	}
	first()
	w.asked.Store(nil)
	if _, err := w.process().Task(t.Context(), nil); err != nil {
		t.Error(err)
	}
	lines := w.log.Records(t, "checked")
	testkit.Want(t, "runs", len(lines), 2)
	for _, line := range lines {
		testkit.Want(t, "checked", line["checked"], any(float64(half)))
	}
}

// TestNoEventWaitsForThePlatformThatAnotherRunAsks: a run over subscriptions that finds another
// under way forwards events, and asks no platform.
func TestNoEventWaitsForThePlatformThatAnotherRunAsks(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	w.clock.Advance(time.Hour) // its first sync is due
	g := w.blockPlatforms(1)
	first := w.startRun("subscriptions")
	<-g.full
	r.answer(http.StatusServiceUnavailable)
	w.push("waits for its receiver")
	r.received()
	r.answer(http.StatusOK)
	w.clock.Advance(time.Minute)
	_, err := w.process().Task(t.Context(), []byte(`{"name":"subscriptions"}`))
	testkit.Want(t, "the run that finds another", err, nil)
	testkit.Want(t, "events", len(r.received()), 1)
	testkit.Want(t, "requests", g.arrived.Load(), 1)
	testkit.Want(t, "runs that found another", w.overlaps(), 1)
	if g.arrived.Load() == 1 {
		close(g.open)
	}
	first()
	lines := w.log.Records(t, "subscriptions")
	testkit.Want(t, "it overlaps", lines[0]["overlaps"], any(true))
	testkit.Want(t, "the other doesn't", lines[1]["overlaps"], any(false))
	testkit.Want(t, "synced by the other", lines[1]["synced"], any(1.0))
}

func TestARunMakesTwoCallsToTheTableForItsLease(t *testing.T) {
	w := newWorld(t)
	for task, want := range map[string]string{
		"expiry-check":  "SaveRunLease DueBefore DeleteRunLease",
		"subscriptions": "SaveRunLease DueSubscriptions DeleteRunLease",
	} {
		w.table.reset(nil)
		w.startRun(task)()
		testkit.Want(t, task, strings.Join(w.table.made(), " "), want)
	}
}
