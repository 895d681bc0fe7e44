package binding_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// A scenario runs several processes on one binding, with their calls in an order that a seed
// decides. A process may crash before or after a call, a call may lose its reply, and time may jump
// between two calls. The code is the real one, except for the platform, which does not answer.

// actor is what one process does.
type actor struct {
	name string
	do   func(ctx context.Context, s *services) error
}

// process is a running actor.
type process struct {
	number int
	ended  bool
	dead   bool
}

// pausedCall is a call that waits to start, or that has been made and waits to return.
type pausedCall struct {
	of      *process
	call    string
	proceed chan bool
}

type scenario struct {
	*testing.T
	random *rand.Rand
	clock  *testkit.Clock
	rows   ledger.Table
	values vault.Vault

	mu        sync.Mutex // guards the fields below
	dice      *rand.Rand
	waiting   []*pausedCall
	processes []*process
	trace     []string
}

var scenarioKey = key("i-1", provider.GitLab)

// service returns the service of one process. The hook that waits is called before the service's
// own, which checks the time after it, so that a call that was delayed for long is refused.
func (p *scenario) service(of *process) *services {
	platforms := platformsAt("http://127.0.0.1:8080", p.clock.Now,
		func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no answer")
		})
	s := newService(p.rows, p.values, platforms, nil, p.clock.Now, &testkit.Log{})
	s.Ledger.Fill = func(b []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range b {
			b[i] = byte(p.dice.UintN(256))
		}
	}
	if of != nil {
		wait := func(_ context.Context, call string) (func(), error) { return p.wait(of, call) }
		s.Ledger.Table = ledger.WithBeforeCall(losingTable{s.Ledger.Table, p.loses}, wait)
		s.Ledger.Vault = vault.WithBeforeCall(losingVault{s.Ledger.Vault, p.loses}, wait)
	}
	return s
}

// wait blocks a call until the scheduler continues it, and again when it has been made.
func (p *scenario) wait(of *process, call string) (func(), error) {
	p.await(&pausedCall{of, call, make(chan bool)})
	return func() { p.await(&pausedCall{of, call + " made", make(chan bool)}) }, nil
}

// await blocks until the scheduler continues the call. If it crashes the process instead, await
// ends the goroutine.
func (p *scenario) await(c *pausedCall) {
	p.mu.Lock()
	dead := c.of.dead
	if !dead {
		p.waiting = append(p.waiting, c)
	}
	p.mu.Unlock()
	if dead || !<-c.proceed {
		runtime.Goexit()
	}
}

// loses sometimes loses a reply.
func (p *scenario) loses(conditional bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch roll := p.dice.IntN(80); {
	case roll > 1:
		return nil
	case roll == 1 && conditional:
		return table.ErrConflict
	}
	return errLost
}

// maxSteps is far more than any scenario takes.
const maxSteps = 10_000

// run starts the actors one after the other and continues them in any order until all have ended.
// After each step it checks that the record's secret is in the vault.
func (p *scenario) run(actors []actor) error {
	for range maxSteps {
		synctest.Wait() // until every process waits or has ended
		if err := p.checkRecord(); err != nil {
			return err
		}
		slices.SortStableFunc(p.waiting, func(a, b *pausedCall) int {
			return cmp.Or(cmp.Compare(a.of.number, b.of.number), cmp.Compare(a.call, b.call))
		})
		alive := slices.ContainsFunc(p.processes, func(c *process) bool { return !c.ended })
		if len(actors) == 0 && !alive {
			return nil
		}
		roll := p.random.IntN(100)
		switch {
		case len(actors) > 0 && (!alive || roll < 20):
			p.begin(actors[0])
			actors = actors[1:]
		case roll < 24:
			jumps := []time.Duration{
				time.Minute, ledger.CallDeadline,
				ledger.OrphanGracePeriod + time.Minute, ledger.CheckInterval,
			}
			p.trace = append(p.trace, jumps[roll%4].String())
			p.clock.Advance(jumps[roll%4])
		case len(p.waiting) == 0: // a process waits for time to pass
			time.Sleep(time.Second)
		default:
			p.step(roll >= 26)
		}
	}
	return fmt.Errorf("the processes have not ended after %d steps", maxSteps)
}

// begin starts a process.
func (p *scenario) begin(a actor) {
	c := &process{number: len(p.processes)}
	p.processes = append(p.processes, c)
	p.trace = append(p.trace, fmt.Sprintf("%d begins %s", c.number, a.name))
	go func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			c.ended = true
		}()
		_ = a.do(context.Background(), p.service(c))
	}()
}

// step continues one waiting call, or crashes its process with all its running calls.
func (p *scenario) step(proceed bool) { p.let(p.random.IntN(len(p.waiting)), proceed) }

// let continues or crashes the call at i.
func (p *scenario) let(i int, proceed bool) {
	c := p.waiting[i]
	if proceed {
		p.trace = append(p.trace, fmt.Sprint(c.of.number, " ", c.call))
		p.waiting = slices.Delete(p.waiting, i, i+1)
		c.proceed <- true
		return
	}
	p.trace = append(p.trace, fmt.Sprint(c.of.number, " crashes before ", c.call))
	p.mu.Lock()
	c.of.dead = true
	p.mu.Unlock()
	crashed := func(other *pausedCall) bool { return other.of == c.of }
	for _, other := range p.waiting {
		if crashed(other) {
			other.proceed <- false
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, crashed)
}

// checkRecord returns what is wrong with the record at this moment.
func (p *scenario) checkRecord() error {
	rec, err := p.rows.Binding(context.Background(), scenarioKey)
	switch {
	case errors.Is(err, table.ErrNotFound):
		return nil
	case err != nil || !rec.Bound():
		return err
	}
	return checkSecret(context.Background(), rec, p.values)
}

// finish lets time pass, sweeps, and returns what is wrong with what remains.
func (p *scenario) finish() error {
	s := p.service(nil)
	if err := sweepAll(s, p.rows, p.clock); err != nil {
		return err
	}
	if err := checkStores(p.rows, p.values, p.clock.Now()); err != nil {
		return err
	}
	rec, err := s.Ledger.Record(s.Ledger.StartInvocation(context.Background()), scenarioKey)
	if err != nil {
		return err
	}
	return checkHistory(p.rows, rec)
}

// bindsAs binds without asking the platform.
func bindsAs(username string) actor {
	return actor{"a bind as " + username, func(ctx context.Context, s *services) error {
		ctx = s.Ledger.StartInvocation(ctx)
		rec, err := s.Ledger.Record(ctx, scenarioKey)
		if err != nil {
			return err
		}
		bundle := ledger.TokenBundle{
			Platform: provider.GitLab, Method: provider.ByToken, Username: username,
			Address: "http://127.0.0.1:8080",
			Token:   provider.Token{Access: secret.New("fake-" + username)},
		}
		f := provider.CheckResult{
			GitUsername: username, Identity: provider.Identity{ID: username, Username: username},
		}
		_, err = s.Connect.Bind(ctx, rec, bundle, f, user)
		return err
	}}
}

var (
	unbinds = actor{"an unbind", func(ctx context.Context, s *services) error {
		_, err := s.Connect.Unbind(ctx, gitLabEnd("i-1", false))
		return err
	}}
	sweeps = actor{"a sweep", func(ctx context.Context, s *services) error {
		_, err := s.Maintenance.Run(ctx)
		return err
	}}
)

// scenarios are the actors of each scenario. There are few in each, which makes faults easier to
// find.
func scenarios() [][]actor {
	ann, ben, cat := bindsAs("ann"), bindsAs("ben"), bindsAs("cat")
	return [][]actor{
		{ann, ben, unbinds},
		{ann, unbinds, sweeps},
		{ann, ben, sweeps},
		{unbinds, ann, unbinds, sweeps},
		{ann, sweeps, sweeps, unbinds},
		{ann, ben, unbinds, cat, sweeps, sweeps},
		{ann, sweeps, ben, sweeps, unbinds, sweeps, cat, sweeps},
	}
}

// runScenario runs a scenario with one seed, on a binding that is bound or unbound.
func runScenario(t *testing.T, seed uint64, rows ledger.Table, values vault.Vault) {
	t.Helper()
	p := &scenario{
		T:      t,
		random: rand.New(rand.NewPCG(seed, 1)),
		dice:   rand.New(rand.NewPCG(seed, 2)),
		clock:  newClock(),
		rows:   rows,
		values: values,
	}
	if p.random.IntN(2) == 0 {
		if err := bindsAs("zoe").do(context.Background(), p.service(nil)); err != nil {
			t.Fatal(err)
		}
		if p.random.IntN(2) == 0 {
			if err := sweepAll(p.service(nil), p.rows, p.clock); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := scenarios()
	actors := all[p.random.IntN(len(all))]
	p.random.Shuffle(len(actors), func(i, j int) { actors[i], actors[j] = actors[j], actors[i] })
	err := p.run(actors)
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		t.Errorf("seed %d: %v, after: %s", seed, err, strings.Join(p.trace, ", "))
	}
}

func TestInAnyOrderNothingIsLeftOverAndNothingInUseIsDeleted(t *testing.T) {
	const seeds = 3000
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			runScenario(t, seed, newMemory(), newMemoryVault())
		})
		if t.Failed() {
			return
		}
	}
}

// TestInAnyOrderOnALaptopsTable is the same on the table of a laptop, with fewer orders.
func TestInAnyOrderOnALaptopsTable(t *testing.T) {
	const seeds = 60
	for seed := range uint64(seeds) {
		s := mustOpen(t, folder(t))
		synctest.Test(t, func(t *testing.T) { runScenario(t, seed, s.table, s.vault) })
		if _ = s.table.Close(); t.Failed() {
			return
		}
	}
}
