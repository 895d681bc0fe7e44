package awskms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"bindery/shared/awscloud"
	"bindery/shared/secret"
	"bindery/shared/vault/awskms"
	"bindery/shared/vault/awskms/awskmstest"
	"bindery/shared/vault/vaulttest"
)

// fixture is a wrapper with one key, on a fake service with two.
type fixture struct {
	*awskms.Wrapper
	service *awskmstest.Service
	cloud   aws.Config
}

func encryptionContext() map[string]string { return map[string]string{"application": "bindery"} }

func configuration(t *testing.T, service http.Handler) aws.Config {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	cloud, err := awscloud.Config(awscloud.KMS, func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "test",
			"AWS_SECRET_ACCESS_KEY": vaulttest.CanaryKey, "AWS_SESSION_TOKEN": vaulttest.CanarySession,
			"AWS_ENDPOINT_URL_KMS": server.URL,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	attempts := cloud.Retryer().MaxAttempts()
	cloud.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, time.Millisecond
		})
	}
	return cloud
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{service: awskmstest.New("first", "second")}
	f.cloud = configuration(t, f.service)
	f.Wrapper = f.with(awskmstest.ARN("first"))
	return f
}

func (f *fixture) with(keys ...string) *awskms.Wrapper {
	return awskms.New(f.cloud, awskms.Options{Wrapping: keys, Context: encryptionContext()})
}

func newKey(t *testing.T, w *awskms.Wrapper) (plain secret.Text, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := w.NewDataKey(t.Context())
	if err != nil || len(plain.Reveal()) != 32 || bytes.Contains(wrapped, []byte(plain.Reveal())) {
		t.Fatalf("NewDataKey: not a key of 32 bytes that is wrapped, or %v", err)
	}
	return plain, wrapped
}

func TestADataKeyIsUnwrappedAsItWasMade(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{awskmstest.ARN("first"), "first"} {
		w := f.with(name)
		plain, wrapped := newKey(t, w)
		got, err := w.Unwrap(t.Context(), w.Current(), wrapped)
		if err != nil || !got.Equal(plain) {
			t.Errorf("%s: another data key, or %v", name, err)
		}
	}
}

func TestTheFirstKeyWrapsAndAllUnwrap(t *testing.T) {
	f := newFixture(t)
	plain, wrapped := newKey(t, f.Wrapper)
	both := f.with("second", awskmstest.ARN("first"))
	got, err := both.Unwrap(t.Context(), f.Current(), wrapped)
	if err != nil || !got.Equal(plain) {
		t.Errorf("with both: another data key, or %v", err)
	}
	_, wrapped = newKey(t, both)
	f.service.Disable("first")
	if _, err := both.Unwrap(t.Context(), "second", wrapped); err != nil {
		t.Errorf("the next key needs the one before: %v", err)
	}
	_, err = both.Unwrap(t.Context(), f.Current(), wrapped)
	if err == nil {
		t.Error("a data key was unwrapped by another key than its own")
	}
}

// A row may name any key: only the operator's are asked.
func TestAKeyThatIsNotConfiguredIsNotAsked(t *testing.T) {
	f := newFixture(t)
	_, wrapped := newKey(t, f.with("second"))
	_, err := f.Unwrap(t.Context(), "second", wrapped)
	if err == nil || !strings.Contains(err.Error(), `the wrapping key "second" isn't configured`) {
		t.Errorf("got %v, want the key's name", err)
	}
	if got := f.service.Calls()["Decrypt"]; got != 0 {
		t.Errorf("asked %d times, want never", got)
	}
}

func TestADataKeyOfAnotherDeploymentIsNotUnwrapped(t *testing.T) {
	f := newFixture(t)
	_, wrapped := newKey(t, f.Wrapper)
	other := awskms.New(f.cloud, awskms.Options{
		Wrapping: []string{f.Current()}, Context: map[string]string{"application": "another"},
	})
	if _, err := other.Unwrap(t.Context(), f.Current(), wrapped); err == nil {
		t.Error("unwrapped with another encryption context")
	}
}

// calls are both operations.
func (f *fixture) calls(t *testing.T) map[string]func(context.Context) error {
	t.Helper()
	_, wrapped := newKey(t, f.Wrapper)
	return map[string]func(context.Context) error{
		"GenerateDataKey": func(ctx context.Context) error {
			_, _, err := f.NewDataKey(ctx)
			return err
		},
		"Decrypt": func(ctx context.Context) error {
			_, err := f.Unwrap(ctx, f.Current(), wrapped)
			return err
		},
	}
}

func TestOnlyTransientFailuresAreTriedAgain(t *testing.T) {
	for fault, want := range map[awskmstest.Fault]int{
		awskmstest.Throttled: 3, awskmstest.Broken: 3, awskmstest.Lost: 3, awskmstest.Page: 3,
		awskmstest.Denied: 1, awskmstest.Quoting: 1, awskmstest.Garbled: 1,
	} {
		f := newFixture(t)
		for operation, call := range f.calls(t) {
			before := f.service.Calls()[operation]
			f.service.Fail(operation, want, fault)
			if err := call(t.Context()); err == nil {
				t.Errorf("%s with fault %d: no error", operation, fault)
			}
			if got := f.service.Calls()[operation] - before; got != want {
				t.Errorf("%s with fault %d: tried %d times, want %d", operation, fault, got, want)
			}
			if want == 3 {
				f.service.Fail(operation, 2, fault)
			}
			if err := call(t.Context()); err != nil {
				t.Errorf("%s after fault %d: %v", operation, fault, err)
			}
		}
	}
}

func TestD1_NoErrorOfKMSShowsADataKeyOrTheCredentials(t *testing.T) {
	f := newFixture(t)
	for operation, call := range f.calls(t) {
		for _, fault := range []awskmstest.Fault{
			awskmstest.Quoting, awskmstest.Garbled, awskmstest.Lost, awskmstest.Denied,
		} {
			f.service.Fail(operation, 3, fault)
			err := call(t.Context())
			for ; err != nil; err = errors.Unwrap(err) {
				text := fmt.Sprintf("%v %+v %#v", err, err, err)
				for _, hidden := range []string{"Plaintext", "canary", "CiphertextBlob"} {
					if strings.Contains(text, hidden) {
						t.Errorf("%s with fault %d shows %s", operation, fault, hidden)
					}
				}
			}
			for range 3 { // use up the rest of the plan
				_ = call(t.Context())
			}
		}
	}
}

func TestErrorsTellTheOperatorWhatIsWrong(t *testing.T) {
	f := newFixture(t)
	f.service.Disable("first")
	_, _, err := f.NewDataKey(t.Context())
	want := "KMS answered DisabledException: " + f.Current() + " is disabled. (request 0"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestAForeignReplyProvesNothing(t *testing.T) {
	for _, reply := range []string{
		"", "{}", "<html>", `{"KeyId":"arn:aws:kms:eu-test-1:1:key/first"}`,
		`{"KeyId":"arn:aws:kms:eu-test-1:1:key/x","Plaintext":"MDEyMw==","CiphertextBlob":"MDEyMw=="}`,
		`{"KeyId":"arn:aws:kms:eu-test-1:1:key/first","Plaintext":"%","CiphertextBlob":"MDEyMw=="}`,
	} {
		w := awskms.New(
			configuration(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(reply))
			})),
			awskms.Options{Wrapping: []string{"first"}},
		)
		_, _, err := w.NewDataKey(t.Context())
		_, unwrapErr := w.Unwrap(t.Context(), "first", []byte("wrapped"))
		if err == nil || unwrapErr == nil {
			t.Errorf("%q: got %v and %v, want errors", reply, err, unwrapErr)
		}
	}
}

func TestACancelledCallReturnsTheContextsError(t *testing.T) {
	f := newFixture(t)
	calls := f.calls(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for operation, call := range calls {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", operation, err)
		}
	}
}

// The vendor's client sends the same requests, and the fake understands it.
func TestRequestsAreThoseOfTheVendorsClient(t *testing.T) {
	var sent []*http.Request
	var bodies []any
	service := awskmstest.New("first")
	cloud := configuration(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var body any
		_ = json.Unmarshal(text, &body)
		sent, bodies = append(sent, r), append(bodies, body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		service.ServeHTTP(w, r)
	}))
	vendors := sdk.NewFromConfig(cloud)
	ours := awskms.New(cloud, awskms.Options{
		Wrapping: []string{"first"}, Context: encryptionContext(),
	})

	made, err := vendors.GenerateDataKey(t.Context(), &sdk.GenerateDataKeyInput{
		KeyId: aws.String("first"), KeySpec: types.DataKeySpecAes256,
		EncryptionContext: encryptionContext(),
	})
	if err != nil {
		t.Fatal(err)
	}
	newKey(t, ours)
	opened, err := vendors.Decrypt(t.Context(), &sdk.DecryptInput{
		KeyId: aws.String("first"), CiphertextBlob: made.CiphertextBlob,
		EncryptionContext: encryptionContext(),
	})
	if err != nil || !bytes.Equal(opened.Plaintext, made.Plaintext) {
		t.Fatalf("the vendor's client opens another key, or %v", err)
	}
	plain, err := ours.Unwrap(t.Context(), "first", made.CiphertextBlob)
	if err != nil || plain.Reveal() != string(made.Plaintext) {
		t.Errorf("another data key than the vendor's client made, or %v", err)
	}
	for i := 0; i < len(sent); i += 2 {
		want, got := sent[i], sent[i+1]
		for _, header := range []string{"X-Amz-Target", "Content-Type", "X-Amz-Security-Token"} {
			if got.Header.Get(header) != want.Header.Get(header) {
				t.Errorf("%s is %q, want %q", header, got.Header.Get(header), want.Header.Get(header))
			}
		}
		if got.URL.Path != want.URL.Path || got.Method != want.Method ||
			!reflect.DeepEqual(bodies[i+1], bodies[i]) {
			t.Errorf("another request than the vendor's client sends: %v, want %v", bodies[i+1], bodies[i])
		}
	}
}
