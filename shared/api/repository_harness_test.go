package api_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
)

// shelf is a platform's repositories that say what a test wants them to say, also what no real
// platform should. The rest of the platform is the real one, in front of the sandbox.
type shelf struct {
	mu    sync.Mutex
	list  []provider.Repository
	refs  []provider.Ref
	files map[string]string // by path
	// notices come with every page; err fails every call.
	notices []*problem.Problem
	err     error
	// asked are the calls, each with its arguments.
	asked []string
}

func (s *shelf) ask(parts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.Join(parts, " "))
	return s.err
}

// calls returns the calls since the last time.
func (s *shelf) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

// change changes the shelf while it is served.
func (s *shelf) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// Repositories returns pages of two. The cursor is the number of the next.
func (s *shelf) Repositories(
	_ context.Context, _ provider.Credential, search, cursor string,
) (provider.RepositoryPage, error) {
	if err := s.ask("list", search, cursor); err != nil {
		return provider.RepositoryPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	start, _ := strconv.Atoi(cursor)
	end := min(start+2, len(s.list))
	page := provider.RepositoryPage{Repositories: s.list[start:end], Notices: s.notices}
	if end < len(s.list) {
		page.Cursor = strconv.Itoa(end)
	}
	return page, nil
}

func (s *shelf) Repository(
	_ context.Context, _ provider.Credential, id string,
) (provider.Repository, error) {
	if err := s.ask("one", id); err != nil {
		return provider.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(r provider.Repository) bool { return r.ID == id })
	if i < 0 {
		return provider.Repository{}, noSuchRepository()
	}
	return s.list[i], nil
}

func noSuchRepository() error {
	return problem.New(problem.RepositoryUnknown).With("platform", "GitLab")
}

func (s *shelf) Refs(
	_ context.Context, _ provider.Credential, id string, kind provider.RefKind, search, cursor string,
) (provider.RefPage, error) {
	if err := s.ask("refs", id, string(kind), search, cursor); err != nil {
		return provider.RefPage{}, err
	}
	if cursor == "" {
		return provider.RefPage{Refs: s.refs, Cursor: "2"}, nil
	}
	return provider.RefPage{}, nil
}

func (s *shelf) Commit(
	_ context.Context, _ provider.Credential, id, ref string,
) (provider.Commit, error) {
	if err := s.ask("commit", id, ref); err != nil {
		return provider.Commit{}, err
	}
	for _, r := range s.refs {
		if ref == "heads/"+r.Name {
			return provider.Commit{
				Hash: r.Commit, Message: "Change\n",
				CommittedAt: time.Date(2025, 1, 2, 3, 4, 5, 0, time.FixedZone("", 8*3600)),
			}, nil
		}
	}
	return provider.Commit{}, problem.New(problem.RefUnknown).With("ref", ref)
}

func (s *shelf) File(
	_ context.Context, _ provider.Credential, id, path, ref string,
) ([]byte, error) {
	if err := s.ask("file", id, path, ref); err != nil {
		return nil, err
	}
	text, ok := s.files[path]
	if !ok {
		return nil, problem.New(problem.FileUnknown).With("path", path).With("ref", ref)
	}
	return []byte(text), nil
}

// on replaces the repositories of GitLab and GitHub.
func (s *shelf) on(_ map[string]string, w *world) {
	w.platforms = slices.Clone(w.platforms)
	for i, r := range w.platforms {
		make := r.New
		switch r.Name {
		case provider.GitLab:
			w.platforms[i].New = func(e provider.Environment) provider.Platform {
				return struct {
					provider.TokenPlatform
					*shelf
				}{make(e).(provider.TokenPlatform), s}
			}
		case provider.GitHub:
			w.platforms[i].New = func(e provider.Environment) provider.Platform {
				return struct {
					provider.OAuthPlatform
					*shelf
				}{make(e).(provider.OAuthPlatform), s}
			}
		}
	}
}

// newShelf returns a shelf with three repositories.
func newShelf() *shelf {
	s := &shelf{
		refs: []provider.Ref{
			{Name: "main", Commit: strings.Repeat("a", 40), Protected: true, Default: true},
			{Name: "fix/#1?-100%", Commit: strings.Repeat("b", 40)},
		},
		files: map[string]string{"Dockerfile": "FROM scratch\n"},
	}
	for _, id := range []string{"1", "2", "3"} {
		s.list = append(s.list, provider.Repository{
			ID: id, Name: "acme/web-" + id, URL: "https://gitlab.example/acme/web-" + id + ".git",
			WebURL: "https://gitlab.example/acme/web-" + id, DefaultBranch: "main",
			Visibility: "private",
		})
	}
	return s
}

// looker returns the token of a caller who may only look at repositories.
func (w *world) looker(changes ...any) string {
	return w.issuer.token(w.t, changed(map[string]any{
		"sub": "dev-1", "scope": "bindery.repositories",
	}, changes))
}

// look asks for a path below a binding.
func (w *world) look(path string) reply {
	w.t.Helper()
	return w.do(request{method: "GET", path: path, as: w.looker()})
}

// newShelfWorld returns a world whose GitLab is bound and has a shelf, and the path of the
// repositories.
func newShelfWorld(t *testing.T) (w *world, s *shelf, list string) {
	t.Helper()
	s = newShelf()
	w = newConsentWorld(t, s.on)
	w.put(home+"/gitlab", gitlab()).ok()
	return w, s, home + "/gitlab/repositories"
}

// keys returns the keys of a list's first page.
func (w *world) keys(list string) []string {
	w.t.Helper()
	var keys []string
	for _, r := range w.look(list).ok().list("repositories") {
		keys = append(keys, r["key"].(string))
	}
	return keys
}

// newGitHubShelf returns the same for GitHub, whose tokens expire.
func newGitHubShelf(t *testing.T) (w *world, s *shelf, list string) {
	t.Helper()
	s = newShelf()
	w = newConsentWorld(t, s.on)
	w.bindBy(sandbox.GitHub, "alice")
	return w, s, gitHub + "/repositories"
}

// twoLines is a platform that tells a user name with a line break for git.
type twoLines struct{ provider.OAuthPlatform }

func (p twoLines) Check(
	ctx context.Context, cred provider.Credential,
) (provider.CheckResult, error) {
	result, err := p.OAuthPlatform.Check(ctx, cred)
	result.GitUsername = "alice\nhost=evil.example"
	return result, err
}
