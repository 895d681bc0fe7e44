package binding

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// tokenBundle is a token as the vault keeps it, with all that is needed to revoke it when no record
// points at it any more.
type tokenBundle struct {
	Platform     string
	Method       provider.Method
	Address      string
	Username     string
	Organization string
	Token        provider.Token
	// IssuedAt is when a refresh brought the token; zero for one that was bound.
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

func (k tokenBundle) seal() (secret.Text, error) {
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

func open(value secret.Text) (tokenBundle, error) {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		return tokenBundle{}, fmt.Errorf("the vault's value is not JSON of ours") // it would be quoted
	}
	k := tokenBundle{
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
func (k tokenBundle) held() provider.Credential {
	return provider.Credential{
		Access:       k.Token.Access,
		Address:      k.Address,
		Username:     k.Username,
		Organization: k.Organization,
		ExpiresAt:    k.Token.ExpiresAt,
	}
}

// fetch reads the token that a record points at.
func (s *Service) fetch(ctx context.Context, t table.Token) (tokenBundle, error) {
	value, err := s.vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return tokenBundle{}, fmt.Errorf("reading the token: %w", err)
	}
	return open(value)
}

// tokenOf is what a record keeps of a new secret.
func tokenOf(name vault.SecretName, k tokenBundle, now time.Time) table.Token {
	return table.Token{
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
func (s *Service) put(
	ctx context.Context, name vault.SecretName, generation int, k tokenBundle,
) error {
	value, err := k.seal()
	if err != nil {
		return err
	}
	if err := s.vault.Put(ctx, name, generation, value); err != nil {
		return unavailable("storing the token", err)
	}
	return nil
}
