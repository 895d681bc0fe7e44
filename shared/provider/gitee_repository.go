package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/problem"
)

// Gitee's API knows repositories by their paths only, which a rename changes and another repository
// may take. So an id here is the number and the path, "14836026/kit101/drone-yml-test", and each
// call about a repository is preceded by one that compares the number.
//
// Source: gitee.com/api/v5/swagger.

// giteeRepository is Gitee's description of a repository. Its html_url is the clone address.
type giteeRepository struct {
	ID            loose `json:"id"`
	FullName      loose `json:"full_name"`
	HTMLURL       loose `json:"html_url"`
	DefaultBranch loose `json:"default_branch"`
	Private       bool  `json:"private"`
	Internal      bool  `json:"internal"`
	EmptyRepo     bool  `json:"empty_repo"`
	Permission    struct {
		Admin bool `json:"admin"`
	} `json:"permission"`
}

func (r giteeRepository) repository(site string) Repository {
	word := loose("")
	if r.Internal {
		word = "internal"
	}
	page := strings.TrimSuffix(string(r.HTMLURL), ".git")
	return Repository{
		ID:            string(r.ID) + "/" + string(r.FullName),
		Name:          label(string(r.FullName)),
		URL:           onSite(site, page+".git"),
		WebURL:        onSite(site, page),
		DefaultBranch: label(string(r.DefaultBranch)),
		Visibility:    visibility(word, r.Private),
		Empty:         r.EmptyRepo,
		CanSubscribe:  r.Permission.Admin,
	}
}

// giteePath returns the number and the path of a repository's id, and whether it is one.
func giteePath(id string) (number, path string, ok bool) {
	number, path, _ = strings.Cut(id, "/")
	return number, path, numeric(number) && validPath(path) && strings.Count(path, "/") == 1
}

// giteeRepositories implements [RepositoryPlatform].
type giteeRepositories gitee

func (g *gitee) repositories() RepositoryPlatform { return (*giteeRepositories)(g) }

// Repositories implements [RepositoryPlatform]. Newer servers search by q. Older ones ignore it, so
// a search goes over the list in any case.
func (g *giteeRepositories) Repositories(
	ctx context.Context, cred Credential, search, cursor string,
) (RepositoryPage, error) {
	var page RepositoryPage
	var err error
	page.Repositories, page.Cursor, err = scan(search, cursor, repositoryName,
		func(n int) ([]Repository, bool, error) {
			list, more, err := g.repositoryPage(ctx, cred, search, n)
			var found []Repository
			for _, item := range list {
				found = append(found, item.repository(g.site))
			}
			return found, more, err
		})
	if err != nil {
		return RepositoryPage{}, err
	}
	return g.withBound(page, search), nil
}

// repositoryPage returns page n of the list, and whether there is another.
func (g *giteeRepositories) repositoryPage(
	ctx context.Context, cred Credential, search string, n int,
) ([]giteeRepository, bool, error) {
	query := giteeQuery(n)
	query.Set("sort", "full_name")
	if search != "" {
		query.Set("q", search)
	}
	var list []giteeRepository
	r, err := g.look(ctx, cred, "/user/repos?"+query.Encode(), &list)
	more := giteeNext(r, n) || r.header.Get(giteePages) == "" && len(list) == listSize
	return slices.DeleteFunc(list, func(item giteeRepository) bool {
		_, _, ok := giteePath(string(item.ID) + "/" + string(item.FullName))
		return !ok
	}), more, err
}

func giteeQuery(page int) url.Values {
	return url.Values{"page": {fmt.Sprint(page)}, "per_page": {fmt.Sprint(listSize)}}
}

// giteePages is the header with the number of a list's pages.
const giteePages = "Total_page"

// giteeNext reports whether there is a page after page n. A list of refs without the header is
// whole: older servers ignore page and per_page there.
func giteeNext(r reply, n int) bool {
	pages, err := strconv.Atoi(r.header.Get(giteePages))
	return err == nil && n < pages
}

// Repository implements [RepositoryPlatform]. The repository's id has its path of today.
func (g *giteeRepositories) Repository(
	ctx context.Context, cred Credential, id string,
) (Repository, error) {
	found, err := g.find(ctx, cred, id)
	if err != nil {
		return Repository{}, err
	}
	return found.repository(g.site), nil
}

// find returns the repository of an id. If it isn't at its path any more, it is looked for in the
// list, which may cost up to ten calls more.
func (g *giteeRepositories) find(
	ctx context.Context, cred Credential, id string,
) (giteeRepository, error) {
	number, path, ok := giteePath(id)
	if !ok {
		return giteeRepository{}, g.repositoryUnknown()
	}
	var at giteeRepository
	r, err := g.look(ctx, cred, "/repos/"+escapeParts(path), &at)
	err = unknown(r, err, g.repositoryUnknown())
	if err != nil && !problem.Is(err, problem.RepositoryUnknown) {
		return giteeRepository{}, err
	}
	if err == nil && string(at.ID) == number {
		return at, nil
	}
	for n := 1; n <= maxScannedPages; n++ {
		list, more, err := g.repositoryPage(ctx, cred, "", n)
		if err != nil {
			return giteeRepository{}, err
		}
		i := slices.IndexFunc(list, func(r giteeRepository) bool { return string(r.ID) == number })
		if i >= 0 {
			return list[i], nil
		}
		if !more {
			break
		}
	}
	return giteeRepository{}, g.repositoryUnknown()
}

// giteeRef is a branch or a tag, with the commit also for an annotated tag.
type giteeRef struct {
	Name      loose       `json:"name"`
	Commit    giteeCommit `json:"commit"`
	Protected bool        `json:"protected"`
}

type giteeCommit struct {
	SHA    loose `json:"sha"`
	Commit struct {
		Message   loose `json:"message"`
		Committer struct {
			Date loose `json:"date"`
		} `json:"committer"`
	} `json:"commit"`
}

// Refs implements [RepositoryPlatform]. Gitee has no search for refs.
func (g *giteeRepositories) Refs(
	ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string,
) (RefPage, error) {
	at, err := g.find(ctx, cred, id)
	if err != nil {
		return RefPage{}, err
	}
	refs, next, err := scan(search, cursor, refName, func(n int) ([]Ref, bool, error) {
		list, more, err := g.refPage(ctx, cred, at, kind, n)
		var refs []Ref
		for _, t := range list {
			refs = keepRef(refs, t.Name, t.Commit.SHA, t.Protected,
				kind == Branches && t.Name == at.DefaultBranch)
		}
		return refs, more, err
	})
	return RefPage{refs, next}, err
}

func (g *giteeRepositories) refPage(
	ctx context.Context, cred Credential, at giteeRepository, kind RefKind, n int,
) (list []giteeRef, more bool, err error) {
	path := "/branches?"
	if kind == Tags {
		path = "/tags?"
	}
	r, err := g.in(ctx, cred, at, path+giteeQuery(n).Encode(), &list)
	return list, giteeNext(r, n), unknown(r, err, g.repositoryUnknown())
}

// Commit implements [RepositoryPlatform]. There is no call for one tag, so the list is read, which
// may cost up to ten calls; it has no commit's message, so the commit is asked for too.
func (g *giteeRepositories) Commit(
	ctx context.Context, cred Credential, id, ref string,
) (Commit, error) {
	rev, err := g.parseRef(ref)
	if err != nil {
		return Commit{}, err
	}
	at, err := g.find(ctx, cred, id)
	if err != nil {
		return Commit{}, err
	}
	path := "/commits/" + rev.name
	switch rev.kind {
	case Branches:
		path = "/branches/" + url.PathEscape(rev.name)
	case Tags:
		hash, err := g.tagCommit(ctx, cred, at, rev.name)
		if err != nil {
			return Commit{}, err
		}
		if !isFullHash(hash) {
			return Commit{}, g.refUnknown(ref)
		}
		path = "/commits/" + hash
	}
	return g.commit(ctx, cred, at, path, ref)
}

// commit asks for a commit at a branch's path or at its own.
func (g *giteeRepositories) commit(
	ctx context.Context, cred Credential, at giteeRepository, path, ref string,
) (Commit, error) {
	// A branch has the commit within it, and the commit has its message within it.
	var told struct {
		SHA    loose           `json:"sha"`
		Commit json.RawMessage `json:"commit"`
	}
	r, err := g.in(ctx, cred, at, path, &told)
	if err != nil {
		return Commit{}, unknown(r, err, g.refUnknown(ref))
	}
	var found giteeCommit
	body := r.body
	if told.SHA == "" {
		body = told.Commit
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return Commit{}, g.unexpected(r)
	}
	page := "/" + string(at.FullName) + "/commit/" + string(found.SHA)
	commit, ok := newCommit(
		g.site, found.SHA, found.Commit.Committer.Date, found.Commit.Message, loose(page),
	)
	if !ok {
		return Commit{}, g.refUnknown(ref)
	}
	return commit, nil
}

// tagCommit returns the hash of a tag's commit, "" if there is no such tag.
func (g *giteeRepositories) tagCommit(
	ctx context.Context, cred Credential, at giteeRepository, name string,
) (string, error) {
	for n := 1; n <= maxScannedPages; n++ {
		list, more, err := g.refPage(ctx, cred, at, Tags, n)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(list, func(t giteeRef) bool { return string(t.Name) == name })
		if i >= 0 {
			return string(list[i].Commit.SHA), nil
		}
		if !more {
			break
		}
	}
	return "", nil
}

// File implements [RepositoryPlatform]. A folder is a list, and so is what doesn't exist.
func (g *giteeRepositories) File(
	ctx context.Context, cred Credential, id, path, ref string,
) ([]byte, error) {
	return g.file(ctx, g, cred, id, path, ref, func(path, commit string) (reply, error) {
		at, err := g.find(ctx, cred, id)
		if err != nil {
			return reply{}, err
		}
		var told json.RawMessage
		r, err := g.in(ctx, cred, at, giteeContents+escapeParts(path)+"?ref="+commit, &told)
		if err != nil {
			return r, err
		}
		var file encodedFile
		if bytes.HasPrefix(told, []byte("[")) || json.Unmarshal(told, &file) != nil {
			return r, g.fileUnknown(path, ref)
		}
		return g.decodeFile(r, file)
	})
}

// giteeContents begins the path of a file in a repository.
const giteeContents = "/contents/"

// in asks for what is in a repository.
func (g *giteeRepositories) in(
	ctx context.Context, cred Credential, at giteeRepository, path string, into any,
) (reply, error) {
	k, err := g.below(at, path)
	if err != nil {
		return reply{}, err
	}
	return g.askAs(ctx, k, cred, into)
}

// below returns the call of a path in a repository.
func (g *giteeRepositories) below(at giteeRepository, path string) (call, error) {
	if _, _, ok := giteePath("1/" + string(at.FullName)); !ok {
		return call{}, g.repositoryUnknown()
	}
	limit := int64(maxListLength)
	if strings.HasPrefix(path, giteeContents) {
		limit = maxEncodedLength
	}
	return call{
		address: g.api + "/api/v5/repos/" + escapeParts(string(at.FullName)) + path, limit: limit,
	}, nil
}

func (g *giteeRepositories) look(
	ctx context.Context, cred Credential, path string, into any,
) (reply, error) {
	return g.askAs(ctx, call{address: g.api + "/api/v5" + path, limit: maxListLength}, cred, into)
}
