//go:build live && (aws || alibaba)

// Package live_test puts the suites of tables and vaults over a cloud's own services: over what a
// deployment's functions open there, with the credentials of the environment. It costs money, if
// little, and is no part of the other tests: the tag live and a cloud's tag ask for it.
//
// What it makes it deletes, also after a failure and after an interrupt. It keeps to one call after
// another, but for a few races, and below the limits of the services.
package live_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/tabletest"
	"bindery/shared/vault"
	"bindery/shared/vault/vaulttest"
)

const (
	// atOnce is how many race each other. More would be turned away by the limits, and not by what
	// the suites ask for.
	atOnce = 8
	// lag is how long an index, or a deletion, may take to show. Some seconds are much.
	lag = 30 * time.Second
	// settling is how long a table may take to be there, and to be gone.
	settling = 3 * time.Minute
)

// needs ends the test if a variable isn't set, and names all that aren't.
func needs(t *testing.T, names ...string) {
	t.Helper()
	var missing []string
	for _, name := range names {
		if strings.TrimSpace(os.Getenv(name)) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("not set, and needed: %s", strings.Join(missing, ", "))
	}
}

// random is a part of names that nobody else has.
func random() string { return strings.ToLower(rand.Text()[:16]) }

// run is what the calls of a suite have in common.
type run struct {
	interrupted context.Context
	pace        *rate.Limiter
	calls       atomic.Int64
}

// interrupts is done at an interrupt, which doesn't end the test from then on.
func interrupts(t *testing.T) context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	t.Cleanup(stop)
	return ctx
}

// start begins a run of at most so many calls a second. An interrupt fails the calls that come
// after it, so that the test ends by itself and deletes what it made.
func start(t *testing.T, interrupted context.Context, perSecond rate.Limit) *run {
	t.Helper()
	if interrupted.Err() != nil {
		t.Fatal("interrupted")
	}
	r := &run{interrupted: interrupted, pace: rate.NewLimiter(perSecond, atOnce)}
	begun := time.Now()
	t.Cleanup(func() {
		t.Logf("%d calls in %v", r.calls.Load(), time.Since(begun).Round(time.Millisecond))
	})
	return r
}

// hook is before each call of the suite.
func (r *run) hook(ctx context.Context, _ string) (func(), error) {
	if r.interrupted.Err() != nil {
		return nil, errors.New("interrupted")
	}
	r.calls.Add(1)
	// What a call with a cancelled context comes to is for the service's client to say.
	return nil, r.pace.Wait(context.WithoutCancel(ctx))
}

// sleep ends early at an interrupt.
func (r *run) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.interrupted.Done():
	}
}

// until asks again each second until it is so, or until the time for settling is over.
func until(ctx context.Context, what string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		ok, err := so(ctx)
		if ok {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("%s: not in time: %w", what, err)
		}
	}
}

// dropped calls a func that deletes a table until it says that there is none.
func dropped(t *testing.T, name string, drop func(context.Context) (none bool, err error)) {
	t.Helper()
	if err := until(context.Background(), "deleting the table", drop); err != nil {
		t.Errorf("%s is left behind, delete it by hand: %v", name, err)
	}
}

// overTable runs the suite over a table that was made just now, when it takes calls.
func overTable(t *testing.T, r *run, opened table.Table) {
	t.Helper()
	err := until(r.interrupted, "using the table", func(ctx context.Context) (bool, error) {
		_, row := opened.Authorization(ctx, "none")
		_, index := opened.DueBefore(ctx, time.Now(), "", 1)
		return errors.Is(row, table.ErrNotFound) && index == nil, errors.Join(row, index)
	})
	if err != nil {
		t.Fatal(err)
	}
	tabletest.RunWith(t, tabletest.Options{
		AtOnce: atOnce, Patience: lag, Sleep: r.sleep, Forgets: true,
	}, func(*testing.T) table.Table { return table.WithBeforeCall(opened, r.hook) })
}

// overVault runs the suite over a vault with a prefix of its own.
func overVault(t *testing.T, r *run, opened vault.Vault) {
	t.Helper()
	made := &made{Vault: opened, names: map[vault.SecretName]bool{}}
	t.Cleanup(func() { made.delete(t, r) })
	vaulttest.RunWith(t, vaulttest.Options{
		AtOnce: atOnce, Patience: lag, Sleep: r.sleep,
	}, func(*testing.T) vault.Vault { return vault.WithBeforeCall(made, r.hook) })
}

// made remembers the secrets that were put and not deleted since.
type made struct {
	vault.Vault
	mu    sync.Mutex
	names map[vault.SecretName]bool
}

func (m *made) Put(ctx context.Context, name vault.SecretName, generation int, value secret.Text) error {
	m.mu.Lock()
	m.names[name] = true // whatever comes of it
	m.mu.Unlock()
	return m.Vault.Put(ctx, name, generation, value)
}

func (m *made) Delete(ctx context.Context, name vault.SecretName) error {
	err := m.Vault.Delete(ctx, name)
	if err == nil {
		m.mu.Lock()
		delete(m.names, name)
		m.mu.Unlock()
	}
	return err
}

// delete deletes what is left.
func (m *made) delete(t *testing.T, r *run) {
	left := m.names
	m.names = map[vault.SecretName]bool{}
	for name := range left {
		_ = r.pace.Wait(context.Background())
		if err := m.Vault.Delete(context.Background(), name); err != nil && name.Valid() {
			t.Errorf("left behind, delete it by hand: %v", err)
		}
	}
	t.Logf("%d names deleted once more at the end", len(left))
}
