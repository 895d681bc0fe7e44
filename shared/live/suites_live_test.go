//go:build live && (aws || alibaba)

// Package live_test runs the suites of tables and vaults on a cloud's real services, opened as a
// deployment's functions open them, with the credentials of the environment. It costs a little
// money and is not part of the other tests: it needs the tag live and a cloud's tag.
//
// It deletes everything that it creates, also after a failure and after an interrupt. It makes one
// call after another, except for a few races, and stays below the limits of the services.
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

	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/tabletest"
	"bindery/shared/vault"
	"bindery/shared/vault/vaulttest"
)

const (
	// atOnce is the number of callers in a race. More would be refused by the limits instead of by
	// the rules that the suites test.
	atOnce = 8
	// lag is how long an index or a deletion may take to be visible. A few seconds are already
	// unusual.
	lag = 30 * time.Second
	// tableTimeout is how long the creation or deletion of a table may take.
	tableTimeout = 3 * time.Minute
)

// needs ends the test if a variable isn't set, and names all missing ones.
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

// random returns a part of a name that is unique.
func random() string { return strings.ToLower(rand.Text()[:16]) }

// run is the state that the calls of a suite share.
type run struct {
	interrupted context.Context
	pace        *rate.Limiter
	calls       atomic.Int64
}

// interrupts returns a context that ends at an interrupt. From then on an interrupt doesn't end the
// test.
func interrupts(t *testing.T) context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	t.Cleanup(stop)
	return ctx
}

// start begins a run with a limit of calls a second. An interrupt fails the calls that come after
// it, so that the test ends by itself and deletes what it created.
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

// hook runs before each call of the suite.
func (r *run) hook(ctx context.Context, _ string) (func(), error) {
	if r.interrupted.Err() != nil {
		return nil, errors.New("interrupted")
	}
	r.calls.Add(1)
	// The service's client decides what a call with a cancelled context returns.
	return nil, r.pace.Wait(context.WithoutCancel(ctx))
}

// sleep ends early at an interrupt.
func (r *run) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.interrupted.Done():
	}
}

// until calls the func each second until it returns true, or until tableTimeout has passed.
func until(ctx context.Context, what string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
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

// dropped calls a func that deletes a table until it reports that there is none.
func dropped(t *testing.T, name string, drop func(context.Context) (none bool, err error)) {
	t.Helper()
	if err := until(context.Background(), "deleting the table", drop); err != nil {
		t.Errorf("%s is left behind, delete it yourself: %v", name, err)
	}
}

// overTable runs the suite on a new table, once it accepts calls.
func overTable(t *testing.T, r *run, opened ledger.Table) {
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
	}, func(*testing.T) ledger.Table { return ledger.WithBeforeCall(opened, r.hook) })
}

// overVault runs the suite on a vault with its own prefix.
func overVault(t *testing.T, r *run, opened vault.Vault) {
	t.Helper()
	created := &created{Vault: opened, names: map[vault.SecretName]bool{}}
	t.Cleanup(func() { created.delete(t, r) })
	vaulttest.RunWith(t, vaulttest.Options{
		AtOnce: atOnce, DeleteTimeout: lag, Sleep: r.sleep,
	}, func(*testing.T) vault.Vault { return vault.WithBeforeCall(created, r.hook) })
}

// created is a vault that records the secrets that were put and not deleted since.
type created struct {
	vault.Vault
	mu    sync.Mutex
	names map[vault.SecretName]bool
}

func (c *created) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	c.mu.Lock()
	c.names[name] = true // even if it fails
	c.mu.Unlock()
	return c.Vault.Put(ctx, name, generation, value)
}

func (c *created) Delete(ctx context.Context, name vault.SecretName) error {
	err := c.Vault.Delete(ctx, name)
	if err == nil {
		c.mu.Lock()
		delete(c.names, name)
		c.mu.Unlock()
	}
	return err
}

// delete deletes the remaining secrets.
func (c *created) delete(t *testing.T, r *run) {
	left := c.names
	c.names = map[vault.SecretName]bool{}
	for name := range left {
		_ = r.pace.Wait(context.Background())
		if err := c.Vault.Delete(context.Background(), name); err != nil && name.Valid() {
			t.Errorf("left behind, delete it yourself: %v", err)
		}
	}
	t.Logf("%d names deleted once more at the end", len(left))
}
