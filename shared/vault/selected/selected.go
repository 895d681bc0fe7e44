// Package selected opens the vault of this build. A build tag selects it, so that no other vault
// is linked: Secrets Manager with the tag aws, KMS with the tag alibaba, and without a tag the
// laptop's vault, which is a folder of files. BINDERY_VAULT may select the envelope vault in place
// of it, or both while secrets move.
package selected

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/secret"
	tables "bindery/shared/table/selected"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/transition"
)

// Open opens the vaults that BINDERY_VAULT names; see openNative and openEnvelope. It makes no
// call, so a missing permission shows at the first call of the vault. A vault that is an
// [io.Closer] must be closed when the last call has ended.
func Open(c config.Config, credentials *alibabacloud.InvocationCredentials) (vault.Vault, error) {
	if len(c.Vaults) < 2 {
		if slices.Contains(c.Vaults, config.EnvelopeVault) {
			return openEnvelope(c, credentials)
		}
		return openNative(c, credentials)
	}
	native, err := openNative(c, credentials)
	if err != nil {
		return nil, err
	}
	sealed, err := openEnvelope(c, credentials)
	if err != nil {
		return nil, err
	}
	if c.Vaults[0] == config.NativeVault {
		return transition.New(transition.Options{To: native, From: sealed}), nil
	}
	return transition.New(transition.Options{To: sealed, From: native, ToIsQuicker: true}), nil
}

// openEnvelope opens the vault whose values are sealed in a table of their own. Each request for a
// data key names the prefix of this deployment's secrets, which stays when its tables are restored
// under other names.
func openEnvelope(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (vault.Vault, error) {
	wrapper, err := wrapper(c, credentials, map[string]string{
		"application": "bindery", "secrets": c.SecretPrefix,
	})
	if err != nil {
		return nil, err
	}
	rows, err := tables.SecretRows(c, credentials)
	if err != nil {
		return nil, err
	}
	return envelope.New(envelope.Options{
		Store: rows, Wrapper: wrapper, Owner: ledger.OwnerLabel, Now: time.Now,
	}), nil
}

// Apps returns a func that reads the JSON of the OAuth apps, or nil if BINDERY_OAUTH_APPS isn't
// set. The variable is the name of a secret in the cloud's secrets manager, whose current value is
// read, or on a laptop the path of a file.
func Apps(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) func(context.Context) (secret.Text, error) {
	if c.OAuthApps == "" {
		return nil
	}
	read := appsReader(c, credentials)
	return func(ctx context.Context) (secret.Text, error) {
		apps, err := read(ctx)
		if err != nil {
			return secret.Text{}, fmt.Errorf("reading the OAuth apps (BINDERY_OAUTH_APPS): %w", err)
		}
		return apps, nil
	}
}
