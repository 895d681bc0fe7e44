package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bindery/shared/binding"
	"bindery/shared/event"
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

	// owner is the owner that a value of the vault names; zero for a value without one, which a
	// version before owners has written.
	owner TokenOwner
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
	fieldAccount      = "account"
	fieldRegion       = "region"
	fieldInstance     = "instance"
	fieldAttempt      = "authorization"
)

// Seal returns the value that is stored in the vault for an owner: a JSON object of strings, with
// times in RFC 3339. The scopes are in the record only.
func (k TokenBundle) Seal(owner TokenOwner) (secret.Text, error) {
	fields := map[string]string{
		fieldAccount:      owner.Binding.Account,
		fieldRegion:       owner.Binding.Region,
		fieldInstance:     owner.Binding.Instance,
		fieldAttempt:      owner.Attempt,
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

// Open reads a value of the vault without comparing its owner: see [Ledger.Fetch]. Its errors quote
// nothing of the value.
func Open(value secret.Text) (TokenBundle, error) {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		// The error of json would quote the value.
		return TokenBundle{}, errors.New("the vault's value is not valid JSON")
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
	if account, named := fields[fieldAccount]; named {
		k.owner = TokenOwner{
			Binding: binding.Key{
				Account:  account,
				Region:   fields[fieldRegion],
				Instance: fields[fieldInstance],
				Platform: k.Platform,
			},
			Attempt: fields[fieldAttempt],
		}
	}
	return k, nil
}

// belongsTo reports whether a row may read the token. A row of a binding may read its own tokens,
// and those of an attempt for it: an attempt names no instance if its user chooses one at the
// confirm. The row of an attempt may read the token of that attempt only. A token without an owner
// tells nothing but its platform.
func (k TokenBundle) belongsTo(reader TokenOwner) bool {
	if k.owner == (TokenOwner{}) {
		return k.Platform == reader.Binding.Platform
	}
	owner := k.owner.Binding
	if owner.Instance == "" {
		owner.Region, owner.Instance = reader.Binding.Region, reader.Binding.Instance
	}
	return owner == reader.Binding && (reader.Attempt == "" || reader.Attempt == k.owner.Attempt)
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

// Fetch reads one generation of a token from the vault, for the row that names it. It fails with
// [vault.ErrNotFound] if the vault does not have it, and with [problem.TokenMismatch] if it belongs
// to another row: the table says where a token is, and the vault whose it is.
func (l *Ledger) Fetch(
	ctx context.Context, reader TokenOwner, t binding.Token,
) (TokenBundle, error) {
	value, err := l.Vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return TokenBundle{}, fmt.Errorf("reading the token: %w", err)
	}
	k, err := Open(value)
	if err != nil {
		return TokenBundle{}, err
	}
	if !k.belongsTo(reader) {
		return TokenBundle{}, l.mismatch(ctx, reader.Binding, "secret", t.Secret,
			"owner", binding.Describe(k.owner.Binding))
	}
	if k.owner == (TokenOwner{}) {
		event.Metric(ctx, l.Log, l.Now(), map[string]string{"Platform": k.Platform},
			map[string]float64{"UnsealedTokens": 1})
	}
	return k, nil
}

// OwnerInVault returns the owner that the vault names for a token which no row names. For a token
// without an owner it has the platform only. It fails with [vault.ErrNotFound] if the vault does
// not have the token.
func (l *Ledger) OwnerInVault(ctx context.Context, t binding.Token) (TokenOwner, error) {
	value, err := l.Vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return TokenOwner{}, fmt.Errorf("reading the token: %w", err)
	}
	k, err := Open(value)
	if k.owner == (TokenOwner{}) {
		k.owner.Binding.Platform = k.Platform
	}
	return k.owner, err
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

// Put stores one generation of a secret and names its owner in it. It fails with
// [problem.StorageUnavailable], which wraps the vault's error: [vault.ErrExists] if the generation
// is there.
func (l *Ledger) Put(
	ctx context.Context, owner TokenOwner, name vault.SecretName, generation int,
	k TokenBundle,
) error {
	value, err := k.Seal(owner)
	if err != nil {
		return err
	}
	if err := l.Vault.Put(ctx, name, generation, value); err != nil {
		return Unavailable("storing the token", err)
	}
	return nil
}
