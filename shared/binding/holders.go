package binding

import (
	"context"

	"bindery/shared/provider"
	"bindery/shared/table"
)

const pageSize = 100

// claimIdentity remembers that a binding is about to hold a token of an identity. It is written
// before the binding is saved: an entry too many is dropped by its next reader, one too few would
// let a token in use be revoked.
func (s *Service) claimIdentity(ctx context.Context, key table.Key, next table.Binding) error {
	err := s.table.SaveHolder(ctx, table.Holder{
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

// heldElsewhere says whether a binding other than one's own holds the very same token. When in
// doubt, it does: a token that cannot be ruled out is not revoked.
func (s *Service) heldElsewhere(
	ctx context.Context, own table.Key, of table.IdentityKey, k kept,
) (bool, error) {
	cursor := ""
	for {
		page, err := s.table.ListHolders(ctx, of, cursor, pageSize)
		if err != nil {
			return true, unavailable("listing an identity's bindings", err)
		}
		for _, h := range page.Items {
			if h.Binding == own {
				continue
			}
			if held, err := s.holds(ctx, h, k); held || err != nil {
				return true, err
			}
		}
		if cursor = page.Cursor; cursor == "" {
			return false, nil
		}
	}
}

// holds says whether an entry stands for the same token. An entry that stands for nothing is
// dropped, unless it is so young that its binding may yet be saved.
func (s *Service) holds(ctx context.Context, h table.Holder, k kept) (bool, error) {
	if h.Binding != (table.Key{}) {
		rec, err := s.record(ctx, h.Binding)
		if err != nil {
			return true, err
		}
		if rec.Bound() && identityKey(h.Binding.Platform, rec.Address, rec.Identity.ID) == h.Of {
			other, err := s.fetch(ctx, rec.Token)
			if err != nil {
				return true, unavailable("comparing tokens", err)
			}
			return sameToken(other.Token, k.Token), nil
		}
	}
	if s.now().Sub(h.At) < settle {
		return true, nil
	}
	if err := s.table.DeleteHolder(ctx, h); err != nil {
		return true, unavailable("dropping an old entry", err)
	}
	return false, nil
}

func sameToken(a, b provider.Token) bool { return a.Access.Equal(b.Access) }
