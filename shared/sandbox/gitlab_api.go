package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// gitlabFunc answers one kind of call by a token that was let in. The lock is held. A nil body is
// an empty reply.
type gitlabFunc func(r *http.Request, t *gitlabToken, u GitLabUser) (int, any, *gitlabRefusal)

// routes are the paths under /api/v4, the same at the root and under /gitlab.
func (g *gitlab) routes() http.Handler {
	mux := http.NewServeMux()
	self := "/api/v4/personal_access_tokens/self"
	mux.HandleFunc("GET /api/v4/user", g.call(g.getUser))
	mux.HandleFunc("GET "+self, g.call(g.getSelf))
	mux.HandleFunc("DELETE "+self, g.call(g.deleteSelf))
	mux.HandleFunc("POST "+self+"/rotate", g.rotate)
	mux.HandleFunc("GET /api/v4/projects", g.call(g.listProjects))
	mux.HandleFunc("GET /api/v4/version", g.call(g.getVersion))
	// The pages of a browser: where a person would make or revoke a token.
	page := http.RedirectHandler("/sandbox/#gitlab", http.StatusSeeOther)
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /-/", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, object{"error": "404 Not Found"})
	})
	prefixed := http.StripPrefix("/gitlab", mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gitlab" {
			page.ServeHTTP(w, r)
			return
		}
		if isGit(r.URL.Path) {
			g.serveGit(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/gitlab/") {
			prefixed.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// call authenticates, and writes the answer after the lock was given back.
func (g *gitlab) call(serve gitlabFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, body := g.answer(serve, r)
		if body == nil {
			w.WriteHeader(status)
			return
		}
		writeJSON(w, status, body)
	}
}

// answer does a call under the lock.
func (g *gitlab) answer(serve gitlabFunc, r *http.Request) (int, any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, u, refused := g.authenticate(r)
	if refused != nil {
		return refused.status, refused.body
	}
	status, body, refused := serve(r, t, u)
	if refused != nil {
		return refused.status, refused.body
	}
	return status, body
}

// notInThisVersion is what an older server says to a newer path: it takes "self" for an id.
func notInThisVersion() *gitlabRefusal {
	return &gitlabRefusal{http.StatusNotFound, object{"error": "404 Not Found"}}
}

// base is the address of this install: with the sub-path if the request came by it.
func (g *gitlab) base(r *http.Request) string {
	origin := g.sandbox.origin(r)
	if strings.HasPrefix(r.RequestURI, "/gitlab/") {
		return origin + "/gitlab"
	}
	return origin
}

// getUser has no is_admin: only an administrator's reply has.
func (g *gitlab) getUser(r *http.Request, t *gitlabToken, u GitLabUser) (int, any, *gitlabRefusal) {
	if refused := t.allow("api", "read_api", "read_user"); refused != nil {
		return 0, nil, refused
	}
	base := g.base(r)
	return http.StatusOK, object{
		"id": u.ID, "username": u.Username, "name": u.Name, "state": u.State,
		"avatar_url": fmt.Sprintf("%s/uploads/-/system/user/avatar/%d/avatar.png", base, u.ID),
		"web_url":    base + "/" + u.Username, "created_at": epoch, "bio": "", "location": nil,
		"public_email": "", "email": u.Username + "@sandbox.invalid", "bot": false,
		"external": false, "private_profile": false, "two_factor_enabled": true,
	}, nil
}

// getSelf tells of the token itself, whatever its scopes are.
func (g *gitlab) getSelf(_ *http.Request, t *gitlabToken, u GitLabUser) (int, any, *gitlabRefusal) {
	if g.serverVersion().before(15, 5) {
		return 0, nil, notInThisVersion()
	}
	return http.StatusOK, g.tokenObject(t, u), nil
}

// tokenObject describes a token, without its value.
func (g *gitlab) tokenObject(t *gitlabToken, u GitLabUser) object {
	var expires any
	if !t.ExpiresAt.IsZero() {
		expires = t.ExpiresAt.UTC().Format(time.DateOnly)
	}
	now := g.sandbox.options.Now()
	return object{
		"id": t.id, "name": "sandbox", "description": nil, "revoked": t.revoked,
		"created_at": t.createdAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		"scopes":     append([]string{}, t.Scopes...), "user_id": u.ID,
		"last_used_at": now.UTC().Format("2006-01-02T15:04:05.000Z"),
		"active":       !t.revoked && !t.expired(now), "expires_at": expires,
	}
}

// deleteSelf revokes the token. Since 15.4 any token may; in 15.0 to 15.3 it took the scope api.
func (g *gitlab) deleteSelf(
	_ *http.Request, t *gitlabToken, _ GitLabUser,
) (int, any, *gitlabRefusal) {
	version := g.serverVersion()
	if version.before(15, 0) {
		return 0, nil, notInThisVersion()
	}
	if version.before(15, 4) {
		if refused := t.allow("api"); refused != nil {
			return 0, nil, refused
		}
	}
	t.revoked = true
	return http.StatusNoContent, nil, nil
}

// rotate makes a new token and revokes this one. To rotate one that is revoked already looks like
// a theft, and revokes all that came of it.
func (g *gitlab) rotate(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	t, _, refused := g.authenticate(r)
	if t != nil && t.revoked && !g.serverVersion().before(16, 10) {
		for _, other := range g.tokens {
			if other.family == t.family {
				other.revoked = true
			}
		}
	}
	g.mu.Unlock()
	if refused != nil {
		writeJSON(w, refused.status, refused.body)
		return
	}
	g.call(g.rotateSelf)(w, r)
}

// rotateSelf gives the new token a week, or until expires_at.
func (g *gitlab) rotateSelf(
	r *http.Request, t *gitlabToken, u GitLabUser,
) (int, any, *gitlabRefusal) {
	if g.serverVersion().before(16, 10) {
		return 0, nil, notInThisVersion()
	}
	if refused := t.allow("api", "self_rotate"); refused != nil {
		return 0, nil, refused
	}
	expires := g.sandbox.options.Now().AddDate(0, 0, 7)
	if asked := r.FormValue("expires_at"); asked != "" {
		day, err := time.Parse(time.DateOnly, asked)
		if err != nil {
			return 0, nil, &gitlabRefusal{
				http.StatusBadRequest, object{"error": "expires_at is invalid"},
			}
		}
		expires = day
	}
	t.revoked = true
	next := g.addToken(GitLabToken{
		Username: t.Username, Scopes: t.Scopes, ExpiresAt: expires,
	}, t.family)
	o := g.tokenObject(next, u)
	o["token"] = next.Value.Reveal()
	return http.StatusOK, o, nil
}

// listProjects lists what the user maintains, in pages.
func (g *gitlab) listProjects(
	r *http.Request, t *gitlabToken, u GitLabUser,
) (int, any, *gitlabRefusal) {
	if refused := t.allow("api", "read_api"); refused != nil {
		return 0, nil, refused
	}
	base, list := g.base(r), []object{}
	for i, path := range u.Projects {
		list = append(list, object{
			"id": u.ID*1000 + int64(i), "path_with_namespace": path,
			"name": path[strings.LastIndex(path, "/")+1:], "default_branch": "main",
			"web_url": base + "/" + path, "http_url_to_repo": base + "/" + path + ".git",
		})
	}
	page, size := number(r, "page", 1, 1<<20), number(r, "per_page", 20, 100)
	from := min((page-1)*size, len(list))
	return http.StatusOK, list[from:min(from+size, len(list))], nil
}

func (g *gitlab) getVersion(
	_ *http.Request, t *gitlabToken, _ GitLabUser,
) (int, any, *gitlabRefusal) {
	if refused := t.allow("api", "read_api", "read_user"); refused != nil {
		return 0, nil, refused
	}
	v := g.serverVersion()
	return http.StatusOK, object{
		"version": fmt.Sprintf("%d.%d.0", v.major, v.minor), "revision": "sandbox",
	}, nil
}
