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

// Encode returns the value that is stored in the vault for an owner: a JSON object of strings, with
// times in RFC 3339. The scopes are in the record only.
func (bundle TokenBundle) Encode(owner TokenOwner) (secret.Text, error) {
	fields := map[string]string{
		fieldAccount:      owner.Binding.Account,
		fieldRegion:       owner.Binding.Region,
		fieldInstance:     owner.Binding.Instance,
		fieldAttempt:      owner.Attempt,
		fieldPlatform:     bundle.Platform,
		fieldMethod:       string(bundle.Method),
		fieldAddress:      bundle.Address,
		fieldUsername:     bundle.Username,
		fieldOrganization: bundle.Organization,
		fieldAccess:       bundle.Token.Access.Reveal(),
		fieldRefresh:      bundle.Token.Refresh.Reveal(),
	}
	if !bundle.Token.ExpiresAt.IsZero() {
		fields[fieldExpiresAt] = bundle.Token.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if !bundle.IssuedAt.IsZero() {
		fields[fieldIssuedAt] = bundle.IssuedAt.UTC().Format(time.RFC3339)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return secret.Text{}, fmt.Errorf("writing the vault's JSON: %w", err)
	}
	return secret.New(string(data)), nil
}

// DecodeTokenBundle reads a value of the vault without comparing its owner: see [Ledger.Fetch]. Its
// errors quote nothing of the value.
func DecodeTokenBundle(value secret.Text) (TokenBundle, error) {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		// The error of json would quote the value.
		return TokenBundle{}, errors.New("the vault's value is not valid JSON")
	}
	bundle := TokenBundle{
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
		bundle.Token.ExpiresAt = at
	}
	if at, err := time.Parse(time.RFC3339, fields[fieldIssuedAt]); err == nil {
		bundle.IssuedAt = at
	}
	if account, named := fields[fieldAccount]; named {
		bundle.owner = TokenOwner{
			Binding: binding.Key{
				Account:  account,
				Region:   fields[fieldRegion],
				Instance: fields[fieldInstance],
				Platform: bundle.Platform,
			},
			Attempt: fields[fieldAttempt],
		}
	}
	return bundle, nil
}

// belongsTo reports whether a row may read the token. A row of a binding may read its own tokens,
// and those of an attempt for it: an attempt names no instance if its user chooses one at the
// confirm. The row of an attempt may read the token of that attempt only. A token without an owner
// tells nothing but its platform.
func (bundle TokenBundle) belongsTo(reader TokenOwner) bool {
	if bundle.owner == (TokenOwner{}) {
		return bundle.Platform == reader.Binding.Platform
	}
	owner := bundle.owner.Binding
	if owner.Instance == "" {
		owner.Region, owner.Instance = reader.Binding.Region, reader.Binding.Instance
	}
	return owner == reader.Binding && (reader.Attempt == "" || reader.Attempt == bundle.owner.Attempt)
}

// Credential returns the token in the form that a platform is asked with. The scopes are in the
// record only.
func (bundle TokenBundle) Credential() provider.Credential {
	return provider.Credential{
		Access:       bundle.Token.Access,
		Address:      bundle.Address,
		Username:     bundle.Username,
		Organization: bundle.Organization,
		ExpiresAt:    bundle.Token.ExpiresAt,
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
	bundle, err := DecodeTokenBundle(value)
	if err != nil {
		return TokenBundle{}, err
	}
	if !bundle.belongsTo(reader) {
		return TokenBundle{}, l.mismatch(ctx, reader.Binding, "secret", t.Secret,
			"owner", binding.Describe(bundle.owner.Binding))
	}
	if bundle.owner == (TokenOwner{}) {
		event.Metric(ctx, l.Log, l.Now(), map[string]string{"Platform": bundle.Platform},
			map[string]float64{"UnsealedTokens": 1})
	}
	return bundle, nil
}

// OwnerInVault returns the owner that the vault names for a token which no row names. For a token
// without an owner it has the platform only. It fails with [vault.ErrNotFound] if the vault does
// not have the token.
func (l *Ledger) OwnerInVault(ctx context.Context, t binding.Token) (TokenOwner, error) {
	value, err := l.Vault.Get(ctx, t.Secret, t.Generation)
	if err != nil {
		return TokenOwner{}, fmt.Errorf("reading the token: %w", err)
	}
	bundle, err := DecodeTokenBundle(value)
	if bundle.owner == (TokenOwner{}) {
		bundle.owner.Binding.Platform = bundle.Platform
	}
	return bundle.owner, err
}

// TokenOf returns what a record says of the first generation of a secret, issued now.
func TokenOf(name vault.SecretName, bundle TokenBundle, now time.Time) binding.Token {
	return binding.Token{
		Secret:      name,
		Generation:  1,
		Username:    bundle.Username,
		Scopes:      bundle.Token.Scopes,
		IssuedAt:    now,
		ExpiresAt:   bundle.Token.ExpiresAt,
		Refreshable: !bundle.Token.Refresh.Empty(),
	}
}

// Put stores one generation of a secret and names its owner in it. It fails with
// [problem.StorageUnavailable], which wraps the vault's error: [vault.ErrExists] if the generation
// is there.
func (l *Ledger) Put(
	ctx context.Context, owner TokenOwner, name vault.SecretName, generation int,
	bundle TokenBundle,
) error {
	value, err := bundle.Encode(owner)
	if err != nil {
		return err
	}
	if err := l.Vault.Put(ctx, name, generation, value); err != nil {
		return Unavailable("storing the token", err)
	}
	return nil
}
