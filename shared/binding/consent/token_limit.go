package consent

import (
	"context"
	"strconv"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// GitHub keeps ten tokens of a user and an app. The eleventh revokes the first, which would be that
// of another instance's binding. So the tenth is refused, which leaves room for the token of an
// attempt that is refused.
const (
	tokenWarningCount = 8
	maxTokens         = 10
)

// countTokens adds an attempt to the index of a GitHub identity, and refuses the attempt if the
// identity has too many tokens. Attempts that were not confirmed count until the sweep has ended
// them. A re-bind replaces a token, so it never exceeds the limit.
func (s *Service) countTokens(
	ctx context.Context, a binding.Authorization,
) ([]problem.Problem, error) {
	of := ledger.IdentityKey(a.Platform, "", a.Identity.ID)
	own := binding.IdentityEntry{Of: of, Authorization: a.ID, At: a.Token.IssuedAt}
	if err := s.ledger.Table.SaveIdentityEntry(ctx, own); err != nil {
		return nil, ledger.Unavailable("adding to the identity index", err)
	}
	count := 1
	for cursor := ""; ; {
		page, err := s.ledger.Table.ListIdentityEntries(ctx, of, cursor, ledger.PageSize)
		if err != nil {
			return nil, ledger.Unavailable("listing an identity's bindings", err)
		}
		for _, e := range page.Items {
			if e.Authorization == a.ID {
				continue
			}
			if a.Instance != "" && e.Binding == binding.TargetOf(a) {
				continue // the new token replaces that one
			}
			counts, err := s.counts(ctx, e)
			if err != nil {
				return nil, err
			}
			if counts {
				count++
			}
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	switch {
	case count >= maxTokens:
		return nil, tokenCountProblem(problem.TooManyTokens, count-1)
	case count >= tokenWarningCount:
		return []problem.Problem{*tokenCountProblem(problem.ManyTokens, count)}, nil
	}
	return nil, nil
}

// tokenCountProblem returns a problem that names a number of tokens.
func tokenCountProblem(code problem.Code, count int) *problem.Problem {
	return problem.New(code).With("count", strconv.Itoa(count))
}

// counts reports whether the token of an entry may be valid, and deletes the entry if it is not.
func (s *Service) counts(ctx context.Context, e binding.IdentityEntry) (bool, error) {
	if e.Binding != (binding.Key{}) {
		rec, err := s.ledger.Record(ctx, e.Binding)
		if err != nil {
			return true, err
		}
		if ledger.IsOf(rec, e) {
			return true, nil
		}
	}
	return s.ledger.PruneEntry(ctx, e)
}

// dropAttemptEntry deletes the entry of an attempt whose token a binding has now, or which was
// revoked. If that fails, the entry counts until the sweep would have ended the token of an unconfirmed
// attempt.
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
