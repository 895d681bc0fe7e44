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

// tokenBundle is a token as the vault keeps it, with what is needed to revoke it after no record
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
	keptPlatform     = "platform"
	keptMethod       = "method"
	keptAddress      = "address"
	keptUsername     = "username"
	keptOrganization = "organization"
	keptAccess       = "access_token"
	keptRefresh      = "refresh_token"
	keptExpiresAt    = "expires_at"
	keptIssuedAt     = "issued_at"
)

func (k TokenBundle) Seal() (secret.Text, error) {
	fields := map[string]string{
		keptPlatform:     k.Platform,
		keptMethod:       string(k.Method),
		keptAddress:      k.Address,
		keptUsername:     k.Username,
		keptOrganization: k.Organization,
		keptAccess:       k.Token.Access.Reveal(),
		keptRefresh:      k.Token.Refresh.Reveal(),
	}
	if !k.Token.ExpiresAt.IsZero() {
		fields[keptExpiresAt] = k.Token.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if !k.IssuedAt.IsZero() {
		fields[keptIssuedAt] = k.IssuedAt.UTC().Format(time.RFC3339)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return secret.Text{}, fmt.Errorf("writing the vault's JSON: %w", err)
	}
	return secret.New(string(data)), nil
}

func Open(value secret.Text) (TokenBundle, error) {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		return TokenBundle{}, errors.New("the vault's value is not valid JSON") // json's error would quote it
	}
	k := TokenBundle{
		Platform:     fields[keptPlatform],
		Method:       provider.Method(fields[keptMethod]),
		Address:      fields[keptAddress],
		Username:     fields[keptUsername],
		Organization: fields[keptOrganization],
		Token: provider.Token{
			Access:  secret.New(fields[keptAccess]),
			Refresh: secret.New(fields[keptRefresh]),
		},
	}
	if at, err := time.Parse(time.RFC3339, fields[keptExpiresAt]); err == nil {
		k.Token.ExpiresAt = at
	}
	if at, err := time.Parse(time.RFC3339, fields[keptIssuedAt]); err == nil {
		k.IssuedAt = at
	}
	return k, nil
}

// held is the token in the form that a platform is asked with.
func (k TokenBundle) Held() provider.Credential {
	return provider.Credential{
		Access:       k.Token.Access,
		Address:      k.Address,
		Username:     k.Username,
		Organization: k.Organization,
		ExpiresAt:    k.Token.ExpiresAt,
	}
}

// fetch reads the token that a record points at.
func (l *Ledger) Fetch(ctx context.Context, t binding.Token) (TokenBundle, error) {
	value, err := l.Vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return TokenBundle{}, fmt.Errorf("reading the token: %w", err)
	}
	return Open(value)
}

// tokenOf is what a record keeps of a new secret.
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

// put stores one generation of a secret.
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
