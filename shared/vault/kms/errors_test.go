package kms_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
)

const canary = "canary-3b9f ghp/0123456789"

// shows says whether the error, or any that it wraps, shows the canary or the credentials in any
// form that they take on the way.
func shows(err error) bool {
	forms := []string{
		canary[7:], "canary-session", "canary-key", hex.EncodeToString([]byte(canary)),
		base64.StdEncoding.EncodeToString([]byte(canary))[:16], url.QueryEscape(canary),
	}
	for ; err != nil; err = errors.Unwrap(err) {
		for _, format := range []string{"%v", "%+v", "%#v", "%q"} {
			text := fmt.Sprintf(format, err)
			for _, form := range forms {
				if strings.Contains(text, form) {
					return true
				}
			}
		}
	}
	return false
}

func TestD1_NoErrorOfKMSShowsAValue(t *testing.T) {
	// What the test itself would see, were it shown.
	if !shows(fmt.Errorf("doing: %w", errors.New(canary))) {
		t.Fatal("the test sees nothing")
	}
	for what, fault := range map[string]kmstest.Fault{
		"quoting": kmstest.Quoting, "garbled": kmstest.Garbled, "throttled": kmstest.Throttled,
		"broken": kmstest.Broken, "lost": kmstest.Lost, "denied": kmstest.Denied,
		"a page": kmstest.Page, "redirected": kmstest.Redirected, "expired": kmstest.Expired,
	} {
		for _, c := range calls {
			t.Run(c.name+" "+what, func(t *testing.T) {
				w := newWorld(t)
				if c.generation > 0 {
					w.put(t, c.generation, canary)
				}
				w.service.Fail(c.action, 3, fault)
				err := c.call(t.Context(), w.vault, secret.New(canary))
				unclear(t, c.name, err)
				if shows(err) {
					t.Error("the error shows the value or the credentials")
				}
			})
		}
	}
}

func TestAnOperatorReadsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		fault kmstest.Fault
		want  string
	}{
		{kmstest.Denied, "KMS answered Forbidden.NoPermission: the function's role lacks"},
		{kmstest.Throttled, "KMS answered Rejected.Throttling (request 0"},
		{kmstest.Quoting, "KMS answered InvalidParameter (request 0"},
		{kmstest.Garbled, "the reply of KMS can't be read"},
		{kmstest.Lost, "asking KMS: EOF"},
	} {
		w := newWorld(t)
		w.put(t, 1, "value")
		w.service.Fail("GetSecretValue", 3, c.fault)
		_, err := w.vault.Get(t.Context(), name, 1)
		if text := fmt.Sprint(err); !strings.HasPrefix(text, "reading "+string(name)+"/1: ") ||
			!strings.Contains(text, c.want) {
			t.Errorf("got %q, want the secret, the generation and %q", text, c.want)
		}
	}
}

func TestD1_NoErrorAboutTheOAuthAppsInKMSShowsThem(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, canary)
	for _, fault := range []kmstest.Fault{kmstest.Garbled, kmstest.Page, kmstest.Lost} {
		w.service.Fail("GetSecretValue", 3, fault)
		_, err := kms.Current(t.Context(), w.client, prefix+string(name))
		unclear(t, "Current", err)
		if shows(err) {
			t.Error("the error shows the value")
		}
		for range 3 { // what is left over of the plan
			_, _ = w.vault.Get(t.Context(), name, 1)
		}
	}
}
