package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"bindery/shared/binding/repository"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// Repository adds the routes that look at the repositories of a binding's user. A ref and a path
// are the rest of the address, whose slashes may be encoded or not: API Gateway decodes them.
func Repository(a *API, mux *http.ServeMux) {
	const all = "GET /v1/instances/{region}/{instance}/bindings/{platform}/repositories"
	const one = all + "/{repository}"
	for route, serve := range map[string]handler{
		all:                       a.repositories,
		one:                       a.repository,
		one + "/branches":         a.refs(provider.Branches),
		one + "/tags":             a.refs(provider.Tags),
		one + "/commits/{ref...}": a.commit,
		one + "/files/{path...}":  a.file,
	} {
		mux.HandleFunc(route, a.signedIn(ScopeRepositories, limited(a.repositoryLimiter, serve)))
	}
}

type repositoryJSON struct {
	Key           string  `json:"key"`
	Name          string  `json:"name"`
	URL           string  `json:"url"`
	WebURL        string  `json:"webUrl"`
	DefaultBranch *string `json:"defaultBranch"`
	Visibility    *string `json:"visibility"`
	Archived      bool    `json:"archived"`
	Empty         bool    `json:"empty"`
	CanSubscribe  bool    `json:"canSubscribe"`
}

func repositoryOf(r repository.Repository) repositoryJSON {
	return repositoryJSON{
		Key:           r.Key,
		Name:          r.Name,
		URL:           r.URL,
		WebURL:        r.WebURL,
		DefaultBranch: text(r.DefaultBranch),
		Visibility:    text(r.Visibility),
		Archived:      r.Archived,
		Empty:         r.Empty,
		CanSubscribe:  r.CanSubscribe,
	}
}

// target returns the binding that the path names.
func (a *API) target(ctx context.Context, c call) (repository.Target, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	return repository.Target{By: c.user(), Instance: i, Platform: platform}, err
}

type repositoriesJSON struct {
	Repositories []repositoryJSON  `json:"repositories"`
	Cursor       *string           `json:"cursor"`
	Notices      []problem.Details `json:"notices"`
}

func (a *API) repositories(ctx context.Context, c call) (answer, error) {
	search, cursor, err := page(c)
	if err != nil {
		return answer{}, err
	}
	target, err := a.target(ctx, c)
	if err != nil {
		return answer{}, err
	}
	found, err := a.looks.Repositories(ctx, target, search, cursor)
	if err != nil {
		return answer{}, err
	}
	out := repositoriesJSON{
		Repositories: []repositoryJSON{}, Cursor: text(found.Cursor), Notices: []problem.Details{},
	}
	for _, r := range found.Repositories {
		out.Repositories = append(out.Repositories, repositoryOf(r))
	}
	for _, n := range found.Notices {
		out.Notices = append(out.Notices, n.DetailsIn(c.language()))
	}
	return answer{body: out}, nil
}

// page returns the parameters of a list that can be searched.
func page(c call) (search, cursor string, err error) {
	if search, err = parameter(c, "search"); err == nil {
		cursor, err = parameter(c, "cursor")
	}
	return search, cursor, err
}

func (a *API) repository(ctx context.Context, c call) (answer, error) {
	target, err := a.target(ctx, c)
	if err != nil {
		return answer{}, err
	}
	found, err := a.looks.Repository(ctx, target, c.PathValue("repository"))
	if err != nil {
		return answer{}, err
	}
	return answer{body: repositoryOf(found)}, nil
}

type refsJSON struct {
	Refs   []refJSON `json:"refs"`
	Cursor *string   `json:"cursor"`
}

type refJSON struct {
	Name      string `json:"name"`
	Commit    string `json:"commit"`
	Protected bool   `json:"protected"`
	Default   bool   `json:"default"`
}

func (a *API) refs(kind provider.RefKind) handler {
	return func(ctx context.Context, c call) (answer, error) {
		search, cursor, err := page(c)
		if err != nil {
			return answer{}, err
		}
		target, err := a.target(ctx, c)
		if err != nil {
			return answer{}, err
		}
		found, err := a.looks.Refs(ctx, target, repository.RefsRequest{
			Repository: c.PathValue("repository"), Kind: kind, Search: search, Cursor: cursor,
		})
		if err != nil {
			return answer{}, err
		}
		out := refsJSON{Refs: []refJSON{}, Cursor: text(found.Cursor)}
		for _, r := range found.Refs {
			out.Refs = append(out.Refs, refJSON(r))
		}
		return answer{body: out}, nil
	}
}

type commitJSON struct {
	Commit      string     `json:"commit"`
	CommittedAt *time.Time `json:"committedAt"`
	Message     string     `json:"message"`
	URL         *string    `json:"url"`
}

func (a *API) commit(ctx context.Context, c call) (answer, error) {
	ref, err := named(c, "ref")
	if err != nil {
		return answer{}, err
	}
	target, err := a.target(ctx, c)
	if err != nil {
		return answer{}, err
	}
	found, err := a.looks.Commit(ctx, target, c.PathValue("repository"), ref)
	if err != nil {
		return answer{}, err
	}
	return answer{body: commitJSON{
		Commit:      found.Hash,
		CommittedAt: optionalTime(found.CommittedAt.UTC()),
		Message:     found.Message,
		URL:         text(found.URL),
	}}, nil
}

// named returns the ref or the path that ends an address. After "~" it is in base64url without
// padding (RFC 4648, 5), because API Gateway refuses a path with %25 and cuts one at %3F. A ref
// never begins with "~" (git-check-ref-format), and a path that does is sent in this form.
func named(c call, part string) (string, error) {
	coded, ok := strings.CutPrefix(c.PathValue(part), "~")
	if !ok {
		return c.PathValue(part), nil
	}
	name, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	if err != nil {
		return "", malformed(part, "encoding")
	}
	return string(name), nil
}

// file replies with a file as it is. A file that isn't text has the type application/octet-stream.
func (a *API) file(ctx context.Context, c call) (answer, error) {
	ref, err := parameter(c, "ref")
	if err == nil && ref == "" {
		err = malformed("ref", "required")
	}
	if err != nil {
		return answer{}, err
	}
	path, err := named(c, "path")
	if err != nil {
		return answer{}, err
	}
	target, err := a.target(ctx, c)
	if err != nil {
		return answer{}, err
	}
	data, err := a.looks.File(ctx, target, c.PathValue("repository"), path, ref)
	if err != nil {
		return answer{}, err
	}
	kind := plainText
	if !utf8.Valid(data) {
		kind = "application/octet-stream"
	}
	return answer{raw: data, contentType: kind}, nil
}
