package ledger

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/provider"
	"bindery/shared/vault"
)

// AddIdentityEntry writes an entry for a binding that is about to have a token of an identity. It
// is written before the binding is saved: an entry too many is deleted by its next reader, and a
// missing one would let a token in use be revoked.
func (l *Ledger) AddIdentityEntry(ctx context.Context, key binding.Key, next binding.Record) error {
	err := l.Table.SaveIdentityEntry(ctx, binding.IdentityEntry{
		Of:      IdentityKey(key.Platform, next.Address, next.Identity.ID),
		Binding: key,
		At:      l.Now(),
	})
	if err != nil {
		return Unavailable("adding to the identity index", err)
	}
	return nil
}

// IdentityKey returns the key of an identity in the identity index. address is the server of the
// platform, "" for a platform that has only one.
func IdentityKey(platform, address, id string) binding.IdentityKey {
	return binding.IdentityKey{Platform: platform, Address: address, ID: id}
}

// The errors of a token that is not revoked.
var (
	// ErrInUse says that a binding has the same token.
	ErrInUse = errors.New("ledger: a binding has the token")
	// ErrYoung says that a binding may be about to have the same token. That is known after 15
	// minutes, or for an attempt's token when the sweep has ended it. It also says that the vault
	// has no token for a binding, which is known when a check has ended that binding: within a day.
	ErrYoung = errors.New("ledger: a binding may be about to have the token")
)

// ensureUnused returns nil if no binding has the same token, ErrInUse if one has, and ErrYoung
// while that is not known yet. When in doubt it returns an error: a token that may be in use is not
// revoked.
//
// The token's own binding points at another secret by now. It counts only if the same token was
// bound to it again.
func (l *Ledger) ensureUnused(
	ctx context.Context, own TokenOwner, of binding.IdentityKey, bundle TokenBundle,
) error {
	cursor := ""
	for {
		page, err := l.Table.ListIdentityEntries(ctx, of, cursor, PageSize)
		if err != nil {
			return Unavailable("listing an identity's bindings", err)
		}
		for _, e := range page.Items {
			if err := l.ensureUnusedBy(ctx, own, e, bundle); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// ensureUnusedBy does what ensureUnused does, for one entry of the index.
func (l *Ledger) ensureUnusedBy(
	ctx context.Context, own TokenOwner, e binding.IdentityEntry, bundle TokenBundle,
) error {
	if e.Binding != (binding.Key{}) {
		rec, err := l.Record(ctx, e.Binding)
		if err != nil {
			return err
		}
		if IsOf(rec, e) {
			other, err := l.Fetch(ctx, TokenOwner{Binding: rec.Key}, rec.Token)
			switch {
			case errors.Is(err, vault.ErrNotFound) && rec.Health == binding.HealthRevoked:
				return nil // its token is lost
			case errors.Is(err, vault.ErrNotFound):
				return ErrYoung // until a check has confirmed that
			case err != nil:
				return Unavailable("comparing tokens", err)
			case sameToken(other.Token, bundle.Token):
				return ErrInUse
			}
			return nil
		}
	}
	young, err := l.PruneEntry(ctx, e)
	mine := e.Binding == own.Binding
	if e.Authorization != "" {
		mine = own.Attempt != ""
	}
	if err == nil && young && !mine {
		err = ErrYoung
	}
	return err
}

// IsOf reports whether a record is bound to the identity that an entry names.
func IsOf(rec binding.Record, e binding.IdentityEntry) bool {
	return rec.Bound() && IdentityKey(e.Binding.Platform, rec.Address, rec.Identity.ID) == e.Of
}

const (
	// runInterval is the longest time between two runs of the schedule.
	runInterval = 15 * time.Minute
	// unconfirmedTokenTTL is how long after its issue the token of an attempt that is not confirmed
	// may be valid. The token may be issued right after the attempt starts; the attempt then takes
	// AuthorizationTTL to expire, its secret is due after the grace period, and the next run, which
	// begins its last call within CallDeadline, revokes the token.
	unconfirmedTokenTTL = binding.AuthorizationTTL + OrphanGracePeriod + runInterval + CallDeadline
)

// PruneEntry deletes an entry whose binding does not have the identity, or whose attempt was not
// confirmed. It reports whether the entry is too young for that: its binding may yet be saved, or
// the attempt's token may be valid.
func (l *Ledger) PruneEntry(ctx context.Context, e binding.IdentityEntry) (bool, error) {
	ttl := OrphanGracePeriod
	if e.Authorization != "" {
		ttl = unconfirmedTokenTTL
	}
	if l.Now().Sub(e.At) < ttl {
		return true, nil
	}
	if err := l.Table.DeleteIdentityEntry(ctx, e); err != nil {
		return true, Unavailable("deleting an old entry", err)
	}
	return false, nil
}

func sameToken(a, b provider.Token) bool { return a.Access.Equal(b.Access) }
