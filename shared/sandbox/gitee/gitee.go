// Package gitee is the sandbox's Gitee. Client id and secret are in the body, and a refresh needs
// neither. Errors are those of RFC 6749. Access tokens live for a day, refresh tokens are used up.
// A request without a User-Agent is refused. PKCE is ignored.
package gitee

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// Searches is the switch of newer servers, which find repositories by q.
const Searches = "searches-repositories"

// Server is a Gitee. Its methods may be called by several goroutines at once.
type Server struct {
	*oauth.Platform
	platform.Merges
	hooks platform.Hooks[hook]
}

// New returns a Gitee with its users and its app.
func New(env *platform.Env) *Server {
	s := &Server{Platform: oauth.New(env, oauth.Rules{
		Platform:      platform.Gitee,
		Title:         "Gitee",
		Paths:         []string{"/oauth/authorize", "/oauth/token", "/api/v5/"},
		SettingsPath:  "/oauth/applications",
		AuthorizePath: "/oauth/authorize",
		Switches: []platform.Switch{{Name: Searches, Text: platform.Text(
			"支持按名称搜索代码仓库（较新的接口）。", "Finds repositories by name, as newer servers do.",
		)}},
		UntickableScopes: true, StrictRequest: true, AnonymousRefresh: true,
		RedirectFits: func(registered, sent string) bool { return registered == sent },
		Scopes:       requestedScopes,
		NewTokens: func() (access, refresh secret.Text) {
			return env.NewSecret("", 16), env.NewSecret("", 32)
		},
		AccessTTL: 24 * time.Hour,
		GitUser:   "oauth2", GitScope: "projects", PushScope: "projects",
	}, oauth.SeededApp(platform.Gitee), oauth.Users(2000))}
	s.Mux.HandleFunc("POST /oauth/token", requireUserAgent(s.token))
	s.Mux.HandleFunc("GET /api/v5/user", requireUserAgent(s.user))
	s.repositoryRoutes()
	s.Mux.HandleFunc("/api/v5/", requireUserAgent(func(w http.ResponseWriter, _ *http.Request) {
		platform.WriteJSON(w, http.StatusNotFound, platform.Object{"message": "404 Not Found"})
	}))
	return s
}

// requestedScopes returns the scopes of a request, user_info if it has none.
func requestedScopes(_ oauth.App, param string, _ []string) ([]string, bool) {
	known := []string{
		"user_info", "projects", "pull_requests", "issues", "notes", "keys", "hook", "groups",
		"gists",
	}
	asked := slices.Compact(slices.Sorted(strings.FieldsSeq(param)))
	if len(asked) == 0 {
		asked = []string{"user_info"}
	}
	for _, scope := range asked {
		if !slices.Contains(known, scope) {
			return nil, false
		}
	}
	return asked, true
}

// requireUserAgent refuses a request without a User-Agent.
func requireUserAgent(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == "" {
			http.Error(w, "<html><body><h1>403 Forbidden</h1></body></html>", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// token is the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	form := r.PostForm
	issued, fault := s.Token(form.Get("client_id"), form.Get("client_secret"), form)
	switch fault {
	case "":
	case oauth.UnsupportedGrantType:
		oauth.WriteError(w, http.StatusBadRequest,
			"unsupported_grant_type", "The grant type is not supported.")
		return
	case oauth.UnknownClient:
		oauth.WriteError(w, http.StatusUnauthorized,
			"invalid_client", "Unknown client or wrong secret.")
		return
	case oauth.InvalidRefreshToken:
		oauth.WriteError(w, http.StatusBadRequest, "invalid_grant",
			"The refresh token is invalid, has expired or was used before.")
		return
	default:
		oauth.WriteError(w, http.StatusBadRequest, "invalid_grant",
			"The code is invalid, too old, or for another address.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	platform.WriteJSON(w, http.StatusOK, platform.Object{
		"access_token":  issued.Access.Reveal(),
		"token_type":    "bearer",
		"expires_in":    int(s.AccessTTL / time.Second),
		"refresh_token": issued.Refresh.Reveal(),
		"scope":         strings.Join(issued.Scopes, " "),
		"created_at":    issued.At.Unix(),
	})
}

// caller returns the caller, whose token is in the header or the query and needs the scope. Else it
// returns the status and the message of the refusal.
func (s *Server) caller(r *http.Request, scope string) (oauth.Caller, int, string) {
	value := oauth.Bearer(r, "Bearer", "token")
	if value == "" {
		value = r.URL.Query().Get("access_token")
	}
	c, err := s.Caller(value)
	const refused = http.StatusUnauthorized
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		return c, refused, "401 Unauthorized"
	case errors.Is(err, oauth.ErrUnknownToken):
		return c, refused, "401 Unauthorized: Access token does not exist"
	case err != nil:
		return c, refused, "401 Unauthorized: Access token is expired"
	case !c.Has(scope):
		return c, http.StatusForbidden, "403 Forbidden: scope " + scope + " is missing"
	}
	return c, http.StatusOK, ""
}

// user returns the user of the token.
func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	c, status, message := s.caller(r, "user_info")
	if message != "" {
		platform.WriteJSON(w, status, platform.Object{"message": message})
		return
	}
	origin := s.Origin(r)
	platform.WriteJSON(w, http.StatusOK, platform.Object{
		"id":         c.ID,
		"login":      c.Login,
		"name":       c.Name,
		"avatar_url": origin + "/sandbox/avatars/" + c.Login,
		"url":        origin + "/api/v5/users/" + c.Login,
		"html_url":   origin + "/" + c.Login,
		"type":       "User",
		"email":      nil,
	})
}
