package consent

import (
	"context"
	"strconv"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// GitHub keeps ten tokens a user and app, and the eleventh kills the first, which would be another
// instance's binding. So the tenth is refused, which leaves room for one attempt to be refused.
const (
	tokenWarningCount = 8
	maxTokens         = 10
)

// countTokens adds an attempt to the index of a GitHub identity, and refuses the attempt if the
// identity has too many tokens. Attempts that were not confirmed count until the sweep has ended
// them. A re-bind replaces a token, so it never exceeds the limit.
func (s *Service) countTokens(
	ctx context.Context, a binding.Authorization, identity string,
) ([]problem.Problem, error) {
	of := ledger.IdentityKey(a.Platform, "", identity)
	own := binding.IdentityEntry{Of: of, Authorization: a.ID, At: a.Token.IssuedAt}
	if err := s.ledger.Table.SaveIdentityEntry(ctx, own); err != nil {
		return nil, ledger.Unavailable("noting the identity", err)
	}
	count := 1
	for cursor := ""; ; {
		page, err := s.ledger.Table.ListIdentityEntries(ctx, of, cursor, ledger.PageSize)
		if err != nil {
			return nil, ledger.Unavailable("listing an identity's bindings", err)
		}
		for _, h := range page.Items {
			if h.Authorization == a.ID {
				continue
			}
			if a.Instance != "" && h.Binding == binding.TargetOf(a) {
				continue // its token goes when this one comes
			}
			holds, err := s.counts(ctx, h)
			if err != nil {
				return nil, err
			}
			if holds {
				count++
			}
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	switch {
	case count >= maxTokens:
		return nil, tokens(problem.TooManyTokens, count-1)
	case count >= tokenWarningCount:
		return []problem.Problem{*tokens(problem.ManyTokens, count)}, nil
	}
	return nil, nil
}

func tokens(code problem.Code, count int) *problem.Problem {
	return problem.New(code).With("count", strconv.Itoa(count))
}

// counts reports whether an entry stands for a token that lives, and drops one that doesn't.
func (s *Service) counts(ctx context.Context, h binding.IdentityEntry) (bool, error) {
	if h.Binding != (binding.Key{}) {
		rec, err := s.ledger.Record(ctx, h.Binding)
		if err != nil {
			return true, err
		}
		if ledger.IsOf(rec, h) {
			return true, nil
		}
	}
	return s.ledger.PruneEntry(ctx, h)
}

// dropAttemptEntry deletes the entry of an attempt whose token a binding has now, or which was
// revoked. If it fails, the entry counts until it is as old as unconfirmedTokenTTL.
func (s *Service) dropAttemptEntry(ctx context.Context, a binding.Authorization) {
	if a.Platform != provider.GitHub {
		return
	}
	err := s.ledger.Table.DeleteIdentityEntry(ctx, binding.IdentityEntry{
		Of:            ledger.IdentityKey(a.Platform, "", a.Identity.ID),
		Authorization: a.ID,
		At:            a.Token.IssuedAt,
	})
	if err != nil {
		s.ledger.Log.WarnContext(ctx, "an attempt's entry was not dropped", "error", err)
	}
}
