package binding

import (
	"context"
	"errors"
	"time"

	"bindery/shared/provider"
	"bindery/shared/table"
)

const pageSize = 100

// addIdentityEntry remembers that a binding is about to hold a token of an identity. It is written
// before the binding is saved: an entry too many is dropped by its next reader, one too few would
// let a token in use be revoked.
func (s *Service) addIdentityEntry(ctx context.Context, key table.Key, next table.Binding) error {
	err := s.table.SaveIdentityEntry(ctx, table.IdentityEntry{
		Of:      identityKey(key.Platform, next.Address, next.Identity.ID),
		Binding: key,
		At:      s.now(),
	})
	if err != nil {
		return unavailable("noting the identity", err)
	}
	return nil
}

func identityKey(platform, address, id string) table.IdentityKey {
	return table.IdentityKey{Platform: platform, Address: address, ID: id}
}

var (
	errInUse = errors.New("binding: a binding holds the token")
	errYoung = errors.New("binding: a binding may be about to hold the token")
)

// ensureUnused returns nil if no binding has the same token, errInUse if one has, and errYoung
// while that can't be told. When in doubt it returns an error: a token that may be in use is not
// revoked.
//
// The token's own binding points at another secret by now. It counts only if the same token was
// bound to it again.
func (s *Service) ensureUnused(
	ctx context.Context, own tokenOwner, of table.IdentityKey, k tokenBundle,
) error {
	cursor := ""
	for {
		page, err := s.table.ListIdentityEntries(ctx, of, cursor, pageSize)
		if err != nil {
			return unavailable("listing an identity's bindings", err)
		}
		for _, h := range page.Items {
			if err := s.ensureUnusedBy(ctx, own, h, k); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// ensureUnusedBy asks one entry.
func (s *Service) ensureUnusedBy(
	ctx context.Context, own tokenOwner, h table.IdentityEntry, k tokenBundle,
) error {
	if h.Binding != (table.Key{}) {
		rec, err := s.record(ctx, h.Binding)
		if err != nil {
			return err
		}
		if isOf(rec, h) {
			other, err := s.fetch(ctx, rec.Token)
			switch {
			case err != nil:
				return unavailable("comparing tokens", err)
			case sameToken(other.Token, k.Token):
				return errInUse
			}
			return nil
		}
	}
	young, err := s.pruneEntry(ctx, h)
	mine := h.Binding == own.binding
	if h.Authorization != "" {
		mine = own.attempt
	}
	if err == nil && young && !mine {
		err = errYoung
	}
	return err
}

// isOf reports whether a record is bound to the identity that an entry names.
func isOf(rec table.Binding, h table.IdentityEntry) bool {
	return rec.Bound() && identityKey(h.Binding.Platform, rec.Address, rec.Identity.ID) == h.Of
}

const (
	// sweepInterval is the longest time between two scheduled runs of the sweep.
	sweepInterval = 15 * time.Minute
	// unconfirmedTokenTTL is how long after its issue the token of an attempt that is not confirmed
	// may be valid. The token may be issued right after the attempt starts; the attempt then takes
	// authorizationTTL to expire, its secret is due after the grace period, and the next run of the
	// sweep, which begins its last call within callDeadline, revokes the token.
	unconfirmedTokenTTL = authorizationTTL + orphanGracePeriod + sweepInterval + callDeadline
)

// pruneEntry drops an entry that stands for nothing, and reports whether it is too young for
// that: its binding may yet be saved.
func (s *Service) pruneEntry(ctx context.Context, h table.IdentityEntry) (bool, error) {
	lasts := orphanGracePeriod
	if h.Authorization != "" {
		lasts = unconfirmedTokenTTL
	}
	if s.now().Sub(h.At) < lasts {
		return true, nil
	}
	if err := s.table.DeleteIdentityEntry(ctx, h); err != nil {
		return true, unavailable("dropping an old entry", err)
	}
	return false, nil
}

func sameToken(a, b provider.Token) bool { return a.Access.Equal(b.Access) }
