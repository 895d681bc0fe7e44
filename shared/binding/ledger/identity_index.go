package ledger

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/provider"
)

// addIdentityEntry remembers that a binding is about to hold a token of an identity. It is written
// before the binding is saved: an entry too many is dropped by its next reader, one too few would
// let a token in use be revoked.
func (l *Ledger) AddIdentityEntry(ctx context.Context, key binding.Key, next binding.Record) error {
	err := l.Table.SaveIdentityEntry(ctx, binding.IdentityEntry{
		Of:      IdentityKey(key.Platform, next.Address, next.Identity.ID),
		Binding: key,
		At:      l.Now(),
	})
	if err != nil {
		return Unavailable("noting the identity", err)
	}
	return nil
}

func IdentityKey(platform, address, id string) binding.IdentityKey {
	return binding.IdentityKey{Platform: platform, Address: address, ID: id}
}

var (
	ErrInUse = errors.New("binding: a binding holds the token")
	ErrYoung = errors.New("binding: a binding may be about to hold the token")
)

// ensureUnused returns nil if no binding has the same token, errInUse if one has, and errYoung
// while that can't be told. When in doubt it returns an error: a token that may be in use is not
// revoked.
//
// The token's own binding points at another secret by now. It counts only if the same token was
// bound to it again.
func (l *Ledger) ensureUnused(
	ctx context.Context, own TokenOwner, of binding.IdentityKey, k TokenBundle,
) error {
	cursor := ""
	for {
		page, err := l.Table.ListIdentityEntries(ctx, of, cursor, PageSize)
		if err != nil {
			return Unavailable("listing an identity's bindings", err)
		}
		for _, h := range page.Items {
			if err := l.ensureUnusedBy(ctx, own, h, k); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// ensureUnusedBy asks one entry.
func (l *Ledger) ensureUnusedBy(
	ctx context.Context, own TokenOwner, h binding.IdentityEntry, k TokenBundle,
) error {
	if h.Binding != (binding.Key{}) {
		rec, err := l.Record(ctx, h.Binding)
		if err != nil {
			return err
		}
		if IsOf(rec, h) {
			other, err := l.Fetch(ctx, rec.Token)
			switch {
			case err != nil:
				return Unavailable("comparing tokens", err)
			case sameToken(other.Token, k.Token):
				return ErrInUse
			}
			return nil
		}
	}
	young, err := l.PruneEntry(ctx, h)
	mine := h.Binding == own.Binding
	if h.Authorization != "" {
		mine = own.Attempt
	}
	if err == nil && young && !mine {
		err = ErrYoung
	}
	return err
}

// isOf reports whether a record is bound to the identity that an entry names.
func IsOf(rec binding.Record, h binding.IdentityEntry) bool {
	return rec.Bound() && IdentityKey(h.Binding.Platform, rec.Address, rec.Identity.ID) == h.Of
}

const (
	// sweepInterval is the longest time between two scheduled runs of the sweep.
	sweepInterval = 15 * time.Minute
	// unconfirmedTokenTTL is how long after its issue the token of an attempt that is not confirmed
	// may be valid. The token may be issued right after the attempt starts; the attempt then takes
	// authorizationTTL to expire, its secret is due after the grace period, and the next run of the
	// sweep, which begins its last call within callDeadline, revokes the token.
	unconfirmedTokenTTL = binding.AuthorizationTTL + OrphanGracePeriod + sweepInterval + CallDeadline
)

// pruneEntry drops an entry that stands for nothing, and reports whether it is too young for
// that: its binding may yet be saved.
func (l *Ledger) PruneEntry(ctx context.Context, h binding.IdentityEntry) (bool, error) {
	lasts := OrphanGracePeriod
	if h.Authorization != "" {
		lasts = unconfirmedTokenTTL
	}
	if l.Now().Sub(h.At) < lasts {
		return true, nil
	}
	if err := l.Table.DeleteIdentityEntry(ctx, h); err != nil {
		return true, Unavailable("dropping an old entry", err)
	}
	return false, nil
}

func sameToken(a, b provider.Token) bool { return a.Access.Equal(b.Access) }
