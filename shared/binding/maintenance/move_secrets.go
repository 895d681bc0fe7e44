package maintenance

import (
	"context"
	"errors"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// MoveSecretsRequest asks to store the secrets in use as new ones are stored: in another vault, or
// under another key.
type MoveSecretsRequest struct {
	// Act moves them. False counts the secrets that are stored in another way, with one call to the
	// vault for a hundred.
	Act bool
	// Cursor continues where another run has stopped.
	Cursor string
}

// MoveSecretsResult counts what a run has found and done, and says where the next continues.
type MoveSecretsResult struct {
	Acted   bool   `json:"acted"`
	Unmoved int    `json:"unmoved"` // counted without Act
	Read    int    `json:"read"`    // bindings and subscriptions whose secret was looked at
	Moved   int    `json:"moved"`   // secrets that were moved
	Failed  int    `json:"failed"`  // not moved: run it again
	Cursor  string `json:"cursor"`  // where to continue, "" at the end
}

// MoveSecrets moves the secrets that bindings and active subscriptions use. It begins to move for
// half of [workqueue.RunTimeout], and the cursor says where the next run continues. It can be run
// again, and several times at once. In a deployment with one vault and one key there is nothing to
// move.
//
// A secret must not be deleted while it moves. Of a binding it isn't: this run has read the row
// with the secret in use, a sweep deletes it [ledger.OrphanGracePeriod] after it is retired at the
// earliest, and this run begins no move later than [ledger.CallDeadline]. A subscription is
// claimed for that reason. Other secrets don't move: a pending one moves once it is in use, and
// the sweep deletes the others.
func (s *Service) MoveSecrets(
	ctx context.Context, in MoveSecretsRequest,
) (MoveSecretsResult, error) {
	ctx = s.ledger.StartInvocation(ctx)
	began, out := s.ledger.Now(), MoveSecretsResult{Acted: in.Act, Cursor: in.Cursor}
	mover, ok := s.ledger.Vault.(vault.Mover)
	if !ok {
		return MoveSecretsResult{Acted: in.Act}, nil
	}
	for {
		next, err := s.moveOrCount(ctx, mover, &out)
		if errors.Is(err, table.ErrCursor) || errors.Is(err, vault.ErrCursor) {
			return out, ledger.BadCursor()
		}
		if err != nil {
			return out, err
		}
		out.Cursor = next
		if next == "" || s.ledger.Now().Sub(began) > workqueue.RunTimeout/2 || ctx.Err() != nil {
			return out, nil
		}
	}
}

// moveOrCount works on one page and returns the cursor of the next.
func (s *Service) moveOrCount(
	ctx context.Context, mover vault.Mover, out *MoveSecretsResult,
) (next string, err error) {
	if !out.Acted {
		page, err := mover.ListUnmoved(ctx, strings.TrimPrefix(out.Cursor, vaultCursor))
		if err != nil {
			return "", ledger.Unavailable("listing what is to move", err)
		}
		out.Unmoved += len(page.Secrets)
		if page.Cursor != "" {
			next = vaultCursor + page.Cursor
		}
		return next, nil
	}
	looks, next, err := s.forEachSecret(ctx, out.Cursor,
		func(rec binding.Record) secretLook { return s.moveToken(ctx, mover, rec) },
		func(sub binding.Subscription) secretLook { return s.moveWebhookSecret(ctx, mover, sub) })
	for _, look := range looks {
		out.Read++
		out.Moved += one(look.moved)
		out.Failed += one(look.failed)
	}
	return next, err
}

func (s *Service) moveToken(
	ctx context.Context, mover vault.Mover, rec binding.Record,
) secretLook {
	return s.move(ctx, mover, binding.Describe(rec.Key), rec.Token.Secret, rec.Token.Generation)
}

// moveClaimTTL is how long a subscription is claimed for a move. An end that finds the claim
// deletes the secret [ledger.OrphanGracePeriod] after it.
const moveClaimTTL = time.Minute

func (s *Service) moveWebhookSecret(
	ctx context.Context, mover vault.Mover, sub binding.Subscription,
) secretLook {
	claimed := false
	sub, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		now := s.ledger.Now()
		claimed = row.Stage == binding.SubscriptionActive && !row.Claim.After(now)
		row.Claim = now.Add(moveClaimTTL)
		return claimed
	})
	if errors.Is(err, table.ErrNotFound) || err == nil && sub.Stage == binding.SubscriptionEnding {
		return secretLook{} // it has ended, or ends
	}
	if err != nil || !claimed {
		return secretLook{failed: true}
	}
	return s.move(ctx, mover, binding.Describe(sub.Binding), sub.Secret, 1)
}

func (s *Service) move(
	ctx context.Context, mover vault.Mover, of string, name vault.SecretName, used int,
) (look secretLook) {
	moved, err := mover.Move(ctx, name, used)
	if err != nil {
		s.ledger.Log.ErrorContext(ctx, "a secret was not moved", "binding", of, "error", err)
	}
	return secretLook{moved: moved, failed: err != nil}
}
