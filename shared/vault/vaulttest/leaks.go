package vaulttest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"bindery/shared/secret"
)

// hidden is a value that no error may show. It has characters in it that encodings change.
const hidden = "canary-3b9f ghp/0123456789"

// The prefixes of a [Remote]'s credentials, which no error may show either.
const (
	CanaryKey     = "canary-key"
	CanarySession = "canary-session"
)

// shows reports whether the error, or any error that it wraps, shows a hidden text in any encoding.
func shows(err error) bool {
	forms := []string{
		hidden[7:], CanarySession, CanaryKey, hex.EncodeToString([]byte(hidden)),
		base64.StdEncoding.EncodeToString([]byte(hidden))[:16], url.QueryEscape(hidden),
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

// HidesValues checks that each call fails by each fault, if the fault comes three times, and that
// the error shows neither the value nor the credentials.
func HidesValues[F any](
	t *testing.T, open func(*testing.T) Remote[F], faults map[string]F,
) {
	// Counter-check: the test recognises a value that is shown.
	if !shows(fmt.Errorf("doing: %w", errors.New(hidden))) {
		t.Fatal("the test doesn't recognise a shown value")
	}
	each(t, open, faults, hidden, func(t *testing.T, r Remote[F], c Call, fault F) {
		r.Service.Fail(c.Operation, 3, fault)
		err := c.Do(t.Context(), r.Vault, secret.New(hidden))
		Unclear(t, c.Name, err)
		if shows(err) {
			t.Error("the error shows the value or the credentials")
		}
	})
}

// HidesTheApps does the same for reading an operator's secret, such as the OAuth apps.
func HidesTheApps[F any](t *testing.T, r Remote[F], faults ...F) {
	t.Helper()
	r.Put(t, 1, hidden)
	for _, fault := range faults {
		r.Service.Fail("GetSecretValue", 3, fault)
		_, err := r.Current(t.Context(), r.FullName)
		Unclear(t, "Current", err)
		if shows(err) {
			t.Error("the error shows the value")
		}
		for range 3 { // use up the rest of the plan
			_, _ = r.Vault.Get(t.Context(), Name, 1)
		}
	}
}

// NamesTheFailure checks that the error of a read names the secret, the generation and the failure,
// in the words that its operator should read.
func NamesTheFailure[F comparable](
	t *testing.T, open func(*testing.T) Remote[F], says map[F]string,
) {
	t.Helper()
	for fault, want := range says {
		r := open(t)
		r.Put(t, 1, "value")
		r.Service.Fail("GetSecretValue", 3, fault)
		_, err := r.Vault.Get(t.Context(), Name, 1)
		if text := fmt.Sprint(err); !strings.HasPrefix(text, "reading "+string(Name)+"/1: ") ||
			!strings.Contains(text, want) {
			t.Errorf("got %q, want the secret, the generation and %q", text, want)
		}
	}
}
