package subscription_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/subscription"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/bolt"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
	"bindery/shared/vault/vaulttest"
)

const public = "https://bindery.example"

// harness is the services on a real table and vault of a laptop, with the platform in memory.
type harness struct {
	testing.TB
	*subscription.Service
	forge       *forge
	clock       *testkit.Clock
	ledger      *ledger.Ledger
	connect     *connect.Service
	maintenance *maintenance.Service
	deliveries  *delivery.Service
	rows        ledger.Table
	secrets     vault.Vault
	log         testkit.Log

	mu   sync.Mutex
	hook func(call string) error // is called before each call to table and vault
	sent int                     // events that the receiver has taken
	gone bool                    // it answers the next with 410
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	dir := t.TempDir()
	rows, err := bolt.Open(filepath.Join(dir, "bindery.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	key, err := file.ReadKey(filepath.Join(dir, "vault.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := file.Open(filepath.Join(dir, "vault"), key)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{TB: t, forge: newForge(), clock: testkit.NewClock(), rows: rows, secrets: secrets}
	h.serve()
	h.bind("i-1", "alice")
	return h
}

// serve starts the services, as a new process does.
func (h *harness) serve() {
	before := func(_ context.Context, call string) (func(), error) {
		h.mu.Lock()
		hook := h.hook
		h.mu.Unlock()
		if hook == nil {
			return nil, nil
		}
		return nil, hook(call)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.gone {
			h.gone = false
			w.WriteHeader(http.StatusGone)
			return
		}
		h.sent++
	}))
	h.Cleanup(receiver.Close)
	webhook, err := event.NewWebhook(receiver.URL, "",
		secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), receiver.Client(), h.clock.Now)
	if err != nil {
		h.Fatal(err)
	}
	h.ledger = ledger.New(ledger.Options{
		Table: ledger.WithBeforeCall(h.rows, before),
		Vault: vault.WithBeforeCall(h.secrets, before),
		Platforms: provider.New(provider.Options{
			Platforms: []provider.Registration{h.forge.registration()},
		}),
		Webhook: webhook,
		Log:     slog.New(slog.NewTextHandler(&h.log, nil)),
		Clock:   h.clock.Now,
		Fill:    func(b []byte) { _, _ = rand.Read(b) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			time.Sleep(time.Millisecond) // lets another goroutine work
			return ctx.Err()
		},
	})
	credentials := credential.New(h.ledger)
	h.deliveries = delivery.New(h.ledger, credentials)
	h.Service = subscription.New(h.ledger, credentials, h.deliveries, public)
	h.connect = connect.New(h.ledger, h.Service)
	h.maintenance = maintenance.New(h.ledger, credentials, nil, h.Service)
}

func (h *harness) setHook(hook func(call string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

var user = binding.User{Issuer: "https://id.example", Subject: "u-1", Account: "acct-1"}

func registry(id string) instance.Instance {
	return instance.Instance{Type: instance.Enterprise, Region: "r", ID: id, Name: id}
}

func key(id string) binding.Key { return binding.KeyOf(user.Account, registry(id), forgeName) }

// bind binds an instance with a token, which is its user's name.
func (h *harness) bind(id, token string) {
	h.Helper()
	h.bindAs(user, id, token)
}

func (h *harness) bindAs(by binding.User, id, token string) {
	h.Helper()
	_, err := h.connect.BindToken(h.Context(), connect.TokenBindRequest{
		By: by, Instance: registry(id), Platform: forgeName,
		Submission: provider.Submission{Token: secret.New(token)},
	})
	if err != nil {
		h.Fatal(err)
	}
}

func (h *harness) unbind(id string) (connect.UnbindResult, error) {
	return h.connect.Unbind(h.Context(), connect.UnbindRequest{
		By: user, Instance: registry(id), Platform: forgeName,
	})
}

func (h *harness) record(id string) binding.Record {
	h.Helper()
	rec, err := h.rows.Binding(h.Context(), key(id))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		h.Fatal(err)
	}
	return rec
}

// target is a repository of an instance's binding.
func (h *harness) target(id, repository string) subscription.Target {
	h.Helper()
	return h.targetAs(user, id, repository)
}

func (h *harness) targetAs(by binding.User, id, repository string) subscription.Target {
	h.Helper()
	at := subscription.Target{By: by, Instance: registry(id), Platform: forgeName}
	rec, err := h.rows.Binding(h.Context(), binding.KeyOf(by.Account, at.Instance, forgeName))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		h.Fatal(err)
	}
	at.Repository = binding.RepositoryKey(rec, repository)
	return at
}

func (h *harness) put(
	kinds []binding.SourceKind, branches ...string,
) (subscription.View, bool, error) {
	h.Helper()
	return h.Put(h.Context(), subscription.PutRequest{
		Target: h.target("i-1", "1"), Kinds: kinds, Branches: branches,
	})
}

var all = binding.SourceKinds()

func (h *harness) mustPut(branches ...string) subscription.View {
	h.Helper()
	v, _, err := h.put(all, branches...)
	if err != nil {
		h.Fatal(err)
	}
	return v
}

func (h *harness) mustSync() binding.Subscription {
	h.Helper()
	v, err := h.Sync(h.Context(), h.target("i-1", "1"))
	if err != nil {
		h.Fatal(err)
	}
	return v.Subscription
}

// later lets time pass and runs the schedule.
func (h *harness) later(d time.Duration) subscription.RunResult {
	h.Helper()
	h.clock.Advance(d)
	done, err := h.Run(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return done
}

// list returns all rows.
func (h *harness) list() []binding.Subscription {
	h.Helper()
	page, err := h.rows.AllSubscriptions(h.Context(), "", 1000)
	if err != nil {
		h.Fatal(err)
	}
	return page.Items
}

// row returns the only row.
func (h *harness) row() binding.Subscription {
	h.Helper()
	rows := h.list()
	if len(rows) != 1 {
		h.Fatalf("got %d rows, want 1", len(rows))
	}
	return rows[0]
}

// events returns the events of the only subscription, oldest first, as "heads/main c1>c2".
func (h *harness) events() string {
	h.Helper()
	page, err := h.deliveries.Events(h.Context(), h.row(), "")
	if err != nil {
		h.Fatal(err)
	}
	var list []string
	for _, e := range slices.Backward(page.Events) {
		mark := ""
		if e.CaughtUp {
			mark = " caught up"
		}
		list = append(list, fmt.Sprintf("%s %.2s>%.2s%s",
			strings.TrimPrefix(e.Ref, "refs/"), e.Before, e.Commit, mark))
	}
	return strings.Join(list, ", ")
}

// counted returns the calls to table, vault and platform that a function makes.
func (h *harness) counted(do func()) string {
	calls := map[string]int{}
	var mu sync.Mutex
	h.setHook(func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		calls[call]++
		return nil
	})
	h.forge.calls = map[string]int{}
	do()
	h.setHook(nil)
	maps.Copy(calls, h.forge.calls)
	return fmt.Sprint(calls)
}

// settled lets time pass and runs the schedule until nothing is left to finish, and expects that
// each webhook is the one of an active row, with the secret of the vault, and that the vault has no
// other secret.
func (h *harness) settled(when string) {
	h.Helper()
	h.setHook(nil)
	h.forge.before = nil
	for range 4 {
		h.later(ledger.OrphanGracePeriod + time.Minute)
		if _, err := h.maintenance.Run(h.Context()); err != nil {
			h.Fatal(err)
		}
	}
	hooks := h.forge.hooks()
	owned := []vault.SecretName{}
	for _, id := range []string{"i-1", "i-2"} {
		if rec := h.record(id); rec.Bound() {
			owned = append(owned, rec.Token.Secret)
		}
	}
	for _, sub := range h.list() {
		address := public + "/v1/hooks/" + forgeName + "/" + sub.ID
		found := hooks[address]
		delete(hooks, address)
		owned = append(owned, sub.Secret)
		if sub.Stage != binding.SubscriptionActive || !sub.Claim.IsZero() || len(found) != 1 ||
			found[0].ID != sub.HookID {
			h.Errorf("%s: a row is %s, claimed %v, with %d webhooks", when, sub.Stage,
				!sub.Claim.IsZero(), len(found))
			continue
		}
		value, err := h.ledger.WebhookSecret(h.ledger.StartInvocation(h.Context()), sub)
		if err != nil || !value.Equal(found[0].secret) {
			h.Errorf("%s: the webhook has another secret than the vault: %v", when, err)
		}
	}
	testkit.Want(h, when+", webhooks of no row", len(hooks), 0)
	names, err := vaulttest.Names(h.Context(), h.secrets)
	if err != nil {
		h.Fatal(err)
	}
	for _, name := range names {
		if !slices.Contains(owned, name) {
			h.Errorf("%s: a secret is left over", when)
		}
	}
}

// edit changes the only row, as another invocation does.
func (h *harness) edit(change func(*binding.Subscription)) {
	h.Helper()
	ctx := h.ledger.StartInvocation(h.Context())
	if _, err := h.ledger.ChangeSubscription(ctx, h.row(), func(row *binding.Subscription) bool {
		change(row)
		return true
	}); err != nil {
		h.Fatal(err)
	}
}

var errDown = problem.New(problem.PlatformUnreachable)

// rebind binds i-1 again with another token.
func (h *harness) rebind(token string) error {
	_, err := h.connect.BindToken(h.Context(), connect.TokenBindRequest{
		By: user, Instance: registry("i-1"), Platform: forgeName,
		Submission: provider.Submission{Token: secret.New(token)},
	})
	return err
}

// history returns the events of the binding of i-1, newest first.
func (h *harness) history() []binding.Event {
	h.Helper()
	page, err := h.connect.History(h.Context(), user.Account, registry("i-1"), forgeName, "")
	if err != nil {
		h.Fatal(err)
	}
	return page.Items
}
