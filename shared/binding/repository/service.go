// Package repository looks at the repositories of a binding's user: it lists them with their
// branches and tags, resolves a ref to a commit, and reads a small file.
//
// A look makes one call to the table, one to the vault or none, and those to the platform that
// [provider.RepositoryPlatform] tells. It changes no record, whatever the platform answers: the
// check finds out what the token's health is. Only a token that has expired is refreshed first, as
// for a credential.
package repository

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// minimumLife is how long a token must remain valid for a look: as long as a request may take. It
// is short because a refresh ends the token of a running build on GitHub.
const minimumLife = 20 * time.Second

// Service looks at repositories. Its methods may be called at once from many goroutines. Every
// error that it returns holds a problem of the catalogue: those of [credential.Service]'s Token, of
// [provider.RepositoryPlatform], and what each method names.
type Service struct {
	ledger      *ledger.Ledger
	credentials *credential.Service
}

// New returns a service on a ledger that gets tokens from the credentials' service.
func New(l *ledger.Ledger, credentials *credential.Service) *Service {
	return &Service{ledger: l, credentials: credentials}
}

// Target is the binding whose user looks.
type Target struct {
	By       binding.User
	Instance instance.Instance
	Platform string
}

// look is one look at a platform.
type look struct {
	provider.RepositoryPlatform
	record     binding.Record
	credential provider.Credential
}

// open returns a look with a valid token.
func (s *Service) open(ctx context.Context, in Target) (look, error) {
	ctx = s.ledger.StartInvocation(ctx)
	known, _ := s.ledger.Platforms.Get(in.Platform)
	platform, ok := known.(provider.RepositoryPlatform)
	if !ok {
		return look{}, problem.New(problem.PlatformUnknown)
	}
	key := binding.KeyOf(in.By.Account, in.Instance, in.Platform)
	rec, cred, err := s.credentials.Token(ctx, key, minimumLife)
	return look{platform, rec, cred}, err
}

// openRepository returns a look and the platform's id of the repository. A key that isn't one of
// this binding is [problem.RepositoryUnknown], as a repository that doesn't exist.
func (s *Service) openRepository(ctx context.Context, in Target, key string) (look, string, error) {
	at, err := s.open(ctx, in)
	if err != nil {
		return look{}, "", err
	}
	id, ok := binding.RepositoryID(at.record, key)
	if !ok {
		return look{}, "", problem.New(problem.RepositoryUnknown).
			With("platform", s.ledger.Title(in.Platform))
	}
	return at, id, nil
}

// refused returns the error of a platform that was asked. One refusal of the token ends no binding
// (see package maintenance), so the problem asks for a check and not for another bind.
func refused(err error) error {
	if p := problem.Of(err); p.Code == problem.TokenRejected {
		return p.Because("bound")
	}
	return err
}
