package binding

import (
	"context"
	"errors"
	"fmt"

	"bindery/shared/provider"
	"bindery/shared/table"
)

// tokenOwner is what had a token that is to be revoked. It does not keep the token from being
// revoked, unlike another that may have the same token.
type tokenOwner struct {
	binding table.Key // zero: none
	// attempt says that the token was issued to an attempt and that no binding has used it. Each
	// consent issues a token of its own, so such a token does not wait for other attempts.
	attempt bool
}

// revokeReplaced revokes the token of a binding that now has another one, and reports whether the
// platform no longer accepts it. If the same token was bound again, it stays valid.
func (s *Service) revokeReplaced(ctx context.Context, old table.Binding, now tokenBundle) bool {
	k, err := s.fetch(ctx, old.Token)
	if err == nil && sameToken(k.Token, now.Token) {
		return false
	}
	return s.revokeOld(ctx, tokenOwner{binding: old.Key}, old, k, err)
}

// revokeOld revokes a token that no record points at any more, unless another binding has it, and
// reports whether the platform no longer accepts it. A failure is logged: the sweep revokes an OAuth
// token later, and the user has a link for a personal access token.
func (s *Service) revokeOld(
	ctx context.Context, own tokenOwner, old table.Binding, k tokenBundle, err error,
) bool {
	if err == nil {
		of := identityKey(old.Platform, old.Address, old.Identity.ID)
		err = s.revokeUnlessHeld(ctx, own, of, k)
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, errInUse) && !errors.Is(err, errYoung) &&
		!errors.Is(err, provider.ErrNoRevoke) {
		s.log.WarnContext(ctx, "a token was not revoked", "platform", old.Platform, "error", err)
	}
	return false
}

// revokeUnlessHeld revokes one token. errInUse if a binding has it, errYoung while that can't be
// told, and [provider.ErrNoRevoke] if the platform can't revoke.
func (s *Service) revokeUnlessHeld(
	ctx context.Context, own tokenOwner, of table.IdentityKey, k tokenBundle,
) error {
	platform, ok := s.platforms.Get(k.Platform)
	if !ok {
		return fmt.Errorf("revoking: no platform %q", k.Platform)
	}
	if !platform.Describe().Revocable {
		return provider.ErrNoRevoke
	}
	if err := s.ensureUnused(ctx, own, of, k); err != nil {
		return err
	}
	return s.revoke(ctx, platform, k)
}

func (s *Service) revoke(ctx context.Context, platform provider.Platform, k tokenBundle) error {
	if _, err := s.enforceDeadline(ctx, "Revoke"); err != nil {
		return err
	}
	var app provider.App
	if k.Method == provider.ByOAuth {
		var err error
		if app, err = s.app(ctx, k.Platform); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	return platform.Revoke(ctx, app, k.held())
}
