package delivery_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

const (
	forgeToken   = "forge-token-EXAMPLE"
	repositoryID = "77"
	hookID       = "0123456789abcdef0123456789abcdef"
	receiverKey  = "whsec_c2FuZGJveC1mYWtlLXdlYmhvb2sta2V5LTAxMjM="
)

var hookSecret = secret.New("fake-webhook-secret-EXAMPLE-0123456789abcdef")

// got is an event as the receiver got it.
type got struct {
	ID   string
	Type string
	Data struct {
		Ref, Commit, Before, Pusher string
		Created, Deleted            bool
		Titles                      []string
		Merge                       *struct{ Number, Title string }
		Number                      int64
	}
}

// receiver is the operator's. It refuses what the standard's library doesn't verify.
type receiver struct {
	mu     sync.Mutex
	events []got
	// answer, if set, returns the status; 0 waits until the sender gives up.
	answer func(w http.ResponseWriter, e got) int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	verifier, err := webhooks.NewWebhook(receiverKey)
	if err != nil || verifier.VerifyIgnoringTimestamp(body, req.Header) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e got
	_ = json.Unmarshal(body, &e)
	e.ID = req.Header.Get("webhook-id")
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	status := http.StatusNoContent
	if answer != nil {
		status = answer(w, e)
	}
	if status == 0 {
		<-req.Context().Done()
		return
	}
	if status < 300 {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
	w.WriteHeader(status)
}

func (r *receiver) set(answer func(http.ResponseWriter, got) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func always(status int) func(http.ResponseWriter, got) int {
	return func(http.ResponseWriter, got) int { return status }
}

func (r *receiver) taken() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.events...)
}

// told are the refs and commits of the taken events, in their order.
func (r *receiver) told() string {
	var list []string
	for _, e := range r.taken() {
		list = append(list, strings.TrimPrefix(e.Data.Ref, "refs/")+"="+e.Data.Commit)
	}
	return strings.Join(list, " ")
}

// calls counts calls to table and vault, and can crash the process before or after one.
type calls struct {
	mu     sync.Mutex
	names  []string
	number int // of the call at which the process crashes; 0: none
	after  bool
}

type crash struct{}

func (c *calls) call(_ context.Context, name string) (func(), error) {
	c.mu.Lock()
	c.names = append(c.names, name)
	crashes, after := len(c.names) == c.number, c.after
	c.mu.Unlock()
	if crashes && !after {
		panic(crash{})
	}
	return func() {
		if crashes {
			panic(crash{})
		}
	}, nil
}

func (c *calls) reset(crashAt int, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names, c.number, c.after = nil, crashAt, after
}

func (c *calls) list() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.names, " ")
}

// harness is a service on a real table and vault, with the forge and a receiver on a socket.
type harness struct {
	testing.TB
	*testkit.Clock
	*forge
	receiver  *receiver
	calls     *calls
	log       *testkit.Log
	table     ledger.Table
	vault     vault.Vault
	webhook   *event.Webhook
	platforms *provider.Set

	ledger  *ledger.Ledger
	service *delivery.Service
}

// folder is an empty one, in memory if there is a file system in memory.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bindery-delivery-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	dir := folder(t)
	rows, err := bolt.Open(filepath.Join(dir, "bindery.db"))
	check(t, err)
	t.Cleanup(func() { _ = rows.Close() })
	vaultKey, err := file.ReadKey(filepath.Join(dir, "vault.key"))
	check(t, err)
	secrets, err := file.Open(filepath.Join(dir, "vault"), vaultKey)
	check(t, err)
	h := &harness{
		TB: t, Clock: testkit.NewClock(), receiver: &receiver{}, calls: &calls{}, log: &testkit.Log{},
		forge: &forge{heads: map[string]string{}, merges: map[string]provider.Change{}},
	}
	h.table = ledger.WithBeforeCall(rows, h.calls.call)
	h.vault = vault.WithBeforeCall(secrets, h.calls.call)
	server := httptest.NewServer(h.receiver)
	t.Cleanup(server.Close)
	h.webhook, err = event.NewWebhook(server.URL, "", secret.New(receiverKey), server.Client(), h.Now)
	check(t, err)
	h.platforms = provider.New(provider.Options{
		Platforms: []provider.Registration{h.registration()}, Now: h.Now,
		Guard: netguard.New(netguard.Options{}),
	})
	h.serve()
	h.bind(key, ledger.TokenBundle{
		Platform: forgeName, Method: provider.ByToken, Username: "alice",
		Token: provider.Token{Access: secret.New(forgeToken)},
	})
	h.subscribe(hookID, hookSecret, repositoryID)
	h.calls.reset(0, false)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve replaces the process: its memory is empty.
func (h *harness) serve() {
	h.ledger = ledger.New(ledger.Options{
		Table: h.table, Vault: h.vault, Webhook: h.webhook, Log: h.log.Logger(), Clock: h.Now,
		Platforms: h.platforms, Fill: func(b []byte) { _, _ = rand.Read(b) },
	})
	h.service = delivery.New(h.ledger, credential.New(h.ledger))
}

var key = binding.Key{Account: "acme", Region: "r", Instance: "i", Platform: forgeName}

// bind stores a binding with a token.
func (h *harness) bind(key binding.Key, bundle ledger.TokenBundle) {
	h.Helper()
	ctx := h.ledger.StartInvocation(h.Context())
	rec, name, err := h.ledger.StageSecret(ctx, binding.Record{Key: key}, bundle)
	check(h, err)
	rec.Token = ledger.TokenOf(name, bundle, h.Now())
	rec.Identity = binding.Identity{ID: "1", Username: "alice"}
	rec.Method, rec.BoundAt = string(bundle.Method), h.Now()
	rec.Address, rec.Organization = bundle.Address, bundle.Organization
	_, err = h.table.SaveBinding(ctx, rec)
	check(h, err)
}

func (h *harness) subscribe(id string, value secret.Text, repository string) binding.Subscription {
	h.Helper()
	return h.subscribeAs(key, id, value, repository)
}

func (h *harness) subscribeAs(
	at binding.Key, id string, value secret.Text, repository string,
) binding.Subscription {
	h.Helper()
	ctx := h.ledger.StartInvocation(h.Context())
	sub, err := h.table.SaveSubscription(ctx, binding.Subscription{
		ID: id, Binding: at, Stage: binding.SubscriptionActive, Secret: h.ledger.NewSecretName(),
		Repository: binding.SubscribedRepository{ID: repository, Key: "k", Name: "acme/web"},
		Kinds:      binding.SourceKinds(), CreatedAt: h.Now(), IdentityID: "1",
	})
	check(h, err)
	check(h, h.ledger.PutWebhookSecret(ctx, sub, value))
	return sub
}

// row is the subscription's row.
func (h *harness) row() binding.Subscription {
	h.Helper()
	sub, err := h.table.Subscription(h.Context(), hookID)
	check(h, err)
	return sub
}

// edit changes the subscription's row.
func (h *harness) edit(change func(*binding.Subscription)) {
	h.Helper()
	row := h.row()
	change(&row)
	row.DueAt = row.DueTime()
	_, err := h.table.SaveSubscription(h.Context(), row)
	check(h, err)
}

// synced says that the last sync has found a branch.
func (h *harness) synced(branch, commit string) {
	h.Helper()
	_, err := h.table.SaveSubscriptionHeads(h.Context(), binding.Heads{
		Subscription: hookID, List: []binding.Head{{Ref: "refs/heads/" + branch, Commit: commit}},
	})
	check(h, err)
}

func (h *harness) receive(header http.Header, body []byte) error {
	return h.service.Receive(h.Context(), delivery.ReceiveRequest{
		Platform: forgeName, ID: hookID, Header: header, Body: body,
	})
}

// push is a delivery of a branch's move.
func push(id, branch, before, commit string) provider.Delivery {
	return provider.Delivery{ID: id, RepositoryID: repositoryID, Changes: []provider.Change{{
		Ref: "refs/heads/" + branch, Before: before, Commit: commit, Pusher: "bob", Commits: 1,
		Titles: []string{"told in " + id}, Created: before == "", Deleted: commit == "",
	}}}
}

func merge(id, number, action string) provider.Delivery {
	return provider.Delivery{ID: id, RepositoryID: repositoryID, Changes: []provider.Change{{
		Ref: "refs/heads/main", Commit: "m" + number, Merge: &provider.MergeRequest{
			Number: number, Title: "told", Source: "fix", Action: action,
		},
	}}}
}

// signed delivers signed.
func (h *harness) signed(d provider.Delivery) error {
	return h.receive(signed(hookSecret, d))
}

// unsigned delivers with the secret itself.
func (h *harness) unsigned(d provider.Delivery) error {
	return h.receive(unsigned(hookSecret, d))
}

// forward does what a run does.
func (h *harness) forward() binding.Subscription {
	h.Helper()
	sub, _, err := h.service.Forward(h.Context(), h.row())
	check(h, err)
	return sub
}

// states are the events of the row, in short.
func (h *harness) states() string {
	h.Helper()
	var list []string
	for _, e := range h.row().Events {
		s := fmt.Sprintf("%s=%s %s", strings.TrimPrefix(e.Ref, "refs/heads/"), e.Commit, e.State)
		if e.Reason != "" {
			s += " " + e.Reason
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}

func want(t testing.TB, what, got, wanted string) {
	t.Helper()
	testkit.Want(t, what, got, wanted)
}

// metrics are the kinds of the metric Deliveries, in their order.
func (h *harness) metrics() string {
	var kinds []string
	for _, line := range h.log.Records(h, "metric") {
		if line["Deliveries"] != nil {
			kinds = append(kinds, fmt.Sprint(line["Kind"]))
		}
	}
	return strings.Join(kinds, " ")
}
