package codeup

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
)

// inRepository returns the handler of calls about a repository that must exist.
func (s *Server) inRepository(serve func(call, Repository) (any, *apiError)) handler {
	return func(c call) (any, *apiError) {
		r, ok := s.repository(c.organization, c.PathValue("repository"))
		if !ok {
			return notFound("Repository")
		}
		return serve(c, r)
	}
}

// describe returns what the list and the detail of a repository have in common.
func (s *Server) describe(c call, r Repository) platform.Object {
	full := c.organization + "/" + r.Path
	return platform.Object{
		"id": r.ID, "name": r.Path, "path": r.Path, "pathWithNamespace": full,
		"nameWithNamespace": strings.ReplaceAll(full, "/", " / "), "description": "",
		"visibility": "private", "webUrl": s.Origin(c.Request) + "/" + full,
		"avatarUrl": "", "archived": r.Archived, "demoProject": false, "starCount": 0,
		"createdAt": platform.Epoch, "updatedAt": platform.Epoch,
		"lastActivityAt": platform.Epoch, "accessLevel": s.accessLevel(c),
	}
}

// accessLevel is 40 for an administrator, 30 for another member.
func (s *Server) accessLevel(c call) int {
	if s.members[c.organization][c.token.CloneAccount] {
		return 40
	}
	return 30
}

// repositories returns an organization's repositories. Hold mu.
func (s *Server) repositories(organization string) []Repository {
	all := slices.Clone(s.organizations[organization].Repositories)
	if s.On(platform.ManyRepositories) {
		for _, path := range platform.Paths("many", true) {
			all = append(all, seeded(organization, path, 0))
		}
	}
	return all
}

// repository finds a repository by its id, or by its path with the organization. Hold mu.
func (s *Server) repository(organization, idOrPath string) (Repository, bool) {
	for _, r := range s.repositories(organization) {
		if strconv.FormatInt(r.ID, 10) == idOrPath || organization+"/"+r.Path == idOrPath {
			return r, true
		}
	}
	return Repository{}, false
}

// contents returns a repository with what git has of it. Its path begins with the organization.
func (s *Server) contents(organization string, r Repository) platform.Repository {
	of := platform.NewRepository(platform.Codeup, organization+"/"+r.Path)
	of.ID, of.Archived, of.Admin = r.ID, r.Archived, r.Path != platform.ReadOnly
	of.Branches, of.Tags, of.Annotated = r.Branches, r.Tags, r.Annotated
	of.Repository = s.Git.Current(of.Repository)
	return of
}

// Contents returns the repository with this path, which begins with the organization, as it is now.
func (s *Server) Contents(path string) platform.Repository {
	organization, path, _ := strings.Cut(path, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repositories(organization) {
		if r.Path == path {
			return s.contents(organization, r)
		}
	}
	return platform.Repository{}
}

// listRepositories lists repositories without clone addresses, which only the detail has.
func (s *Server) listRepositories(c call) (any, *apiError) {
	list := []platform.Object{}
	query := c.URL.Query()
	if page, _ := strconv.Atoi(query.Get("page")); page > 150 {
		return nil, &apiError{http.StatusBadRequest, "BadRequest", "page is more than 150"}
	}
	search := strings.ToLower(query.Get("search"))
	for _, r := range s.repositories(c.organization) {
		if strings.Contains(strings.ToLower(r.Path), search) {
			list = append(list, s.describe(c, r))
		}
	}
	return list, nil
}

// getRepository returns the access level as a string, which in the list is a number.
func (s *Server) getRepository(c call, r Repository) (any, *apiError) {
	o := s.describe(c, r)
	o["httpUrlToRepo"] = fmt.Sprintf("%v.git", o["webUrl"])
	o["sshUrlToRepo"] = fmt.Sprintf("git@sandbox.invalid:%v.git", o["pathWithNamespace"])
	o["accessLevel"] = strconv.Itoa(s.accessLevel(c))
	o["defaultBranch"] = nil
	if branches := s.contents(c.organization, r).Branches; len(branches) > 0 {
		o["defaultBranch"] = branches[0]
	}
	return o, nil
}

// commit describes a commit.
func (s *Server) commit(c call, r Repository, of git.Commit) platform.Object {
	title, _, _ := strings.Cut(of.Message, "\n")
	return platform.Object{
		"id": of.Hash, "shortId": of.Hash[:8], "title": title, "message": of.Message,
		"authorName": of.Author, "authorEmail": of.Email, "authoredDate": of.Time,
		"committerName": of.Author, "committerEmail": of.Email, "committedDate": of.Time,
		"parentIds": []string{},
		"webUrl":    s.Origin(c.Request) + "/" + c.organization + "/" + r.Path + "/commit/" + of.Hash,
	}
}

// searched returns the names that have the search in them.
func searched(c call, names []string) []string {
	search := strings.ToLower(c.URL.Query().Get("search"))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !strings.Contains(strings.ToLower(name), search)
	})
}

func (s *Server) listBranches(c call, r Repository) (any, *apiError) {
	contents := s.contents(c.organization, r)
	return names{searched(c, contents.Branches), func(name string) platform.Object {
		return s.branch(c, r, contents, name)
	}}, nil
}

func (s *Server) getBranch(c call, r Repository) (any, *apiError) {
	contents := s.contents(c.organization, r)
	if name := c.PathValue("name"); slices.Contains(contents.Branches, name) {
		return s.branch(c, r, contents, name), nil
	}
	return notFound("Branch")
}

func (s *Server) branch(
	c call, r Repository, contents platform.Repository, name string,
) platform.Object {
	of, _ := contents.Commit("heads/" + name)
	isDefault := name == contents.Branches[0]
	return platform.Object{
		"name": name, "defaultBranch": isDefault, "protected": isDefault,
		"commit": s.commit(c, r, of),
	}
}

// listTags gives an annotated tag the id of its object.
func (s *Server) listTags(c call, r Repository) (any, *apiError) {
	contents := s.contents(c.organization, r)
	all := searched(c, slices.Concat(contents.Tags, contents.Annotated))
	return names{all, func(name string) platform.Object {
		of, _ := contents.Commit("tags/" + name)
		return platform.Object{
			"name": name, "id": cmp.Or(contents.TagObject(name), of.Hash), "message": "",
			"commit": s.commit(c, r, of),
		}
	}}, nil
}

func (s *Server) getCommit(c call, r Repository) (any, *apiError) {
	of, found := s.contents(c.organization, r).Find(c.PathValue("sha"))
	if !found {
		return notFound("Commit")
	}
	return s.commit(c, r, of), nil
}

func (s *Server) getFile(c call, r Repository) (any, *apiError) {
	of, found := s.contents(c.organization, r).Find(c.URL.Query().Get("ref"))
	if !found {
		return notFound("Commit")
	}
	file, found := of.File(c.PathValue("path"))
	if !found {
		return notFound("File")
	}
	return platform.Object{
		"fileName": path.Base(file.Path), "filePath": file.Path, "blobId": file.Hash,
		"size": strconv.Itoa(len(file.Content)), "encoding": "base64", "commitId": of.Hash,
		"content": base64.StdEncoding.EncodeToString([]byte(file.Content)),
		"ref":     c.URL.Query().Get("ref"),
	}, nil
}
