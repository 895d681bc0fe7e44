package maintenance

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// LostSecretsRequest asks which bindings have no secret in the vault, after a restore.
type LostSecretsRequest struct {
	// Act has the bindings without a secret checked in the next minutes, which ends them if the
	// secret is still missing then. False only reports.
	Act bool
	// Cursor continues where another run has stopped.
	Cursor string
}

// LostSecretsResult is how far a run got.
type LostSecretsResult struct {
	Acted   bool     `json:"acted"`
	Read    int      `json:"read"`    // bindings whose secret was looked for
	Missing int      `json:"missing"` // bindings without a secret
	Failed  int      `json:"failed"`  // the vault or the table did not answer: run it again
	Names   []string `json:"names"`   // of the bindings without a secret
	Cursor  string   `json:"cursor"`  // where to continue, "" at the end
}

// LostSecrets looks for the secret of every bound record. It makes one call to the vault for each
// and stops before its time is over. It does not look for secrets without a record, because a vault
// can't list its secrets.
func (s *Service) LostSecrets(
	ctx context.Context, in LostSecretsRequest,
) (LostSecretsResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	until := s.ledger.Now().Add(RunTimeout / 2)
	out := LostSecretsResult{Acted: in.Act, Names: []string{}, Cursor: in.Cursor}
	for {
		page, err := s.ledger.Table.AllBindings(ctx, out.Cursor, ledger.PageSize)
		if errors.Is(err, table.ErrCursor) {
			return out, ledger.BadCursor()
		}
		if err != nil {
			return out, ledger.Unavailable("listing all bindings", err)
		}
		s.lookForSecrets(ctx, in.Act, page.Items, &out)
		out.Cursor = page.Cursor
		if out.Cursor == "" || s.ledger.Now().After(until) || ctx.Err() != nil {
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
			if missing {
				out.Names = append(out.Names, binding.Describe(rec.Key))
			}
			return nil
		})
	}
	_ = group.Wait()
}
