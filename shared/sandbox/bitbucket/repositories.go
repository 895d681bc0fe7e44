package bitbucket

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// repositoryRoutes adds the routes of workspaces and repositories. A workspace and a repository are
// named by their slugs or by their uuids in braces.
func (s *Server) repositoryRoutes() {
	const one = "GET /2.0/repositories/{workspace}/{slug}"
	s.Mux.HandleFunc("GET /2.0/user/workspaces", s.listWorkspaces)
	s.Mux.HandleFunc("GET /2.0/user/workspaces/{workspace}/permissions/repositories",
		s.listPermissions)
	s.Mux.HandleFunc("GET /2.0/repositories/{workspace}", s.listRepositories)
	s.Mux.HandleFunc(one, s.inRepository(
		func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
			platform.WriteJSON(w, http.StatusOK, s.repository(r, found))
		}))
	s.Mux.HandleFunc(one+"/refs/{kind}", s.inRepository(s.listRefs))
	s.Mux.HandleFunc(one+"/refs/{kind}/{name...}", s.inRepository(s.getRef))
	s.Mux.HandleFunc(one+"/commit/{hash}", s.inRepository(s.getCommit))
	s.Mux.HandleFunc(one+"/src/{hash}/{path...}", s.inRepository(s.getSource))
}

// uuid returns the uuid of a number.
func uuid(n int64) string { return fmt.Sprintf("{%08x-0000-4000-8000-5a4d0b0c0001}", n) }

// workspace describes a workspace.
func workspace(slug string) platform.Object {
	id := platform.NewRepository(platform.Bitbucket, slug).ID
	return platform.Object{"type": "workspace", "slug": slug, "name": slug, "uuid": uuid(id)}
}

// authenticate returns the caller, whose token needs the scope. It answers another call.
func (s *Server) authenticate(
	w http.ResponseWriter, r *http.Request, scope string,
) (oauth.Caller, bool) {
	c, err := s.Caller(oauth.Bearer(r, "Bearer"))
	if err != nil {
		fail(w, http.StatusUnauthorized, refusal(err))
		return c, false
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(c.Scopes, ", "))
	w.Header().Set("X-Accepted-OAuth-Scopes", scope)
	if !c.Has(scope) {
		fail(w, http.StatusForbidden, platform.Object{
			"message": "The token lacks a scope that this needs.",
			"detail": platform.Object{
				"required": []string{scope}, "granted": append([]string{}, c.Scopes...),
			},
		})
		return c, false
	}
	return c, true
}

// writePage writes the page of a list that a request asks for, with the address of the next one.
func writePage[T any](
	s *Server, w http.ResponseWriter, r *http.Request, all []T, describe func(T) platform.Object,
) {
	p := platform.PageOf(r, "pagelen", len(all))
	values := []platform.Object{}
	for _, item := range all[p.From:p.To] {
		values = append(values, describe(item))
	}
	body := platform.Object{"pagelen": p.Size, "page": p.Number, "size": len(all), "values": values}
	if p.To < len(all) {
		query := r.URL.Query()
		query.Set("page", strconv.Itoa(p.Number+1))
		body["next"] = s.Origin(r) + r.URL.EscapedPath() + "?" + query.Encode()
	}
	platform.WriteJSON(w, http.StatusOK, body)
}

// listWorkspaces lists the workspaces of the repositories that the user may read, and one without
// any.
func (s *Server) listWorkspaces(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r, "account")
	if !ok {
		return
	}
	slugs := []string{"idle"}
	for _, one := range s.Repositories(c.Login) {
		slug, _, _ := strings.Cut(one.Path, "/")
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs)
	writePage(s, w, r, slices.Compact(slugs), func(slug string) platform.Object {
		return platform.Object{
			"type": "workspace_access", "administrator": slug == c.Login,
			"workspace": workspace(slug),
		}
	})
}

// names reports whether a path's segment is the slug or the uuid of a workspace.
func names(segment, slug string) bool {
	return segment == slug || segment == workspace(slug)["uuid"]
}

// inWorkspace returns the repositories of a request's workspace that the user may read, and that
// its q finds: name, full_name or repository.uuid is compared with a string.
func (s *Server) inWorkspace(r *http.Request, c oauth.Caller) []platform.Repository {
	q := r.URL.Query().Get("q")
	field, text, _ := strings.Cut(q, " ")
	text = strings.ToLower(strings.Trim(strings.TrimLeft(text, "~= "), `"`))
	return slices.DeleteFunc(s.Repositories(c.Login), func(one platform.Repository) bool {
		slug, _, _ := strings.Cut(one.Path, "/")
		value := one.Path
		if field == "repository.uuid" {
			value = uuid(one.ID)
		}
		return !names(r.PathValue("workspace"), slug) || !strings.Contains(value, text)
	})
}

func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r, "repository")
	if !ok {
		return
	}
	writePage(s, w, r, s.inWorkspace(r, c), func(one platform.Repository) platform.Object {
		return s.repository(r, one)
	})
}

// listPermissions lists the user's permissions on a workspace's repositories. The workspace must be
// named by its slug.
func (s *Server) listPermissions(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r, "account")
	if !ok {
		return
	}
	writePage(s, w, r, s.inWorkspace(r, c), func(one platform.Repository) platform.Object {
		permission := "read"
		if one.Admin {
			permission = "admin"
		}
		return platform.Object{
			"type": "repository_permission", "permission": permission,
			"repository": platform.Object{
				"type": "repository", "full_name": one.Path, "uuid": uuid(one.ID),
			},
		}
	})
}

// inRepository returns a handler of calls about a repository that the caller may read.
func (s *Server) inRepository(
	serve func(http.ResponseWriter, *http.Request, platform.Repository),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.authenticate(w, r, "repository")
		if !ok {
			return
		}
		found, ok := platform.FindRepository(s.Repositories(c.Login),
			func(one platform.Repository) bool {
				slug, name, _ := strings.Cut(one.Path, "/")
				segment := r.PathValue("slug")
				return names(r.PathValue("workspace"), slug) &&
					(segment == name || segment == uuid(one.ID))
			})
		if !ok {
			notFound(w, "Repository "+r.PathValue("workspace")+"/"+r.PathValue("slug"))
			return
		}
		serve(w, r, found)
	}
}

func notFound(w http.ResponseWriter, what string) {
	fail(w, http.StatusNotFound, platform.Object{"message": what + " not found"})
}

// link returns a link of a reply.
func link(address string) platform.Object { return platform.Object{"href": address} }

// repository describes a repository. Its clone address has the user's name.
func (s *Server) repository(r *http.Request, found platform.Repository) platform.Object {
	origin := s.Origin(r)
	slug, name, _ := strings.Cut(found.Path, "/")
	scheme, host, _ := strings.Cut(s.RepositoryURL(origin, found.Path), "://")
	api := origin + "/2.0/repositories/" + found.Path
	o := platform.Object{
		"type": "repository", "uuid": uuid(found.ID), "full_name": found.Path, "name": name,
		"slug": name, "is_private": found.Private, "scm": "git", "size": 1000,
		"workspace": workspace(slug), "created_on": platform.Epoch, "updated_on": platform.Epoch,
		"links": platform.Object{
			"self": link(api), "html": link(origin + "/" + found.Path),
			"clone": []platform.Object{
				{"name": "https", "href": scheme + "://" + slug + "@" + host},
				{"name": "ssh", "href": "ssh://git@sandbox.invalid/" + found.Path + ".git"},
			},
		},
	}
	if len(found.Branches) > 0 {
		o["mainbranch"] = platform.Object{"type": "branch", "name": found.Branches[0]}
	}
	return o
}

// kinds are the kinds of refs, and their names in paths.
func kinds(found platform.Repository, kind string) (names []string, prefix, singular string) {
	if kind == "tags" {
		return slices.Concat(found.Tags, found.Annotated), "tags/", "tag"
	}
	return found.Branches, "heads/", "branch"
}

func (s *Server) listRefs(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	all, prefix, singular := kinds(found, r.PathValue("kind"))
	text := strings.ToLower(strings.Trim(
		strings.TrimPrefix(r.URL.Query().Get("q"), "name ~ "), `"`))
	all = slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(name string) bool {
		return !strings.Contains(strings.ToLower(name), text)
	})
	writePage(s, w, r, all, func(name string) platform.Object {
		c, _ := found.Commit(prefix + name)
		return s.ref(r, found, singular, name, c)
	})
}

func (s *Server) getRef(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	_, prefix, singular := kinds(found, r.PathValue("kind"))
	c, ok := found.Commit(prefix + r.PathValue("name"))
	if !ok {
		notFound(w, "The "+singular+" "+r.PathValue("name"))
		return
	}
	platform.WriteJSON(w, http.StatusOK, s.ref(r, found, singular, r.PathValue("name"), c))
}

func (s *Server) ref(
	r *http.Request, found platform.Repository, singular, name string, c git.Commit,
) platform.Object {
	return platform.Object{
		"type": singular, "name": name, "target": s.commit(r, found, c),
		"links": platform.Object{
			"html": link(s.Origin(r) + "/" + found.Path + "/branch/" + url.PathEscape(name)),
		},
	}
}

func (s *Server) getCommit(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	c, ok := found.Find(r.PathValue("hash"))
	if !ok {
		notFound(w, "Commit "+r.PathValue("hash"))
		return
	}
	platform.WriteJSON(w, http.StatusOK, s.commit(r, found, c))
}

func (s *Server) commit(
	r *http.Request, found platform.Repository, c git.Commit,
) platform.Object {
	return platform.Object{
		"type": "commit", "hash": c.Hash, "date": c.Time, "message": c.Message,
		"author": platform.Object{"type": "author", "raw": c.Author + " <" + c.Email + ">"},
		"links": platform.Object{
			"html": link(s.Origin(r) + "/" + found.Path + "/commits/" + c.Hash),
		},
	}
}

// getSource returns a file as it is, and a folder as a list.
func (s *Server) getSource(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	c, ok := found.Find(r.PathValue("hash"))
	path := r.PathValue("path")
	file, isFile := c.File(path)
	switch {
	case ok && isFile:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(file.Content))
	case ok && c.IsFolder(path):
		writePage(s, w, r, []string{path + "/file"}, func(name string) platform.Object {
			return platform.Object{"type": "commit_file", "path": name}
		})
	default:
		notFound(w, "No such file: "+path)
	}
}
