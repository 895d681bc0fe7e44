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
	"bindery/shared/vault"
)

// at is the platform of the deed's binding.
func (d deed) at() string {
	if d.platform == "" {
		return provider.GitLab
	}
	return d.platform
}

// living counts the tokens of all that play in a deed which its platform takes.
func (d deed) living(b *harness) int {
	p := sandbox.Platform(d.platform)
	return b.sandbox.LiveTokens(p, "alice") + b.sandbox.LiveTokens(p, "bob")
}

// unknown counts the tokens that live at a deed's platform and that no secret holds. Nobody can
// revoke them, hand them out or renew them: they are lost. It is more than none only if a process
// ended between the platform's reply and the put, or the reply itself was lost, and never more than
// one; a token of GitHub ends after eight hours, or when ten others of its user have come.
func (d deed) unknown(b *harness) int {
	b.Helper()
	if d.platform == "" {
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
			k, err := ledger.Open(value)
			if err != nil {
				b.Fatal(err)
			}
			if b.sandbox.Lives(sandbox.Platform(d.platform), k.Token.Access) {
				known++
			}
		}
	}
	lost := d.living(b) - known
	if lost != 0 && (lost != 1 || d.loses == 0) {
		b.Errorf("%d tokens live and are in no secret", lost)
	}
	return lost
}

// keeps checks that a deed has lost nothing: who lives on tries again to store a renewed token, and
// revokes a first one that it can't store, where the platform has a way.
func (d deed) keeps(b *harness, when string, lost int) {
	b.Helper()
	if d.loses >= 0 && (d.renews() || d.platform == provider.GitHub) {
		want(b, when+", tokens lost", lost, 0)
	}
}

// renews reports whether the deed is one that renews a token, in place of getting a first one.
func (d deed) renews() bool { return d.loses != 0 && d.was != "" }

// rotates reports whether a deed's platform takes a refresh token once.
func (d deed) rotates() bool { return d.platform != provider.Bitbucket }

// dies reports whether a deed's binding must be told as revoked: its next token was lost, and the one
// before is used up.
func (d deed) dies(lost int) bool { return lost > 0 && d.renews() && d.rotates() }

// excused reports whether an error may be: that of a token which was lost.
func (d deed) excused(err error, lost int) bool {
	return d.dies(lost) && problem.Is(err, problem.TokenRevoked) &&
		problem.Of(err).Reason == credential.TokenMayBeLost
}

// settled checks what a deed with consents has come to when everything is swept. The clock goes on
// for a check that had no answer to come again, and twice more, so that a last look is over, too.
func (d deed) settled(b *harness, when string, lost int) {
	b.Helper()
	if d.platform == "" {
		return
	}
	b.clock().move(maintenance.RetryCheckInterval)
	b.settled()
	b.settled()
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		b.alright(d, when+", "+id, b.row(id, d.platform), id == "i-1" && d.dies(lost))
	}
	if d.platform == provider.GitHub { // the others have no way to revoke
		want(b, when+", tokens that live", d.living(b), lost+b.pointedAt(d))
	}
}

// alright checks that a binding works. One whose token was lost must say so, and only that one.
func (b *harness) alright(d deed, when string, rec binding.Record, lost bool) {
	b.Helper()
	if !rec.Bound() {
		return
	}
	rec = b.row(rec.Instance, rec.Platform)
	want(b, when+", a lease is left", rec.Lease, binding.Lease{})
	want(b, when+", the last look is over", rec.RecheckAt.IsZero(), true)
	reason := ""
	switch {
	case d.name == "RevokeAll":
		reason = binding.RevokedByOperator
	case lost:
		reason = credential.TokenMayBeLost
	}
	told := b.count(binding.EventRevoked, rec)
	c, err := b.Credentials.Credential(context.Background(), credentialFor(rec.Instance, rec.Platform))
	if reason == "" {
		want(b, when+", error of a credential", err, nil)
		want(b, when+", its token lives",
			b.sandbox.Lives(sandbox.Platform(rec.Platform), c.Token), true)
		want(b, when+", revocations told", told, 0)
		want(b, when+", health", rec.Health, binding.HealthGood)
		return
	}
	want(b, when+", a revoked one's credential", problem.Is(err, problem.TokenRevoked), true)
	want(b, when+", why", problem.Of(err).Reason, reason)
	want(b, when+", revocations told", told, 1)
	want(b, when+", health", rec.Health, binding.HealthRevoked)
}

// count counts a binding's events of a sort.
func (b *harness) count(what string, rec binding.Record) int {
	b.Helper()
	events, _, err := b.Connect.History(
		context.Background(), user.Account, registry(rec.Instance), rec.Platform, "")
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, e := range events {
		if e.Type == what {
			count++
		}
	}
	return count
}

// pointedAt counts the tokens that live and that a record points at.
func (b *harness) pointedAt(d deed) int {
	b.Helper()
	page, err := b.store.table.AllBindings(context.Background(), "", ledger.PageSize)
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, rec := range page.Items {
		if !rec.Bound() || rec.Platform != d.platform {
			continue
		}
		k, err := b.Ledger.Fetch(b.Ledger.StartInvocation(context.Background()), rec.Token)
		if err != nil {
			b.Fatal(err)
		}
		if b.sandbox.Lives(sandbox.Platform(d.platform), k.Token.Access) {
			count++
		}
	}
	return count
}
