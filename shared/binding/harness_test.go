package binding_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/consent"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/subscription"
	"bindery/shared/instance"
	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/file"
	"bindery/shared/vault/vaulttest"
)

// newClock returns a clock that shows noon of 1 March 2026, which the sandbox's tokens are made
// for.
func newClock() *testkit.Clock {
	return testkit.NewClockAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
}

// world is the platforms and their clock.
type world struct {
	clock   *testkit.Clock
	sandbox *sandbox.Sandbox
	url     string
	// asked, if set, is called with each request to a platform.
	asked atomic.Pointer[func(sandbox.Request)]
	// around, if set, serves the requests in place of the sandbox.
	around atomic.Pointer[http.HandlerFunc]
}

const (
	public    = "https://bindery.example"
	callbacks = public + "/v1/callback/"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: newClock()}
	w.sandbox = sandbox.New(sandbox.Options{
		Now:    w.clock.Now,
		Random: rand.Reader,
		OnRequest: func(r sandbox.Request) {
			if asked := w.asked.Load(); asked != nil {
				(*asked)(r)
			}
		},
	})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if around := w.around.Load(); around != nil {
			(*around)(rw, r)
			return
		}
		w.sandbox.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.sandbox.Close(); server.Close() })
	w.url = server.URL
	for name, app := range w.sandbox.Apps() {
		app.RedirectURI = callbacks + string(name)
		w.sandbox.AddApp(name, app)
	}
	return w
}

// dialer is how a guard connects.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// platformsAt are the platforms as Bindery sees them, all of them at one origin.
func platformsAt(origin string, now func() time.Time, dial dialer) *provider.Set {
	host := strings.TrimPrefix(origin, "http://")
	return provider.New(provider.Options{
		Guard: netguard.New(netguard.Options{PrivateHosts: []string{host}, Dial: dial}),
		Now:   now,
		Sleep: func(context.Context, time.Duration) error { return nil },
		Endpoints: provider.Endpoints{
			"BINDERY_CODEUP_URL": origin, "BINDERY_CODEUP_API_URL": origin,
			"BINDERY_GITEE_URL": origin, "BINDERY_GITEE_API_URL": origin,
			"BINDERY_GITHUB_URL": origin, "BINDERY_GITHUB_API_URL": origin,
			"BINDERY_BITBUCKET_URL": origin, "BINDERY_BITBUCKET_API_URL": origin,
		},
	})
}

// appsOf hands out the operator's apps, as the sandbox knows them.
func appsOf(box *sandbox.Sandbox) func(context.Context, string) (provider.App, error) {
	return func(_ context.Context, name string) (provider.App, error) {
		app := box.Apps()[sandbox.Platform(name)]
		return provider.App{ClientID: app.ClientID, ClientSecrets: app.ClientSecrets}, nil
	}
}

// store is a laptop's table and vault in a folder.
type store struct {
	dir   string
	table *bolt.Table
	vault vault.Vault
	// rows has the secrets of the envelope vault. It is nil if the vault is the file vault.
	rows *bolt.Driver
}

func openStore(dir string) (store, error) {
	rows, err := bolt.Open(filepath.Join(dir, "bindery.db"))
	if err != nil {
		return store{}, err
	}
	key, err := file.ReadKey(filepath.Join(dir, "vault.key"))
	if err != nil {
		return store{}, err
	}
	secrets, err := file.Open(filepath.Join(dir, "vault"), key)
	return store{dir: dir, table: rows, vault: secrets}, err
}

// seal replaces the vault by the envelope vault.
func (s *store) seal(now func() time.Time, before vault.Hook) (err error) {
	if s.rows, err = bolt.OpenDriver(filepath.Join(s.dir, "vault.db")); err == nil {
		s.vault, err = sealedVault(s.dir, s.rows, now, before)
	}
	return err
}

// sealedVault returns an envelope vault with the key of a folder. before is called before each call
// to the rows and to the key service.
func sealedVault(
	dir string, rows envelope.Store, now func() time.Time, before vault.Hook,
) (vault.Vault, error) {
	key, err := file.ReadKey(filepath.Join(dir, "vault.key"))
	if err != nil {
		return nil, err
	}
	wrapper, err := file.NewWrapper(key)
	return envelope.New(envelope.Options{
		Store: vaulttest.HookRows(rows, before), Wrapper: vaulttest.HookWrapper(wrapper, before),
		Owner: ledger.OwnerLabel, Now: now,
	}), err
}

func (s *store) close() error {
	err := s.table.Close()
	if s.rows != nil {
		err = errors.Join(err, s.rows.Close())
	}
	return err
}

// folder is an empty one, in memory if there is a file system in memory.
func folder(t testing.TB) string {
	t.Helper()
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "bindery-binding-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// mustOpen opens a store for the length of the test, or until it is closed.
func mustOpen(t testing.TB, dir string) store {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

// seal makes the service use the envelope vault. before is called before each call to its rows and
// to the key service.
func (b *harness) seal(before vault.Hook) {
	b.Helper()
	if err := b.store.seal(b.clock().Now, before); err != nil {
		b.Fatal(err)
	}
	rows := b.store.rows
	b.Cleanup(func() { _ = rows.Close() })
	b.serve(b.store.table, b.store.vault)
}

// reopen opens the store again after another process has used it.
func (b *harness) reopen() {
	b.Helper()
	sealed := b.store.rows != nil
	b.store = mustOpen(b, b.dir)
	b.serve(b.store.table, b.store.vault)
	if sealed {
		b.seal(unhooked)
	}
}

// audits are the audit lines of an action.
func (b *harness) audits(action string) []string {
	var found []string
	for line := range strings.SplitSeq(b.log.String(), "\n") {
		if strings.Contains(line, "msg=audit action="+action+" ") {
			found = append(found, line)
		}
	}
	return found
}

// alarms are the lines with an alarm, from its name on.
func (b *harness) alarms(name string) []string {
	var found []string
	for line := range strings.SplitSeq(b.log.String(), "\n") {
		if _, rest, ok := strings.Cut(line, " alarm="+name); ok {
			found = append(found, "alarm="+name+rest)
		}
	}
	return found
}

// services are the packages that act on bindings, on one ledger.
type services struct {
	Ledger      *ledger.Ledger
	Connect     *connect.Service
	Consent     *consent.Service
	Credentials *credential.Service
	Maintenance *maintenance.Service
	Deliveries  *delivery.Service
	Subscribe   *subscription.Service

	instances instance.Catalogue // the catalogue of the check, if any
}

func newService(
	rows ledger.Table, secrets vault.Vault, platforms *provider.Set, box *sandbox.Sandbox,
	now func() time.Time, log *testkit.Log,
) *services {
	l := ledger.New(ledger.Options{
		Table:     rows,
		Vault:     secrets,
		Platforms: platforms,
		App:       appsOf(box),
		Log:       slog.New(slog.NewTextHandler(log, nil)),
		Clock:     now,
		Fill:      func(b []byte) { _, _ = rand.Read(b) },
	})
	credentials := credential.New(l)
	deliveries := delivery.New(l, credentials)
	subscriptions := subscription.New(l, credentials, deliveries, public)
	return &services{
		Ledger:      l,
		Connect:     connect.New(l, subscriptions),
		Consent:     consent.New(l, callbacks, subscriptions),
		Credentials: credentials,
		Maintenance: maintenance.New(l, credentials, nil, subscriptions),
		Deliveries:  deliveries,
		Subscribe:   subscriptions,
	}
}

// withInstances makes the check use a catalogue of instances.
func (s *services) withInstances(catalogue instance.Catalogue) {
	s.instances = catalogue
	s.Maintenance = maintenance.New(s.Ledger, s.Credentials, catalogue, s.Subscribe)
}

// hooks is a hook that can be changed while calls are running.
type hooks struct{ at atomic.Pointer[ledger.Hook] }

func (h *hooks) set(hook ledger.Hook) { h.at.Store(&hook) }
func (h *hooks) clear()               { h.at.Store(nil) }

func (h *hooks) call(ctx context.Context, call string) (func(), error) {
	if hook := h.at.Load(); hook != nil {
		return (*hook)(ctx, call)
	}
	return nil, nil
}

// harness is a service on a real table and a real vault, with the sandbox's platforms.
type harness struct {
	testing.TB
	*world
	store
	*services
	log *testkit.Log
	// input is for the operation that the harness was set up for.
	input operationInput
	// before is called before the service checks the time, inside after it, right before the
	// call to table or vault is made.
	before, inside hooks
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	w := newWorld(t)
	return harnessOn(t, w, mustOpen(t, folder(t)))
}

func harnessOn(t testing.TB, w *world, s store) *harness {
	t.Helper()
	b := &harness{TB: t, world: w, store: s, log: &testkit.Log{}}
	b.serve(s.table, s.vault)
	return b
}

// serve replaces the service by a new one, on this table and vault.
func (b *harness) serve(rows ledger.Table, secrets vault.Vault) {
	platforms := platformsAt(b.url, b.clock().Now, nil)
	rows, secrets = ledger.WithBeforeCall(rows, b.inside.call),
		vault.WithBeforeCall(secrets, b.inside.call)
	b.services = newService(rows, secrets, platforms, b.sandbox, b.clock().Now, b.log)
	b.services.Ledger.Table = ledger.WithBeforeCall(b.services.Ledger.Table, b.before.call)
	b.services.Ledger.Vault = vault.WithBeforeCall(b.services.Ledger.Vault, b.before.call)
}

func (b *harness) clock() *testkit.Clock { return b.world.clock }

// counted counts the calls to table and vault that a function makes.
func (b *harness) counted(do func()) map[string]int {
	var mu sync.Mutex
	calls := map[string]int{}
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		mu.Lock()
		defer mu.Unlock()
		calls[call]++
		return nil, nil
	})
	defer b.inside.clear()
	do()
	return calls
}

var (
	user  = binding.User{Issuer: "https://id.example", Subject: "u-1", Account: "acct-1"}
	other = binding.User{Issuer: "https://id.example", Subject: "u-2", Account: "acct-1"}
)

// registry is an instance of the account.
func registry(id string) instance.Instance {
	return instance.Instance{Type: instance.Enterprise, Region: "cn-hangzhou", ID: id, Name: id}
}

func key(id, platform string) binding.Key {
	return binding.KeyOf(user.Account, registry(id), platform)
}

// token is a token that the sandbox's GitLab takes.
type token struct{ username, value string }

var (
	aliceToken  = token{"alice", "glpat-sandbox-alice-good"}
	aliceOther  = token{"alice", "glpat-sandbox-alice-forever"}
	aliceSoon   = token{"alice", "glpat-sandbox-alice-soon"}
	bobToken    = token{"bob", "glpat-sandbox-bob-good"}
	revokedOnes = token{"alice", "glpat-sandbox-alice-revoked"}
)

// gitLab is a bind of the sandbox's GitLab.
func gitLab(origin, id string, with token) connect.TokenBindRequest {
	return connect.TokenBindRequest{
		By:       user,
		Instance: registry(id),
		Platform: provider.GitLab,
		Submission: provider.Submission{
			Address:  origin + "/gitlab",
			Username: with.username,
			Token:    secret.New(with.value),
		},
	}
}

func (b *harness) gitLab(id string, with token) connect.TokenBindRequest {
	return gitLab(b.url, id, with)
}

// mustBind binds an instance's GitLab.
func (b *harness) mustBind(id string, with token) binding.View {
	b.Helper()
	v, err := b.Connect.BindToken(context.Background(), b.gitLab(id, with))
	if err != nil {
		b.Fatalf("binding %s: %v", id, err)
	}
	return v
}

func gitLabEnd(id string, revoke bool) connect.UnbindRequest {
	return connect.UnbindRequest{
		By: user, Instance: registry(id), Platform: provider.GitLab, Revoke: revoke,
	}
}

func (b *harness) mustUnbind(id string, revoke bool) connect.UnbindResult {
	b.Helper()
	out, err := b.Connect.Unbind(context.Background(), gitLabEnd(id, revoke))
	if err != nil {
		b.Fatalf("unbinding %s: %v", id, err)
	}
	return out
}

// fetch reads the token that a record points at.
func (b *harness) fetch(rec binding.Record) (ledger.TokenBundle, error) {
	ctx := b.Ledger.StartInvocation(context.Background())
	return b.Ledger.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token)
}

// consent is a token of GitHub that a user of it has just granted.
func (b *harness) consent(login string) provider.Token {
	b.Helper()
	return b.granted(provider.GitHub, login)
}

// lives reports whether GitHub accepts a token.
func (b *harness) lives(t provider.Token) bool { return b.sandbox.Lives(sandbox.GitHub, t.Access) }

// keepConsented stores a token of GitHub and points an instance's record at it.
func (b *harness) keepConsented(id string, t provider.Token) binding.Record {
	b.Helper()
	return b.keepGranted(id, provider.GitHub, t)
}

// keepGranted stores a granted token and points an instance's record at it.
func (b *harness) keepGranted(id, name string, t provider.Token) binding.Record {
	b.Helper()
	ctx := b.Ledger.StartInvocation(context.Background())
	platform, _ := b.Ledger.Platforms.Get(name)
	finding, err := platform.Check(ctx, provider.Credential{Access: t.Access, Scopes: t.Scopes})
	if err != nil {
		b.Fatal(err)
	}
	rec, err := b.Ledger.Record(ctx, key(id, name))
	if err != nil {
		b.Fatal(err)
	}
	bundle := ledger.TokenBundle{
		Platform: name, Method: provider.ByOAuth, Username: finding.GitUsername, Token: t,
	}
	result, err := b.Connect.Bind(ctx, rec, bundle, finding, user)
	if err != nil {
		b.Fatal(err)
	}
	return result.Saved
}
