package credential

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/vault"
)

// TokenLost is the reason of [problem.TokenRevoked] for a token that the vault no longer has: its
// secret was deleted there, or the table was restored from a backup.
const TokenLost = "token_lost"

const (
	// LostCheckInterval is the time to the check that confirms that a secret is gone.
	LostCheckInterval = 4 * time.Minute
	// LostPeriod is the least time between the two looks that find a secret gone.
	LostPeriod = 2 * time.Minute
)

// IsLost reports whether p says that a token is lost.
func IsLost(p *problem.Problem) bool {
	return p != nil && p.Code == problem.TokenRevoked && p.Reason == TokenLost
}

// Lost returns the problem of a binding whose token the vault does not have, if err says so, and
// otherwise nil. A vault that does not answer says nothing about a token.
func (s *Service) Lost(platform string, err error) *problem.Problem {
	if !errors.Is(err, vault.ErrNotFound) {
		return nil
	}
	return problem.New(problem.TokenRevoked).Because(TokenLost).
		With("platform", s.ledger.Title(platform)).From(err)
}

// NoteLost schedules a check of a binding if err says that the vault does not have its token. That
// check decides; until then a build gets err.
func (s *Service) NoteLost(ctx context.Context, rec binding.Record, err error) error {
	lost := s.Lost(rec.Platform, err)
	if lost == nil {
		return nil
	}
	_, err = s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.SameGeneration(b.Token, rec.Token) || b.Doubted() && IsLost(b.DoubtedProblem) ||
			b.Health == binding.HealthRevoked || binding.FromNewerVersion(*b) {
			return false
		}
		b.DoubtedAt, b.DoubtedProblem = s.ledger.Now(), lost
		b.CheckAt = b.DoubtedAt.Add(LostCheckInterval)
		b.DueAt = s.ledger.Due(*b)
		return true
	})
	if err != nil {
		s.ledger.Log.WarnContext(ctx, "a lost token was not noted", "error", err)
	}
	return err
}
