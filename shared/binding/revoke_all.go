package binding

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

const revokedByOperator = "revoked_by_operator"

// RevokeAllRequest asks for the end of every token of a platform, or of an account there: the answer to a
// leak.
type RevokeAllRequest struct {
	Platform string
	Account  string // "" is every account
	// Act is false for a look at what would be done.
	Act bool
	// Cursor goes on where another run has stopped.
	Cursor string
}

// RevokeAllResult is how far a run got.
type RevokeAllResult struct {
	Acted     bool   `json:"acted"`     // false: it only looked
	Matching  int    `json:"matching"`  // bindings that were not ended this way before
	Revoked   int    `json:"revoked"`   // dead at the platform, and here
	Withdrawn int    `json:"withdrawn"` // no longer handed out; the platform has no way to revoke
	Failed    int    `json:"failed"`    // left as they were: run it again
	Cursor    string `json:"cursor"`    // where to go on, "" at the end
}

// RevokeAll revokes the tokens at the platform and marks their bindings, so that nothing is handed
// out any more and their users see why. It goes through the whole table, stops before its time is
// up, and can be run again: what is marked is passed by.
func (s *Service) RevokeAll(ctx context.Context, in RevokeAllRequest) (RevokeAllResult, error) {
	ctx = s.startInvocation(ctx)
	if _, ok := s.platforms.Get(in.Platform); !ok {
		return RevokeAllResult{}, problem.New(problem.PlatformUnknown)
	}
	until, out := s.now().Add(sweepTimeout/2), RevokeAllResult{Acted: in.Act, Cursor: in.Cursor}
	for {
		page, err := s.table.AllBindings(ctx, out.Cursor, pageSize)
		if errors.Is(err, table.ErrCursor) {
			return out, badCursor()
		}
		if err != nil {
			return out, unavailable("listing all bindings", err)
		}
		if !s.revokePage(ctx, in, page.Items, until, &out) {
			return out, nil // the next run begins with this page
		}
		out.Cursor = page.Cursor
		s.log.InfoContext(ctx, "revoking all", "platform", in.Platform, "account", in.Account,
			"act", in.Act, "matching", out.Matching, "revoked", out.Revoked,
			"withdrawn", out.Withdrawn, "failed", out.Failed)
		if out.Cursor == "" || s.now().After(until) || ctx.Err() != nil {
			return out, nil
		}
	}
}

// revokePage works on one page's bindings, several at once, and reports whether it came to its end.
func (s *Service) revokePage(
	ctx context.Context, in RevokeAllRequest, page []table.Binding, until time.Time, out *RevokeAllResult,
) bool {
	var group errgroup.Group
	group.SetLimit(maxCallsPerHost)
	defer func() { _ = group.Wait() }()
	var mu sync.Mutex
	count := func(part RevokeAllResult) {
		mu.Lock()
		defer mu.Unlock()
		out.Matching += part.Matching
		out.Revoked += part.Revoked
		out.Withdrawn += part.Withdrawn
		out.Failed += part.Failed
	}
	for _, rec := range page {
		account := in.Account == "" || in.Account == rec.Account
		switch {
		case !account || rec.Platform != in.Platform || !rec.Bound() || revokedByTheOperator(rec):
			continue
		case !in.Act:
			count(RevokeAllResult{Matching: 1})
			continue
		case s.now().After(until) || ctx.Err() != nil:
			return false
		}
		group.Go(func() error {
			part := RevokeAllResult{Matching: 1}
			s.revokeByOperator(ctx, rec, &part)
			count(part)
			return nil
		})
	}
	return true
}

// revokedByTheOperator reports whether the operator has ended a binding's token.
func revokedByTheOperator(rec table.Binding) bool {
	return rec.Health == table.Revoked && rec.Problem != nil &&
		rec.Problem.Reason == revokedByOperator
}

// revokeByOperator ends one binding's token, at the platform and then here. If a refresh has brought the
// next token in the meantime, that one too.
func (s *Service) revokeByOperator(ctx context.Context, rec table.Binding, out *RevokeAllResult) {
	var err error
	unable := false
	for range maxTries {
		ended := rec.Token
		err = s.revokeFor(ctx, rec)
		if unable = errors.Is(err, provider.ErrNoRevoke); err != nil && !unable {
			break
		}
		err = s.markWithdrawn(ctx, &rec)
		if err != nil || revokedByTheOperator(rec) || rec.Token.Secret != ended.Secret {
			break // the last: bound anew in the meantime
		}
		err = table.ErrConflict
	}
	switch {
	case err != nil:
		out.Failed++
		s.log.ErrorContext(ctx, "a token was not revoked",
			"binding", describe(rec.Key), "error", err)
		return
	case unable:
		out.Withdrawn++
	default:
		out.Revoked++
	}
	event.Audit(ctx, s.log, event.Entry{
		Action: "revoke all", Target: rec.Key, Outcome: event.Done,
		Previous: rec.Identity, Revoked: !unable,
	})
}

// markWithdrawn marks a binding as ended by the operator, if it still has the token that was
// revoked. rec is the row in the end.
func (s *Service) markWithdrawn(ctx context.Context, rec *table.Binding) error {
	why := problem.New(problem.TokenRevoked).Because(revokedByOperator).
		With("platform", s.title(rec.Platform))
	ended := rec.Token
	return s.change(ctx, *rec, func(b *table.Binding) bool {
		if !same(b.Token, ended) || revokedByTheOperator(*b) { // the last: saved before, and the reply was lost
			return false
		}
		b.Health, b.Problem = table.Revoked, why
		b.CheckAt, b.RecheckAt = s.now().Add(checkInterval), time.Time{}
		if b.Token.Refreshable {
			b.RecheckAt = s.now().Add(orphanGracePeriod) // for what a refresh under way may bring
		}
		b.Lease, b.Backoff = table.Lease{}, table.Backoff{}
		s.happened(b, table.Event{Type: event.Revoked, Identity: b.Identity, Problem: why})
		return true
	}, rec)
}

// revokeLate revokes the generation that a refresh has brought after the operator had ended the
// token. Nobody was given it.
func (s *Service) revokeLate(ctx context.Context, rec table.Binding) error {
	rec.Token.Generation++
	err := s.revokeFor(ctx, rec)
	if errors.Is(err, vault.ErrNotFound) || errors.Is(err, provider.ErrNoRevoke) {
		return nil
	}
	return err
}

func (s *Service) revokeFor(ctx context.Context, rec table.Binding) error {
	k, err := s.fetch(ctx, rec.Token)
	if err != nil {
		return err
	}
	platform, ok := s.platforms.Get(rec.Platform)
	if !ok {
		return problem.New(problem.PlatformUnknown)
	}
	return s.revoke(ctx, platform, k)
}
