package binding_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/workqueue"
	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// fleet is a harness on a table and a vault in memory, for thousands of records.
type fleet struct {
	*harness
	rows   *memory
	values *memoryVault
}

func newFleet(t testing.TB) fleet {
	t.Helper()
	b := &harness{TB: t, world: newWorld(t), log: &testkit.Log{}}
	m := fleet{b, newMemory(), newMemoryVault()}
	b.serve(m.rows, m.values)
	return m
}

// fill saves records of tokens of a GitLab, which are due at a time.
func (m fleet) fill(count int, prefix, address string, with []token, due time.Time) {
	m.Helper()
	ctx := context.Background()
	for i := range count {
		held := with[i%len(with)]
		bundle := ledger.TokenBundle{
			Platform: provider.GitLab, Method: provider.ByToken, Address: address,
			Username: held.username, Token: provider.Token{Access: secret.New(held.value)},
		}
		name := m.Ledger.NewSecretName()
		id := fmt.Sprint(prefix, "-", i)
		owner := ledger.TokenOwner{Binding: key(id, provider.GitLab)}
		if err := m.Ledger.Put(m.Ledger.StartInvocation(ctx), owner, name, 1, bundle); err != nil {
			m.Fatal(err)
		}
		m.seed(id, name, bundle, due)
	}
}

// seed saves one record without the service, which would be slow for thousands.
func (m fleet) seed(id string, name vault.SecretName, bundle ledger.TokenBundle, due time.Time) {
	rec := binding.Record{
		Key: key(id, provider.GitLab), Version: "1", Revision: "s",
		Token:  ledger.TokenOf(name, bundle, due),
		Method: string(provider.ByToken), Address: bundle.Address, CheckAt: due, DueAt: due,
	}
	m.rows.bindings[rec.Key] = rec
}

// concurrency counts the requests that are served at the same time.
type concurrency struct{ now, most atomic.Int64 }

func (c *concurrency) enter() (leave func()) {
	now := c.now.Add(1)
	for most := c.most.Load(); now > most; most = c.most.Load() {
		if c.most.CompareAndSwap(most, now) {
			break
		}
	}
	return func() { c.now.Add(-1) }
}

// TestAHostIsAskedByEightAtOnceAndNeverMore blocks all requests until eight have
// arrived.
func TestAHostIsAskedByEightAtOnceAndNeverMore(t *testing.T) {
	m := newFleet(t)
	m.fill(20, "a", m.url+"/gitlab", []token{aliceToken}, m.clock().Now())
	m.fill(20, "b", m.url, []token{bobToken}, m.clock().Now()) // another path, the same host
	var inside concurrency
	var arrived atomic.Int64
	full := make(chan struct{})
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer inside.enter()()
		if arrived.Add(1) == workqueue.MaxCallsPerHost {
			close(full)
		}
		<-full
		m.sandbox.ServeHTTP(w, r)
	})
	m.around.Store(&around)
	done := m.mustRun()
	testkit.Want(t, "checked", done.Checked, 40)
	testkit.Want(t, "at once", inside.most.Load(), workqueue.MaxCallsPerHost)
}

// TestASlowHostDelaysNoOther answers for GitHub when all of GitLab's bindings have been checked.
func TestASlowHostDelaysNoOther(t *testing.T) {
	b := newHarness(t)
	for i := range workqueue.MaxCallsPerHost + 2 {
		b.bound(fmt.Sprintf("i-%d", i), provider.GitHub)
	}
	b.clock().Advance(time.Minute)
	const others = 5
	for i := range others {
		b.bound(fmt.Sprintf("i-%d", i), provider.GitLab)
	}
	b.later(ledger.OrphanGracePeriod)
	b.clock().Advance(ledger.CheckInterval)
	var asked atomic.Int64
	gitLabIsDone := make(chan struct{})
	look := func(r sandbox.Request) {
		switch r.Platform {
		case sandbox.GitLab:
			if strings.HasSuffix(r.Path, "/user") && asked.Add(1) == others {
				close(gitLabIsDone)
			}
		case sandbox.GitHub:
			<-gitLabIsDone
		}
	}
	b.world.asked.Store(&look)
	testkit.Want(t, "checked", b.mustRun().Checked, workqueue.MaxCallsPerHost+2+others)
}

// TestAPlatformThatRevokesSlowlyDelaysNoOther answers for GitHub, where more secrets
// are due for collection than are collected at the same time, when all of GitLab's bindings were
// checked.
func TestAPlatformThatRevokesSlowlyDelaysNoOther(t *testing.T) {
	m := newFleet(t)
	const left, others = workqueue.MaxConcurrentEntries + 1, 5
	now := m.clock().Now()
	for i := range left {
		m.leave(fmt.Sprint("i-", i), now.Add(-time.Hour))
	}
	m.fill(others, "well", m.url+"/gitlab", []token{aliceToken}, now)
	var asked, gaveUp atomic.Int64
	var inside concurrency
	gitLabIsDone := make(chan struct{})
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/user" {
			defer inside.enter()()
			select {
			case <-gitLabIsDone:
			case <-r.Context().Done():
				gaveUp.Add(1)
			}
		}
		m.sandbox.ServeHTTP(w, r)
		if r.URL.Path == "/gitlab/api/v4/user" && asked.Add(1) == others {
			close(gitLabIsDone)
		}
	})
	m.around.Store(&around)
	done := m.mustRun()
	testkit.Want(t, "checked", done.Checked, others)
	testkit.Want(t, "deleted", done.Deleted, left)
	testkit.Want(t, "who waited for GitHub in vain", gaveUp.Load(), 0)
	testkit.Want(t, "asked by so many at once", inside.most.Load() <= workqueue.MaxCallsPerHost,
		true)
}

// TestRevocationsAtAFailingPlatformArePostponedAndNotCountedAsAttempts makes a few
// requests and postpones the rest. Ten such runs must not delete a secret without an attempt to
// revoke its token.
func TestRevocationsAtAFailingPlatformArePostponedAndNotCountedAsAttempts(t *testing.T) {
	m := newFleet(t)
	const left = 3 * workqueue.MaxConcurrentEntries
	now := m.clock().Now()
	for i := range left {
		m.leave(fmt.Sprint("i-", i), now)
	}
	m.fault(provider.GitHub, sandbox.Fault{Kind: sandbox.Fault500})
	done := m.mustRun()
	testkit.Want(t, "tried or put off", done.Failed+done.PutOff, left)
	testkit.Want(t, "tried few", done.Failed < workqueue.MaxHostFailures+workqueue.MaxCallsPerHost,
		true)
	tried := 0
	for _, rec := range m.rows.bindings {
		for _, o := range rec.Secrets {
			tried += o.SweepAttempts
			testkit.Want(t, "comes up later", o.DueAt, now.Add(ledger.OrphanGracePeriod))
		}
	}
	testkit.Want(t, "counted as tried", tried, done.Failed)
	testkit.Want(t, "warned", strings.Contains(m.log.String(), "level=WARN msg=\"sweeping failed\""),
		true)
	testkit.Want(t, "an error of Bindery's", strings.Contains(m.log.String(), "level=ERROR"), false)
	m.mend(provider.GitHub)
	m.clock().Advance(ledger.OrphanGracePeriod)
	testkit.Want(t, "deleted when it is well", m.mustRun().Deleted, left)
}

// leave makes a secret of GitHub that a record lists as retired. Its token is not valid.
func (m fleet) leave(id string, due time.Time) {
	m.Helper()
	ctx := m.Ledger.StartInvocation(context.Background())
	name := m.Ledger.NewSecretName()
	bundle := ledger.TokenBundle{
		Platform: provider.GitHub, Method: provider.ByOAuth,
		Token: provider.Token{Access: secret.New("gone-" + string(name))},
	}
	owner := ledger.TokenOwner{Binding: key(id, provider.GitHub)}
	if err := m.Ledger.Put(ctx, owner, name, 1, bundle); err != nil {
		m.Fatal(err)
	}
	_, err := m.services.Ledger.Table.SaveBinding(ctx, binding.Record{
		Key: key(id, provider.GitHub), DueAt: due,
		Secrets: []binding.OwnedSecret{{Name: name, Generation: 1, Retired: true, DueAt: due}},
	})
	if err != nil {
		m.Fatal(err)
	}
}

func TestAFailingHostIsLeftAloneAndTheOthersAreChecked(t *testing.T) {
	m := newFleet(t)
	other := httptest.NewServer(m.sandbox)
	t.Cleanup(other.Close)
	m.reaches(other.URL)
	const bindings = 100
	now := m.clock().Now()
	m.fill(bindings, "down", m.url, []token{aliceToken}, now.Add(-time.Hour))
	m.fill(bindings, "well", other.URL, []token{bobToken}, now)
	var asked atomic.Int64
	around := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "2700")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	m.around.Store(&around)
	done := m.mustRun()
	if n := asked.Load(); n < workqueue.MaxHostFailures ||
		n >= workqueue.MaxHostFailures+workqueue.MaxCallsPerHost {
		t.Errorf("asked %d times, want %d to %d", n, workqueue.MaxHostFailures,
			workqueue.MaxHostFailures+workqueue.MaxCallsPerHost-1)
	}
	testkit.Want(t, "put off", done.PutOff, bindings-int(asked.Load()))
	testkit.Want(t, "checked", done.Checked, bindings+int(asked.Load()))
	for _, rec := range m.rows.bindings {
		if strings.HasPrefix(rec.Instance, "down") && rec.DueAt.Before(now.Add(45*time.Minute)) {
			t.Errorf("asked to come back after 45 minutes, one comes after %v", rec.DueAt.Sub(now))
			break
		}
	}
	m.around.Store(nil)
	for range 3 {
		m.clock().Advance(time.Hour)
		m.mustRun()
	}
	for _, rec := range m.rows.bindings {
		if rec.LastCheckedAt.IsZero() || rec.Unanswered != 0 {
			t.Errorf("%s was never checked well", rec.Instance)
			break
		}
	}
}

// reaches makes the platforms of a harness reach other servers too.
func (m fleet) reaches(origins ...string) {
	hosts := []string{strings.TrimPrefix(m.url, "http://")}
	for _, origin := range origins {
		hosts = append(hosts, strings.TrimPrefix(origin, "http://"))
	}
	m.Ledger.Platforms = provider.New(provider.Options{
		Guard: netguard.New(netguard.Options{PrivateHosts: hosts}),
		Now:   m.clock().Now,
		Sleep: func(context.Context, time.Duration) error { return nil },
		Endpoints: provider.Endpoints{
			"BINDERY_CODEUP_URL": m.url, "BINDERY_CODEUP_API_URL": m.url,
			"BINDERY_GITEE_URL": m.url, "BINDERY_GITEE_API_URL": m.url,
			"BINDERY_GITHUB_URL": m.url, "BINDERY_GITHUB_API_URL": m.url,
			"BINDERY_BITBUCKET_URL": m.url, "BINDERY_BITBUCKET_API_URL": m.url,
		},
	})
}

// unreliableGitLab is a GitLab that answers slowly and sometimes fails.
type unreliableGitLab struct {
	http.Handler
	takes time.Duration
	concurrency

	mu   sync.Mutex
	dice *rand.Rand
}

func (m *unreliableGitLab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer m.enter()()
	m.mu.Lock()
	roll := m.dice.IntN(100)
	m.mu.Unlock()
	timer := time.NewTimer(m.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	switch {
	case roll < 5:
		w.WriteHeader(http.StatusInternalServerError)
	case roll < 6:
		w.WriteHeader(http.StatusTooManyRequests)
	default:
		m.Handler.ServeHTTP(w, r)
	}
}

// TestTwoThousandDueBindingsAllEndInTheRightState checks them on four hosts that answer as
// slowly as a real one and sometimes fail.
func TestTwoThousandDueBindingsAllEndInTheRightState(t *testing.T) {
	const bindings, hosts = 2_000, 4
	m := newFleet(t)
	var origins []string
	var servers []*unreliableGitLab
	for i := range hosts {
		server := &unreliableGitLab{
			Handler: m.sandbox, takes: 50 * time.Millisecond,
			dice: rand.New(rand.NewPCG(1, uint64(i))),
		}
		s := httptest.NewServer(server)
		t.Cleanup(s.Close)
		origins, servers = append(origins, s.URL), append(servers, server)
	}
	m.reaches(origins...)
	dead := m.issue(300)
	m.sandbox.GitLab.RevokeToken(secret.New(dead.value))
	tokens := []token{aliceToken, bobToken, aliceOther, bobToken, dead}
	for i, origin := range origins {
		m.fill(bindings/hosts, fmt.Sprint("host", i), origin, tokens, m.clock().Now())
	}
	began, checked, runs := time.Now(), 0, 0
	for ; runs < 20 && m.countUnsettled(dead) > 0; runs++ {
		checked += m.mustRun().Checked
		m.clock().Advance(maintenance.RetryCheckInterval)
	}
	took := time.Since(began)
	t.Logf("%d bindings, %d checks in %d runs, %v: %.0f checks a second", bindings, checked, runs,
		took.Round(time.Millisecond), float64(checked)/took.Seconds())
	testkit.Want(t, "bindings in the wrong state", m.countUnsettled(dead), 0)
	for _, server := range servers {
		if most := server.most.Load(); most > workqueue.MaxCallsPerHost {
			t.Errorf("a host was asked by %d at once, want %d at most", most, workqueue.MaxCallsPerHost)
		}
	}
}

// countUnsettled counts the records that are not yet in the right state.
func (m fleet) countUnsettled(dead token) (wrong int) {
	for _, rec := range m.rows.bindings {
		bundle, err := m.fetch(rec)
		if err != nil {
			m.Fatal(err)
		}
		status, right := binding.StatusOf(rec, m.clock().Now()), binding.StatusBound
		if bundle.Token.Access.Equal(secret.New(dead.value)) {
			right = binding.StatusRevoked
			if rec.Health == binding.HealthRevoked && rec.Problem.Code != problem.TokenRevoked {
				wrong++
			}
		}
		if status != right || right == binding.StatusBound && rec.LastCheckedAt.IsZero() {
			wrong++
		}
	}
	return wrong
}
