package binding

import (
	"context"
	"errors"
	"time"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

const revokedByOperator = "revoked_by_operator"

// RevokeAll asks for the end of every token of a platform, or of an account there: the answer to a
// leak.
type RevokeAll struct {
	Platform string
	Account  string // "" is every account
	// Act is false for a look at what would be done.
	Act bool
	// Cursor goes on where another run has stopped.
	Cursor string
}

// RevokedAll is how far a run got.
type RevokedAll struct {
	Matching  int    `json:"matching"`  // bindings whose token is not known to be dead
	Revoked   int    `json:"revoked"`   // dead at the platform, and here
	Withdrawn int    `json:"withdrawn"` // no longer handed out; the platform has no way to revoke
	Failed    int    `json:"failed"`    // left as they were: run it again
	Cursor    string `json:"cursor"`    // where to go on, "" at the end
}

// RevokeAll revokes the tokens at the platform and marks their bindings, so that nothing is handed
// out any more and their users see why. It goes through the whole table, stops before its time is
// up, and can be run again: what is marked is passed by.
func (s *Service) RevokeAll(ctx context.Context, in RevokeAll) (RevokedAll, error) {
	ctx = s.begin(ctx)
	if _, ok := s.platforms.Get(in.Platform); !ok {
		return RevokedAll{}, problem.New(problem.PlatformUnknown)
	}
	began, out := s.now(), RevokedAll{Cursor: in.Cursor}
	for {
		page, err := s.table.AllBindings(ctx, out.Cursor, pageSize)
		if err != nil {
			return out, unavailable("listing all bindings", err)
		}
		for _, rec := range page.Items {
			account := in.Account == "" || in.Account == rec.Account
			if !account || rec.Platform != in.Platform || !rec.Bound() || withdrawn(rec) {
				continue
			}
			out.Matching++
			if in.Act {
				s.withdraw(ctx, rec, &out)
			}
		}
		out.Cursor = page.Cursor
		s.log.InfoContext(ctx, "revoking all", "platform", in.Platform, "account", in.Account,
			"act", in.Act, "matching", out.Matching, "revoked", out.Revoked,
			"withdrawn", out.Withdrawn, "failed", out.Failed)
		if out.Cursor == "" || s.now().Sub(began) > sweeping/2 || ctx.Err() != nil {
			return out, nil
		}
	}
}

// withdrawn says whether the operator has ended a binding's token.
func withdrawn(rec table.Binding) bool {
	return rec.Health == table.Revoked && rec.Problem != nil &&
		rec.Problem.Reason == revokedByOperator
}

// withdraw ends one binding's token, at the platform and then here.
func (s *Service) withdraw(ctx context.Context, rec table.Binding, out *RevokedAll) {
	why := problem.New(problem.TokenRevoked).Because(revokedByOperator).
		With("platform", s.title(rec.Platform))
	err := s.revokeFor(ctx, rec)
	unable := errors.Is(err, provider.ErrNoRevoke)
	if err == nil || unable {
		secret := rec.Token.Secret
		err = s.change(ctx, rec, func(b *table.Binding) bool {
			if b.Token.Secret != secret {
				return false // bound anew in the meantime
			}
			b.Health, b.Problem = table.Revoked, why
			b.CheckAt, b.LookAt = time.Time{}, time.Time{}
			b.Lease, b.Backoff = table.Lease{}, table.Backoff{}
			s.happened(b, table.Event{Type: event.Revoked, Identity: b.Identity, Problem: why})
			return true
		}, &rec)
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
