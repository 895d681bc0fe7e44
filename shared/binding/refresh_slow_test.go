package binding_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// slowPlatform is a platform that answers slowly, with many callers in several processes, on a
// clock that only waiting moves, so that measured times are exact.
type slowPlatform struct {
	*refreshScenario
	takes time.Duration
	fails int // the status that it answers with in the end, 0 for a token
	began time.Time
}

func newSlowPlatform(t *testing.T, left, takes time.Duration, fails int) *slowPlatform {
	scenario := newRefreshScenario(t, 1, faults{}, newMemory(), newMemoryVault())
	p := &slowPlatform{scenario, takes, fails, time.Now()}
	p.mustBind(left)
	p.platform.now = p.now
	return p
}

func (p *slowPlatform) now() time.Time { return p.clock.Now().Add(time.Since(p.began)) }

// answer handles a call for a token.
func (p *slowPlatform) answer(call string) callFault {
	if !strings.HasSuffix(call, " answered") {
		return callFault{}
	}
	time.Sleep(p.takes)
	return callFault{after: p.fails}
}

// ask makes callers ask in several processes at once. It returns the errors and the longest wait.
func (p *slowPlatform) ask(processes, each int) (failed []error, longest time.Duration) {
	var mu sync.Mutex
	var group sync.WaitGroup
	dial := p.platform.dial(nil, p.answer)
	for range processes {
		s := p.service(nil)
		s.Ledger.Clock, s.Ledger.Platforms = p.now, platformsAt("http://127.0.0.1:8080", p.now, dial)
		for range each {
			group.Go(func() {
				c, err := s.Credentials.Credential(p.Context(), credential.Request{
					By: user, Instance: registry("i-1"), Platform: provider.GitHub,
					MinimumLife: credential.MinimumLife,
				})
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, time.Since(p.began))
				if err != nil {
					failed = append(failed, err)
				} else if !c.ExpiresAt.After(p.now().Add(credential.MinimumLife)) {
					p.Errorf("a credential ends at %v already", c.ExpiresAt)
				}
			})
		}
	}
	group.Wait()
	return failed, longest
}

func TestB3_APlatformThatTakesFifteenSecondsLosesNoToken(t *testing.T) {
	for _, left := range []time.Duration{-time.Minute, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := newSlowPlatform(t, left, 15*time.Second, 0)
			failed, longest := p.ask(2, 10)
			testkit.Want(t, "failures", len(failed), 0)
			testkit.Want(t, "refreshes", p.platform.renewed, 1)
			t.Logf("with %v left, whoever waited longest waited %v", left, longest)
			rec, err := p.rows.Binding(t.Context(), refreshKey)
			testkit.Want(t, "error", err, nil)
			testkit.Want(t, "generation", rec.Token.Generation, 2)
			testkit.Want(t, "no process has the lease", rec.Lease, binding.Lease{})
		})
	}
}

// TestWhileThePlatformFailsNoCallerWaitsTwiceAsLongAsARefresh: 200 callers of a token that has
// expired. The platform handles each refresh and answers 500.
func TestWhileThePlatformFailsNoCallerWaitsTwiceAsLongAsARefresh(t *testing.T) {
	for _, takes := range []time.Duration{
		30 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newSlowPlatform(t, -time.Minute, takes, http.StatusInternalServerError)
			failed, longest := p.ask(4, 50)
			testkit.Want(t, "answers", len(failed), 200)
			for _, err := range failed {
				if p := problem.Of(err); p.Code != problem.PlatformError || p.RetryAfter <= 0 {
					t.Errorf("got %v, want %s with a time to wait", err, problem.PlatformError)
				}
			}
			testkit.Want(t, "calls", p.platform.renewed, 1)
			if longest > 2*takes {
				t.Errorf("a caller waited %v on a platform that takes %v", longest, takes)
			}
			t.Logf("200 callers in 4 processes, a platform that takes %v to say 500: 1 call, "+
				"whoever waited longest waited %v", takes, longest)
		})
	}
}

// TestACallerWithLittleTimeLeftStartsNoRefresh: a function that is frozen during a
// platform's answer may lose a token.
func TestACallerWithLittleTimeLeftStartsNoRefresh(t *testing.T) {
	for left, refreshes := range map[time.Duration]int{10 * time.Second: 1, 15 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			p := newSlowPlatform(t, -time.Minute, time.Second, 0)
			rec, err := p.rows.Binding(t.Context(), refreshKey)
			if err != nil {
				t.Fatal(err)
			}
			rec.Lease = binding.Lease{Owner: "crashed", Until: p.now().Add(left)} // of a crashed process
			if _, err := p.rows.SaveBinding(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			failed, _ := p.ask(2, 5)
			testkit.Want(t, "refreshes", p.platform.renewed, refreshes)
			testkit.Want(t, "failures", len(failed), 10*(1-refreshes))
			for _, err := range failed {
				if problem.Of(err).RetryAfter <= 0 {
					t.Errorf("got %v, want a time to wait", err)
				}
			}
			failed, _ = p.ask(2, 5) // a later caller takes over
			testkit.Want(t, "failures then", len(failed), 0)
			testkit.Want(t, "refreshes then", p.platform.renewed, 1)
		})
	}
}

// TestTheWaitForARefreshHasOneBound: a crashed refresh has left a lease, and in the vault a next
// token that has expired since, so that two refreshes are needed. The second may take only what the
// first has left of the wait.
func TestTheWaitForARefreshHasOneBound(t *testing.T) {
	for left, refreshes := range map[time.Duration]int{12 * time.Second: 1, 15 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			p := newSlowPlatform(t, -time.Minute, 15*time.Second, 0)
			l := p.service(nil).Ledger
			ctx := l.StartInvocation(t.Context())
			rec, err := p.rows.Binding(ctx, refreshKey)
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := l.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token)
			if err != nil {
				t.Fatal(err)
			}
			bundle.Token.ExpiresAt = p.now().Add(-time.Second)
			owner := ledger.TokenOwner{Binding: rec.Key}
			if err := l.Put(ctx, owner, rec.Token.Secret, 2, bundle); err != nil {
				t.Fatal(err)
			}
			rec.Lease = binding.Lease{Owner: "crashed", Until: p.now().Add(left)}
			if _, err := p.rows.SaveBinding(ctx, rec); err != nil {
				t.Fatal(err)
			}
			failed, longest := p.ask(1, 5)
			testkit.Want(t, "failures", len(failed), 5)
			if longest > 18*time.Second {
				t.Errorf("a caller waited %v", longest)
			}
			for _, err := range failed {
				testkit.WantCode(t, "a caller", err, problem.PlatformUnreachable)
			}
			time.Sleep(credential.RefreshLeaseTTL) // a refresh that was started ends
			p.platform.mu.Lock()
			defer p.platform.mu.Unlock()
			testkit.Want(t, "refreshes", p.platform.renewed, refreshes)
		})
	}
}
