package secretsmanager_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault/secretsmanager"
	"bindery/shared/vault/secretsmanager/smtest"
)

const canary = "canary-3b9f-ghp_0123456789"

// shows says whether the error, or any that it wraps, shows the canary in any form that it takes
// on the way.
func shows(err error) bool {
	forms := []string{
		canary[7:], "canary-session", hex.EncodeToString([]byte(canary)),
		base64.StdEncoding.EncodeToString([]byte(canary))[:16],
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

func TestD1_NoErrorShowsAValue(t *testing.T) {
	// What the test itself would see, were it shown.
	if !shows(fmt.Errorf("doing: %w", errors.New(canary))) {
		t.Fatal("the test sees nothing")
	}
	for what, fault := range map[string]smtest.Fault{
		"quoting": smtest.Quoting, "garbled": smtest.Garbled, "throttled": smtest.Throttled,
		"broken": smtest.Broken, "lost": smtest.Lost, "denied": smtest.Denied,
	} {
		for _, c := range calls {
			t.Run(c.name+" "+what, func(t *testing.T) {
				w := newWorld(t)
				if c.generation > 0 {
					w.put(t, c.generation, canary)
				}
				w.service.Fail(c.operation, 3, fault)
				err := c.call(t.Context(), w.vault, secret.New(canary))
				unclear(t, c.name, err)
				if shows(err) {
					t.Error("the error shows the value or the session's token")
				}
			})
		}
	}
}

func TestD1_NoErrorAboutTheOAuthAppsShowsThem(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, canary)
	for _, fault := range []smtest.Fault{smtest.Garbled, smtest.Quoting, smtest.Lost} {
		w.service.Fail("GetSecretValue", 3, fault)
		_, err := secretsmanager.Current(t.Context(), w.client, prefix+string(name))
		unclear(t, "Current", err)
		if shows(err) {
			t.Error("the error shows the value")
		}
		// What is left over of the plan.
		for range 3 {
			_, _ = w.vault.Get(context.WithoutCancel(t.Context()), name, 1)
		}
	}
}

func TestAnOperatorReadsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		fault smtest.Fault
		want  string
	}{
		{smtest.Denied, "Secrets Manager answered AccessDeniedException: User: arn:aws:sts::"},
		{smtest.Throttled, "Secrets Manager answered ThrottlingException (request "},
		{smtest.Quoting, "Secrets Manager answered InvalidParameterException (request "},
		{smtest.Garbled, "Secrets Manager's reply can't be read (request "},
		{smtest.Lost, "EOF"},
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
