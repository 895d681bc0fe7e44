//go:build !aws && !alibaba

package selected

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/file"
)

// openNative opens the folder "vault" in the data folder. The key comes from the environment if it
// is set there, else from the file "vault.key" next to the folder, which is created if it is
// missing. What crashed processes left behind is removed in the background.
func openNative(c config.Config, _ *alibabacloud.InvocationCredentials) (vault.Vault, error) {
	key, err := key(c)
	if err != nil {
		return nil, err
	}
	v, err := file.Open(filepath.Join(c.Data, "vault"), key)
	if err != nil {
		return nil, err // not v: a nil pointer in an interface isn't nil
	}
	go func() { // the start doesn't wait for it, because it takes longer the more secrets there are
		if err := v.Tidy(); err != nil {
			slog.Error("a crashed process's files stay in the vault", "error", err)
		}
	}()
	return v, nil
}

// wrapper wraps data keys with the key of the laptop's vault.
func wrapper(
	c config.Config, _ *alibabacloud.InvocationCredentials, _ map[string]string,
) (envelope.Wrapper, error) {
	key, err := key(c)
	if err != nil {
		return nil, err
	}
	return file.NewWrapper(key)
}

func key(c config.Config) (file.Key, error) {
	if !c.VaultKey.Empty() {
		return file.ParseKey(c.VaultKey)
	}
	return file.ReadKey(filepath.Join(c.Data, "vault.key"))
}

func appsReader(
	c config.Config, _ *alibabacloud.InvocationCredentials,
) func(context.Context) (secret.Text, error) {
	return func(context.Context) (secret.Text, error) {
		text, err := os.ReadFile(c.OAuthApps)
		return secret.New(string(text)), err
	}
}
