package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bindery/shared/binding"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// TokenBundle is a token as the vault keeps it, with what is needed to revoke it after no record
// points at it.
type TokenBundle struct {
	Platform     string
	Method       provider.Method
	Address      string
	Username     string
	Organization string
	Token        provider.Token
	// IssuedAt is when a refresh returned the token; zero for one that was bound.
	IssuedAt time.Time
}

// The names in the vault's JSON. They are written as a map, so that no struct of ours has a plain
// string for a token.
const (
	fieldPlatform     = "platform"
	fieldMethod       = "method"
	fieldAddress      = "address"
	fieldUsername     = "username"
	fieldOrganization = "organization"
	fieldAccess       = "access_token"
	fieldRefresh      = "refresh_token"
	fieldExpiresAt    = "expires_at"
	fieldIssuedAt     = "issued_at"
)

// Seal returns the value that is stored in the vault: a JSON object of strings, with times in RFC
// 3339. The scopes are in the record only.
func (k TokenBundle) Seal() (secret.Text, error) {
	fields := map[string]string{
		fieldPlatform:     k.Platform,
		fieldMethod:       string(k.Method),
		fieldAddress:      k.Address,
		fieldUsername:     k.Username,
		fieldOrganization: k.Organization,
		fieldAccess:       k.Token.Access.Reveal(),
		fieldRefresh:      k.Token.Refresh.Reveal(),
	}
	if !k.Token.ExpiresAt.IsZero() {
		fields[fieldExpiresAt] = k.Token.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if !k.IssuedAt.IsZero() {
		fields[fieldIssuedAt] = k.IssuedAt.UTC().Format(time.RFC3339)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return secret.Text{}, fmt.Errorf("writing the vault's JSON: %w", err)
	}
	return secret.New(string(data)), nil
}

// Open reads a value of the vault. Its errors quote nothing of the value.
func Open(value secret.Text) (TokenBundle, error) {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		return TokenBundle{}, errors.New("the vault's value is not valid JSON") // json's error would quote it
	}
	k := TokenBundle{
		Platform:     fields[fieldPlatform],
		Method:       provider.Method(fields[fieldMethod]),
		Address:      fields[fieldAddress],
		Username:     fields[fieldUsername],
		Organization: fields[fieldOrganization],
		Token: provider.Token{
			Access:  secret.New(fields[fieldAccess]),
			Refresh: secret.New(fields[fieldRefresh]),
		},
	}
	if at, err := time.Parse(time.RFC3339, fields[fieldExpiresAt]); err == nil {
		k.Token.ExpiresAt = at
	}
	if at, err := time.Parse(time.RFC3339, fields[fieldIssuedAt]); err == nil {
		k.IssuedAt = at
	}
	return k, nil
}

// Credential returns the token in the form that a platform is asked with. The scopes are in the
// record only.
func (k TokenBundle) Credential() provider.Credential {
	return provider.Credential{
		Access:       k.Token.Access,
		Address:      k.Address,
		Username:     k.Username,
		Organization: k.Organization,
		ExpiresAt:    k.Token.ExpiresAt,
	}
}

// Fetch reads one generation of a token from the vault. It fails with [vault.ErrNotFound] if the
// vault does not have it.
func (l *Ledger) Fetch(ctx context.Context, t binding.Token) (TokenBundle, error) {
	value, err := l.Vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return TokenBundle{}, fmt.Errorf("reading the token: %w", err)
	}
	return Open(value)
}

// TokenOf returns what a record says of the first generation of a secret, issued now.
func TokenOf(name vault.SecretName, k TokenBundle, now time.Time) binding.Token {
	return binding.Token{
		Secret:      name,
		Generation:  1,
		Username:    k.Username,
		Scopes:      k.Token.Scopes,
		IssuedAt:    now,
		ExpiresAt:   k.Token.ExpiresAt,
		Refreshable: !k.Token.Refresh.Empty(),
	}
}

// Put stores one generation of a secret. It fails with [problem.StorageUnavailable], which wraps the
// vault's error: [vault.ErrExists] if the generation is there.
func (l *Ledger) Put(
	ctx context.Context, name vault.SecretName, generation int, k TokenBundle,
) error {
	value, err := k.Seal()
	if err != nil {
		return err
	}
	if err := l.Vault.Put(ctx, name, generation, value); err != nil {
		return Unavailable("storing the token", err)
	}
	return nil
}
