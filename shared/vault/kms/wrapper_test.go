package kms_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/kms-20160120/v3/client"

	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
)

func (w *fixture) wrapper(keys ...string) *kms.Wrapper {
	w.service.AddKey(keys[0])
	return kms.NewWrapper(w.client, kms.WrapperOptions{
		Wrapping: keys, Context: map[string]string{"application": "bindery"},
	})
}

func TestTheFirstKeyWrapsAndAllUnwrap(t *testing.T) {
	w := newFixture(t)
	first := w.wrapper("first")
	plain, wrapped, err := first.NewDataKey(t.Context())
	if err != nil || len(plain.Reveal()) != 32 || strings.Contains(string(wrapped), plain.Reveal()) {
		t.Fatalf("NewDataKey: not a key of 32 bytes that is wrapped, or %v", err)
	}
	both := w.wrapper("second", "first")
	got, err := both.Unwrap(t.Context(), "first", wrapped)
	if err != nil || !got.Equal(plain) {
		t.Errorf("another data key, or %v", err)
	}
	_, wrapped, err = both.NewDataKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.service.RemoveKey("first")
	if _, err := both.Unwrap(t.Context(), "second", wrapped); err != nil {
		t.Errorf("the next key needs the one before: %v", err)
	}
	// The service finds the key by itself, so the name of the row is compared.
	if _, err := both.Unwrap(t.Context(), "first", wrapped); err == nil {
		t.Error("a data key was unwrapped under another key's name")
	}
	calls := w.service.Calls()["Decrypt"]
	if _, err := first.Unwrap(t.Context(), "second", wrapped); err == nil ||
		w.service.Calls()["Decrypt"] != calls {
		t.Errorf("a key that isn't configured: got %v, and perhaps it was asked", err)
	}
	other := kms.NewWrapper(w.client, kms.WrapperOptions{Wrapping: []string{"second"}})
	if _, err := other.Unwrap(t.Context(), "second", wrapped); err == nil {
		t.Error("unwrapped with another encryption context")
	}
}

func TestD1_NoErrorAboutDataKeysShowsOne(t *testing.T) {
	w := newFixture(t)
	first := w.wrapper("first")
	_, wrapped, err := first.NewDataKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for operation, call := range map[string]func(context.Context) error{
		"GenerateDataKey": func(ctx context.Context) error {
			_, _, err := first.NewDataKey(ctx)
			return err
		},
		"Decrypt": func(ctx context.Context) error {
			_, err := first.Unwrap(ctx, "first", wrapped)
			return err
		},
	} {
		for _, fault := range []kmstest.Fault{
			kmstest.Garbled, kmstest.Quoting, kmstest.Denied, kmstest.Page, kmstest.Lost,
		} {
			w.service.Fail(operation, 3, fault)
			err := call(t.Context())
			if err == nil {
				t.Errorf("%s with fault %d: no error", operation, fault)
			}
			for ; err != nil; err = errors.Unwrap(err) {
				text := fmt.Sprintf("%v %+v %#v", err, err, err)
				if strings.Contains(text, "canary") || strings.Contains(text, "EncryptionContext") {
					t.Errorf("%s with fault %d shows what was sent", operation, fault)
				}
			}
			for range 3 { // use up the rest of the plan
				_ = call(t.Context())
			}
		}
	}
}

func TestAForeignReplyIsNoDataKey(t *testing.T) {
	w := newFixture(t)
	for _, reply := range []string{
		"{}", "<html>", `{"KeyId":"first"}`, `{"KeyId":"first","Plaintext":"%","CiphertextBlob":"a"}`,
		`{"KeyId":"other","Plaintext":"MDEyMw==","CiphertextBlob":"a"}`,
	} {
		client := w.clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(reply))
		}))
		wrapper := kms.NewWrapper(client, kms.WrapperOptions{Wrapping: []string{"first"}})
		_, _, err := wrapper.NewDataKey(t.Context())
		_, unwrapErr := wrapper.Unwrap(t.Context(), "first", []byte("wrapped"))
		if err == nil || unwrapErr == nil {
			t.Errorf("%q: got %v and %v, want errors", reply, err, unwrapErr)
		}
	}
}

func TestTheFakeServiceMakesDataKeysForTheVendorsClient(t *testing.T) {
	w := newFixture(t)
	w.service.SetCredentials("id", "key", "token")
	call := vendors(t, w.service)
	var made sdk.GenerateDataKeyResponseBody
	w.service.AddKey("first")
	call("GenerateDataKey", map[string]any{
		"KeyId": "first", "KeySpec": "AES_256", "EncryptionContext": `{"application":"bindery"}`,
	}, &made)
	var opened sdk.DecryptResponseBody
	call("Decrypt", map[string]any{
		"CiphertextBlob": *made.CiphertextBlob, "EncryptionContext": `{"application":"bindery"}`,
	}, &opened)
	if *opened.Plaintext != *made.Plaintext || *opened.KeyId != "first" {
		t.Error("the vendor's client opens another data key than it has made")
	}
}
