package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"bindery/shared/problem"
)

// Repositories are asked for by id, at /repositories/{id}: that is where GitHub redirects a
// renamed repository's calls, and where the links of its pages lead.
//
// Source: docs.github.com, "Using pagination in the REST API" and "Best practices for using the
// REST API", on redirects.

// gitHubRepository is GitHub's description of a repository. Its temp_clone_token is not read.
type gitHubRepository struct {
	ID            loose `json:"id"`
	FullName      loose `json:"full_name"`
	CloneURL      loose `json:"clone_url"`
	HTMLURL       loose `json:"html_url"`
	DefaultBranch loose `json:"default_branch"`
	Visibility    loose `json:"visibility"`
	Private       bool  `json:"private"`
	Archived      bool  `json:"archived"`
	Permissions   struct {
		Admin bool `json:"admin"`
	} `json:"permissions"`
}

// repository returns the repository. Whether it is empty is not told: size is updated late.
func (r gitHubRepository) repository(site string) Repository {
	return Repository{
		ID:            string(r.ID),
		Name:          label(string(r.FullName)),
		URL:           onSite(site, string(r.CloneURL)),
		WebURL:        onSite(site, string(r.HTMLURL)),
		DefaultBranch: label(string(r.DefaultBranch)),
		Visibility:    visibility(r.Visibility, r.Private),
		Archived:      r.Archived,
		CanSubscribe:  r.Permissions.Admin,
	}
}

// gitHubRepositories implements [RepositoryPlatform].
type gitHubRepositories gitHub

func (g *gitHub) repositories() RepositoryPlatform { return (*gitHubRepositories)(g) }

// Repositories implements [RepositoryPlatform]. GitHub's search finds at most 1,000 repositories at
// a low rate, so a search goes over the list.
func (g *gitHubRepositories) Repositories(
	ctx context.Context, cred Credential, search, cursor string,
) (RepositoryPage, error) {
	var page RepositoryPage
	fetch := func(n int) ([]Repository, bool, error) {
		var list []gitHubRepository
		r, err := g.look(ctx, cred, fmt.Sprintf(
			"/user/repos?sort=full_name&per_page=%d&page=%d", listSize, n), &list)
		var found []Repository
		for _, item := range list {
			if numeric(string(item.ID)) {
				found = append(found, item.repository(g.site))
			}
		}
		if len(page.Notices) == 0 {
			page.Notices = g.hidden(r)
		}
		return found, hasNext(r), err
	}
	var err error
	page.Repositories, page.Cursor, err = scan(search, cursor, repositoryName, fetch)
	if err != nil {
		return RepositoryPage{}, err
	}
	return g.withBound(page, search), nil
}

// hidden returns a notice if GitHub says that an organization requires single sign-on: a list is
// then shorter, and a call for the organization's repository is refused. Only a refusal has the
// page where to sign on; it is passed on if it is GitHub's.
//
// Source: docs.github.com, "Authenticating to the REST API", on X-GitHub-SSO.
func (g *gitHubRepositories) hidden(r reply) []*problem.Problem {
	told := r.header.Get("X-GitHub-SSO")
	if told == "" {
		return nil
	}
	page := (*gitHub)(g).RevokeURL("") // the app's authorizations, which lead there too
	if _, at, found := strings.Cut(told, "url="); found &&
		link(at) != "" && strings.HasPrefix(at, g.site+"/") {
		page = at
	}
	return []*problem.Problem{
		g.problem(problem.RepositoriesHidden).Because("single_sign_on").With("url", page),
	}
}

// Repository implements [RepositoryPlatform].
func (g *gitHubRepositories) Repository(
	ctx context.Context, cred Credential, id string,
) (Repository, error) {
	if !numeric(id) {
		return Repository{}, g.repositoryUnknown()
	}
	var found gitHubRepository
	r, err := g.look(ctx, cred, "/repositories/"+id, &found)
	if err != nil {
		return Repository{}, unknown(r, err, g.repositoryUnknown())
	}
	if string(found.ID) != id {
		return Repository{}, g.unexpected(r)
	}
	return found.repository(g.site), nil
}

// Refs implements [RepositoryPlatform]. The list of branches doesn't say which is the default one,
// so the repository is asked for too.
func (g *gitHubRepositories) Refs(
	ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string,
) (RefPage, error) {
	if !numeric(id) {
		return RefPage{}, g.repositoryUnknown()
	}
	list, first := "tags", ""
	if kind == Branches {
		repository, err := g.Repository(ctx, cred, id)
		if err != nil {
			return RefPage{}, err
		}
		list, first = "branches", repository.DefaultBranch
	}
	fetch := func(n int) ([]Ref, bool, error) {
		var told []struct {
			Name   loose `json:"name"`
			Commit struct {
				SHA loose `json:"sha"`
			} `json:"commit"`
			Protected bool `json:"protected"`
		}
		r, err := g.look(ctx, cred, fmt.Sprintf(
			"/repositories/%s/%s?per_page=%d&page=%d", id, list, listSize, n), &told)
		var refs []Ref
		for _, t := range told {
			refs = keepRef(refs, t.Name, t.Commit.SHA, t.Protected,
				kind == Branches && string(t.Name) == first)
		}
		return refs, hasNext(r), unknown(r, err, g.repositoryUnknown())
	}
	refs, next, err := scan(search, cursor, refName, fetch)
	return RefPage{refs, next}, err
}

// Commit implements [RepositoryPlatform]. A name that no commit has is a 422, and an empty
// repository a 409.
func (g *gitHubRepositories) Commit(
	ctx context.Context, cred Credential, id, ref string,
) (Commit, error) {
	rev, err := g.parseRef(ref)
	if err != nil {
		return Commit{}, err
	}
	if !numeric(id) {
		return Commit{}, g.repositoryUnknown()
	}
	name := rev.name
	if rev.kind != "" {
		name = string(rev.kind) + "/" + name
	}
	var told struct {
		SHA     loose `json:"sha"`
		HTMLURL loose `json:"html_url"`
		Commit  struct {
			Message   loose `json:"message"`
			Committer struct {
				Date loose `json:"date"`
			} `json:"committer"`
		} `json:"commit"`
	}
	// The page is one of the commit's files, which aren't wanted.
	r, err := g.look(ctx, cred,
		"/repositories/"+id+"/commits/"+escapeParts(name)+"?per_page=1", &told)
	if e, isJSON := r.apiError(); isJSON && err != nil && e.text != "" &&
		(r.status == http.StatusUnprocessableEntity || r.status == http.StatusConflict) {
		return Commit{}, g.refUnknown(ref).From(err)
	}
	if err != nil {
		return Commit{}, unknown(r, err, g.repositoryUnknown())
	}
	commit, ok := newCommit(
		g.site, told.SHA, told.Commit.Committer.Date, told.Commit.Message, told.HTMLURL,
	)
	if !ok {
		return Commit{}, g.unexpected(r)
	}
	return commit, nil
}

// File implements [RepositoryPlatform].
func (g *gitHubRepositories) File(
	ctx context.Context, cred Credential, id, path, ref string,
) ([]byte, error) {
	if !numeric(id) {
		return nil, g.repositoryUnknown()
	}
	return g.file(ctx, g, cred, id, path, ref, func(path, commit string) (reply, error) {
		header := maps.Clone(gitHubHeader)
		header["Accept"] = "application/vnd.github.raw+json"
		r, err := (*gitHub)(g).askAgain(ctx, call{
			address: g.api + "/repositories/" + id + "/contents/" + escapeParts(path) +
				"?ref=" + url.QueryEscape(commit),
			header: header, limit: FileLimit,
		}, cred, nil)
		if err == nil && strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
			return r, g.fileUnknown(path, ref) // a folder is a list, not raw
		}
		return r, err
	})
}

// look asks for what a repository has.
func (g *gitHubRepositories) look(
	ctx context.Context, cred Credential, path string, into any,
) (reply, error) {
	k := call{address: g.api + path, header: gitHubHeader, limit: maxListLength}
	return g.askForRepository(ctx, k, cred, into)
}

// askForRepository is [gitHub.askAgain] for a call that an organization's single sign-on may
// refuse.
func (g *gitHubRepositories) askForRepository(
	ctx context.Context, k call, cred Credential, into any,
) (reply, error) {
	r, err := (*gitHub)(g).askAgain(ctx, k, cred, into)
	if notices := g.hidden(r); err != nil && len(notices) > 0 {
		return r, notices[0].From(err)
	}
	return r, err
}
