package kms_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
	"bindery/shared/vault/vaulttest"
)

const (
	prefix = "bindery/test/"
	name   = vault.Name("0123456789abcdef0123456789abcdef")
)

// world is a vault on a pretend service, with credentials that may change, and without waits.
type world struct {
	vault   *kms.Vault
	client  *alibabacloud.Client
	service *kmstest.Service

	mu          sync.Mutex
	credentials alibabacloud.Credentials
	slept       []time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.service = kmstest.New(kmstest.Options{Instance: "kst-1", EncryptionKey: "key-1"})
	w.become("first")
	w.client = w.clientOf(t, w.service)
	w.vault = kms.New(w.client, kms.Options{Prefix: prefix, Instance: "kst-1", Key: "key-1"})
	return w
}

// become changes the credentials of both sides.
func (w *world) become(id string) {
	w.service.SetCredentials(id, "canary-key", "canary-session-"+id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credentials = alibabacloud.Credentials{
		ID: id, Key: secret.New("canary-key"), Token: secret.New("canary-session-" + id),
	}
}

func (w *world) clientOf(t *testing.T, service http.Handler) *alibabacloud.Client {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	c, err := kms.NewClient(alibabacloud.ClientOptions{
		Environment: alibabacloud.Environment{
			Region: "cn-test",
			Credentials: func() alibabacloud.Credentials {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.credentials
			},
		},
		Endpoint: server.URL,
		Now:      time.Now,
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.slept = append(w.slept, d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) put(t *testing.T, generation int, text string) {
	t.Helper()
	if err := w.vault.Put(t.Context(), name, generation, secret.New(text)); err != nil {
		t.Fatalf("Put(generation %d) = %v, want nil", generation, err)
	}
}

func (w *world) holds(t *testing.T, generation int, text string) {
	t.Helper()
	got, err := w.vault.Get(t.Context(), name, generation)
	if err != nil || !got.Equal(secret.New(text)) {
		t.Errorf("Get(generation %d) is another value, or %v", generation, err)
	}
}

// unclear wants an error that says nothing about the outcome.
func unclear(t *testing.T, call string, err error) {
	t.Helper()
	known := slices.ContainsFunc(
		[]error{vault.ErrExists, vault.ErrNotFound, vault.ErrValue, vault.ErrName},
		func(sentinel error) bool { return errors.Is(err, sentinel) },
	)
	if err == nil || known {
		t.Errorf("%s = %v, want an error that is none of the contract's", call, err)
	}
}

func TestTheContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { return newWorld(t).vault })
}

func TestEachCallIsOneRequest(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, "first")
	w.put(t, 2, "second")
	w.put(t, 2, "second") // the service itself knows that it is the same
	w.holds(t, 1, "first")
	if err := w.vault.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"CreateSecret": 1, "PutSecretValue": 2, "GetSecretValue": 1, "DeleteSecret": 1,
	}
	if got := w.service.Calls(); !maps.Equal(got, want) || len(w.slept) > 0 {
		t.Errorf("got requests %v and %d waits, want %v and none", got, len(w.slept), want)
	}
}

func TestTheSecretsNameBeginsWithThePrefix(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, "first")
	if got := w.service.Names(); !slices.Equal(got, []string{prefix + string(name)}) {
		t.Errorf("got secrets %v", got)
	}
}

// calls are the vault's, each in a state in which it would succeed.
var calls = []struct {
	name, action string
	generation   int
	call         func(context.Context, vault.Vault, secret.Text) error
}{
	{"Put(1)", "CreateSecret", 0, func(ctx context.Context, v vault.Vault, s secret.Text) error {
		return v.Put(ctx, name, 1, s)
	}},
	{"Put(2)", "PutSecretValue", 1, func(ctx context.Context, v vault.Vault, s secret.Text) error {
		return v.Put(ctx, name, 2, s)
	}},
	{"Get", "GetSecretValue", 1, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
		_, err := v.Get(ctx, name, 1)
		return err
	}},
	{"Delete", "DeleteSecret", 1, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
		return v.Delete(ctx, name)
	}},
}

func TestWhatFailsInPassingIsTriedThreeTimesAndMayBeRepeated(t *testing.T) {
	for what, fault := range map[string]kmstest.Fault{
		"throttled": kmstest.Throttled, "broken": kmstest.Broken, "lost": kmstest.Lost,
	} {
		for _, c := range calls {
			t.Run(c.name+" "+what, func(t *testing.T) {
				w := newWorld(t)
				if c.generation > 0 {
					w.put(t, c.generation, "first")
				}
				before := w.service.Calls()[c.action]
				w.service.Fail(c.action, 3, fault)
				unclear(t, c.name, c.call(t.Context(), w.vault, secret.New("value")))
				if got := w.service.Calls()[c.action] - before; got != 3 || len(w.slept) != 2 {
					t.Errorf("tried %d times with %d waits, want 3 with 2", got, len(w.slept))
				}
				w.service.Fail(c.action, 2, fault)
				if err := c.call(t.Context(), w.vault, secret.New("value")); err != nil {
					t.Errorf("%s, which fails twice = %v, want nil", c.name, err)
				}
			})
		}
	}
}

func TestARefusalIsNotTriedAgainAndClaimsNothing(t *testing.T) {
	for what, fault := range map[string]kmstest.Fault{
		"denied": kmstest.Denied, "expired": kmstest.Expired, "refused": kmstest.Quoting,
		"redirected": kmstest.Redirected, "garbled": kmstest.Garbled,
	} {
		for _, c := range calls {
			t.Run(c.name+" "+what, func(t *testing.T) {
				w := newWorld(t)
				if c.generation > 0 {
					w.put(t, c.generation, "first")
				}
				before := w.service.Calls()[c.action]
				w.service.Fail(c.action, 1, fault)
				unclear(t, c.name, c.call(t.Context(), w.vault, secret.New("value")))
				if got := w.service.Calls()[c.action] - before; got != 1 {
					t.Errorf("tried %d times, want once", got)
				}
			})
		}
	}
}

func TestCredentialsMayChangeBetweenTwoCalls(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, "first")
	w.become("second")
	w.put(t, 2, "second")
	w.service.SetCredentials("third", "key", "")
	_, err := w.vault.Get(t.Context(), name, 1)
	unclear(t, "Get with the credentials of before", err)
}

func TestTheNewestTenGenerationsStayReadable(t *testing.T) {
	w := newWorld(t)
	for generation := 1; generation <= 30; generation++ {
		w.put(t, generation, fmt.Sprint(generation))
		for back := range min(generation, 10) {
			w.holds(t, generation-back, fmt.Sprint(generation-back))
		}
	}
	if _, err := w.vault.Get(t.Context(), name, 20); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get(20) = %v, want ErrNotFound", err)
	}
}

func TestASecretThatSomebodyElseMadeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.service.Set(prefix+string(name), "v1", "text", "made by hand")
	err := w.vault.Put(t.Context(), name, 1, secret.New("value"))
	if !errors.Is(err, vault.ErrExists) {
		t.Errorf("Put = %v, want ErrExists", err)
	}
	if _, err = w.vault.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	left, err := kms.Current(t.Context(), w.client, prefix+string(name))
	if err != nil || !left.Equal(secret.New("made by hand")) {
		t.Errorf("the secret has another value than before, or %v", err)
	}
}

func TestAVersionThatHoldsNoTextIsNotAValue(t *testing.T) {
	w := newWorld(t)
	w.service.Set(prefix+string(name), "g1", "binary", "AAAA")
	_, err := w.vault.Get(t.Context(), name, 1)
	unclear(t, "Get", err)
}

func TestTextThatIsNotUTF8IsRefusedBeforeItIsSent(t *testing.T) {
	w := newWorld(t)
	err := w.vault.Put(t.Context(), name, 1, secret.New("a\xff"))
	if !errors.Is(err, vault.ErrValue) || len(w.service.Calls()) > 0 {
		t.Errorf("Put = %v, want ErrValue and no request", err)
	}
}

func TestWhatAnOperatorScheduledForDeletionIsNotThereAndGoesForGood(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, "first")
	w.service.Schedule(prefix + string(name))
	if _, err := w.vault.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	err := w.vault.Put(t.Context(), name, 2, secret.New("second"))
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Put(2) = %v, want ErrNotFound", err)
	}
	unclear(t, "Put(1)", w.vault.Put(t.Context(), name, 1, secret.New("first")))
	if err := w.vault.Delete(t.Context(), name); err != nil {
		t.Errorf("Delete = %v, want nil", err)
	}
	if left := w.service.Names(); len(left) > 0 {
		t.Errorf("could still be restored: %v", left)
	}
}

func TestAKeyThatIsNotThereIsNoMissingSecret(t *testing.T) {
	w := newWorld(t)
	v := kms.New(w.client, kms.Options{Prefix: prefix, Instance: "kst-1", Key: "key-2"})
	unclear(t, "Put", v.Put(t.Context(), name, 1, secret.New("value")))
}

func TestAReplyThatIsNotTheServicesProvesNothing(t *testing.T) {
	for what, reply := range map[string]string{
		"empty": "", "no members": "{}", "a page": "<html>", "a list": "[]", "null": "null",
		"another version": `{"SecretName":"` + prefix + string(name) + `","VersionId":"g9"}`,
		"another secret":  `{"SecretName":"x","VersionId":"g1"}`,
		"without end":     strings.Repeat(" ", 1<<20) + "{}",
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			v := kms.New(w.clientOf(t, http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(reply)) },
			)), kms.Options{Prefix: prefix})
			for _, c := range calls {
				if c.name == "Delete" && what == "another version" {
					continue // a deletion names no version
				}
				unclear(t, c.name, c.call(t.Context(), v, secret.New("value")))
			}
		})
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	asked, release := make(chan struct{}, 1), make(chan struct{})
	v := kms.New(w.clientOf(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})), kms.Options{Prefix: prefix})
	t.Cleanup(func() { close(release) }) // before the server is closed, which waits for it
	for _, c := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.call(ctx, v, secret.New("value")) }()
		<-asked
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", c.name, err)
		}
	}
}
