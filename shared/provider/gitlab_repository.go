package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"bindery/shared/problem"
)

// Source: gitlabhq's doc/api/projects.md, branches.md, tags.md, commits.md, repository_files.md and
// doc/api/rest/index.md on pagination.

// gitLabProject is a project. Its runners_token, which maintainers get, is not read.
type gitLabProject struct {
	ID            loose `json:"id"`
	Path          loose `json:"path_with_namespace"`
	CloneURL      loose `json:"http_url_to_repo"`
	WebURL        loose `json:"web_url"`
	DefaultBranch loose `json:"default_branch"`
	Visibility    loose `json:"visibility"`
	Archived      bool  `json:"archived"`
	EmptyRepo     bool  `json:"empty_repo"`
	Permissions   struct {
		Project gitLabAccess `json:"project_access"` // null if it is the group's
		Group   gitLabAccess `json:"group_access"`   // null if it is the project's
	} `json:"permissions"`
}

type gitLabAccess struct {
	Level int `json:"access_level"`
}

// gitLabMaintainer is the lowest access level that may install webhooks.
const gitLabMaintainer = 40

func (p gitLabProject) repository(address string) Repository {
	return Repository{
		ID:            string(p.ID),
		Name:          label(string(p.Path)),
		URL:           onSite(address, string(p.CloneURL)),
		WebURL:        onSite(address, string(p.WebURL)),
		DefaultBranch: label(string(p.DefaultBranch)),
		Visibility:    visibility(p.Visibility, true),
		Archived:      p.Archived,
		Empty:         p.EmptyRepo,
		CanSubscribe: max(p.Permissions.Project.Level, p.Permissions.Group.Level) >=
			gitLabMaintainer,
	}
}

// gitLabRepositories implements [RepositoryPlatform].
type gitLabRepositories gitLab

func (g *gitLab) repositories() RepositoryPlatform { return (*gitLabRepositories)(g) }

// Repositories implements [RepositoryPlatform]. The cursor is the last id of the page before: the
// list goes down by id, so that it has no end at 10,000 and a project that is added or deleted
// meanwhile moves no other.
func (g *gitLabRepositories) Repositories(
	ctx context.Context, cred Credential, search, cursor string,
) (RepositoryPage, error) {
	query := url.Values{
		"membership": {"true"}, "pagination": {"keyset"}, "order_by": {"id"}, "sort": {"desc"},
		"per_page": {fmt.Sprint(listSize)},
	}
	if cursor != "" {
		if !numeric(cursor) {
			return RepositoryPage{}, malformed("cursor", "cursor")
		}
		query.Set("id_before", cursor)
	}
	if search != "" {
		query.Set("search", search)
		query.Set("search_namespaces", "true")
	}
	var list []gitLabProject
	r, err := g.look(ctx, cred, "projects?"+query.Encode(), &list)
	if err != nil {
		return RepositoryPage{}, err
	}
	var page RepositoryPage
	for _, item := range list {
		if !numeric(string(item.ID)) {
			return RepositoryPage{}, g.unexpected(r)
		}
		page.Repositories = append(page.Repositories, item.repository(cred.Address))
	}
	if n := len(list); n > 0 && toldNext(r, n) {
		page.Cursor = string(list[n-1].ID)
	}
	return page, nil
}

// Repository implements [RepositoryPlatform].
func (g *gitLabRepositories) Repository(
	ctx context.Context, cred Credential, id string,
) (Repository, error) {
	if !numeric(id) {
		return Repository{}, g.repositoryUnknown()
	}
	var found gitLabProject
	r, err := g.look(ctx, cred, "projects/"+id, &found)
	if err != nil {
		return Repository{}, unknown(r, err, g.repositoryUnknown())
	}
	if string(found.ID) != id {
		return Repository{}, g.unexpected(r)
	}
	return found.repository(cred.Address), nil
}

// gitLabRef is a branch or a tag. The target of an annotated tag is the tag's object; the commit is
// null for a tag of something else.
type gitLabRef struct {
	Name      loose        `json:"name"`
	Commit    gitLabCommit `json:"commit"`
	Protected bool         `json:"protected"`
	Default   bool         `json:"default"`
}

type gitLabCommit struct {
	ID            loose `json:"id"`
	CommittedDate loose `json:"committed_date"`
	Message       loose `json:"message"`
	WebURL        loose `json:"web_url"`
}

// gitLabRefs are the paths of the kinds of refs.
var gitLabRefs = map[RefKind]string{Branches: "branches", Tags: "tags"}

// Refs implements [RepositoryPlatform].
func (g *gitLabRepositories) Refs(
	ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string,
) (RefPage, error) {
	n, err := pageOf(cursor)
	if err != nil {
		return RefPage{}, err
	}
	if !numeric(id) {
		return RefPage{}, g.repositoryUnknown()
	}
	query := url.Values{"per_page": {fmt.Sprint(listSize)}, "page": {fmt.Sprint(n)}}
	if search != "" {
		query.Set("search", search)
	}
	var list []gitLabRef
	r, err := g.look(ctx, cred,
		"projects/"+id+"/repository/"+gitLabRefs[kind]+"?"+query.Encode(), &list)
	if err != nil {
		return RefPage{}, unknown(r, err, g.repositoryUnknown())
	}
	var refs []Ref
	for _, t := range list {
		refs = keepRef(refs, t.Name, t.Commit.ID, t.Protected, t.Default)
	}
	return RefPage{refs, nextPage(n, toldNext(r, len(list)))}, nil
}

// Commit implements [RepositoryPlatform]. A branch and a tag may have the same name, so each is
// asked for as what it is. A name is one segment of the path, with its slashes escaped.
func (g *gitLabRepositories) Commit(
	ctx context.Context, cred Credential, id, ref string,
) (Commit, error) {
	rev, err := g.parseRef(ref)
	if err != nil {
		return Commit{}, err
	}
	if !numeric(id) {
		return Commit{}, g.repositoryUnknown()
	}
	base, name := "projects/"+id+"/repository/", url.PathEscape(rev.name)
	var found gitLabRef
	var r reply
	if rev.kind == "" {
		r, err = g.look(ctx, cred, base+"commits/"+name, &found.Commit)
	} else {
		r, err = g.look(ctx, cred, base+gitLabRefs[rev.kind]+"/"+name, &found)
	}
	if err != nil {
		return Commit{}, unknown(r, err, g.refUnknown(ref))
	}
	told := found.Commit
	commit, ok := newCommit(cred.Address, told.ID, told.CommittedDate, told.Message, told.WebURL)
	if !ok {
		return Commit{}, g.refUnknown(ref)
	}
	return commit, nil
}

// File implements [RepositoryPlatform].
func (g *gitLabRepositories) File(
	ctx context.Context, cred Credential, id, path, ref string,
) ([]byte, error) {
	if !numeric(id) {
		return nil, g.repositoryUnknown()
	}
	return g.file(ctx, g, cred, id, path, ref, func(path, commit string) (reply, error) {
		return g.look(ctx, cred, "projects/"+id+"/repository/files/"+url.PathEscape(path)+
			"/raw?ref="+commit, nil)
	})
}

// look asks for what a project has; with no into for a file. GitLab names the project in its 404 if
// that is what is missing, and answers 403 to a user who may not see the code.
func (g *gitLabRepositories) look(
	ctx context.Context, cred Credential, path string, into any,
) (reply, error) {
	k := (*gitLab)(g).get(cred, path)
	if k.limit = maxListLength; into == nil {
		k.limit = FileLimit
	}
	r, err := g.ask(ctx, k, into)
	e, isJSON := r.apiError()
	if err == nil || !isJSON {
		return r, err
	}
	missing := r.status == http.StatusNotFound && e.text == "404 project not found"
	if forbidden := r.status == http.StatusForbidden && e.code == onlyMessage &&
		e.text == "403 forbidden"; forbidden || missing {
		return reply{}, g.problem(problem.RepositoryUnknown).From(err)
	}
	return r, err
}
