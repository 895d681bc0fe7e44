//go:build !aws && !alibaba

package selected_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/selected"
)

const name = vault.SecretName("0123456789abcdef0123456789abcdef")

func TestTheKeyFileIsCreatedOnceAndReused(t *testing.T) {
	c := config.Config{Data: filepath.Join(t.TempDir(), "data")}
	v, err := selected.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Put(t.Context(), name, 1, secret.New("value")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"vault.key", "vault/" + string(name) + "/1"} {
		info, err := os.Stat(filepath.Join(c.Data, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s = %o, want 600", path, got)
		}
	}
	again, err := selected.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Get(t.Context(), name, 1)
	if err != nil || got.Reveal() != "value" {
		t.Errorf("Get = another value or %v, want the one put before", err)
	}
}

func TestTheEnvironmentsKeyHasPriority(t *testing.T) {
	c := config.Config{Data: t.TempDir(), VaultKey: secret.New(strings.Repeat("0f", 32))}
	if _, err := selected.Open(c, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "vault.key")); !os.IsNotExist(err) {
		t.Errorf("a key file was created in spite of the environment's key: %v", err)
	}
	if v, err := selected.Open(config.Config{Data: c.Data}, nil); err == nil || v != nil {
		t.Error("a new key file opened a vault that the environment's key sealed")
	}
	c.VaultKey = secret.New("short")
	if _, err := selected.Open(c, nil); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("Open(a short key) = %v, want an error without the key", err)
	}
}
