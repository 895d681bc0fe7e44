package binding_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/consent"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// leave is a browser's way from the console to the platform and back, up to the callback: its
// papers are the state, the verifier and the code.
func (b *harness) leave(name, login, id string) errand {
	b.Helper()
	ctx := context.Background()
	a, err := b.Consent.StartAuthorization(ctx, consent.StartRequest{
		By: user, Platform: name, Instance: registry(id),
	})
	if err != nil {
		b.Fatal(err)
	}
	departure, err := b.Consent.BeginRedirect(ctx, a.ID, nil)
	if err != nil {
		b.Fatal(err)
	}
	back, err := b.sandbox.Consent(sandbox.Platform(name), login, departure.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		b.Fatal("the callback is no address")
	}
	ticket := departure.Handshake
	return errand{b.url, []secret.Text{
		ticket.State, ticket.Verifier, secret.New(u.Query().Get("code")),
	}}
}

func arrives(ctx context.Context, s *services, name string, e errand) (consent.CallbackResult, error) {
	return s.Consent.HandleCallback(ctx, consent.CallbackRequest{
		Platform:  name,
		State:     e.papers[0],
		Code:      e.papers[2],
		Handshake: consent.Handshake{State: e.papers[0], Verifier: e.papers[1]},
	})
}

func arriveDeed(name string) doing {
	return func(ctx context.Context, s *services, e errand) error {
		_, err := arrives(ctx, s, name, e)
		return err
	}
}

// comeBack is the callback too. The papers that remain are the authorization's id and the finish.
func (b *harness) comeBack(name string, e errand) errand {
	b.Helper()
	a, err := arrives(context.Background(), b.services, name, e)
	if err != nil {
		b.Fatal(err)
	}
	return errand{b.url, []secret.Text{secret.New(a.ID), a.ConfirmationCode}}
}

// confirmDeed binds i-1, or with another user fails to.
func confirmDeed(by binding.User) doing {
	return func(ctx context.Context, s *services, e errand) error {
		_, err := s.Consent.Confirm(ctx, consent.ConfirmRequest{
			By: by, ID: e.papers[0].Reveal(), Instance: registry("i-1"), ConfirmationCode: e.papers[1],
		})
		switch {
		case by == user:
			return err
		case err == nil:
			return errors.New("another user has confirmed")
		case problem.Is(err, problem.AnotherUser):
			return nil
		}
		return err
	}
}

// consents binds an instance from start to confirm.
func (b *harness) consents(name, login, id string) {
	b.Helper()
	e := b.comeBack(name, b.leave(name, login, id))
	_, err := b.Consent.Confirm(context.Background(), consent.ConfirmRequest{
		By: user, ID: e.papers[0].Reveal(), Instance: registry(id), ConfirmationCode: e.papers[1],
	})
	if err != nil {
		b.Fatal(err)
	}
}

// boundByConsent is a harness where that was done for i-1, and everything has settled. On GitHub, i-2
// holds another token of the same user, and i-3 one of another user.
func boundByConsent(name, login string) func(*harness) {
	return func(b *harness) {
		if login != "" {
			b.consents(name, login, "i-1")
		}
		if name == provider.GitHub {
			b.consents(name, "alice", "i-2")
			b.consents(name, "bob", "i-3")
		}
		b.settled()
	}
}

func credentialFor(id, name string) credential.Request {
	return credential.Request{
		By: user, Instance: registry(id), Platform: name, MinimumLife: credential.MinimumLife,
	}
}

func credentialDeed(name string) doing {
	return func(ctx context.Context, s *services, _ errand) error {
		_, err := s.Credentials.Credential(ctx, credentialFor("i-1", name))
		return err
	}
}

// lossDeed asks for a credential of which there is none any more.
func lossDeed(ctx context.Context, s *services, _ errand) error {
	_, err := s.Credentials.Credential(ctx, credentialFor("i-1", provider.GitHub))
	switch {
	case err == nil:
		return errors.New("there was a credential")
	case problem.Is(err, problem.TokenRevoked) && problem.Of(err).Reason == credential.TokenMayBeLost:
		return nil
	}
	return err
}

func revokeAllDeed(ctx context.Context, s *services, _ errand) error {
	out, err := s.Maintenance.RevokeAll(ctx, maintenance.RevokeAllRequest{Platform: provider.GitHub, Act: true})
	if err == nil && out.Failed > 0 {
		return problem.New(problem.StorageUnavailable).From(errors.New("some were left"))
	}
	return err
}

// toCheck makes the check of i-1, and no other, due.
func (b *harness) toCheck(name string) {
	b.Helper()
	rec := b.row("i-1", name)
	rec.CheckAt = b.clock().now()
	rec.DueAt = rec.CheckAt
	if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
		b.Fatal(err)
	}
}

// diesAt has i-1's token refreshed by a process that makes no call to table and vault any more from
// the first of a name on, and lets the lease that it leaves come to its end.
func (b *harness) diesAt(name, platform string) {
	b.Helper()
	dead := false
	b.inside.set(func(_ context.Context, call string) (func(), error) {
		if dead = dead || call == name && b.sandbox.Refreshes(sandbox.Platform(platform)) > 0; dead {
			return nil, fmt.Errorf("%w: %w", errKilled, ledger.ErrLate)
		}
		return nil, nil
	})
	_, err := b.Credentials.Credential(context.Background(), credentialFor("i-1", platform))
	b.inside.clear()
	if err == nil {
		b.Fatal("there was to be no credential")
	}
	b.clock().move(credential.RefreshLeaseTTL)
	b.serve(b.store.table, b.store.vault) // without what the process remembered
}

// outlived is after how long a platform's tokens have ended.
func outlived(name string) time.Duration {
	if name == provider.Gitee {
		return 25 * time.Hour
	}
	return 9 * time.Hour
}

// consentDeeds are those of the platforms that are bound by consent.
func consentDeeds() []deed {
	all := append(callbackDeeds(), confirmDeeds()...)
	return append(append(all, refreshDeeds()...), endDeeds()...)
}

func callbackDeeds() []deed {
	var all []deed
	for _, name := range []string{provider.GitHub, provider.Gitee, provider.Bitbucket} {
		all = append(all, deed{
			name: "Callback-" + name, platform: name, loses: 2,
			before: func(b *harness) {
				boundByConsent(name, "")(b)
				b.errand = b.leave(name, "alice", "i-1")
			},
			do: arriveDeed(name),
		})
	}
	return all
}

func confirmDeeds() []deed {
	confirms := func(name, was, login string, by binding.User) deed {
		becomes := login
		if by != user {
			becomes = was
		}
		return deed{
			platform: name, was: was, becomes: becomes, do: confirmDeed(by),
			before: func(b *harness) {
				boundByConsent(name, was)(b)
				b.errand = b.comeBack(name, b.leave(name, login, "i-1"))
			},
		}
	}
	named := func(name string, d deed) deed { d.name = name; return d }
	return []deed{
		named("Confirm", confirms(provider.GitHub, "", "alice", user)),
		named("ConfirmAtBitbucket", confirms(provider.Bitbucket, "", "alice", user)),
		named("ConfirmOverAnother", confirms(provider.GitHub, "bob", "alice", user)),
		named("ConfirmOverTheSame", confirms(provider.GitHub, "alice", "alice", user)),
		named("ConfirmByAnotherUser", confirms(provider.GitHub, "", "alice", other)),
		named("ConfirmByAnotherUserOver", confirms(provider.GitHub, "alice", "alice", other)),
	}
}

// refreshDeeds find a token that has ended.
func refreshDeeds() []deed {
	var all []deed
	add := func(what, name string, loses int, do doing, before func(*harness)) {
		all = append(all, deed{
			name: what + "-" + name, platform: name, was: "alice", becomes: "alice", loses: loses,
			do: do, before: func(b *harness) {
				boundByConsent(name, "alice")(b)
				b.clock().move(outlived(name))
				before(b)
			},
		})
	}
	for _, name := range []string{provider.GitHub, provider.Gitee, provider.Bitbucket} {
		add("Refresh", name, 2, credentialDeed(name), func(*harness) {})
		add("CheckThatRefreshes", name, 2, sweepDeed, func(b *harness) { b.toCheck(name) })
	}
	gitHub := provider.GitHub
	add("RefreshAfterADeathAfterThePut", gitHub, 0, credentialDeed(gitHub),
		func(b *harness) { b.diesAt("SaveBinding", gitHub) })
	add("CheckAfterADeathAfterThePut", gitHub, 0, sweepDeed,
		func(b *harness) { b.diesAt("SaveBinding", gitHub) })
	lost := func(b *harness) {
		b.diesAt("Put", gitHub)
		b.clock().move(ledger.OrphanGracePeriod + time.Second) // nobody can be about to store it
	}
	add("RefreshAfterALoss", gitHub, -1, lossDeed, lost)
	add("CheckAfterALoss", gitHub, -1, sweepDeed, lost)
	return all
}

// endDeeds are checks of a token that lives, and ends of all sorts.
func endDeeds() []deed {
	gitHub := provider.GitHub
	return []deed{
		{
			name: "CheckOfALivingToken", platform: gitHub, was: "alice", becomes: "alice",
			do:     sweepDeed,
			before: func(b *harness) { boundByConsent(gitHub, "alice")(b); b.toCheck(gitHub) },
		},
		{
			name: "UnbindOfAConsent", platform: gitHub, was: "alice",
			before: boundByConsent(gitHub, "alice"),
			do: func(ctx context.Context, s *services, _ errand) error {
				_, err := s.Connect.Unbind(ctx, connect.UnbindRequest{
					By: user, Instance: registry("i-1"), Platform: gitHub,
				})
				return err
			},
		},
		{
			name: "SweepOfAnExpiredAuthorization", platform: gitHub, do: sweepDeed,
			before: func(b *harness) { b.expired() },
		},
		{
			name: "SweepOfAnAbandonedConsent", platform: gitHub, do: sweepDeed,
			before: func(b *harness) {
				b.abandoned()
				b.clock().move(binding.AuthorizationTTL - time.Minute + ledger.OrphanGracePeriod)
			},
		},
		{
			name: "RevokeAll", platform: gitHub, was: "alice", becomes: "alice", again: true,
			before: func(b *harness) { b.consents(gitHub, "alice", "i-1"); b.settled() },
			do:     revokeAllDeed,
		},
	}
}

// expired is an attempt that never came to a callback, and whose time is over.
func (b *harness) expired() {
	b.Helper()
	boundByConsent(provider.GitHub, "")(b)
	b.leave(provider.GitHub, "alice", "i-1")
	b.clock().move(binding.AuthorizationTTL)
}

// abandoned is an attempt whose callback came a minute after its start, and whose confirm never
// comes.
func (b *harness) abandoned() {
	b.Helper()
	boundByConsent(provider.GitHub, "")(b)
	e := b.leave(provider.GitHub, "alice", "i-1")
	b.clock().move(time.Minute)
	b.comeBack(provider.GitHub, e)
}

// repeated are the deeds that a user or a build does again, when the first time had no answer.
func repeated() []deed {
	all := confirmDeeds()
	for _, d := range append(refreshDeeds(), endDeeds()...) {
		if !d.again && d.loses >= 0 {
			all = append(all, d)
		}
	}
	for i := range all {
		all[i].again = true
		all[i].loses = min(all[i].loses, 1) // before the put, for none is killed after a reply
	}
	return all
}
