package maintenance

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// LostSecretsRequest asks which bindings and subscriptions have no secret in the vault, and which
// secrets have no record, after a restore.
type LostSecretsRequest struct {
	// Act has the bindings without a secret checked in the next minutes, which ends them if the
	// secret is still missing then, has the subscriptions without one synced, and deletes the secrets
	// without a record. False only reports.
	Act bool
	// Cursor continues where another run has stopped.
	Cursor string
}

// LostSecretsResult counts what a run has found and done, and says where the next continues.
type LostSecretsResult struct {
	Acted   bool     `json:"acted"`
	Read    int      `json:"read"`    // bindings and subscriptions whose secret was looked for
	Missing int      `json:"missing"` // those without a secret
	Names   []string `json:"names"`   // of those without a secret, at most [MaxReported]

	Listed      int                `json:"listed"`      // secrets in the vault's list
	Orphans     int                `json:"orphans"`     // secrets without a record
	OrphanNames []vault.SecretName `json:"orphanNames"` // at most [MaxReported]
	Deleted     int                `json:"deleted"`     // secrets without a record that were deleted
	// Refused says that so many secrets have no record that none is deleted.
	Refused bool `json:"refused"`

	Failed int    `json:"failed"` // vault, table or platform did not answer: run it again
	Cursor string `json:"cursor"` // where to continue, "" at the end
}

// MaxReported is the most names of one sort in a result.
const MaxReported = 1000

// What the cursors of a run begin with that has read all bindings, and one that reads the vault's
// list. No cursor of the table's lists has a colon.
const (
	subscriptionsCursor = "subscriptions:"
	vaultCursor         = "vault:"
)

// LostSecrets looks for the secret of every bound record and every active subscription, with one
// call to the vault for each, and then for the record of every secret. It begins to read for half
// of [workqueue.RunTimeout] and to delete for all of it, and the cursor says where the next run
// continues. It can be run again.
func (s *Service) LostSecrets(
	ctx context.Context, in LostSecretsRequest,
) (LostSecretsResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	began := s.ledger.Now()
	out := LostSecretsResult{
		Acted: in.Act, Names: []string{}, OrphanNames: []vault.SecretName{}, Cursor: in.Cursor,
	}
	for {
		if at, ok := strings.CutPrefix(out.Cursor, vaultCursor); ok {
			return s.findOrphans(ctx, out, at, began)
		}
		looks, next, err := s.forEachSecret(ctx, out.Cursor,
			func(rec binding.Record) secretLook { return s.lookForToken(ctx, in.Act, rec) },
			func(sub binding.Subscription) secretLook { return s.lookForWebhookSecret(ctx, in.Act, sub) })
		if errors.Is(err, table.ErrCursor) {
			return out, ledger.BadCursor()
		}
		if err != nil {
			return out, err
		}
		out.count(looks)
		out.Cursor = cmp.Or(next, vaultCursor)
		if s.ledger.Now().Sub(began) > workqueue.RunTimeout/2 || ctx.Err() != nil {
			return out, nil
		}
	}
}

// secretLook is what a look for the secret of a record has found.
type secretLook struct {
	name                   string // of the record
	missing, moved, failed bool
}

func (out *LostSecretsResult) count(looks []secretLook) {
	for _, look := range looks {
		out.Read++
		out.Failed += one(look.failed)
		out.Missing += one(look.missing)
		if look.missing && len(out.Names) < MaxReported {
			out.Names = append(out.Names, look.name)
		}
	}
}

// forEachSecret calls one of two functions for the secret of each binding or, with a cursor of
// theirs, active subscription of a page. It returns the cursor to continue with, "" at the end.
func (s *Service) forEachSecret(
	ctx context.Context, cursor string,
	token func(binding.Record) secretLook, webhook func(binding.Subscription) secretLook,
) (looks []secretLook, next string, err error) {
	if at, ok := strings.CutPrefix(cursor, subscriptionsCursor); ok {
		page, err := s.ledger.Table.AllSubscriptions(ctx, at, ledger.PageSize)
		if err != nil {
			return nil, "", ledger.Unavailable("listing all subscriptions", err)
		}
		if page.Cursor != "" {
			next = subscriptionsCursor + page.Cursor
		}
		// The secret of another stage need not be there yet, or any more.
		active := slices.DeleteFunc(page.Items, func(sub binding.Subscription) bool {
			return sub.Stage != binding.SubscriptionActive
		})
		return lookForEach(active, webhook), next, nil
	}
	page, err := s.ledger.Table.AllBindings(ctx, cursor, ledger.PageSize)
	if err != nil {
		return nil, "", ledger.Unavailable("listing all bindings", err)
	}
	bound := slices.DeleteFunc(page.Items, func(rec binding.Record) bool { return !rec.Bound() })
	return lookForEach(bound, token), cmp.Or(page.Cursor, subscriptionsCursor), nil
}

// lookForEach calls look for several records at once.
func lookForEach[T any](records []T, look func(T) secretLook) []secretLook {
	var group errgroup.Group
	group.SetLimit(workqueue.MaxConcurrentEntries)
	looks := make([]secretLook, len(records))
	for i, record := range records {
		group.Go(func() error {
			looks[i] = look(record)
			return nil
		})
	}
	_ = group.Wait()
	return looks
}

func (s *Service) lookForToken(ctx context.Context, act bool, rec binding.Record) secretLook {
	look := secretLook{name: binding.Describe(rec.Key)}
	_, err := s.ledger.Vault.Get(ctx, rec.Token.Secret, rec.Token.Generation)
	look.missing = errors.Is(err, vault.ErrNotFound)
	look.failed = err != nil && !look.missing
	if look.missing && act {
		look.failed = s.credentials.NoteLost(ctx, rec, err) != nil
	}
	return look
}

// lookForWebhookSecret looks for the secret of a subscription. A sync replaces a missing one.
func (s *Service) lookForWebhookSecret(
	ctx context.Context, act bool, sub binding.Subscription,
) secretLook {
	look := secretLook{
		name: binding.Describe(sub.Binding) + "/" + strconv.Quote(sub.Repository.Name),
	}
	_, err := s.ledger.Vault.Get(ctx, sub.Secret, 1)
	look.missing = errors.Is(err, vault.ErrNotFound)
	look.failed = err != nil && !look.missing
	if look.missing && act {
		sub.SyncAt = s.ledger.Now()
		sub.DueAt = sub.SyncAt
		_, err := s.ledger.Table.SaveSubscription(ctx, sub)
		look.failed = err != nil
	}
	return look
}
