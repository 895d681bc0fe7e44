package maintenance

import (
	"context"
	"errors"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// LostSecretsRequest asks which bindings have no secret in the vault, and which secrets have no
// record, after a restore.
type LostSecretsRequest struct {
	// Act has the bindings without a secret checked in the next minutes, which ends them if the
	// secret is still missing then, and deletes the secrets without a record. False only reports.
	Act bool
	// Cursor continues where another run has stopped.
	Cursor string
}

// LostSecretsResult counts what a run has found and done, and says where the next continues.
type LostSecretsResult struct {
	Acted   bool     `json:"acted"`
	Read    int      `json:"read"`    // bindings whose secret was looked for
	Missing int      `json:"missing"` // bindings without a secret
	Names   []string `json:"names"`   // of the bindings without a secret, at most [MaxReported]

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

// vaultCursor begins the cursors of a run that reads the vault's list. No cursor of the table's
// list has a colon.
const vaultCursor = "vault:"

// LostSecrets looks for the secret of every bound record, with one call to the vault for each, and
// then for the record of every secret. It begins to read for half of [RunTimeout] and to delete
// for all of it, and the cursor says where the next run continues. It can be run again.
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
		page, err := s.ledger.Table.AllBindings(ctx, out.Cursor, ledger.PageSize)
		if errors.Is(err, table.ErrCursor) {
			return out, ledger.BadCursor()
		}
		if err != nil {
			return out, ledger.Unavailable("listing all bindings", err)
		}
		s.lookForSecrets(ctx, in.Act, page.Items, &out)
		if out.Cursor = page.Cursor; out.Cursor == "" {
			out.Cursor = vaultCursor
		}
		if s.ledger.Now().Sub(began) > RunTimeout/2 || ctx.Err() != nil {
			return out, nil
		}
	}
}

// lookForSecrets adds the bindings of one page to the result, several at once.
func (s *Service) lookForSecrets(
	ctx context.Context, act bool, page []binding.Record, out *LostSecretsResult,
) {
	var group errgroup.Group
	group.SetLimit(MaxConcurrentEntries)
	var mu sync.Mutex
	for _, rec := range page {
		if !rec.Bound() {
			continue
		}
		group.Go(func() error {
			_, err := s.ledger.Vault.Get(ctx, rec.Token.Secret, rec.Token.Generation)
			missing := errors.Is(err, vault.ErrNotFound)
			failed := err != nil && !missing
			if missing && act {
				failed = s.credentials.NoteLost(ctx, rec, err) != nil
			}
			mu.Lock()
			defer mu.Unlock()
			out.Read++
			out.Failed += one(failed)
			out.Missing += one(missing)
			if missing && len(out.Names) < MaxReported {
				out.Names = append(out.Names, binding.Describe(rec.Key))
			}
			return nil
		})
	}
	_ = group.Wait()
}
