package ledger

import (
	"context"
	"errors"
	"fmt"

	"bindery/shared/binding"
	"bindery/shared/provider"
)

// RevokeReplaced revokes the token of a binding that now has another one, and reports whether the
// platform no longer accepts it. If the same token was bound again, it stays valid.
func (l *Ledger) RevokeReplaced(ctx context.Context, old binding.Record, now TokenBundle) bool {
	bundle, err := l.Fetch(ctx, TokenOwner{Binding: old.Key}, old.Token)
	if err == nil && sameToken(bundle.Token, now.Token) {
		return false
	}
	return l.RevokeOld(ctx, TokenOwner{Binding: old.Key}, old, bundle, err)
}

// RevokeOld revokes a token that no record points at any more, unless another binding has it, and
// reports whether the platform no longer accepts it. old is a record that pointed at the token, and
// err the error of reading the token. A failure is logged: the sweep revokes an
// OAuth token later, and the user has a link for a personal access token.
func (l *Ledger) RevokeOld(
	ctx context.Context, own TokenOwner, old binding.Record, bundle TokenBundle, err error,
) bool {
	if err == nil {
		of := IdentityKey(old.Platform, old.Address, old.Identity.ID)
		err = l.RevokeUnused(ctx, own, of, bundle)
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, ErrInUse) && !errors.Is(err, ErrYoung) &&
		!errors.Is(err, provider.ErrNoRevoke) {
		l.Log.WarnContext(ctx, "a token was not revoked", "platform", old.Platform, "error", err)
	}
	return false
}

// RevokeUnused revokes one token. It fails with [ErrInUse] if a binding has the token, [ErrYoung]
// while that is not known yet, and [provider.ErrNoRevoke] if the platform can't revoke.
func (l *Ledger) RevokeUnused(
	ctx context.Context, own TokenOwner, of binding.IdentityKey, bundle TokenBundle,
) error {
	platform, ok := l.Platforms.Get(bundle.Platform)
	if !ok {
		return fmt.Errorf("revoking: no platform %q", bundle.Platform)
	}
	if !platform.Describe().Revocable {
		return provider.ErrNoRevoke
	}
	if err := l.ensureUnused(ctx, own, of, bundle); err != nil {
		return err
	}
	return l.Revoke(ctx, platform, bundle)
}

// Revoke revokes a token at its platform without a look at the identity index. It fails with
// [provider.ErrNoRevoke] if the platform can't revoke. It takes at most 5 seconds.
func (l *Ledger) Revoke(ctx context.Context, platform provider.Platform, bundle TokenBundle) error {
	if _, err := l.EnforceDeadline(ctx, "Revoke"); err != nil {
		return err
	}
	var app provider.App
	if bundle.Method == provider.ByOAuth {
		var err error
		if app, err = l.App(ctx, bundle.Platform); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	return platform.Revoke(ctx, app, bundle.Credential())
}
