//go:build !aws && !alibaba

package selected

import (
	"context"
	"os"
	"path/filepath"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// Open opens the folder "vault" in the data folder. The key comes from the environment if it is
// set there, else from the file "vault.key" next to the folder, which is created if it is missing.
func Open(c config.Config, _ *alibabacloud.InvocationCredentials) (vault.Vault, error) {
	key, err := key(c)
	if err != nil {
		return nil, err
	}
	v, err := file.Open(filepath.Join(c.Data, "vault"), key)
	if err != nil {
		return nil, err // not v: a nil pointer in an interface isn't nil
	}
	return v, nil
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
