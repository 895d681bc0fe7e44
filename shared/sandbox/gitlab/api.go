package gitlab

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
)

// handler answers one kind of call by an authenticated token. It runs with the lock held. A nil
// body is an empty reply, text is no JSON.
type handler func(r *http.Request, t *token, u User) (any, *apiError)

// routes returns the routes, the same at the root and under /gitlab.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	const self = "/api/v4/personal_access_tokens/self"
	mux.HandleFunc("GET /api/v4/user", s.serve(s.getUser))
	mux.HandleFunc("GET "+self, s.serve(s.getSelf))
	mux.HandleFunc("DELETE "+self, s.serve(s.deleteSelf))
	mux.HandleFunc("POST "+self+"/rotate", s.rotate)
	s.projectRoutes(mux)
	mux.HandleFunc("GET /api/v4/version", s.serve(s.getVersion))
	tokens := s.tokenPage()
	mux.Handle("GET "+tokenPath, tokens)
	mux.Handle("POST "+tokenPath, tokens)
	page := http.RedirectHandler("/sandbox/#gitlab", http.StatusSeeOther)
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /-/", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		platform.WriteJSON(w, http.StatusNotFound, platform.Object{"error": "404 Not Found"})
	})
	prefixed := http.StripPrefix("/gitlab", mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/gitlab":
			page.ServeHTTP(w, r)
		case git.IsPath(r.URL.Path):
			s.serveGit(w, r)
		case strings.HasPrefix(r.URL.Path, "/gitlab/"):
			prefixed.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// serve authenticates a call and runs its handler. It writes the reply without holding the lock.
func (s *Server) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := s.answer(h, r)
		switch {
		case err != nil:
			platform.WriteJSON(w, err.status, err.body)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			write(w, body)
		}
	}
}

// answer authenticates a call and runs its handler, with the lock held.
func (s *Server) answer(h handler, r *http.Request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, u, err := s.authenticate(tokenOf(r))
	if err != nil {
		return nil, err
	}
	return h(r, t, u)
}

// tokenOf returns the value of a request's token.
func tokenOf(r *http.Request) string {
	if value := r.Header.Get("Private-Token"); value != "" {
		return value
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// notInThisVersion is an older server's reply to a newer path.
func notInThisVersion() *apiError {
	return &apiError{http.StatusNotFound, platform.Object{"error": "404 Not Found"}}
}

// base returns the address of this install: under /gitlab if the request came that way.
func (s *Server) base(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/gitlab/") {
		return s.Origin(r) + "/gitlab"
	}
	return s.Origin(r)
}

// getUser returns the user without is_admin, which only an administrator's reply has.
func (s *Server) getUser(r *http.Request, t *token, u User) (any, *apiError) {
	if err := t.checkScope("api", "read_api", "read_user"); err != nil {
		return nil, err
	}
	base := s.base(r)
	return platform.Object{
		"id": u.ID, "username": u.Username, "name": u.Name, "state": u.State,
		"avatar_url": s.Origin(r) + "/sandbox/avatars/" + u.Username,
		"web_url":    base + "/" + u.Username, "created_at": platform.Epoch, "bio": "",
		"location": nil, "public_email": "", "email": u.Username + "@sandbox.invalid",
		"bot": u.Bot, "external": false, "private_profile": false, "two_factor_enabled": true,
	}, nil
}

// getSelf returns the token itself, which needs no scope. Versions 15.1 to 15.4 have a path with a
// token's id in this place, and take "self" for an id that isn't the user's own.
func (s *Server) getSelf(_ *http.Request, t *token, u User) (any, *apiError) {
	switch version := s.currentVersion(); {
	case version.before(15, 1):
		return nil, notInThisVersion()
	case version.before(15, 5):
		return nil, unauthorized()
	}
	return s.describe(t, u), nil
}

// describe describes a token, without its value.
func (s *Server) describe(t *token, u User) platform.Object {
	const milliseconds = "2006-01-02T15:04:05.000Z"
	var expires any
	if !t.ExpiresAt.IsZero() {
		expires = t.ExpiresAt.UTC().Format(time.DateOnly)
	}
	now := s.Now()
	return platform.Object{
		"id": t.id, "name": "sandbox", "description": nil, "revoked": t.revoked,
		"created_at": t.createdAt.UTC().Format(milliseconds),
		"scopes":     append([]string{}, t.Scopes...), "user_id": u.ID,
		"last_used_at": now.UTC().Format(milliseconds),
		"active":       !t.revoked && !t.expired(now), "expires_at": expires,
	}
}

// deleteSelf revokes the token. Any token may since 15.4; from 15.0 to 15.3 it needs the scope api.
func (s *Server) deleteSelf(_ *http.Request, t *token, _ User) (any, *apiError) {
	version := s.currentVersion()
	if version.before(15, 0) {
		return nil, notInThisVersion()
	}
	if version.before(15, 4) {
		if err := t.checkScope("api"); err != nil {
			return nil, err
		}
	}
	t.revoked = true
	return nil, nil
}

// rotate replaces the token by a new one. A token that was revoked before counts as stolen: then
// all tokens of its family are revoked.
func (s *Server) rotate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.tokens[tokenOf(r)]
	if t != nil && t.revoked && !s.currentVersion().before(16, 10) {
		for _, other := range s.tokens {
			other.revoked = other.revoked || other.family == t.family
		}
	}
	s.mu.Unlock()
	s.serve(s.rotateSelf)(w, r)
}

// rotateSelf issues the new token for a week.
func (s *Server) rotateSelf(_ *http.Request, t *token, u User) (any, *apiError) {
	if s.currentVersion().before(16, 10) {
		return nil, notInThisVersion()
	}
	if err := t.checkScope("api", "self_rotate"); err != nil {
		return nil, err
	}
	t.revoked = true
	next := s.addToken(Token{
		Username: t.Username, Scopes: t.Scopes, ExpiresAt: s.Now().AddDate(0, 0, 7),
	}, t.family)
	o := s.describe(next, u)
	o["token"] = next.Value.Reveal()
	return o, nil
}

func (s *Server) getVersion(_ *http.Request, t *token, _ User) (any, *apiError) {
	if err := t.checkScope("api", "read_api", "read_user"); err != nil {
		return nil, err
	}
	v := s.currentVersion()
	return platform.Object{
		"version": fmt.Sprintf("%d.%d.0", v.major, v.minor), "revision": "sandbox",
	}, nil
}

// serveGit serves a project's repository. The user name that goes with the token
// is its user's, or oauth2. A user's password of [platform.GitPassword] has every scope.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/gitlab/"), ".git/")
	s.mu.Lock()
	t, u, err := s.authenticate(password)
	mayRead := err == nil && t.checkScope("api", "read_repository", "write_repository") == nil
	mayWrite := err == nil && t.checkScope("api", "write_repository") == nil
	if own := s.users[user]; password == platform.GitPassword(user) && own.State == "active" {
		u, err, mayRead, mayWrite = own, nil, true, true
	}
	s.mu.Unlock()
	project, member := s.findProject(s.withMany(u), path)
	switch {
	case err != nil || user != u.Username && user != "oauth2":
		git.RequireLogin(w, "GitLab (sandbox)")
	case !mayRead:
		http.Error(w, "the token lacks a scope", http.StatusForbidden)
	case !member:
		http.Error(w, "The project you were looking for could not be found", http.StatusNotFound)
	default:
		s.ServeGit(w, r, platform.GitLab, project, u.Username, mayWrite)
	}
}
