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

// startConsent takes a browser from the console to the platform and back, up to the callback. The
// values of its result are the state, the verifier and the code.
func (b *harness) startConsent(name, login, id string) operationInput {
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
	return operationInput{b.url, []secret.Text{
		ticket.State, ticket.Verifier, secret.New(u.Query().Get("code")),
	}}
}

func handleCallback(
	ctx context.Context, s *services, name string, in operationInput,
) (consent.CallbackResult, error) {
	return s.Consent.HandleCallback(ctx, consent.CallbackRequest{
		Platform: name,
		State:    in.values[0],
		Code:     in.values[2],
		Shown:    []consent.Handshake{{State: in.values[0], Verifier: in.values[1]}},
	})
}

func callbackOperation(name string) operationFunc {
	return func(ctx context.Context, s *services, in operationInput) error {
		_, err := handleCallback(ctx, s, name, in)
		return err
	}
}

// finishCallback handles the callback of startConsent's result. The values of its own result are
// the authorization's id and the confirmation code.
func (b *harness) finishCallback(name string, in operationInput) operationInput {
	b.Helper()
	a, err := handleCallback(context.Background(), b.services, name, in)
	if err != nil {
		b.Fatal(err)
	}
	return operationInput{b.url, []secret.Text{secret.New(a.ID), a.ConfirmationCode}}
}

// confirmOperation returns an operation that binds i-1, or with another user fails to.
func confirmOperation(by binding.User) operationFunc {
	return func(ctx context.Context, s *services, in operationInput) error {
		_, err := s.Consent.Confirm(ctx, consent.ConfirmRequest{
			By: by, ID: in.values[0].Reveal(), Instance: registry("i-1"), ConfirmationCode: in.values[1],
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

// bindByConsent binds an instance, from start to confirm.
func (b *harness) bindByConsent(name, login, id string) {
	b.Helper()
	in := b.finishCallback(name, b.startConsent(name, login, id))
	_, err := b.Consent.Confirm(context.Background(), consent.ConfirmRequest{
		By: user, ID: in.values[0].Reveal(), Instance: registry(id), ConfirmationCode: in.values[1],
	})
	if err != nil {
		b.Fatal(err)
	}
}

// boundByConsent returns a function that binds i-1 by consent, unless login is "", and sweeps until
// nothing is left to do. On GitHub, i-2 then holds another token of the same user, and i-3 one of
// another user.
func boundByConsent(name, login string) func(*harness) {
	return func(b *harness) {
		if login != "" {
			b.bindByConsent(name, login, "i-1")
		}
		if name == provider.GitHub {
			b.bindByConsent(name, "alice", "i-2")
			b.bindByConsent(name, "bob", "i-3")
		}
		b.settled()
	}
}

func credentialFor(id, name string) credential.Request {
	return credential.Request{
		By: user, Instance: registry(id), Platform: name, MinimumLife: credential.MinimumLife,
	}
}

func credentialOperation(name string) operationFunc {
	return func(ctx context.Context, s *services, _ operationInput) error {
		_, err := s.Credentials.Credential(ctx, credentialFor("i-1", name))
		return err
	}
}

// requestLostCredential asks for a credential whose token was lost.
func requestLostCredential(ctx context.Context, s *services, _ operationInput) error {
	_, err := s.Credentials.Credential(ctx, credentialFor("i-1", provider.GitHub))
	switch {
	case err == nil:
		return errors.New("there was a credential")
	case problem.Is(err, problem.TokenRevoked) && problem.Of(err).Reason == credential.TokenMayBeLost:
		return nil
	}
	return err
}

func revokeAll(ctx context.Context, s *services, _ operationInput) error {
	out, err := s.Maintenance.RevokeAll(ctx, maintenance.RevokeAllRequest{
		Platform: provider.GitHub, Act: true,
	})
	if err == nil && out.Failed > 0 {
		return problem.New(problem.StorageUnavailable).From(errors.New("some were left"))
	}
	return err
}

// makeCheckDue makes the check of i-1, and no other, due.
func (b *harness) makeCheckDue(name string) {
	b.Helper()
	rec := b.row("i-1", name)
	rec.CheckAt = b.clock().Now()
	rec.DueAt = rec.CheckAt
	if _, err := b.store.table.SaveBinding(context.Background(), rec); err != nil {
		b.Fatal(err)
	}
}

// crashDuringRefresh has i-1's token refreshed by a process that crashes at its first call of this
// name: that call and all later ones to table and vault fail. Then it waits until the process's
// lease has ended.
func (b *harness) crashDuringRefresh(name, platform string) {
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
		b.Fatal("got a credential, want none")
	}
	b.clock().Advance(credential.RefreshLeaseTTL)
	b.serve(b.store.table, b.store.vault) // without the process's cached tokens
}

// timeToExpiry returns a time after which a platform's new tokens have expired.
func timeToExpiry(name string) time.Duration {
	if name == provider.Gitee {
		return 25 * time.Hour
	}
	return 9 * time.Hour
}

// consentOperations returns the operations on platforms that are bound by consent.
func consentOperations() []operation {
	all := append(callbackOperations(), confirmOperations()...)
	return append(append(all, refreshOperations()...), endOperations()...)
}

func callbackOperations() []operation {
	var all []operation
	for _, name := range []string{provider.GitHub, provider.Gitee, provider.Bitbucket} {
		all = append(all, operation{
			name: "Callback-" + name, platform: name, loses: 2,
			before: func(b *harness) {
				boundByConsent(name, "")(b)
				b.input = b.startConsent(name, "alice", "i-1")
			},
			do: callbackOperation(name),
		})
	}
	return all
}

func confirmOperations() []operation {
	confirms := func(name, was, login string, by binding.User) operation {
		becomes := login
		if by != user {
			becomes = was
		}
		return operation{
			platform: name, was: was, becomes: becomes, do: confirmOperation(by),
			before: func(b *harness) {
				boundByConsent(name, was)(b)
				b.input = b.finishCallback(name, b.startConsent(name, login, "i-1"))
			},
		}
	}
	named := func(name string, op operation) operation { op.name = name; return op }
	return []operation{
		named("Confirm", confirms(provider.GitHub, "", "alice", user)),
		named("ConfirmAtBitbucket", confirms(provider.Bitbucket, "", "alice", user)),
		named("ConfirmOverAnother", confirms(provider.GitHub, "bob", "alice", user)),
		named("ConfirmOverTheSame", confirms(provider.GitHub, "alice", "alice", user)),
		named("ConfirmByAnotherUser", confirms(provider.GitHub, "", "alice", other)),
		named("ConfirmByAnotherUserOver", confirms(provider.GitHub, "alice", "alice", other)),
	}
}

// refreshOperations returns the operations that find an expired token.
func refreshOperations() []operation {
	var all []operation
	add := func(what, name string, loses int, do operationFunc, before func(*harness)) {
		all = append(all, operation{
			name: what + "-" + name, platform: name, was: "alice", becomes: "alice", loses: loses,
			do: do, before: func(b *harness) {
				boundByConsent(name, "alice")(b)
				b.clock().Advance(timeToExpiry(name))
				before(b)
			},
		})
	}
	for _, name := range []string{provider.GitHub, provider.Gitee, provider.Bitbucket} {
		add("Refresh", name, 2, credentialOperation(name), func(*harness) {})
		add("CheckThatRefreshes", name, 2, sweep, func(b *harness) { b.makeCheckDue(name) })
	}
	gitHub := provider.GitHub
	add("RefreshAfterACrashAfterThePut", gitHub, 0, credentialOperation(gitHub),
		func(b *harness) { b.crashDuringRefresh("SaveBinding", gitHub) })
	add("CheckAfterACrashAfterThePut", gitHub, 0, sweep,
		func(b *harness) { b.crashDuringRefresh("SaveBinding", gitHub) })
	lost := func(b *harness) {
		b.crashDuringRefresh("Put", gitHub)
		b.clock().Advance(ledger.OrphanGracePeriod + time.Second) // no process can still store it
	}
	add("RefreshAfterALoss", gitHub, -1, requestLostCredential, lost)
	add("CheckAfterALoss", gitHub, -1, sweep, lost)
	return all
}

// endOperations returns a check of a valid token, and all ways in which a token's use ends.
func endOperations() []operation {
	gitHub := provider.GitHub
	return []operation{
		{
			name: "CheckOfAValidToken", platform: gitHub, was: "alice", becomes: "alice",
			do:     sweep,
			before: func(b *harness) { boundByConsent(gitHub, "alice")(b); b.makeCheckDue(gitHub) },
		},
		{
			name: "UnbindOfAConsent", platform: gitHub, was: "alice",
			before: boundByConsent(gitHub, "alice"),
			do: func(ctx context.Context, s *services, _ operationInput) error {
				_, err := s.Connect.Unbind(ctx, connect.UnbindRequest{
					By: user, Instance: registry("i-1"), Platform: gitHub,
				})
				return err
			},
		},
		{
			name: "SweepOfAnExpiredAuthorization", platform: gitHub, do: sweep,
			before: func(b *harness) { b.expired() },
		},
		{
			name: "SweepOfAnAbandonedConsent", platform: gitHub, do: sweep,
			before: func(b *harness) {
				b.abandoned()
				b.clock().Advance(binding.AuthorizationTTL - time.Minute + ledger.OrphanGracePeriod)
			},
		},
		{
			name: "RevokeAll", platform: gitHub, was: "alice", becomes: "alice", again: true,
			before: func(b *harness) { b.bindByConsent(gitHub, "alice", "i-1"); b.settled() },
			do:     revokeAll,
		},
	}
}

// expired makes an attempt that never came to a callback, and that has expired.
func (b *harness) expired() {
	b.Helper()
	boundByConsent(provider.GitHub, "")(b)
	b.startConsent(provider.GitHub, "alice", "i-1")
	b.clock().Advance(binding.AuthorizationTTL)
}

// abandoned makes an attempt whose callback came a minute after its start, and that is never
// confirmed.
func (b *harness) abandoned() {
	b.Helper()
	boundByConsent(provider.GitHub, "")(b)
	in := b.startConsent(provider.GitHub, "alice", "i-1")
	b.clock().Advance(time.Minute)
	b.finishCallback(provider.GitHub, in)
}

// repeatedOperations returns the operations that a user or a build repeats when the first try had
// no reply.
func repeatedOperations() []operation {
	all := confirmOperations()
	for _, op := range append(refreshOperations(), endOperations()...) {
		if !op.again && op.loses >= 0 {
			all = append(all, op)
		}
	}
	for i := range all {
		all[i].again = true
		all[i].loses = min(all[i].loses, 1) // only before the put: no process is killed after a reply
	}
	return all
}
