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

// A run of the schedule outlives its stores: it comes to its own end, and says what it couldn't do.
// Where it can't even read what is due, it ends in an error, so that Lambda runs it again. The next
// run does the work.
func TestAScheduleOutlivesItsStores(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	for service, calls := range map[string][]int{
		tableService: {1, 6, 13}, vaultService: {1, 3},
	} {
		both.Go(func() {
			t.Run(service, func(t *testing.T) { outlives(t, service, calls) })
		})
	}
	both.Wait()
}

func outlives(t *testing.T, service string, calls []int) {
	w := startWorld(t)
	s := w.stage(t, deed{folder: "expirycheck"}, 1)
	for _, platform := range []string{"codeup", "gitlab"} {
		s.bindByToken(platform, s.bearer("alice", everyScope))
	}
	for _, from := range []toxic{unreachable, resetting, halfRequest, slow} {
		met, err := s.runs(string(from), s.lines[service], func(l *line) { l.suffer(from) })
		if blind := service == tableService; blind != (err != nil) {
			t.Errorf("%s: the run ends with %v, after %v", from, err, met)
		}
	}
	for i, k := range calls {
		how := []cut{away, gone}[i%2]
		when := fmt.Sprintf("call %d: %s", k, how)
		met, _ := s.runs(when, s.lines[service], func(l *line) { l.arm(k, how) })
		if len(met) < k {
			t.Errorf("%s: there was no such call: %v", when, met)
		}
	}
	w.nothingLeft()
}

// runs runs the schedule with everything due and a store at fault, and then once more when it is
// well. It returns the calls that came to the store, and how the first run ended.
func (s *stage) runs(when string, l *line, fault func(*line)) (met []string, err error) {
	s.t.Helper()
	s.bindByConsent("gitee", s.bearer(rand.Text(), everyScope))
	s.expire("gitee")
	s.hasten()
	s.cold()
	fault(l)
	failed, err := s.run()
	met = l.well()
	if failed == 0 {
		s.t.Errorf("%s: the run's summary tells of no failure", when)
	}
	s.hasten()
	if _, err := s.run(); err != nil {
		s.t.Errorf("%s: the next run, when all is well: %v", when, err)
	}
	return met, err
}

// run runs the schedule in the stage's process, which has the time that the template gives it, and
// returns how many failures its summary tells of.
func (s *stage) run() (failed int, err error) {
	s.t.Helper()
	p := s.running[s.folder]
	ctx, cancel := context.WithTimeout(s.t.Context(), runTime)
	defer cancel()
	_, err = p.Invoke(ctx, []byte(`{"name":"expiry-check"}`))
	select {
	case <-p.Ended():
		s.t.Fatal("the process has ended")
	default:
	}
	if ctx.Err() != nil {
		s.t.Fatal("the run takes longer than the function may")
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
	s.t.Fatal("the run has no summary")
	return 0, err
}
