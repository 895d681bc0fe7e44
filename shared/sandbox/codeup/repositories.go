package codeup

import (
	"crypto/sha1"
	"fmt"
	"strconv"
	"strings"

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
		"avatarUrl": "", "archived": false, "demoProject": false, "starCount": 0,
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

// listRepositories lists repositories without clone addresses, which only the detail has.
func (s *Server) listRepositories(c call) (any, *apiError) {
	var list []platform.Object
	search := c.URL.Query().Get("search")
	for _, r := range s.organizations[c.organization].Repositories {
		if strings.Contains(r.Path, search) {
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
	if len(r.Branches) > 0 {
		o["defaultBranch"] = r.Branches[0]
	}
	return o, nil
}

// commitID returns the commit of a branch or tag.
func commitID(repository int64, ref string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "%d %s", repository, ref)))
}

// commit describes a commit in a list of refs.
func commit(id string) platform.Object {
	return platform.Object{
		"id": id, "shortId": id[:8], "title": "Sandbox", "message": "Sandbox",
		"authorName": "alice", "authorEmail": "alice@sandbox.invalid",
		"committedDate": platform.Epoch, "parentIds": []string{},
	}
}

func listBranches(_ call, r Repository) (any, *apiError) {
	var list []platform.Object
	for i, name := range r.Branches {
		list = append(list, platform.Object{
			"name": name, "defaultBranch": i == 0, "protected": i == 0,
			"commit": commit(commitID(r.ID, name)),
		})
	}
	return list, nil
}

func listTags(_ call, r Repository) (any, *apiError) {
	var list []platform.Object
	for _, name := range r.Tags {
		list = append(list, platform.Object{
			"name": name, "message": "", "commit": commit(commitID(r.ID, name)),
		})
	}
	return list, nil
}
