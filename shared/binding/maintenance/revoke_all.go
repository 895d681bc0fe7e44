package maintenance

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// RevokeAllRequest asks to revoke every token of a platform, or of an account there, after a leak.
type RevokeAllRequest struct {
	Platform string
	Account  string // "" for every account
	// Act says that the tokens are revoked. False only counts them.
	Act bool
	// Cursor continues where another run has stopped.
	Cursor string
}

// RevokeAllResult counts what a run has done, and says where the next continues.
type RevokeAllResult struct {
	Acted     bool   `json:"acted"`     // false: it only counted
	Matching  int    `json:"matching"`  // bindings that were not revoked this way before
	Revoked   int    `json:"revoked"`   // revoked at the platform, and marked here
	Withdrawn int    `json:"withdrawn"` // only marked here: the platform has no way to revoke
	Lost      int    `json:"lost"`      // only marked here: the vault has no token of theirs
	Failed    int    `json:"failed"`    // left as they were: run it again
	Cursor    string `json:"cursor"`    // where to continue, "" at the end
}

// add adds the counts of a part of the run.
func (r *RevokeAllResult) add(part RevokeAllResult) {
	r.Matching += part.Matching
	r.Revoked += part.Revoked
	r.Withdrawn += part.Withdrawn
	r.Lost += part.Lost
	r.Failed += part.Failed
}

// RevokeAll revokes the tokens at the platform and marks their bindings, so that no token is
// handed out any more and the users see why. It reads the whole table and stops after 45 seconds;
// the cursor says where the next run continues. It can be run again: it skips the bindings that
// are marked.
func (s *Service) RevokeAll(ctx context.Context, in RevokeAllRequest) (RevokeAllResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	if _, ok := s.ledger.Platforms.Get(in.Platform); !ok {
		return RevokeAllResult{}, problem.New(problem.PlatformUnknown)
	}
	until := s.ledger.Now().Add(workqueue.RunTimeout / 2)
	out := RevokeAllResult{Acted: in.Act, Cursor: in.Cursor}
	for {
		page, err := s.ledger.Table.AllBindings(ctx, out.Cursor, ledger.PageSize)
		if errors.Is(err, table.ErrCursor) {
			return out, ledger.BadCursor()
		}
		if err != nil {
			return out, ledger.Unavailable("listing all bindings", err)
		}
		part, complete := s.revokePage(ctx, in, page.Items, until)
		out.add(part)
		if !complete {
			return out, nil // the next run begins with this page
		}
		out.Cursor = page.Cursor
		s.ledger.Log.InfoContext(ctx, "revoking all", "platform", in.Platform, "account", in.Account,
			"act", in.Act, "matching", out.Matching, "revoked", out.Revoked,
			"withdrawn", out.Withdrawn, "lost", out.Lost, "failed", out.Failed)
		if out.Cursor == "" || s.ledger.Now().After(until) || ctx.Err() != nil {
			return out, nil
		}
	}
}

// revokePage revokes the bindings of one page, several at once, and reports whether it has finished
// the page before its time was over.
func (s *Service) revokePage(
	ctx context.Context, in RevokeAllRequest, page []binding.Record, until time.Time,
) (out RevokeAllResult, complete bool) {
	var group errgroup.Group
	group.SetLimit(workqueue.MaxCallsPerHost)
	var mu sync.Mutex
	count := func(part RevokeAllResult) {
		mu.Lock()
		defer mu.Unlock()
		out.add(part)
	}
	complete = true
	for _, rec := range page {
		account := in.Account == "" || in.Account == rec.Account
		if !account || rec.Platform != in.Platform || !rec.Bound() || binding.IsRevokedByOperator(rec) {
			continue
		}
		if !in.Act {
			count(RevokeAllResult{Matching: 1})
			continue
		}
		if complete = !s.ledger.Now().After(until) && ctx.Err() == nil; !complete {
			break
		}
		group.Go(func() error { count(s.revokeByOperator(ctx, rec)); return nil })
	}
	_ = group.Wait()
	return out, complete
}

// revokeByOperator revokes one binding's token at the platform and then marks the binding. If a
// refresh has stored the next token in the meantime, it revokes that one too.
func (s *Service) revokeByOperator(ctx context.Context, rec binding.Record) RevokeAllResult {
	var out RevokeAllResult
	_, err := s.subscriptions.EndAll(ctx, rec)
	if err != nil {
		// The token is revoked nevertheless: the run ends the subscriptions without it.
		s.ledger.Log.ErrorContext(ctx, "the subscriptions were not ended",
			"binding", binding.Describe(rec.Key), "error", err)
	}
	for range ledger.MaxTries {
		revoked := rec.Token
		err = s.revokeToken(ctx, rec)
		if out = countRevocation(err); out.Failed > 0 {
			break
		}
		rec, err = s.markRevokedByOperator(ctx, rec)
		if err != nil || binding.IsRevokedByOperator(rec) || rec.Token.Secret != revoked.Secret {
			break // the last: bound again in the meantime
		}
		err = table.ErrConflict
	}
	if err != nil {
		s.ledger.Log.ErrorContext(ctx, "a token was not revoked",
			"binding", binding.Describe(rec.Key), "error", err)
		return countRevocation(err)
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action: "revoke all", Target: rec.Key, Outcome: event.Done,
		Previous: rec.Identity, Revoked: out.Revoked > 0,
	})
	return out
}

// countRevocation counts one binding by how the revocation of its token has ended.
func countRevocation(err error) RevokeAllResult {
	out := RevokeAllResult{Matching: 1}
	switch {
	case err == nil:
		out.Revoked = 1
	case errors.Is(err, provider.ErrNoRevoke):
		out.Withdrawn = 1
	case errors.Is(err, vault.ErrNotFound):
		out.Lost = 1
	default:
		out.Failed = 1
	}
	return out
}

// markRevokedByOperator marks a binding as revoked by the operator, if it still has the token that
// was revoked, and returns the row as it is then.
func (s *Service) markRevokedByOperator(
	ctx context.Context, rec binding.Record,
) (binding.Record, error) {
	why := problem.New(problem.TokenRevoked).Because(binding.RevokedByOperator).
		With("platform", s.ledger.Title(rec.Platform))
	return s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, rec.Token) || binding.IsRevokedByOperator(*b) {
			return false // the last: an earlier save worked and its reply was lost
		}
		b.Health, b.Problem = binding.HealthRevoked, why
		b.CheckAt, b.RecheckAt = s.ledger.Now().Add(ledger.CheckInterval), time.Time{}
		if b.Token.Refreshable {
			// A refresh may still store the next token.
			b.RecheckAt = s.ledger.Now().Add(ledger.OrphanGracePeriod)
		}
		b.Lease, b.Backoff = binding.Lease{}, binding.Backoff{}
		s.ledger.AddEvent(b, binding.Event{
			Type: binding.EventRevoked, Identity: b.Identity, Problem: why,
		})
		return true
	})
}

// revokeLate revokes the generation that a refresh has stored after the operator had revoked the
// binding. It was never handed out.
func (s *Service) revokeLate(ctx context.Context, rec binding.Record) error {
	rec.Token.Generation++
	err := s.revokeToken(ctx, rec)
	if errors.Is(err, vault.ErrNotFound) || errors.Is(err, provider.ErrNoRevoke) {
		return nil
	}
	return err
}

// revokeToken revokes the token that a record points at. [provider.ErrNoRevoke].
func (s *Service) revokeToken(ctx context.Context, rec binding.Record) error {
	bundle, err := s.ledger.Fetch(ctx, ledger.TokenOwner{Binding: rec.Key}, rec.Token)
	if err != nil {
		return err
	}
	platform, ok := s.ledger.Platforms.Get(rec.Platform)
	if !ok {
		return problem.New(problem.PlatformUnknown)
	}
	return s.ledger.Revoke(ctx, platform, bundle)
}
