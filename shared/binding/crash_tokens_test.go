package binding_test

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
	"bindery/shared/vault"
)

// at returns the platform of the operation's binding.
func (op operation) at() string {
	if op.platform == "" {
		return provider.GitLab
	}
	return op.platform
}

// liveTokens counts the tokens of alice and bob that the operation's platform accepts.
func (op operation) liveTokens(b *harness) int {
	p := sandbox.Platform(op.platform)
	return b.sandbox.LiveTokens(p, "alice") + b.sandbox.LiveTokens(p, "bob")
}

// lostTokens counts the tokens that an operation's platform accepts and that no secret holds.
// Bindery can't revoke, hand out or refresh them. There is one only if a process was killed between
// the platform's reply and the put, or the reply itself was lost, and there is never more than one.
// A token of GitHub ends after eight hours, or when ten others of its user have been issued.
func (op operation) lostTokens(b *harness) int {
	b.Helper()
	if op.platform == "" {
		return 0
	}
	known := 0
	for _, name := range b.secrets() {
		for generation := 1; ; generation++ {
			value, err := b.store.vault.Get(context.Background(), name, generation)
			if errors.Is(err, vault.ErrNotFound) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			bundle, err := ledger.DecodeTokenBundle(value)
			if err != nil {
				b.Fatal(err)
			}
			if b.sandbox.Lives(sandbox.Platform(op.platform), bundle.Token.Access) {
				known++
			}
		}
	}
	lost := op.liveTokens(b) - known
	if lost != 0 && (lost != 1 || op.loses == 0) {
		b.Errorf("%d valid tokens are in no secret", lost)
	}
	return lost
}

// wantNothingLost expects that an operation has lost no token: a process that isn't killed tries
// again to store a refreshed token, and revokes a first one that it can't store, if the platform
// can.
func (op operation) wantNothingLost(b *harness, when string, lost int) {
	b.Helper()
	if op.loses >= 0 && (op.refreshes() || op.platform == provider.GitHub) {
		testkit.Want(b, when+", tokens lost", lost, 0)
	}
}

// refreshes reports whether the operation refreshes a token, in place of getting a first one.
func (op operation) refreshes() bool { return op.loses != 0 && op.was != "" }

// rotates reports whether the platform accepts a refresh token only once.
func (op operation) rotates() bool { return op.platform != provider.Bitbucket }

// wantsRevoked reports whether the operation's binding must be shown as revoked: its next token was
// lost, and its previous one is used up.
func (op operation) wantsRevoked(lost int) bool {
	return lost > 0 && op.refreshes() && op.rotates()
}

// allows reports whether an error is the one that a lost token explains.
func (op operation) allows(err error, lost int) bool {
	return op.wantsRevoked(lost) && problem.Is(err, problem.TokenRevoked) &&
		problem.Of(err).Reason == credential.TokenMayBeLost
}

// settled checks the result of an operation with consents when everything is swept. The clock
// advances until a check that had no answer is due again, and twice more, so that the recheck is
// over too.
func (op operation) settled(b *harness, when string, lost int) {
	b.Helper()
	if op.platform == "" {
		return
	}
	b.clock().Advance(maintenance.RetryCheckInterval)
	b.settled()
	b.settled()
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		b.wantUsable(op, when+", "+id, b.row(id, op.platform), id == "i-1" && op.wantsRevoked(lost))
	}
	if op.platform == provider.GitHub { // the others have no way to revoke
		testkit.Want(b, when+", valid tokens", op.liveTokens(b), lost+b.recordedTokens(op))
	}
}

// wantUsable expects that a binding works. Only a binding whose token was lost must report that.
func (b *harness) wantUsable(op operation, when string, rec binding.Record, lost bool) {
	b.Helper()
	if !rec.Bound() {
		return
	}
	rec = b.row(rec.Instance, rec.Platform)
	testkit.Want(b, when+", a lease is left", rec.Lease, binding.Lease{})
	testkit.Want(b, when+", the recheck is over", rec.RecheckAt.IsZero(), true)
	reason := ""
	switch {
	case op.name == "RevokeAll":
		reason = binding.RevokedByOperator
	case lost:
		reason = credential.TokenMayBeLost
	}
	revocations := b.count(binding.EventRevoked, rec)
	c, err := b.Credentials.Credential(context.Background(), credentialFor(rec.Instance, rec.Platform))
	if reason == "" {
		testkit.Want(b, when+", error of a credential", err, nil)
		testkit.Want(b, when+", its token is valid",
			b.sandbox.Lives(sandbox.Platform(rec.Platform), c.Token), true)
		testkit.Want(b, when+", revocation events", revocations, 0)
		testkit.Want(b, when+", health", rec.Health, binding.HealthGood)
		return
	}
	testkit.Want(b, when+", a credential of a revoked binding", problem.Is(err, problem.TokenRevoked),
		true)
	testkit.Want(b, when+", why", problem.Of(err).Reason, reason)
	testkit.Want(b, when+", revocation events", revocations, 1)
	testkit.Want(b, when+", health", rec.Health, binding.HealthRevoked)
}

// count counts a binding's events of a type.
func (b *harness) count(what string, rec binding.Record) int {
	b.Helper()
	page, err := b.Connect.History(
		context.Background(), user.Account, registry(rec.Instance), rec.Platform, "")
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, e := range page.Items {
		if e.Type == what {
			count++
		}
	}
	return count
}

// recordedTokens counts the valid tokens that a record points at.
func (b *harness) recordedTokens(op operation) int {
	b.Helper()
	page, err := b.store.table.AllBindings(context.Background(), "", ledger.PageSize)
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, rec := range page.Items {
		if !rec.Bound() || rec.Platform != op.platform {
			continue
		}
		bundle, err := b.fetch(rec)
		if err != nil {
			b.Fatal(err)
		}
		if b.sandbox.Lives(sandbox.Platform(op.platform), bundle.Token.Access) {
			count++
		}
	}
	return count
}
