package secretsmanager_test

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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"bindery/shared/awscloud"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/secretsmanager"
	"bindery/shared/vault/secretsmanager/smtest"
	"bindery/shared/vault/vaulttest"
)

const (
	prefix = "bindery/test/"
	name   = vaulttest.Name
)

// fixture is a vault on a fake service, and a clock that moves only by waiting.
type fixture struct {
	vaulttest.Remote[smtest.Fault]
	service *smtest.Service
	client  *sdk.Client

	mu     sync.Mutex
	time   time.Time
	slept  []time.Duration
	onCall func(operation string)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{time: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	w.service = smtest.New(smtest.Options{Now: w.now, OnCall: func(operation string) {
		if w.onCall != nil {
			w.onCall(operation)
		}
	}})
	w.client = client(t, w.service)
	w.Remote = vaulttest.Remote[smtest.Fault]{
		Vault:   secretsmanager.New(w.client, prefix, w.now, w.sleep),
		Service: w.service,
		Waits:   func() int { return len(w.slept) },
		Current: func(ctx context.Context, name string) (secret.Text, error) {
			return secretsmanager.Current(ctx, w.client, name)
		},
		FullName: prefix + string(name),
	}
	return w
}

func remote(t *testing.T) vaulttest.Remote[smtest.Fault] { return newFixture(t).Remote }

func (w *fixture) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *fixture) sleep(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time, w.slept = w.time.Add(d), append(w.slept, d)
	return ctx.Err()
}

// client returns the client that a function uses, with almost no wait between two tries.
func client(t *testing.T, service http.Handler) *sdk.Client {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	c, err := awscloud.Config(awscloud.SecretsManager, func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "test",
			"AWS_SECRET_ACCESS_KEY": vaulttest.CanaryKey, "AWS_SESSION_TOKEN": vaulttest.CanarySession,
			"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return sdk.NewFromConfig(c, func(o *sdk.Options) {
		attempts := o.Retryer.MaxAttempts()
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, time.Millisecond
		})
	})
}

func TestTheContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { return remote(t).Vault })
}

func TestASlowDeletionCountsAtOnce(t *testing.T) {
	w := newFixture(t)
	w.service.Linger(true)
	w.Put(t, 1, "first")
	for range 2 {
		if err := w.Vault.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete = %v, want nil", err)
		}
	}
	if _, err := w.Vault.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	err := w.Vault.Put(t.Context(), name, 2, secret.New("second"))
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Put(2) = %v, want ErrNotFound", err)
	}
	w.service.Linger(false)
	if left := w.service.Names(); len(left) > 0 {
		t.Errorf("exists again: %v", left)
	}
}

func TestEachCallIsOneRequest(t *testing.T) { vaulttest.EachCallIsOneRequest(t, remote(t)) }

func TestTheSecretIsNamedAndTaggedForItsOperator(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "first")
	got, err := w.client.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{
		SecretId: aws.String(prefix + string(name)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tags) != 1 || *got.Tags[0].Key != "application" || *got.Tags[0].Value != "bindery" {
		t.Errorf("got %d tags, want only application=bindery", len(got.Tags))
	}
}

func TestEveryByteSurvives(t *testing.T) {
	w := newFixture(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	w.Put(t, 1, string(every))
	w.Holds(t, 1, string(every))
}

func TestALostReplyLosesNoValue(t *testing.T) {
	w := newFixture(t)
	for _, operation := range []string{
		"CreateSecret", "PutSecretValue", "GetSecretValue", "DeleteSecret",
	} {
		w.service.Fail(operation, 2, smtest.Lost)
	}
	w.Put(t, 1, "first")
	w.Put(t, 2, "second")
	w.Holds(t, 2, "second")
	w.Holds(t, 1, "first")
	if err := w.Vault.Delete(t.Context(), name); err != nil {
		t.Errorf("Delete = %v, want nil", err)
	}
	if left := w.service.Names(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestTransientFailuresAreTriedThreeTimesAndMayBeRepeated(t *testing.T) {
	// The library waits, not the vault.
	vaulttest.IsTriedThreeTimes(t, remote, 0, map[string]smtest.Fault{
		"throttled": smtest.Throttled, "broken": smtest.Broken, "reply lost": smtest.Lost,
	})
}

func TestAValueThatIsNotVisibleYetIsLookedForWithinASecond(t *testing.T) {
	for _, c := range vaulttest.Calls()[1:3] {
		t.Run(c.Name, func(t *testing.T) {
			w := newFixture(t)
			w.Put(t, 1, "first")
			w.service.Fail(c.Operation, 3, smtest.NotVisible)
			if err := c.Do(t.Context(), w.Vault, secret.New("value")); err != nil {
				t.Errorf("unseen three times: got %v, want nil", err)
			}
			want := []time.Duration{
				100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond,
			}
			if !slices.Equal(w.slept, want) {
				t.Errorf("waited %v, want %v", w.slept, want)
			}
			w.service.Fail(c.Operation, 4, smtest.NotVisible)
			err := c.Do(t.Context(), w.Vault, secret.New("value"))
			if !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("unseen four times: got %v, want ErrNotFound", err)
			}
		})
	}
}

func TestItListsItsOwnSecrets(t *testing.T) {
	w := newFixture(t)
	vaulttest.Lists(t, w.Vault, w.now, func() {
		for _, other := range []string{
			"bindery/oauth-apps", "bindery/" + string(name), prefix + "notes", prefix + "x/" + string(name),
			"BINDERY/test/" + string(name), prefix + string(name),
		} {
			_, err := w.client.CreateSecret(t.Context(), &sdk.CreateSecretInput{
				Name: &other, SecretString: aws.String(vaulttest.ForeignValue),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.client.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{
			SecretId: aws.String(prefix + string(name)), // scheduled, not forced
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	pages := w.service.Calls()["ListSecrets"]
	if _, err := vaulttest.Names(t.Context(), w.Vault); err != nil {
		t.Fatal(err)
	}
	// 399 of the suite and two whose names begin with the prefix, a hundred in a page
	if got := w.service.Calls()["ListSecrets"] - pages; got != 5 {
		t.Errorf("asked %d times for the list, want 5", got)
	}
}

func TestDeletingAnUnknownSecretSucceeds(t *testing.T) {
	w := newFixture(t)
	w.service.Fail("DeleteSecret", 1, smtest.NotVisible)
	if err := w.Vault.Delete(t.Context(), name); err != nil {
		t.Errorf("Delete = %v, want nil", err)
	}
}

func TestASlowServiceIsNotAskedAgain(t *testing.T) {
	w := newFixture(t)
	w.onCall = func(string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.time = w.time.Add(2 * time.Second)
	}
	if _, err := w.Vault.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if got := w.service.Calls()["GetSecretValue"]; got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
}

func TestACancelledCallWhileLookingAgainReturnsTheContextsError(t *testing.T) {
	w := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	v := secretsmanager.New(w.client, prefix, w.now,
		func(ctx context.Context, _ time.Duration) error {
			cancel()
			return ctx.Err()
		})
	_, err := v.Get(ctx, name, 1)
	vaulttest.Unclear(t, "Get", err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestTheLoserKnowsThatItLostBeforeTheWinnersVersionIsVisible(t *testing.T) {
	w := newFixture(t)
	for generation := 1; generation <= 2; generation++ {
		w.Put(t, generation, "the winner's")
		w.service.Fail("GetSecretValue", 4, smtest.NotVisible)
		err := w.Vault.Put(t.Context(), name, generation, secret.New("another"))
		if !errors.Is(err, vault.ErrExists) {
			t.Errorf("generation %d: got %v, want ErrExists", generation, err)
		}
		w.service.Fail("GetSecretValue", 3, smtest.Broken)
		vaulttest.Unclear(t, "Put, which can't compare",
			w.Vault.Put(t.Context(), name, generation, secret.New("another")))
		w.Holds(t, generation, "the winner's")
	}
}

func TestAForeignSecretIsNotChanged(t *testing.T) {
	w := newFixture(t)
	id := aws.String(prefix + string(name))
	made, err := w.client.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: id, SecretString: aws.String(vaulttest.ForeignValue),
	})
	if err != nil {
		t.Fatal(err)
	}
	vaulttest.LeavesAlone(t, w.Remote)
	left, err := w.client.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: id})
	if err != nil || *left.VersionId != *made.VersionId {
		t.Errorf("the secret has another current version than before, or %v", err)
	}
}

func TestAVersionThatHoldsTextIsNotAValue(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "value")
	id := aws.String(prefix + string(name))
	versions, err := w.client.ListSecretVersionIds(t.Context(),
		&sdk.ListSecretVersionIdsInput{SecretId: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Vault.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	_, err = w.client.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: id, ClientRequestToken: versions.Versions[0].VersionId,
		SecretString: aws.String("text"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Vault.Get(t.Context(), name, 1)
	vaulttest.Unclear(t, "Get", err)
}

func TestASecretScheduledForDeletionDoesNotExistAndIsDeletedPermanently(t *testing.T) {
	w := newFixture(t)
	w.Put(t, 1, "first")
	_, err := w.client.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{
		SecretId: aws.String(prefix + string(name)),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = vaulttest.DeletesScheduled(t, w.Remote)
	if !strings.Contains(fmt.Sprint(err), "already scheduled for deletion") {
		t.Errorf("Put(1) = %v, which doesn't say why", err)
	}
}

// A token that expires after two hours, for five weeks: far more versions than the service keeps.
func TestTheNewestTwoGenerationsStayReadable(t *testing.T) {
	w := newFixture(t)
	for generation := 1; generation <= 400; generation++ {
		w.Put(t, generation, fmt.Sprint(generation))
		w.Holds(t, generation, fmt.Sprint(generation))
		if generation > 1 {
			w.Holds(t, generation-1, fmt.Sprint(generation-1))
		}
		_ = w.sleep(t.Context(), 2*time.Hour)
	}
	if _, err := w.Vault.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Fatalf("Get(1) = %v; nothing was removed, so the test proves nothing", err)
	}
	// They stay however old they are, and even if an old put is repeated.
	_ = w.sleep(t.Context(), 400*24*time.Hour)
	w.Put(t, 399, "399")
	w.Put(t, 401, "401")
	w.Holds(t, 400, "400")
}

func TestAForeignReplyProvesNothing(t *testing.T) {
	vaulttest.BelievesNoOther(t, func(t *testing.T, service http.Handler) vault.Vault {
		return secretsmanager.New(client(t, service), prefix, time.Now,
			func(context.Context, time.Duration) error { return nil })
	}, map[string]string{
		"empty": "", "no members": "{}", "another version": `{"VersionId":"1"}`, "a page": "<html>",
	}, func(_ string, c vaulttest.Call) bool { return c.Name == "Delete" })
}

func TestCurrentReadsWhatAnOperatorLastPut(t *testing.T) {
	w := newFixture(t)
	id := aws.String("bindery/oauth-apps")
	read := func(want string) {
		t.Helper()
		got, err := secretsmanager.Current(t.Context(), w.client, *id)
		if err != nil || !got.Equal(secret.New(want)) {
			t.Errorf("got another value, or %v", err)
		}
	}
	_, err := secretsmanager.Current(t.Context(), w.client, *id)
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a secret that isn't there: got %v, want ErrNotFound", err)
	}
	_, err = w.client.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: id, SecretString: aws.String("text"),
	})
	if err != nil {
		t.Fatal(err)
	}
	read("text")
	for _, in := range []*sdk.PutSecretValueInput{
		{SecretId: id, SecretBinary: []byte("binary")},
		{SecretId: id, SecretString: aws.String("")},
	} {
		if _, err := w.client.PutSecretValue(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if in.SecretBinary != nil {
			read("binary")
		}
	}
	if _, err := secretsmanager.Current(t.Context(), w.client, *id); err == nil {
		t.Error("an empty secret: got no error")
	}
}
