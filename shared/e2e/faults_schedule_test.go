package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A run of the schedule ends by itself when its stores fail, and reports what it couldn't do. If
// it can't read what is due, it ends in an error, so that Lambda runs it again. The next run does
// the work.
func TestAScheduleRunCompletesWhenItsStoresFail(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	for service, calls := range map[string][]int{
		tableService: {1, 6, 13}, vaultService: {1, 3},
	} {
		both.Go(func() {
			t.Run(service, func(t *testing.T) { wantScheduleToComplete(t, service, calls) })
		})
	}
	both.Wait()
}

func wantScheduleToComplete(t *testing.T, service string, calls []int) {
	d := startLambda(t)
	r := d.newFaultRun(t, scenario{folder: "expirycheck"}, 1)
	for _, platform := range []string{"codeup", "gitlab"} {
		r.bindByToken(platform, r.bearer("alice", everyScope))
	}
	for _, from := range []toxic{unreachable, resetting, halfRequest, slow} {
		met, err := r.runScheduleWithFault(string(from), r.links[service],
			func(l *link) { l.addToxic(from) })
		if blind := service == tableService; blind != (err != nil) {
			t.Errorf("%s: the run ends with %v, after %v", from, err, met)
		}
	}
	for i, k := range calls {
		how := []cut{downBefore, downAfter}[i%2]
		when := fmt.Sprintf("call %d: %s", k, how)
		met, _ := r.runScheduleWithFault(when, r.links[service], func(l *link) { l.arm(k, how) })
		if len(met) < k {
			t.Errorf("%s: there was no such call: %v", when, met)
		}
	}
	d.wantNothingLeft()
}

// runScheduleWithFault runs the schedule with everything due and a failing store, and once more
// when the store works. It returns the calls that reached the store, and the error of the first
// run.
func (r *faultRun) runScheduleWithFault(
	when string, l *link, fault func(*link),
) (met []string, err error) {
	r.t.Helper()
	r.bindByConsent("gitee", r.bearer(rand.Text(), everyScope))
	r.expire("gitee")
	r.makeAllDue()
	r.restart()
	fault(l)
	failed, err := r.runCheck()
	met = l.restore()
	if failed == 0 {
		r.t.Errorf("%s: the run's summary reports no failure", when)
	}
	r.makeAllDue()
	if _, err := r.runCheck(); err != nil {
		r.t.Errorf("%s: the next run, without a fault: %v", when, err)
	}
	return met, err
}

// runCheck runs the schedule in the run's own process with the template's time limit, and
// returns the number of failures in its summary.
func (r *faultRun) runCheck() (failed int, err error) {
	r.t.Helper()
	p := r.process[r.folder]
	ctx, cancel := context.WithTimeout(r.t.Context(), scheduleTimeout)
	defer cancel()
	_, err = p.Invoke(ctx, []byte(`{"name":"expiry-check"}`))
	select {
	case <-p.Ended():
		r.t.Fatal("the process has ended")
	default:
	}
	if ctx.Err() != nil {
		r.t.Fatal("the run takes longer than the function may")
	}
	lines := strings.Split(p.Log(), "\n")
	for _, text := range slices.Backward(lines) {
		var summary struct {
			Msg    string
			Failed int
			Left   bool
		}
		if json.Unmarshal([]byte(text), &summary) == nil && summary.Msg == "checked" {
			return summary.Failed, err
		}
	}
	r.t.Fatal("the run has no summary")
	return 0, err
}
