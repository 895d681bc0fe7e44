package binding

import (
	"context"
	"errors"
	"fmt"

	"bindery/shared/provider"
	"bindery/shared/table"
)

// revokeReplaced revokes the token of a binding that now has another one, and reports whether it is
// dead. The very same token bound again stays alive.
func (s *Service) revokeReplaced(ctx context.Context, old table.Binding, now tokenBundle) bool {
	k, err := s.fetch(ctx, old.Token)
	if err == nil && sameToken(k.Token, now.Token) {
		return false
	}
	return s.revokeOld(ctx, old, k, err)
}

// revokeOld revokes a token that a record no longer points at, unless another binding holds it.
// A failure is logged: for an OAuth token the sweep makes it good, for a personal access token
// the user has a link.
func (s *Service) revokeOld(ctx context.Context, old table.Binding, k tokenBundle, err error) bool {
	if err == nil {
		of := identityKey(old.Platform, old.Address, old.Identity.ID)
		err = s.revokeUnlessHeld(ctx, old.Key, of, k)
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

// revokeUnlessHeld revokes one token. errInUse if a binding holds it, errYoung while that can't be
// told, and [provider.ErrNoRevoke] if the platform has no way.
func (s *Service) revokeUnlessHeld(
	ctx context.Context, own table.Key, of table.IdentityKey, k tokenBundle,
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
