package kms_test

import (
	"context"
	"errors"
	"fmt"
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
	name   = vaulttest.Name
)

// fixture is a vault on a fake service, with credentials that may change, and without waits.
type fixture struct {
	vaulttest.Remote[kmstest.Fault]
	client  *alibabacloud.Client
	service *kmstest.Service

	mu          sync.Mutex
	credentials alibabacloud.Credentials
	slept       []time.Duration
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{}
	w.service = kmstest.New(kmstest.Options{Instance: "kst-1", EncryptionKey: "key-1"})
	w.rotate("first")
	w.client = w.clientOf(t, w.service)
	w.Remote = vaulttest.Remote[kmstest.Fault]{
		Vault:   kms.New(w.client, kms.Options{Prefix: prefix, Instance: "kst-1", Key: "key-1"}),
		Service: w.service,
		Waits:   func() int { return len(w.slept) },
		Current: func(ctx context.Context, name string) (secret.Text, error) {
			return kms.Current(ctx, w.client, name)
		},
		FullName: prefix + string(name),
	}
	return w
}

func remote(t *testing.T) vaulttest.Remote[kmstest.Fault] { return newFixture(t).Remote }

// rotate changes the credentials of both sides.
func (w *fixture) rotate(id string) {
	w.service.SetCredentials(id, vaulttest.CanaryKey, vaulttest.CanarySession+id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credentials = alibabacloud.Credentials{
		ID: id, Key: secret.New(vaulttest.CanaryKey), Token: secret.New(vaulttest.CanarySession + id),
	}
}

func (w *fixture) clientOf(t *testing.T, service http.Handler) *alibabacloud.Client {
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

func TestTheContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { return remote(t).Vault })
}

func TestEachCallIsOneRequest(t *testing.T) { vaulttest.EachCallIsOneRequest(t, remote(t)) }

func TestTheSecretsNameBeginsWithThePrefix(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "first")
	if got := w.service.Names(); !slices.Equal(got, []string{prefix + string(name)}) {
		t.Errorf("got secrets %v", got)
	}
}

func TestTransientFailuresAreTriedThreeTimesAndMayBeRepeated(t *testing.T) {
	vaulttest.IsTriedThreeTimes(t, remote, 2, map[string]kmstest.Fault{
		"throttled": kmstest.Throttled, "broken": kmstest.Broken, "lost": kmstest.Lost,
	})
}

func TestARefusalIsNotRetriedAndLeavesTheOutcomeOpen(t *testing.T) {
	vaulttest.IsTriedOnce(t, remote, map[string]kmstest.Fault{
		"denied": kmstest.Denied, "expired": kmstest.Expired, "refused": kmstest.Quoting,
		"redirected": kmstest.Redirected, "garbled": kmstest.Garbled,
	})
}

func TestCredentialsMayChangeBetweenTwoCalls(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "first")
	w.rotate("second")
	w.Put(t, 2, "second")
	w.service.SetCredentials("third", "key", "")
	_, err := w.Vault.Get(t.Context(), name, 1)
	vaulttest.Unclear(t, "Get with the credentials of before", err)
}

func TestTheNewestTenGenerationsStayReadable(t *testing.T) {
	w := newFixture(t)
	for generation := 1; generation <= 30; generation++ {
		w.Put(t, generation, fmt.Sprint(generation))
		for back := range min(generation, 10) {
			w.Holds(t, generation-back, fmt.Sprint(generation-back))
		}
	}
	if _, err := w.Vault.Get(t.Context(), name, 20); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get(20) = %v, want ErrNotFound", err)
	}
}

func TestAForeignSecretIsNotChanged(t *testing.T) {
	w := newFixture(t)
	w.service.Set(w.FullName, "v1", "text", vaulttest.ForeignValue)
	vaulttest.LeavesAlone(t, w.Remote)
}

func TestItListsItsOwnSecrets(t *testing.T) {
	w := newFixture(t)
	vaulttest.Lists(t, w.Vault, time.Now, func() {
		for _, other := range []string{
			"bindery/oauth-apps", "bindery/" + string(name), prefix + "notes", prefix + "x/" + string(name),
			w.FullName,
		} {
			w.service.Set(other, "v1", "text", vaulttest.ForeignValue)
		}
		w.service.Schedule(w.FullName)
	})
	pages := w.service.Calls()["ListSecrets"]
	if _, err := vaulttest.Names(t.Context(), w.Vault); err != nil {
		t.Fatal(err)
	}
	// 399 of the suite and five others of the instance, a hundred in a page
	if got := w.service.Calls()["ListSecrets"] - pages; got != 5 {
		t.Errorf("asked %d times for the list, want 5", got)
	}
	another := kms.New(w.client, kms.Options{Prefix: prefix, Instance: "kst-2", Key: "key-1"})
	if names, err := vaulttest.Names(t.Context(), another); len(names) > 0 || err != nil {
		t.Errorf("another instance lists %d secrets, %v; want none", len(names), err)
	}
}

func TestAVersionThatHoldsNoTextIsNotAValue(t *testing.T) {
	w := newFixture(t)
	w.service.Set(prefix+string(name), "g1", "binary", "AAAA")
	_, err := w.Vault.Get(t.Context(), name, 1)
	vaulttest.Unclear(t, "Get", err)
}

func TestTextThatIsNotUTF8IsRefusedBeforeItIsSent(t *testing.T) {
	w := newFixture(t)
	err := w.Vault.Put(t.Context(), name, 1, secret.New("a\xff"))
	if !errors.Is(err, vault.ErrValue) || len(w.service.Calls()) > 0 {
		t.Errorf("Put = %v, want ErrValue and no request", err)
	}
}

func TestASecretScheduledForDeletionDoesNotExistAndIsDeletedPermanently(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "first")
	w.service.Schedule(w.FullName)
	_ = vaulttest.DeletesScheduled(t, w.Remote)
}

func TestAMissingKeyIsNotAMissingSecret(t *testing.T) {
	w := newFixture(t)
	v := kms.New(w.client, kms.Options{Prefix: prefix, Instance: "kst-1", Key: "key-2"})
	vaulttest.Unclear(t, "Put", v.Put(t.Context(), name, 1, secret.New("value")))
}

func TestAForeignReplyProvesNothing(t *testing.T) {
	vaulttest.BelievesNoOther(t, func(t *testing.T, service http.Handler) vault.Vault {
		return kms.New(newFixture(t).clientOf(t, service), kms.Options{Prefix: prefix})
	}, map[string]string{
		"empty": "", "no members": "{}", "a page": "<html>", "a list": "[]", "null": "null",
		"another version": `{"SecretName":"` + prefix + string(name) + `","VersionId":"g9"}`,
		"another secret":  `{"SecretName":"x","VersionId":"g1"}`,
		"without end":     strings.Repeat(" ", 1<<20) + "{}",
	}, func(what string, c vaulttest.Call) bool {
		// A deletion has no version in it, and any version may be the newest.
		return what == "another version" && (c.Name == "Delete" || c.Name == "Newest")
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	w := newFixture(t)
	asked, release := make(chan struct{}, 1), make(chan struct{})
	v := kms.New(w.clientOf(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})), kms.Options{Prefix: prefix})
	t.Cleanup(func() { close(release) }) // before the server is closed, because that waits for it
	for _, c := range vaulttest.Calls() {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Do(ctx, v, secret.New("value")) }()
		<-asked
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", c.Name, err)
		}
	}
}
