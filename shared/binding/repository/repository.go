package repository

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// Repository is a repository with the key by which callers name it.
type Repository struct {
	provider.Repository
	Key string
}

// Page is a page of repositories.
type Page struct {
	Repositories []Repository
	Cursor       string // "" on the last page
	Notices      []*problem.Problem
}

// Repositories returns a page of the repositories that the binding's user is a member of and whose
// name contains search. A malformed search, and a cursor of another list or binding, are
// [problem.InputMalformed].
func (s *Service) Repositories(
	ctx context.Context, in Target, search, cursor string,
) (Page, error) {
	if err := CheckSearch(search); err != nil {
		return Page{}, err
	}
	at, err := s.open(ctx, in)
	if err != nil {
		return Page{}, err
	}
	list := []string{"repositories", search}
	cursor, ok := binding.PlatformCursor(at.record, cursor, list...)
	if !ok {
		return Page{}, wrongCursor()
	}
	found, err := at.RepositoryPlatform.Repositories(ctx, at.credential, search, cursor)
	if err != nil {
		return Page{}, refused(err)
	}
	page := Page{
		Cursor:  binding.RepositoryCursor(at.record, found.Cursor, list...),
		Notices: found.Notices,
	}
	for _, r := range found.Repositories {
		page.Repositories = append(page.Repositories, at.keyed(r))
	}
	return page, nil
}

// Repository returns the repository with the key.
func (s *Service) Repository(ctx context.Context, in Target, key string) (Repository, error) {
	at, id, err := s.openRepository(ctx, in, key)
	if err != nil {
		return Repository{}, err
	}
	found, err := at.RepositoryPlatform.Repository(ctx, at.credential, id)
	if err != nil {
		return Repository{}, refused(err)
	}
	return at.keyed(found), nil
}

func (at look) keyed(r provider.Repository) Repository {
	return Repository{Repository: r, Key: binding.RepositoryKey(at.record, r.ID)}
}

// RefsRequest asks for a page of a repository's branches or tags.
type RefsRequest struct {
	Repository     string // its key
	Kind           provider.RefKind
	Search, Cursor string
}

// Refs returns a page of a repository's branches or tags, as [Service.Repositories] does.
func (s *Service) Refs(ctx context.Context, in Target, ask RefsRequest) (provider.RefPage, error) {
	if err := CheckSearch(ask.Search); err != nil {
		return provider.RefPage{}, err
	}
	at, id, err := s.openRepository(ctx, in, ask.Repository)
	if err != nil {
		return provider.RefPage{}, err
	}
	list := []string{string(ask.Kind), id, ask.Search}
	cursor, ok := binding.PlatformCursor(at.record, ask.Cursor, list...)
	if !ok {
		return provider.RefPage{}, wrongCursor()
	}
	page, err := at.RepositoryPlatform.Refs(ctx, at.credential, id, ask.Kind, ask.Search, cursor)
	if err != nil {
		return provider.RefPage{}, refused(err)
	}
	page.Cursor = binding.RepositoryCursor(at.record, page.Cursor, list...)
	return page, nil
}

// Commit resolves "heads/NAME", "tags/NAME" or a hash to a commit.
func (s *Service) Commit(ctx context.Context, in Target, key, ref string) (provider.Commit, error) {
	at, id, err := s.openRepository(ctx, in, key)
	if err != nil {
		return provider.Commit{}, err
	}
	commit, err := at.RepositoryPlatform.Commit(ctx, at.credential, id, ref)
	if err != nil {
		return provider.Commit{}, refused(err)
	}
	return commit, nil
}

// File returns a file of at most [provider.FileLimit] bytes at a ref, which is as for
// [Service.Commit], and writes an audit line: it hands out what the repository holds.
func (s *Service) File(ctx context.Context, in Target, key, path, ref string) ([]byte, error) {
	at, id, err := s.openRepository(ctx, in, key)
	if err != nil {
		return nil, err
	}
	text, err := at.RepositoryPlatform.File(ctx, at.credential, id, path, ref)
	if err != nil {
		return nil, refused(err)
	}
	event.Audit(ctx, s.ledger.Log, event.Entry{
		Action: "file", User: in.By, Target: at.record.Key, Outcome: event.Done,
		Identity: at.record.Identity,
	})
	return text, nil
}

// maxSearch is the length of the longest search, in bytes.
const maxSearch = 256

// CheckSearch checks the part of a name that is searched for.
func CheckSearch(search string) error {
	wrong := problem.New(problem.InputMalformed).With("field", "search")
	switch {
	case len(search) > maxSearch:
		return wrong.Because("too_long")
	case !utf8.ValidString(search), strings.ContainsFunc(search, unicode.IsControl):
		return wrong.Because("characters")
	}
	return nil
}

func wrongCursor() error {
	return problem.New(problem.InputMalformed).Because("cursor").With("field", "cursor")
}
