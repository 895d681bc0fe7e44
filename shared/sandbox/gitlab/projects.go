package gitlab

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
)

// projectRoutes adds the routes of projects and their repositories. A name in a path is one
// segment, with its slashes escaped.
func (s *Server) projectRoutes(mux *http.ServeMux) {
	const (
		one        = "GET /api/v4/projects/{project}"
		repository = one + "/repository"
	)
	handle := func(pattern string, h projectHandler) {
		mux.HandleFunc(pattern, s.serve(s.inProject(h)))
	}
	mux.HandleFunc("GET /api/v4/projects", s.serve(s.listProjects))
	handle(one, s.getProject)
	handle(repository+"/branches", s.listBranches)
	handle(repository+"/branches/{name}", s.getBranch)
	handle(repository+"/tags", s.listTags)
	handle(repository+"/tags/{name}", s.getTag)
	handle(repository+"/commits/{ref}", s.getCommit)
	handle(repository+"/files/{path}/raw", s.getFile)
	handle(one+"/merge_requests/{iid}", s.getMergeRequest)
	s.hookRoutes(mux)
}

// projectHandler answers a call about a project that the user may read.
type projectHandler func(r *http.Request, u User, p platform.Repository) (any, *apiError)

// inProject returns the handler of calls about a project, by its id or its escaped path.
func (s *Server) inProject(serve projectHandler) handler {
	return func(r *http.Request, t *token, u User) (any, *apiError) {
		if err := t.checkScope("api", "read_api"); err != nil {
			return nil, err
		}
		p, found := s.findProject(s.withMany(u), r.PathValue("project"))
		if !found {
			return nil, notFound("Project")
		}
		return serve(r, u, p)
	}
}

// notFound is the reply for something that isn't there, or that the user may not see.
func notFound(what string) *apiError {
	return &apiError{
		http.StatusNotFound, platform.Object{"message": "404 " + what + " Not Found"},
	}
}

// withMany returns the user, with more projects if the switch says so.
func (s *Server) withMany(u User) User {
	if s.On(platform.ManyRepositories) {
		u.Projects = slices.Concat(u.Projects, platform.Paths(u.Username, true))
	}
	return u
}

// projects returns the projects that a user may read, the newest first.
func (s *Server) projects(u User) []platform.Repository {
	var all []platform.Repository
	for _, path := range slices.Compact(slices.Sorted(slices.Values(
		slices.Concat(u.Projects, u.Reads)))) {
		p := platform.NewRepository(platform.GitLab, path)
		p.Admin = !slices.Contains(u.Reads, path)
		p.Repository = s.Git.Current(p.Repository)
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b platform.Repository) int { return cmp.Compare(b.ID, a.ID) })
	return all
}

// findProject finds one of a user's projects by its id or path.
func (s *Server) findProject(u User, idOrPath string) (platform.Repository, bool) {
	return platform.FindRepository(s.projects(u), func(p platform.Repository) bool {
		return p.Path == idOrPath || strconv.FormatInt(p.ID, 10) == idOrPath
	})
}

// listed is a list with the headers about its page.
type listed struct {
	body   any
	header http.Header
}

// write writes what a handler returned.
func write(w http.ResponseWriter, body any) {
	switch body := body.(type) {
	case listed:
		for name, values := range body.header {
			w.Header()[name] = values
		}
		platform.WriteJSON(w, http.StatusOK, body.body)
	case created:
		platform.WriteJSON(w, http.StatusCreated, body.body)
	case string:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(body))
	default:
		platform.WriteJSON(w, http.StatusOK, body)
	}
}

// pages returns the part of a list that a request asks for, by offset. The total of more than
// 10,000 isn't told.
func pages(r *http.Request, base string, length int) (platform.Page, http.Header) {
	p := platform.PageOf(r, "per_page", length)
	h := http.Header{}
	h.Set("X-Page", strconv.Itoa(p.Number))
	h.Set("X-Per-Page", strconv.Itoa(p.Size))
	h.Set("X-Next-Page", "")
	if p.To < length {
		h.Set("X-Next-Page", strconv.Itoa(p.Number+1))
	}
	if length <= 10_000 {
		h.Set("X-Total", strconv.Itoa(length))
	}
	h.Set("Link", platform.PageLinks(base+r.URL.EscapedPath(), r.URL.Query(), p, length))
	return p, h
}

// listProjects lists the user's projects by offset, or from an id down (keyset pagination).
func (s *Server) listProjects(r *http.Request, t *token, u User) (any, *apiError) {
	if err := t.checkScope("api", "read_api"); err != nil {
		return nil, err
	}
	query := r.URL.Query()
	before, _ := strconv.ParseInt(query.Get("id_before"), 10, 64)
	all := slices.DeleteFunc(s.projects(s.withMany(u)), func(p platform.Repository) bool {
		return !strings.Contains(strings.ToLower(p.Path), strings.ToLower(query.Get("search"))) ||
			before > 0 && p.ID >= before
	})
	page, header := pages(r, s.base(r), len(all))
	if query.Get("pagination") == "keyset" {
		header = http.Header{}
		if page.To < len(all) {
			next := url.Values{}
			for name := range query {
				next.Set(name, query.Get(name))
			}
			next.Set("id_before", strconv.FormatInt(all[page.To-1].ID, 10))
			header.Set("Link", fmt.Sprintf("<%s%s?%s>; rel=\"next\"",
				s.base(r), r.URL.Path, next.Encode()))
		}
	}
	list := []platform.Object{}
	for _, p := range all[page.From:page.To] {
		list = append(list, s.describeProject(r, p))
	}
	return listed{list, header}, nil
}

func (s *Server) getProject(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	return s.describeProject(r, p), nil
}

// describeProject describes a project as GitLab does for a maintainer, with the token of its
// runners.
func (s *Server) describeProject(r *http.Request, p platform.Repository) platform.Object {
	base := s.base(r)
	visibility, level := "public", 20
	if p.Private {
		visibility = "private"
	}
	if p.Admin {
		level = 40
	}
	o := platform.Object{
		"id": p.ID, "path_with_namespace": p.Path, "name": p.Path[strings.LastIndex(p.Path, "/")+1:],
		"path": p.Path[strings.LastIndex(p.Path, "/")+1:], "visibility": visibility,
		"name_with_namespace": strings.ReplaceAll(p.Path, "/", " / "), "default_branch": nil,
		"web_url": base + "/" + p.Path, "http_url_to_repo": base + "/" + p.Path + ".git",
		"ssh_url_to_repo": "git@sandbox.invalid:" + p.Path + ".git", "archived": p.Archived,
		"empty_repo": len(p.Branches) == 0, "runners_token": "GR1348941sandbox-runners-token",
		"permissions": platform.Object{
			"project_access": nil,
			"group_access":   platform.Object{"access_level": level, "notification_level": 3},
		},
	}
	if len(p.Branches) > 0 {
		o["default_branch"] = p.Branches[0]
	}
	return o
}

// matching returns the names that a search finds: "^" marks their begin, "$" their end.
func matching(names []string, search string) []string {
	text := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(search, "^"), "$"))
	return slices.DeleteFunc(slices.Sorted(slices.Values(names)), func(name string) bool {
		name = strings.ToLower(name)
		return !strings.Contains(name, text) ||
			strings.HasPrefix(search, "^") && !strings.HasPrefix(name, text) ||
			strings.HasSuffix(search, "$") && !strings.HasSuffix(name, text)
	})
}

func (s *Server) listBranches(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	names := matching(p.Branches, r.URL.Query().Get("search"))
	page, header := pages(r, s.base(r), len(names))
	list := []platform.Object{}
	for _, name := range names[page.From:page.To] {
		list = append(list, s.branch(r, p, name))
	}
	return listed{list, header}, nil
}

func (s *Server) getBranch(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	if name := r.PathValue("name"); slices.Contains(p.Branches, name) {
		return s.branch(r, p, name), nil
	}
	return nil, notFound("Branch")
}

func (s *Server) branch(r *http.Request, p platform.Repository, name string) platform.Object {
	c, _ := p.Commit("heads/" + name)
	return platform.Object{
		"name": name, "merged": false, "protected": name == p.Branches[0],
		"default": name == p.Branches[0], "can_push": false, "commit": s.commit(r, p, c),
		"web_url": s.base(r) + "/" + p.Path + "/-/tree/" + url.PathEscape(name),
	}
}

func (s *Server) listTags(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	names := matching(slices.Concat(p.Tags, p.Annotated), r.URL.Query().Get("search"))
	page, header := pages(r, s.base(r), len(names))
	list := []platform.Object{}
	for _, name := range names[page.From:page.To] {
		list = append(list, s.tag(r, p, name))
	}
	return listed{list, header}, nil
}

func (s *Server) getTag(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	if name := r.PathValue("name"); slices.Contains(slices.Concat(p.Tags, p.Annotated), name) {
		return s.tag(r, p, name), nil
	}
	return nil, notFound("Tag")
}

// tag describes a tag. The target of an annotated one is the tag's object.
func (s *Server) tag(r *http.Request, p platform.Repository, name string) platform.Object {
	c, _ := p.Commit("tags/" + name)
	return platform.Object{
		"name": name, "message": "", "target": cmp.Or(p.TagObject(name), c.Hash),
		"commit": s.commit(r, p, c), "release": nil, "protected": false,
	}
}

// getCommit finds a commit by its hash, which may be short, or by the name of a branch or tag.
func (s *Server) getCommit(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	c, found := p.Find(r.PathValue("ref"))
	for _, kind := range []string{"tags/", "heads/"} {
		if !found {
			c, found = p.Commit(kind + r.PathValue("ref"))
		}
	}
	if !found {
		return nil, notFound("Commit")
	}
	return s.commit(r, p, c), nil
}

func (s *Server) commit(r *http.Request, p platform.Repository, c git.Commit) platform.Object {
	title, _, _ := strings.Cut(c.Message, "\n")
	return platform.Object{
		"id": c.Hash, "short_id": c.Hash[:8], "title": title, "message": c.Message,
		"author_name": c.Author, "author_email": c.Email, "authored_date": c.Time,
		"committer_name": c.Author, "committer_email": c.Email, "committed_date": c.Time,
		"created_at": c.Time, "parent_ids": []string{},
		"web_url": s.base(r) + "/" + p.Path + "/-/commit/" + c.Hash,
	}
}

// getFile returns a file as it is.
func (s *Server) getFile(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	c, found := p.Find(r.URL.Query().Get("ref"))
	if !found {
		return nil, notFound("Commit")
	}
	file, found := c.File(r.PathValue("path"))
	if !found {
		return nil, notFound("File")
	}
	return file.Content, nil
}
