//go:build !aws && !alibaba

package selected_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/selected"
)

// opened opens the vaults of a laptop until the test ends or it is closed.
func opened(t *testing.T, data string, vaults ...string) (vault.Vault, func()) {
	t.Helper()
	v, err := selected.Open(config.Config{Data: data, Vaults: vaults}, nil)
	if err != nil {
		t.Fatal(err)
	}
	shut := func() {
		if closer, ok := v.(io.Closer); ok {
			_ = closer.Close()
		}
	}
	t.Cleanup(shut)
	return v, shut
}

func wantValue(t *testing.T, v vault.Vault, generation int, want string) {
	t.Helper()
	got, err := v.Get(t.Context(), name, generation)
	if err != nil || !got.Equal(secret.New(want)) {
		t.Errorf("generation %d is another value, or %v", generation, err)
	}
}

// A laptop's secret moves to the envelope vault and back, with a restart before each change.
func TestASecretMovesBetweenALaptopsVaults(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	before, shut := opened(t, data)
	if err := before.Put(t.Context(), name, 1, secret.New("first")); err != nil {
		t.Fatal(err)
	}
	shut()
	for i, c := range []struct {
		moving   []string
		then     string
		wantFile bool
	}{
		{[]string{config.EnvelopeVault, config.NativeVault}, config.EnvelopeVault, false},
		{[]string{config.NativeVault, config.EnvelopeVault}, config.NativeVault, true},
	} {
		v, shut := opened(t, data, c.moving...)
		wantValue(t, v, i+1, "first")
		if moved, err := v.(vault.Mover).Move(t.Context(), name, i+1); !moved || err != nil {
			t.Errorf("Move = %v, %v, want true", moved, err)
		}
		if err := v.Put(t.Context(), name, i+2, secret.New("first")); err != nil {
			t.Error(err)
		}
		shut()
		v, shut = opened(t, data, c.then)
		wantValue(t, v, i+1, "first")
		wantValue(t, v, i+2, "first")
		shut()
		_, err := os.Stat(filepath.Join(data, "vault", string(name)))
		if errors.Is(err, os.ErrNotExist) == c.wantFile {
			t.Errorf("after %v the secret's folder: %v", c.moving, err)
		}
	}
}

func TestOnlyOneProcessHasALaptopsEnvelopeVault(t *testing.T) {
	data := t.TempDir()
	opened(t, data, config.EnvelopeVault)
	c := config.Config{Data: data, Vaults: []string{config.EnvelopeVault}}
	if v, err := selected.Open(c, nil); err == nil || v != nil {
		t.Errorf("a second one: got %v, %v, want an error", v, err)
	}
}
