package github

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// repositoryRoutes adds the routes of repositories by id, which is where GitHub redirects those of
// a renamed repository.
func (s *Server) repositoryRoutes() {
	const one = "GET /repositories/{id}"
	s.Mux.HandleFunc("GET /user/repos", s.listRepositories)
	s.Mux.HandleFunc(one, s.inRepository(s.getRepository))
	s.Mux.HandleFunc(one+"/branches", s.inRepository(s.listBranches))
	s.Mux.HandleFunc(one+"/tags", s.inRepository(s.listTags))
	s.Mux.HandleFunc(one+"/commits/{ref...}", s.inRepository(s.getCommit))
	s.Mux.HandleFunc(one+"/contents/{path...}", s.inRepository(s.getContents))
}

// signOn is the page of the organization docs for single sign-on.
const signOn = "/orgs/docs/sso?authorization_request=sandbox"

// hidden reports whether single sign-on hides a repository.
func (s *Server) hidden(r platform.Repository) bool {
	return s.On(SingleSignOn) && strings.HasPrefix(r.Path, "docs/")
}

// listRepositories lists the user's repositories. It has no search.
func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	var all []platform.Repository
	for _, repository := range s.Repositories(c.Login) {
		switch {
		case s.hidden(repository):
			w.Header().Set("X-GitHub-SSO", "partial-results; organizations=21955855")
		case !repository.Private || c.Has("repo"):
			all = append(all, repository)
		}
	}
	p := s.page(w, r, len(all))
	list := []platform.Object{}
	for _, repository := range all[p.From:p.To] {
		list = append(list, s.repository(r, c, repository))
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

// page returns the page that a request asks for, and sets the header that leads to the others.
func (s *Server) page(w http.ResponseWriter, r *http.Request, length int) platform.Page {
	p := platform.PageOf(r, "per_page", length)
	links := platform.PageLinks(s.Origin(r)+r.URL.EscapedPath(), r.URL.Query(), p, length)
	if links != "" {
		w.Header().Set("Link", links)
	}
	return p
}

// inRepository returns a handler of calls about a repository that the caller may read. Others don't
// exist for the caller.
func (s *Server) inRepository(
	serve func(http.ResponseWriter, *http.Request, oauth.Caller, platform.Repository),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.authenticate(w, r)
		if !ok {
			return
		}
		found, ok := platform.FindRepository(s.Repositories(c.Login),
			func(one platform.Repository) bool {
				return strconv.FormatInt(one.ID, 10) == r.PathValue("id")
			})
		switch {
		case !ok || found.Private && !c.Has("repo"):
			fail(w, http.StatusNotFound, "Not Found")
		case s.hidden(found):
			s.requireSignOn(w, r)
		default:
			serve(w, r, c, found)
		}
	}
}

func (s *Server) requireSignOn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-GitHub-SSO", "required; url="+s.Origin(r)+signOn)
	fail(w, http.StatusForbidden, "Resource protected by organization SAML enforcement. "+
		"You must grant your OAuth token access to this organization.")
}

func (s *Server) getRepository(
	w http.ResponseWriter, r *http.Request, c oauth.Caller, found platform.Repository,
) {
	o := s.repository(r, c, found)
	o["network_count"], o["subscribers_count"] = 0, 0
	o["temp_clone_token"] = "sandbox-temporary-clone-token"
	platform.WriteJSON(w, http.StatusOK, o)
}

// repository describes a repository.
func (s *Server) repository(
	r *http.Request, c oauth.Caller, found platform.Repository,
) platform.Object {
	origin := s.Origin(r)
	api, page := origin+"/repos/"+found.Path, origin+"/"+found.Path
	owner, name, _ := strings.Cut(found.Path, "/")
	user := c.User
	if owner != user.Login {
		user = oauth.User{Login: owner, ID: 999, Type: "Organization"}
	}
	visibility := "public"
	if found.Private {
		visibility = "private"
	}
	o := platform.Object{
		"id": found.ID, "node_id": fmt.Sprintf("R_sandbox%d", found.ID), "name": name,
		"full_name": found.Path, "owner": s.describe(r, user), "private": found.Private,
		"visibility": visibility, "html_url": page, "url": api, "fork": false,
		"clone_url": s.RepositoryURL(origin, found.Path), "svn_url": page,
		"git_url":        "git://sandbox.invalid/" + found.Path + ".git",
		"ssh_url":        "git@sandbox.invalid:" + found.Path + ".git",
		"default_branch": "main", "archived": found.Archived, "disabled": false, "size": 1,
		"pushed_at": platform.Epoch, "created_at": platform.Epoch, "updated_at": platform.Epoch,
		"permissions": platform.Object{
			"admin": found.Admin, "maintain": found.Admin, "push": found.Admin,
			"triage": found.Admin, "pull": true,
		},
	}
	for _, what := range []string{
		"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits",
		"compare", "contents", "contributors", "deployments", "downloads", "events", "forks",
		"git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues",
		"keys", "labels", "languages", "merges", "milestones", "notifications", "pulls",
		"releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams",
		"trees",
	} {
		o[what+"_url"] = api + "/" + what
	}
	for _, none := range []string{"description", "homepage", "language", "license", "mirror_url"} {
		o[none] = nil
	}
	for _, count := range []string{
		"forks", "forks_count", "open_issues", "open_issues_count", "stargazers_count", "watchers",
		"watchers_count",
	} {
		o[count] = 0
	}
	for _, has := range []string{
		"downloads", "issues", "projects", "wiki", "pages", "discussions",
	} {
		o["has_"+has] = false
	}
	return o
}

// listBranches doesn't say which branch is the default one.
func (s *Server) listBranches(
	w http.ResponseWriter, r *http.Request, _ oauth.Caller, found platform.Repository,
) {
	p, list := s.page(w, r, len(found.Branches)), []platform.Object{}
	for _, name := range found.Branches[p.From:p.To] {
		c, _ := found.Commit("heads/" + name)
		list = append(list, platform.Object{
			"name": name, "protected": name == "main", "commit": s.shortCommit(r, found, c),
		})
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

// listTags tells the commit of an annotated tag too, not the tag's object.
func (s *Server) listTags(
	w http.ResponseWriter, r *http.Request, _ oauth.Caller, found platform.Repository,
) {
	names := slices.Concat(found.Tags, found.Annotated)
	p, list := s.page(w, r, len(names)), []platform.Object{}
	for _, name := range names[p.From:p.To] {
		c, _ := found.Commit("tags/" + name)
		list = append(list, platform.Object{
			"name": name, "node_id": "REF_sandbox", "commit": s.shortCommit(r, found, c),
			"zipball_url": s.Origin(r) + "/zip", "tarball_url": s.Origin(r) + "/tar",
		})
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

func (s *Server) shortCommit(
	r *http.Request, found platform.Repository, c git.Commit,
) platform.Object {
	return platform.Object{
		"sha": c.Hash, "url": s.Origin(r) + "/repos/" + found.Path + "/commits/" + c.Hash,
	}
}

// find returns the commit of "heads/NAME", "tags/NAME" or a hash, which may be short.
func find(found platform.Repository, ref string) (git.Commit, bool) {
	if c, ok := found.Commit(ref); ok {
		return c, true
	}
	return found.Find(ref)
}

func (s *Server) getCommit(
	w http.ResponseWriter, r *http.Request, by oauth.Caller, found platform.Repository,
) {
	c, ok := find(found, r.PathValue("ref"))
	switch {
	case len(found.Branches) == 0:
		fail(w, http.StatusConflict, "Git Repository is empty.")
		return
	case !ok:
		fail(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("ref"))
		return
	}
	person := platform.Object{"name": c.Author, "email": c.Email, "date": c.Time}
	o := s.shortCommit(r, found, c)
	api := o["url"]
	o["node_id"], o["html_url"] = "C_sandbox", s.Origin(r)+"/"+found.Path+"/commit/"+c.Hash
	o["comments_url"] = fmt.Sprintf("%v/comments", api)
	user := s.describe(r, by.User)
	o["author"], o["committer"], o["parents"] = user, user, []platform.Object{}
	o["commit"] = platform.Object{
		"url": api, "author": person, "committer": person, "message": c.Message, "comment_count": 0,
		"tree": platform.Object{"sha": c.Tree, "url": api},
	}
	platform.WriteJSON(w, http.StatusOK, o)
}

// getContents returns a file as it is, and a folder as a list.
func (s *Server) getContents(
	w http.ResponseWriter, r *http.Request, _ oauth.Caller, found platform.Repository,
) {
	path := r.PathValue("path")
	c, ok := find(found, r.URL.Query().Get("ref"))
	file, isFile := c.File(path)
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "No commit found for the ref "+r.URL.Query().Get("ref"))
	case isFile:
		w.Header().Set("Content-Type", "application/vnd.github.raw+json; charset=utf-8")
		_, _ = w.Write([]byte(file.Content))
	case c.IsFolder(path):
		platform.WriteJSON(w, http.StatusOK, []platform.Object{})
	default:
		fail(w, http.StatusNotFound, "Not Found")
	}
}
