package maintenance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/table"
	"bindery/shared/vault"
)

const (
	// maxListed is how many secrets of the vault's list are compared with the rows at once.
	maxListed = 10_000
	// rowsPerPage is how many rows one call reads to find the owners of secrets. It is larger than
	// [ledger.PageSize], because every row is read for each part of the vault's list.
	rowsPerPage = 1000
	// maxOrphanSurplus is how many more secrets may be without a record than with one. With more,
	// the vault is likely to belong to another table, and nothing is deleted.
	maxOrphanSurplus = 10
)

// findOrphans adds the secrets without a record to the result, and deletes them if told to. at is
// the cursor of the vault's list.
func (s *Service) findOrphans(
	ctx context.Context, out LostSecretsResult, at string, began time.Time,
) (LostSecretsResult, error) {
	before := s.ledger.Now().Add(-ledger.OrphanGracePeriod)
	list, next, err := s.listVault(ctx, at, began.Add(workqueue.RunTimeout/2))
	if err != nil {
		return out, err
	}
	// After the vault's list: a row lists a secret before the vault has it. So no row that is written
	// meanwhile owns a secret of the list that no row owned before; and as a name never comes back,
	// none ever will. A young secret is left out all the same, because a clock may be wrong.
	owned, err := s.ownedSecrets(ctx)
	if err != nil {
		return out, err
	}
	var orphans []vault.SecretName
	withRecord := 0
	for name, created := range list {
		switch {
		case owned[name]:
			withRecord++
		case !created.IsZero() && created.Before(before):
			orphans = append(orphans, name)
		}
	}
	slices.Sort(orphans)
	out.Listed, out.Orphans = len(list), len(orphans)
	out.OrphanNames = append(out.OrphanNames, orphans[:min(len(orphans), MaxReported)]...)
	out.Refused = len(orphans) > withRecord+maxOrphanSurplus
	complete := true
	if out.Acted && !out.Refused {
		var failed int
		out.Deleted, failed, complete = s.deleteOrphans(ctx, orphans, began.Add(workqueue.RunTimeout))
		out.Failed += failed
	}
	switch {
	case complete && next == "":
		out.Cursor = ""
	case complete && out.Deleted == 0:
		out.Cursor = vaultCursor + next
	default: // deletions may have moved other secrets to pages that were read: see vault.Vault
		out.Cursor = vaultCursor + at
	}
	return out, nil
}

// listVault reads pages of the vault's list from a cursor on, and returns the secrets with the time
// of their creation, and the cursor of the next page.
func (s *Service) listVault(
	ctx context.Context, cursor string, until time.Time,
) (map[vault.SecretName]time.Time, string, error) {
	list := map[vault.SecretName]time.Time{}
	for {
		page, err := s.ledger.Vault.List(ctx, cursor)
		if errors.Is(err, vault.ErrCursor) {
			return nil, "", ledger.BadCursor()
		}
		if err != nil {
			return nil, "", ledger.Unavailable("listing the vault", err)
		}
		for _, secret := range page.Secrets {
			list[secret.Name] = secret.CreatedAt
		}
		cursor = page.Cursor
		if cursor == "" || len(list) >= maxListed || s.ledger.Now().After(until) {
			return list, cursor, nil
		}
	}
}

// ownedSecrets returns the secrets that a row names. It reads the authorizations first, because a
// confirm makes a binding own what an authorization owned, and never the other way. Only a
// subscription's row ever owns the secret of its webhook.
func (s *Service) ownedSecrets(ctx context.Context) (map[vault.SecretName]bool, error) {
	owned := map[vault.SecretName]bool{}
	err := eachRow(ctx, s.ledger.Table.AllAuthorizations, func(a binding.Authorization) {
		owned[a.Token.Secret] = true
	})
	if err != nil {
		return nil, ledger.Unavailable("listing all authorizations", err)
	}
	err = eachRow(ctx, s.ledger.Table.AllBindings, func(rec binding.Record) {
		owned[rec.Token.Secret] = true
		for _, o := range rec.Secrets {
			owned[o.Name] = true
		}
	})
	if err != nil {
		return nil, ledger.Unavailable("listing all bindings", err)
	}
	err = eachRow(ctx, s.ledger.Table.AllSubscriptions, func(sub binding.Subscription) {
		owned[sub.Secret] = true
	})
	if err != nil {
		return nil, ledger.Unavailable("listing all subscriptions", err)
	}
	return owned, nil
}

// eachRow reads a list to its end.
func eachRow[T any](
	ctx context.Context,
	list func(ctx context.Context, cursor string, limit int) (table.Page[T], error),
	do func(T),
) error {
	for cursor := ""; ; {
		page, err := list(ctx, cursor, rowsPerPage)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			do(row)
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// deleteOrphans ends secrets, several at once, and reports whether it came to all of them before
// its time was over.
func (s *Service) deleteOrphans(
	ctx context.Context, orphans []vault.SecretName, until time.Time,
) (deleted, failed int, complete bool) {
	var group errgroup.Group
	group.SetLimit(workqueue.MaxCallsPerHost)
	var mu sync.Mutex
	complete = true
	for _, name := range orphans {
		if complete = !s.ledger.Now().After(until) && ctx.Err() == nil; !complete {
			break
		}
		group.Go(func() error {
			there, err := s.deleteOrphan(ctx, name)
			if err != nil {
				s.ledger.Log.WarnContext(ctx, "a secret without a record was not deleted",
					"secret", name, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			deleted += one(there && err == nil)
			failed += one(err != nil)
			return nil
		})
	}
	_ = group.Wait()
	return deleted, failed, complete
}

// deleteOrphan revokes the newest token of a secret as the sweep does, deletes the secret, and
// reports whether it was still there. The secret of a webhook has no token to revoke. If revoking
// fails, or the value can't be read, the secret stays for another run.
func (s *Service) deleteOrphan(ctx context.Context, name vault.SecretName) (bool, error) {
	newest, err := s.ledger.Vault.Newest(ctx, name)
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	owner, err := s.ledger.OwnerInVault(ctx, binding.Token{Secret: name, Generation: newest})
	if err != nil {
		return true, err
	}
	left := binding.OwnedSecret{Name: name, Generation: newest}
	_, outcome, err := s.endSecret(ctx, owner, left, binding.Record{})
	if err != nil {
		return true, err
	}
	s.ledger.Log.InfoContext(ctx, "a secret without a record was deleted", "secret", name)
	s.auditSwept(ctx, owner.Binding, outcome)
	return true, nil
}
