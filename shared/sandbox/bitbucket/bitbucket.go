// Package bitbucket is the sandbox's Bitbucket Cloud. The token endpoint uses HTTP Basic and names
// the scopes, which are the consumer's, under the key "scopes". Access tokens live for two hours,
// a refresh token never expires. Lists across workspaces no longer exist. PKCE is ignored.
package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// The switches of Bitbucket.
const (
	// OmitRefreshToken: the reply to a refresh has no refresh token.
	OmitRefreshToken = "omit-refresh-token"
	// InvalidRequest: a refresh token that isn't valid is refused as an invalid_request.
	InvalidRequest = "invalid-request"
)

// Server is a Bitbucket. Its methods may be called by several goroutines at once.
type Server struct {
	*oauth.Platform
	platform.Merges
	hooks platform.Hooks[hook]
}

// New returns a Bitbucket with its users and its consumer.
func New(env *platform.Env) *Server {
	app := oauth.SeededApp(platform.Bitbucket)
	app.Scopes = []string{"account", "repository", "webhook"}
	s := &Server{Platform: oauth.New(env, oauth.Rules{
		Platform:      platform.Bitbucket,
		Title:         "Bitbucket",
		Paths:         []string{"/site/oauth2/", "/2.0/"},
		SettingsPath:  "/account/settings/app-authorizations/",
		AuthorizePath: "/site/oauth2/authorize",
		Switches:      switches(),
		RedirectFits: func(registered, sent string) bool {
			return strings.HasPrefix(sent, registered)
		},
		Scopes: func(app oauth.App, _ string, _ []string) ([]string, bool) {
			return slices.Sorted(slices.Values(app.Scopes)), true
		},
		NewTokens: func() (access, refresh secret.Text) {
			// The last characters are ones that need escaping in a form or URL.
			access = secret.New(env.NewSecret("", 42).Reveal() + "_-==")
			return access, env.NewSecret("", 9)
		},
		AccessTTL:          2 * time.Hour,
		ReusesRefreshToken: true,
		GitUser:            "x-token-auth", GitScope: "repository", PushScope: "repository:write",
	}, app, oauth.Users(3000))}
	s.Mux.HandleFunc("POST /site/oauth2/access_token", s.token)
	s.Mux.HandleFunc("GET /2.0/user", s.user)
	for _, path := range []string{
		"/2.0/repositories", "/2.0/workspaces",
		"/2.0/user/permissions/repositories", "/2.0/user/permissions/workspaces",
	} {
		s.Mux.HandleFunc("GET "+path, gone)
	}
	s.repositoryRoutes()
	s.hookRoutes()
	s.Mux.HandleFunc("/2.0/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, platform.Object{"message": "Resource not found"})
	})
	return s
}

func switches() []platform.Switch {
	return []platform.Switch{
		{Name: OmitRefreshToken, Text: platform.Text("刷新时不返回 refresh_token。",
			"The reply to a refresh has no refresh_token.")},
		{Name: InvalidRequest, Text: platform.Text("以 invalid_request 拒绝失效的 refresh_token。",
			"An invalid refresh_token is refused as an invalid_request.")},
	}
}

// fail writes an error in Bitbucket's form.
func fail(w http.ResponseWriter, status int, failure platform.Object) {
	platform.WriteJSON(w, status, platform.Object{"type": "error", "error": failure})
}

// gone answers for the lists that were removed in 2026 (CHANGE-2770).
func gone(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusGone, platform.Object{
		"message": "This resource was removed: it listed across workspaces (CHANGE-2770).",
		"data": platform.Object{
			"announcement_url": "https://developer.atlassian.com/cloud/bitbucket/changelog/" +
				"#CHANGE-2770",
		},
	})
}

// token is the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	id, clientSecret, _ := r.BasicAuth()
	// RFC 6749, 2.3.1: both are form-encoded before they go into the header.
	id, _ = url.QueryUnescape(id)
	clientSecret, _ = url.QueryUnescape(clientSecret)
	_ = r.ParseForm()
	issued, fault := s.Token(id, clientSecret, r.PostForm)
	if fault != "" {
		s.writeFault(w, fault)
		return
	}
	grantType := r.PostForm.Get("grant_type")
	reply := platform.Object{
		"access_token": issued.Access.Reveal(),
		"token_type":   "bearer",
		"expires_in":   int(s.AccessTTL / time.Second),
		"scopes":       strings.Join(issued.Scopes, " "),
		"state":        grantType,
	}
	if grantType != "refresh_token" || !s.On(OmitRefreshToken) {
		reply["refresh_token"] = issued.Refresh.Reveal()
	}
	w.Header().Set("Cache-Control", "no-store")
	platform.WriteJSON(w, http.StatusOK, reply)
}

// writeFault writes an error of the token endpoint.
func (s *Server) writeFault(w http.ResponseWriter, fault oauth.Fault) {
	switch fault {
	case oauth.UnknownClient:
		oauth.WriteError(w, http.StatusUnauthorized, "unauthorized_client",
			"The client's id and secret are missing or wrong.")
	case oauth.UnsupportedGrantType:
		oauth.WriteError(w, http.StatusBadRequest, "invalid_grant", "Unsupported grant type")
	case oauth.InvalidRefreshToken:
		code := "invalid_grant"
		if s.On(InvalidRequest) {
			code = "invalid_request"
		}
		oauth.WriteError(w, http.StatusBadRequest, code, "Invalid refresh_token")
	default:
		oauth.WriteError(w, http.StatusBadRequest, "invalid_grant", "The code is not valid.")
	}
}

// refusal returns the error about a token.
func refusal(err error) platform.Object {
	if errors.Is(err, oauth.ErrExpiredToken) {
		return platform.Object{
			"message": "Access token expired. Use your refresh token to obtain a new access token.",
		}
	}
	return platform.Object{"message": "The access token is missing or unknown."}
}

// user returns the user of the token.
func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	c, ok := s.authenticate(w, r, "account")
	if !ok {
		return
	}
	platform.WriteJSON(w, http.StatusOK, s.describeUser(r, c.User))
}

// describeUser describes a user.
func (s *Server) describeUser(r *http.Request, u oauth.User) platform.Object {
	uuid := fmt.Sprintf("{%08x-0000-4000-8000-5a4d0b0c0000}", u.ID)
	origin := s.Origin(r)
	return platform.Object{
		"type":         "user",
		"uuid":         uuid,
		"account_id":   "557058:" + u.Login,
		"nickname":     u.Login,
		"display_name": u.Name,
		"links": platform.Object{
			"self":   link(origin + "/2.0/users/" + url.PathEscape(uuid)),
			"html":   link(origin + "/" + url.PathEscape(uuid)),
			"avatar": link(origin + "/sandbox/avatars/" + u.Login),
		},
	}
}
