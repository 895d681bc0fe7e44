package gitee

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// repositoryRoutes adds the routes of repositories, by path only.
func (s *Server) repositoryRoutes() {
	const one = "GET /api/v5/repos/{owner}/{name}"
	handle := func(pattern string, h repositoryHandler) {
		s.Mux.HandleFunc(pattern, requireUserAgent(s.inRepository(h)))
	}
	s.Mux.HandleFunc("GET /api/v5/user/repos", requireUserAgent(s.listRepositories))
	handle(one, func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		platform.WriteJSON(w, http.StatusOK, s.repository(r, found))
	})
	handle(one+"/branches", s.listBranches)
	handle(one+"/branches/{branch}", s.getBranch)
	handle(one+"/tags", s.listTags)
	handle(one+"/commits/{sha}", s.getCommit)
	handle(one+"/contents/{path...}", s.getContents)
	handle(one+"/pulls/{number}", s.getPull)
	s.hookRoutes()
}

type repositoryHandler func(http.ResponseWriter, *http.Request, platform.Repository)

func notFound(w http.ResponseWriter, what string) {
	platform.WriteJSON(w, http.StatusNotFound,
		platform.Object{"message": "404 " + what + " Not Found"})
}

// authenticate returns the caller, whose token needs the scope projects. It answers another call.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (oauth.Caller, bool) {
	c, status, message := s.caller(r, "projects")
	if message != "" {
		platform.WriteJSON(w, status, platform.Object{"message": message})
	}
	return c, message == ""
}

func (s *Server) inRepository(serve repositoryHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.authenticate(w, r)
		if !ok {
			return
		}
		path := r.PathValue("owner") + "/" + r.PathValue("name")
		found, ok := platform.FindRepository(s.Repositories(c.Login),
			func(one platform.Repository) bool { return one.Path == path })
		if !ok {
			notFound(w, "Project")
			return
		}
		serve(w, r, found)
	}
}

// page returns the page that a request asks for, and sets the headers about the list.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	p := platform.PageOf(r, "per_page", len(all))
	w.Header().Set("total_count", strconv.Itoa(len(all)))
	w.Header().Set("total_page", strconv.Itoa((len(all)+p.Size-1)/p.Size))
	return all[p.From:p.To]
}

// listRepositories finds by q only if the switch says so, as newer servers do.
func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	search := ""
	if s.On(Searches) {
		search = strings.ToLower(r.URL.Query().Get("q"))
	}
	all := slices.DeleteFunc(s.Repositories(c.Login), func(one platform.Repository) bool {
		return !strings.Contains(one.Path, search)
	})
	list := []platform.Object{}
	for _, one := range page(w, r, all) {
		list = append(list, s.repository(r, one))
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

// repository describes a repository. Its html_url is the clone address.
func (s *Server) repository(r *http.Request, found platform.Repository) platform.Object {
	origin := s.Origin(r)
	owner, name, _ := strings.Cut(found.Path, "/")
	o := platform.Object{
		"id": found.ID, "full_name": found.Path, "human_name": found.Path, "path": name, "name": name,
		"url": origin + "/api/v5/repos/" + found.Path, "description": nil, "fork": false,
		"html_url": s.RepositoryURL(origin, found.Path), "private": found.Private,
		"public": !found.Private, "internal": false, "default_branch": nil,
		"empty_repo": len(found.Branches) == 0, "status": "开始",
		"namespace":  platform.Object{"type": "personal", "path": owner, "name": owner},
		"permission": platform.Object{"admin": found.Admin, "push": found.Admin, "pull": true},
		"created_at": platform.Epoch, "updated_at": platform.Epoch, "pushed_at": platform.Epoch,
	}
	if len(found.Branches) > 0 {
		o["default_branch"] = found.Branches[0]
	}
	return o
}

func (s *Server) listBranches(
	w http.ResponseWriter, r *http.Request, found platform.Repository,
) {
	list := []platform.Object{}
	for _, name := range page(w, r, found.Branches) {
		c, _ := found.Commit("heads/" + name)
		list = append(list, platform.Object{
			"name": name, "protected": name == "main",
			"commit":         platform.Object{"sha": c.Hash, "url": s.Origin(r) + "/" + c.Hash},
			"protection_url": s.Origin(r) + "/protection",
		})
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

// getBranch has the whole commit, which the list hasn't.
func (s *Server) getBranch(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	name := r.PathValue("branch")
	c, ok := found.Commit("heads/" + name)
	if !ok {
		notFound(w, "Branch")
		return
	}
	platform.WriteJSON(w, http.StatusOK, platform.Object{
		"name": name, "commit": s.commit(r, found, c), "protected": name == "main",
		"protection_url": s.Origin(r) + "/protection",
	})
}

// listTags has the commit of an annotated tag, with the tag's message.
func (s *Server) listTags(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	list := []platform.Object{}
	for _, name := range page(w, r, slices.Concat(found.Tags, found.Annotated)) {
		c, _ := found.Commit("tags/" + name)
		list = append(list, platform.Object{
			"name": name, "message": "", "commit": platform.Object{"sha": c.Hash, "date": c.Time},
		})
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

func (s *Server) getCommit(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	c, ok := found.Find(r.PathValue("sha"))
	if !ok {
		notFound(w, "Commit")
		return
	}
	platform.WriteJSON(w, http.StatusOK, s.commit(r, found, c))
}

func (s *Server) commit(
	r *http.Request, found platform.Repository, c git.Commit,
) platform.Object {
	by := platform.Object{"name": c.Author, "email": c.Email, "date": c.Time}
	url := s.Origin(r) + "/api/v5/repos/" + found.Path + "/commits/" + c.Hash
	return platform.Object{
		"sha": c.Hash, "url": url, "comments_url": url + "/comments",
		"html_url": s.Origin(r) + "/" + found.Path + "/commit/" + c.Hash,
		"commit": platform.Object{
			"author": by, "committer": by, "message": c.Message,
			"tree": platform.Object{"sha": c.Tree, "url": url},
		},
		"author": nil, "committer": nil, "parents": []platform.Object{},
	}
}

// getContents returns an empty list for a folder and for what doesn't exist.
func (s *Server) getContents(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	c, ok := found.Find(r.URL.Query().Get("ref"))
	file, isFile := c.File(r.PathValue("path"))
	switch {
	case !ok:
		notFound(w, "Commit")
	case !isFile:
		platform.WriteJSON(w, http.StatusOK, []platform.Object{})
	default:
		platform.WriteJSON(w, http.StatusOK, platform.Object{
			"type": "file", "encoding": "base64", "size": len(file.Content), "path": file.Path,
			"name":    file.Path[strings.LastIndex(file.Path, "/")+1:],
			"content": base64.StdEncoding.EncodeToString([]byte(file.Content)), "sha": file.Hash,
		})
	}
}
