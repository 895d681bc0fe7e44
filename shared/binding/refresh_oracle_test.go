package binding_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

var errViolation = errors.New("a promise is broken")

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errViolation, fmt.Sprintf(format, args...))
}

// asks is a build that requests a credential. It reads the record first, to know which results are
// right.
func (p *refreshScenario) asks(minimum time.Duration) actor {
	return actor{"a caller", func(ctx context.Context, s *services) error {
		rec, err := p.rows.Binding(context.Background(), refreshKey)
		if err != nil {
			return nil
		}
		began := s.Ledger.Now()
		given, err := s.Credentials.Credential(ctx, credential.Request{
			By: user, Instance: registry("i-1"), Platform: provider.GitHub, MinimumLife: minimum,
		})
		lived := rec.Bound() && rec.Health == binding.HealthGood &&
			rec.Token.ExpiresAt.After(s.Ledger.Now())
		late := s.Ledger.Now().Sub(began) > ledger.CallDeadline
		switch {
		case err == nil && !given.ExpiresAt.After(began):
			return violation("a caller got a token that had already expired")
		case err == nil || late || problem.Is(err, problem.NotBound):
			return nil
		case problem.Is(err, problem.TokenRevoked):
			return p.checkRevocation(problem.Of(err).Reason)
		case lived:
			return violation("a caller failed whose token was valid: %v", err)
		}
		return nil
	}}
}

// checkRevocation returns what is wrong if a token is reported as revoked for this reason.
func (p *refreshScenario) checkRevocation(reason string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.platform.mu.Lock()
	defer p.platform.mu.Unlock()
	switch {
	case !p.platform.revoked && reason != credential.TokenMayBeLost:
		return violation("a revocation was reported, and the user has not revoked")
	case !p.platform.revoked && !p.disturbed:
		return violation("a lost token was reported, and there was no fault")
	}
	return nil
}

// binds is a bind by consent, without the browser's part.
func (p *refreshScenario) binds(left time.Duration) actor {
	return actor{"a bind", func(ctx context.Context, s *services) error {
		ctx = s.Ledger.StartInvocation(ctx)
		rec, err := s.Ledger.Record(ctx, refreshKey)
		if err != nil {
			return err
		}
		bundle := ledger.TokenBundle{
			Platform: provider.GitHub, Method: provider.ByOAuth, Username: "x-access-token",
			Token: p.platform.consent(left),
		}
		f := provider.CheckResult{Identity: provider.Identity{ID: "1001", Username: "alice"}}
		_, err = s.Connect.Bind(ctx, rec, bundle, f, user)
		return err
	}}
}

func (p *refreshScenario) others() []actor {
	return []actor{
		{"a check", func(ctx context.Context, s *services) error {
			_, err := s.Maintenance.CheckNow(ctx, user, registry("i-1"), provider.GitHub)
			return err
		}},
		sweeps,
		p.binds(time.Hour),
		{"an unbind", func(ctx context.Context, s *services) error {
			_, err := s.Connect.Unbind(ctx, connect.UnbindRequest{
				By: user, Instance: registry("i-1"), Platform: provider.GitHub,
			})
			return err
		}},
		{"a user who revokes", func(context.Context, *services) error {
			p.platform.revokeConsent()
			return nil
		}},
	}
}

// checkRecord returns what is wrong with the record at this moment.
func (p *refreshScenario) checkRecord() error {
	rec, err := p.rows.Binding(context.Background(), refreshKey)
	if errors.Is(err, table.ErrNotFound) || err == nil && !rec.Bound() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkSecret(context.Background(), rec, p.values); err != nil {
		return err
	}
	_, bundle, err := p.currentToken()
	if err != nil {
		return err
	}
	name := fmt.Sprint(rec.Token.Secret, rec.Token.Generation)
	if before, ok := p.seen[name]; ok && !before.Equal(bundle.Token.Access) {
		return violation("a generation has another token than before")
	}
	p.seen[name] = bundle.Token.Access
	if rec.Health == binding.HealthGood {
		return nil
	}
	return p.checkRevocation(rec.Problem.Reason)
}

// finish lets time pass twice: after the first, leftovers must be found, after the second, the
// token must be valid.
func (p *refreshScenario) finish() error {
	s := p.service(nil)
	p.clock.Advance(10 * time.Minute) // as far as two clocks may be apart
	if err := sweepAll(s, p.rows, p.clock); err != nil {
		return err
	}
	if err := cmp.Or(p.checkRecord(), p.checkPlatform(false), p.checkNoneLeft()); err != nil {
		return err
	}
	p.clock.Advance(9 * time.Hour)
	err := p.asks(credential.MinimumLife).do(context.Background(), s)
	if errors.Is(err, errViolation) {
		return err
	}
	if err := sweepAll(s, p.rows, p.clock); err != nil {
		return err
	}
	return cmp.Or(p.checkRecord(), p.checkPlatform(true), checkStores(p.rows, p.values, p.clock.Now()))
}

// currentToken returns the token that the record points at, and reports whether the record is
// bound.
func (p *refreshScenario) currentToken() (binding.Record, ledger.TokenBundle, error) {
	rec, err := p.rows.Binding(context.Background(), refreshKey)
	if errors.Is(err, table.ErrNotFound) || err == nil && !rec.Bound() {
		return binding.Record{}, ledger.TokenBundle{}, nil
	}
	if err != nil {
		return rec, ledger.TokenBundle{}, err
	}
	value, err := p.values.Get(context.Background(), vault.SecretName(rec.Token.Secret),
		rec.Token.Generation)
	if err != nil {
		return rec, ledger.TokenBundle{}, err
	}
	bundle, err := ledger.DecodeTokenBundle(value)
	return rec, bundle, err
}

// checkPlatform compares the record with the platform. A token may be lost only between the
// platform's answer and the vault, and its loss must be reported, at the latest when a build has
// asked for it.
func (p *refreshScenario) checkPlatform(asked bool) error {
	rec, bundle, err := p.currentToken()
	if err != nil || !rec.Bound() {
		return err
	}
	live := p.platform.liveGrant(bundle.Token.Access)
	switch {
	case live == nil && asked && rec.Health != binding.HealthRevoked:
		return violation("the user has revoked, and the record doesn't say so")
	case live == nil:
		return nil
	case live.refresh() == bundle.Token.Refresh.Reveal() && rec.Health != binding.HealthGood:
		return violation("the record says %s, and it has the valid token", rec.Problem)
	case live.refresh() == bundle.Token.Refresh.Reveal():
		return nil
	case live.stored:
		return violation("the valid token is in the vault, and not in the record")
	case !live.losable:
		return violation("the valid token is lost without a fault")
	case asked && rec.Health != binding.HealthRevoked:
		return violation("the valid token is lost, and the record doesn't say so")
	}
	p.lost = true
	return nil
}

// checkNoneLeft returns which tokens the sweep has left valid at the platform though it could find
// them.
func (p *refreshScenario) checkNoneLeft() error {
	_, bundle, err := p.currentToken()
	if err != nil {
		return err
	}
	own := p.platform.find(bundle.Token.Access.Reveal())
	for _, g := range p.platform.grants {
		of := own != nil && own.consent == g.consent
		if !of && g.stored && g.refreshable && !g.dead && g.ends.After(p.clock.Now()) {
			return violation("token %d is valid, and no record has it", g.number)
		}
	}
	return nil
}
